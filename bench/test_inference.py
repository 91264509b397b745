"""What each model costs in use: latency of one pair, throughput of batches of 256. One round is one forward pass.

``pytest bench -k latency`` and ``-k throughput`` run these alone; the model is in the id, as everywhere.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.costs.inference import LATENCY_BATCH, THROUGHPUT_BATCH, ForwardPass, InferenceTime, inference_table
from bench.harness.session import Session
from bench.training.measurement import rounds_within
from bench.training.seeding import deterministic
from fusion_models import ModelSpec

Infer = Callable[[ModelSpec, int], None]

SECONDS = 0.25
MOST_ROUNDS = 50


@pytest.fixture(scope="module")
def measured(session: Session) -> Iterator[list[InferenceTime]]:
    """What the benchmarks of this file came to; becomes a table of the session."""
    found: list[InferenceTime] = []
    yield found
    if found:
        session.add_table(inference_table(found, session.any_dataset().info, session.measured_on()))


@pytest.fixture
def infer(session: Session, benchmark: Any, measured: list[InferenceTime]) -> Infer:
    """Times forward passes of a model at a batch size."""

    def infer(spec: ModelSpec, batch_size: int) -> None:
        options = session.options
        with deterministic():
            forward = ForwardPass(spec, session.any_dataset(), batch_size, options.device)
            least = options.profile.rounds
            benchmark.pedantic(forward, rounds=rounds_within(SECONDS, forward, least=least, most=MOST_ROUNDS))
        if benchmark.disabled:
            return
        time = InferenceTime(spec.name, forward.parameters, batch_size, tuple(benchmark.stats.stats.data))
        measured.append(time)
        benchmark.extra_info.update(
            model=time.model,
            batch_size=batch_size,
            pairs_per_second=time.pairs_per_second,
            parameters=time.parameters,
            device=options.device,
        )

    return infer


def test_latency(each_model: ModelSpec, infer: Infer) -> None:
    """A forward pass of a single pair."""
    infer(each_model, LATENCY_BATCH)


def test_throughput(each_model: ModelSpec, infer: Infer, session: Session) -> None:
    """A forward pass of a large batch; of a smaller one in profile smoke."""
    infer(each_model, min(THROUGHPUT_BATCH, session.options.profile.batch))
