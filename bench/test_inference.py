"""The cost of each model in use: latency of one pair, throughput of batches of 256. One round is one forward pass.

Of the settings of ``--set``, ``precision`` alone matters here.

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
    import torch

    from bench.costs.inference import LATENCY_BATCH, ForwardPass, rounds_within, warm_up
    from bench.training.seeding import deterministic
    from bench.training.steps import seconds_of

    def infer(spec: ModelSpec, batch_size: int) -> None:
        options = session.options
        device, profile = torch.device(options.device), options.profile
        precision = options.standard.protocol.precision
        with deterministic(precision):
            forward = ForwardPass(spec, session.any_source(), batch_size, options.device, precision)
            warm_up(forward, device)
            rounds = rounds_within(SECONDS, forward, least=profile.rounds, most=MOST_ROUNDS)
            benchmark.pedantic(forward, rounds=rounds)
            if benchmark.disabled:
                return
            session.keep_cost(forward.record(list(benchmark.stats.stats.data), profile.name))
            if device.type == "cuda" and batch_size == LATENCY_BATCH:
                forward.record_graph()
                warm_up(forward, device)
                session.keep_cost(forward.record([seconds_of(forward) for _ in range(rounds)], profile.name))
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
