"""How the cost of training grows. One round is an epoch at every size of an axis, smallest first.

``pytest bench -k scaling`` runs these alone, ``-k "scaling and batch"`` one axis. The run's folder
gets the table ``scaling`` with the exponents, and a figure, ``plots/scaling``.
"""

import math
from collections.abc import Iterator
from typing import Any

import pytest

from bench.config import SMOKE
from bench.costs.scaling import AXES, ROWS, Axis, Growth, Series, scaling_table
from bench.harness.session import Session
from bench.training.seeding import deterministic
from fusion_models import ModelSpec


@pytest.fixture(scope="module")
def grown(session: Session) -> Iterator[list[Growth]]:
    """What the benchmarks of this file came to; becomes a table and a figure of the session."""
    found: list[Growth] = []
    yield found
    if not found:
        return
    from bench.plots import write_figure  # here, as matplotlib takes a second to import
    from bench.plots.scaling import scaling

    session.add_table(scaling_table(found, session.measured_on()))
    write_figure(scaling(found, session.measured_on()), session.folder / "plots", "scaling")


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("axis", AXES.values(), ids=AXES.keys())
def test_scaling(axis: Axis, spec: ModelSpec, session: Session, benchmark: Any, grown: list[Growth]) -> None:
    """Epochs of one row along one axis; profile smoke stops at the second size."""
    options = session.options
    sizes = axis.sizes[:2] if options.profile is SMOKE else axis.sizes
    with deterministic():
        series = Series(spec, axis, sizes, session.any_dataset().info, options.device)
        benchmark.pedantic(series, rounds=options.profile.rounds, warmup_rounds=1)
    if benchmark.disabled:
        return
    growth = Growth(spec.name, axis, {size: taken[1:] for size, taken in series.seconds.items()})
    grown.append(growth)
    exponent = growth.exponent
    benchmark.extra_info.update(
        model=growth.model,
        axis=axis.name,
        sizes=list(sizes),
        epoch_seconds=list(growth.medians.values()),
        exponent=exponent.mean,
        exponent_interval=[exponent.low, exponent.high] if math.isfinite(exponent.low) else None,
        device=options.device,
    )
