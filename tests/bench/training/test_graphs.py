"""Replays are tested here on a CPU, by running the step in place of recording it; the rest needs CUDA."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.config import STANDARD
from bench.costs.inference import random_batch
from bench.training import graphs
from bench.training.graphs import WARM_UP_STEPS, GraphSteps, fastest
from bench.training.runs import build_seeded
from bench.training.seeding import deterministic
from bench.training.steps import EagerSteps, make_optimizer
from data_utils import DatasetInfo
from fusion_models import MODELS, find_model
from tests.bench.marks import needs_cuda
from tests.bench.toys import toy, toy_batch

RATES = [0.1, 0.05, 0.2, 0.15]
ORDERS = [torch.tensor([3, 1, 12, 5, 0, 2, 9, 11, 4, 6, 10, 8, 7]), torch.arange(13)]
"""Two epochs of 13 pairs: three batches of 4, and 1 pair left."""


def eager_steps(batch_size: int = 4) -> EagerSteps:
    """Of a toy, with the rate in a tensor, as on CUDA."""
    model = toy()
    optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.1), fused=True)
    return EagerSteps(model, optimizer, toy_batch(13), batch_size)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Recording as it would be on a CPU; the list gets one entry per run of the step, warm-up included."""
    runs: list[int] = []

    def record(work: Callable[[], None], undo: Callable[[], None], device: torch.device) -> Callable[[], None]:
        def counted() -> None:
            runs.append(1)
            work()

        assert device.type == "cpu"
        for _ in range(WARM_UP_STEPS):
            counted()
            undo()
        return counted

    monkeypatch.setattr(graphs, "record", record)
    return runs


def history(steps: EagerSteps | GraphSteps, orders: list[Tensor], rates: list[float]) -> list[float]:
    """The sums of losses after every step of every epoch."""
    return [loss_sum.item() for order in orders for loss_sum in steps.epoch(order, rates)]


def static_tensors(eager: EagerSteps) -> list[Tensor]:
    """All that a graph reads and writes besides its own buffers."""
    state = chain.from_iterable(state.values() for state in eager.optimizer.state.values())
    return [*eager.model.parameters(), *state, eager.optimizer.param_groups[0]["lr"]]


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(("pairs", "steps"), [(13, 4), (12, 3)], ids=["with a rest", "replays alone"])
def test_replays_do_to_the_bit_what_eager_steps_do(pairs: int, steps: int) -> None:
    orders, rates = [order[:pairs] for order in ORDERS], RATES[:steps]
    alone, replayed = eager_steps(), eager_steps()
    expected = history(alone, orders, rates)
    assert len(expected) == 2 * steps
    assert history(GraphSteps(replayed, 3), orders, rates) == expected
    for one, other in zip(static_tensors(alone), static_tensors(replayed), strict=True):
        assert torch.equal(one, other)


@pytest.mark.usefixtures("recorded")
def test_order_and_rates_are_read_at_each_step() -> None:
    usual = history(GraphSteps(eager_steps(), 3), ORDERS, RATES)
    assert history(GraphSteps(eager_steps(), 3), ORDERS[::-1], RATES) != usual
    assert history(GraphSteps(eager_steps(), 3), ORDERS, RATES[::-1]) != usual


def test_recording_leaves_no_trace_but_the_training_mode(recorded: list[int]) -> None:
    eager, untouched = eager_steps(), toy()
    eager.model.eval()
    GraphSteps(eager, 3)
    assert len(recorded) == WARM_UP_STEPS
    assert eager.model.training
    for tensor, original in zip(eager.model.parameters(), untouched.parameters(), strict=True):
        assert torch.equal(tensor, original)
        assert tensor.grad is None
    states = list(eager.optimizer.state.values())
    assert len(states) == 2
    assert all(not tensor.any() for state in states for tensor in state.values())


@pytest.mark.usefixtures("recorded")
def test_what_a_graph_knows_stays_where_it_is() -> None:
    eager = eager_steps()
    steps = GraphSteps(eager, 3)
    before = [tensor.data_ptr() for tensor in static_tensors(eager)]
    history(steps, ORDERS, RATES)
    assert [tensor.data_ptr() for tensor in static_tensors(eager)] == before


def test_whole_batches_are_replays_and_the_rest_is_not(recorded: list[int]) -> None:
    steps = GraphSteps(eager_steps(), 3)
    recorded.clear()
    history(steps, ORDERS, RATES)
    assert len(recorded) == 2 * 3


def test_a_cpu_takes_eager_steps() -> None:
    eager = eager_steps()
    assert fastest(eager, pairs=13) is eager


@pytest.mark.parametrize(("pairs", "kind"), [(3, EagerSteps), (4, GraphSteps), (13, GraphSteps)])
def test_cuda_replays_where_there_is_a_whole_batch(
    pairs: int, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_cuda: Any = SimpleNamespace(labels=SimpleNamespace(device=torch.device("cuda")))
    monkeypatch.setattr(GraphSteps, "__init__", lambda *_: None)
    assert type(fastest(replace(eager_steps(), train=on_cuda), pairs)) is kind


# What follows needs a CUDA device.


@contextmanager
def no_waiting() -> Iterator[None]:
    """Lets any call raise that makes the host wait for the device."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Synchronization debug mode is a prototype"
        )  # torch, when it is switched
        try:
            torch.cuda.set_sync_debug_mode("error")
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


def cuda_steps(name: str, batch_size: int = 8) -> EagerSteps:
    """Of a model of the zoo and 36 random pairs: four batches of 8, and 4 pairs left."""
    info = DatasetInfo("random", ("no", "yes"), {"rgb": 4, "lidar": 4}, (32, 32))
    model = build_seeded(find_model(name), info, 0, "cuda")
    return EagerSteps(model, make_optimizer(model, STANDARD), random_batch(info, 36, "cuda"), batch_size)


CUDA_RATES = [1e-3, 8e-4, 6e-4, 4e-4, 2e-4]


@needs_cuda
@pytest.mark.parametrize("name", MODELS)
def test_graphs_repeat_the_eager_history_on_cuda(name: str) -> None:
    orders = [torch.randperm(36, generator=torch.Generator().manual_seed(i)).cuda() for i in range(3)]
    with deterministic():
        expected = history(cuda_steps(name), orders, CUDA_RATES)
        steps = fastest(cuda_steps(name), pairs=36)
        assert isinstance(steps, GraphSteps)
        assert history(steps, orders, CUDA_RATES) == pytest.approx(expected, rel=1e-6)


@needs_cuda
def test_no_step_waits_for_the_device() -> None:
    order = torch.arange(36, device="cuda")
    with deterministic():
        steps = fastest(cuda_steps("compact-late-concat-maxpool"), pairs=36).epoch(order, CUDA_RATES)
        next(steps)  # the order and the rates are copied to the device before
        with no_waiting():
            assert len(list(steps)) == 4


@needs_cuda
def test_the_end_of_one_graph_leaves_the_others_alone() -> None:
    orders = [torch.arange(36, device="cuda")]
    name = "wide-intermediate-concat-strided"
    with deterministic():
        expected = history(fastest(cuda_steps(name), pairs=36), orders, CUDA_RATES)
        first, second = fastest(cuda_steps(name), pairs=36), fastest(cuda_steps(name), pairs=36)
        history(first, orders, CUDA_RATES)
        del first
        torch.cuda.empty_cache()
        assert history(second, orders, CUDA_RATES) == expected
