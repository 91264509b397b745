"""How fast training is: our loop against the loop of notebooks and, where it is installed, PyTorch Lightning's.

``pytest bench -k engine`` runs it alone. In every profile all loops must compute the same. The target for the
ratio of their times is asserted in profile full only, for which the machine should be idle; shorter profiles run a
few short epochs of one model of each family and embedder. All loops train in the protocol's precision. On CUDA,
"tf32" is shown beside "fp32" where the device has it: its convolutions are PyTorch's default there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.config import FIRST_SEED, FP32, FULL, TF32, Precision
from bench.harness.data import misfit
from bench.harness.session import Session
from data_utils import DATASETS


def test_engine_against_reference(session: Session, show: Callable[[str], None]) -> None:
    """All loops have the same losses; in profile full, ours reaches the target."""
    from bench.analysis.costs import disagreements, lightning_ratio, mean_ratio, ratio
    from bench.costs.loops import lightning_version
    from bench.costs.race import PROTOCOL, models, race_on
    from bench.training.device import precisions_of

    profile = session.options.profile
    config = session.options.standard
    chosen = config.protocol.precision
    protocol = profile.shorten(PROTOCOL, simulated=config.dataset in DATASETS)
    specs = (
        models() if profile == FULL else list({(spec.family, spec.embedder): spec for spec in models()}.values())
    )
    info = session.data.source(replace(config, protocol=protocol)).info
    specs = [spec for spec in specs if not misfit(spec, info)]
    if not specs:
        pytest.skip(f"no model of two modalities fits {info.name}")
    if lightning_version() is None:
        show("PyTorch Lightning is not installed: only the reference is raced; pip install lightning")
    precisions: list[Precision] = [chosen]
    if chosen == FP32 and TF32 in precisions_of(config.device):
        precisions.append(TF32)
    for precision in precisions:
        races = []
        config = replace(config, protocol=replace(protocol, precision=precision))
        with race_on(session.data.source(config), FIRST_SEED, config) as race:
            for spec in specs:
                record = race(spec)
                session.keep_cost(record)
                races.append(record)
                other = lightning_ratio(record)
                of_lightning = "" if other is None else f", {other:.2f} times as fast as Lightning"
                show(f"{spec.name:40} {ratio(record):.2f} times as fast as the reference{of_lightning}")
        assert not [line for record in races for line in disagreements(record)]
        target = races[0].target
        if profile == FULL and target is not None:
            assert mean_ratio(races) >= target
