"""The cost of each model in use: latency of one pair, throughput of batches of 256. One round is one forward pass.

``pytest bench -k latency`` and ``-k throughput`` run these alone; the model is in the id, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.harness.session import Session
from fusion_models import ModelSpec

Infer = Callable[[ModelSpec, int], None]

SECONDS = 0.25
MOST_ROUNDS = 50


@pytest.fixture
def infer(session: Session, benchmark: Any) -> Infer:
    """Times forward passes of a model at a batch size."""
    from bench.costs.inference import ForwardPass
    from bench.training.measurement import rounds_within
    from bench.training.seeding import deterministic

    def infer(spec: ModelSpec, batch_size: int) -> None:
        options = session.options
        with deterministic():
            forward = ForwardPass(spec, session.any_source(), batch_size, options.device)
            least = options.profile.rounds
            benchmark.pedantic(forward, rounds=rounds_within(SECONDS, forward, least=least, most=MOST_ROUNDS))
        if benchmark.disabled:
            return
        seconds = list(benchmark.stats.stats.data)
        session.keep_cost(forward.record(seconds, options.profile.name))
        benchmark.extra_info.update(
            model=spec.name, batch_size=batch_size, parameters=forward.parameters, device=options.device
        )

    return infer


def test_latency(fitting_model: ModelSpec, infer: Infer) -> None:
    """A forward pass of a single pair."""
    from bench.costs.inference import LATENCY_BATCH

    infer(fitting_model, LATENCY_BATCH)


def test_throughput(fitting_model: ModelSpec, infer: Infer, session: Session) -> None:
    """A forward pass of a large batch; of a smaller one in profile smoke."""
    from bench.costs.inference import THROUGHPUT_BATCH

    infer(fitting_model, min(THROUGHPUT_BATCH, session.options.profile.batch))
