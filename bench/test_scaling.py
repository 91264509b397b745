"""How the cost of training grows. One round is an epoch at every size of an axis, smallest first.

``pytest bench -k scaling`` runs these alone, ``-k "scaling and batch"`` one axis. The run's folder gets the table
``scaling`` with the exponents, and a figure, ``plots/scaling``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.config import SMOKE
from bench.harness.session import Session
from fusion_models import MODELS, ModelSpec

AXES = ("pairs", "batch", "image")
SPECS = [spec for spec in MODELS.values() if (spec.stage, spec.operator) == ("intermediate", "concat")]
"""One model of each family and embedder: the same strategy, so that only widths and downsampling differ."""


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("axis", AXES)
def test_scaling(axis: str, spec: ModelSpec, session: Session, benchmark: Any) -> None:
    """Epochs of one model along one axis; profile smoke stops at the second size."""
    from bench.costs import scaling
    from bench.training.seeding import deterministic

    info = session.any_dataset().info
    if reason := session.misfit(spec, replace(info, image_size=(scaling.BASE.image_size,) * 2)):
        pytest.skip(reason)
    profile, grows = session.options.profile, scaling.AXES[axis]
    sizes = grows.sizes[:2] if profile == SMOKE else grows.sizes
    with deterministic():
        series = scaling.Series(spec, grows, sizes, info, session.options.device)
        benchmark.pedantic(series, rounds=profile.rounds, warmup_rounds=1)
    if benchmark.disabled:
        return
    record = series.record(profile.name)
    session.keep_cost(record)
    benchmark.extra_info.update(model=spec.name, axis=axis, sizes=list(sizes), device=session.options.device)
