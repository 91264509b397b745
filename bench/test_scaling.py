"""How the cost of training grows. One round is an epoch at every size of an axis, smallest first.

Profile smoke stops at the second size, and trains two steps per epoch. Of the settings of ``--set``, ``precision``
alone matters here.

``pytest bench -k scaling`` runs these alone, ``-k "scaling and batch"`` one axis. The run's folder gets the table
``scaling`` with the exponents, and a figure, ``plots/scaling``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.config import SMOKE
from bench.harness.data import misfit
from bench.harness.session import Session
from fusion_models import MODELS, ModelSpec

AXES = ("pairs", "batch", "image")
SPECS = [spec for spec in MODELS.values() if (spec.stage, spec.operator) == ("intermediate", "concat")]
"""One model of each family and embedder: the same strategy, so that only widths and downsampling differ."""


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("axis", AXES)
def test_scaling(axis: str, spec: ModelSpec, session: Session, benchmark: Any) -> None:
    """Epochs of one model along one axis."""
    from bench.costs import scaling
    from bench.training.seeding import deterministic

    info = session.any_source().info
    if reason := misfit(spec, replace(info, image_size=(scaling.IMAGE_SIZE,) * 2)):
        pytest.skip(reason)
    profile = session.options.profile
    grows = scaling.axes(1 if profile == SMOKE else scaling.TIMED_STEPS)[axis]
    sizes = list(grows.epochs)[:2] if profile == SMOKE else list(grows.epochs)
    precision = session.options.standard.protocol.precision
    with deterministic(precision):
        series = scaling.Series(spec, grows, sizes, info, session.options.device, precision)
        # An epoch has many steps, so a third of the rounds of other costs are enough.
        benchmark.pedantic(series, rounds=max(1, profile.rounds // 3))
    if benchmark.disabled:
        return
    record = series.record(profile.name)
    session.keep_cost(record)
    benchmark.extra_info.update(model=spec.name, axis=axis, sizes=sizes, device=session.options.device)
