"""How fast training is: our loop against the loop of notebooks.

``pytest bench -k engine`` runs it alone. In every profile both loops must compute the same. The target for the
ratio of their times is asserted in profile full only, for which the machine should be idle; shorter profiles run a
few short epochs of one model of each family and embedder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.config import FIRST_SEED, FULL
from bench.harness.session import Session
from bench.registry import find_study
from data_utils import DATASETS


def test_engine_against_reference(session: Session, show: Callable[[str], None]) -> None:
    """Both loops have the same losses; in profile full, ours reaches the target."""
    from bench.analysis.costs import loss_differences, mean_ratio, ratio
    from bench.costs.race import EXACT_TOLERANCE, PROTOCOL, ROUNDING_TOLERANCE, models, race

    profile = session.options.profile
    config = session.options.run_config(find_study("standard"))
    config = replace(config, protocol=profile.shorten(PROTOCOL, simulated=config.dataset in DATASETS))
    specs = models() if profile == FULL else {(spec.family, spec.embedder): spec for spec in models()}.values()
    info = session.dataset(config).info
    specs = [spec for spec in specs if not session.misfit(spec, info)]
    if not specs:
        pytest.skip(f"no model of two modalities fits {info.name}")
    races = []
    for spec in specs:
        record = race(spec, session.dataset(config), FIRST_SEED, config)
        session.keep_cost(record)
        races.append(record)
        show(f"{spec.name:40} {ratio(record):.2f} times as fast")
    for record in races:
        assert record.exact_difference <= EXACT_TOLERANCE, f"{record.model}: another computation"
        assert loss_differences(record)[0] <= ROUNDING_TOLERANCE, f"{record.model}: more than rounding"
    target = races[0].target
    if profile == FULL and target is not None:
        assert mean_ratio(races) >= target
