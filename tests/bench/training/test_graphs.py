"""Tested on a CPU: what replays compute, by running the step in place of recording it, and the order of the calls
that record, against a stub. The rest needs CUDA.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.config import BALANCED, BF16, FP32, STANDARD, TF32, Precision
from bench.training import graphs
from bench.training.augmentation import AugmentedPairs, is_augmented
from bench.training.graphs import WARM_UP_STEPS, GraphSteps, WaitingError, fastest, no_waiting
from bench.training.methods import Methods, make_methods
from bench.training.pairs import StoredPairs
from bench.training.runs import build_seeded
from bench.training.seeding import deterministic, seeded
from bench.training.steps import EagerSteps, make_optimizer, trained_with
from data_utils import ChannelStatistics, Part
from fusion_models import FIELD_MODELS, MODELS, FusionNet, find_model
from tests.bench.samples import MODEL
from tests.bench.toys import Toy, toy, toy_batch
from tests.data_utils.samples import shapes

RATES = [0.1, 0.05, 0.2, 0.15]
ORDERS = [torch.tensor([3, 1, 12, 5, 0, 2, 9, 11, 4, 6, 10, 8, 7]), torch.arange(13)]
"""Two epochs of 13 pairs: three batches of 4, and 1 pair left."""


def eager_steps() -> EagerSteps:
    """Of a toy in batches of 4, with the rate in a tensor, as on CUDA."""
    model = toy()
    optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.1), fused=True)
    return EagerSteps(model, optimizer, toy_batch(13), replace(STANDARD, batch_size=4))


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Recording as it would be on a CPU; the list gets the name of each step that runs, warm-up included."""
    runs: list[str] = []

    def record(work: Callable[[], None], undo: Callable[[], None], device: torch.device) -> Callable[[], None]:
        def counted() -> None:
            runs.append(work.__name__)
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
@pytest.mark.parametrize(
    ("pairs", "steps"), [(13, 4), (12, 3), (3, 1)], ids=["with a rest", "whole batches", "a rest alone"]
)
def test_replays_do_to_the_bit_what_eager_steps_do(pairs: int, steps: int) -> None:
    orders, rates = [order[order < pairs] for order in ORDERS], RATES[:steps]
    alone, replayed = eager_steps(), eager_steps()
    expected = history(alone, orders, rates)
    assert len(expected) == 2 * steps
    assert history(GraphSteps(replayed, pairs), orders, rates) == expected
    for one, other in zip(static_tensors(alone), static_tensors(replayed), strict=True):
        assert torch.equal(one, other)


@pytest.mark.usefixtures("recorded")
def test_order_and_rates_are_read_at_each_step() -> None:
    usual = history(GraphSteps(eager_steps(), 13), ORDERS, RATES)
    assert history(GraphSteps(eager_steps(), 13), ORDERS[::-1], RATES) != usual
    assert history(GraphSteps(eager_steps(), 13), ORDERS, RATES[::-1]) != usual


def test_recording_leaves_no_trace_but_the_training_mode(recorded: list[str]) -> None:
    eager, untouched = eager_steps(), toy()
    eager.model.eval()
    GraphSteps(eager, 13)
    assert recorded == ["_whole_batch"] * WARM_UP_STEPS + ["_last_batch"] * WARM_UP_STEPS
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
    steps = GraphSteps(eager, 13)
    before = [tensor.data_ptr() for tensor in static_tensors(eager)]
    history(steps, ORDERS, RATES)
    assert [tensor.data_ptr() for tensor in static_tensors(eager)] == before


def test_every_step_is_a_replay_the_last_one_of_a_graph_of_its_own(recorded: list[str]) -> None:
    steps = GraphSteps(eager_steps(), 13)
    recorded.clear()
    history(steps, ORDERS, RATES)
    assert recorded == 2 * (["_whole_batch"] * 3 + ["_last_batch"])


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("rates", [RATES[:1], RATES[:3], [*RATES, 0.1]])
def test_every_replay_needs_a_rate(rates: list[float]) -> None:
    with pytest.raises(RuntimeError, match="invalid for input"):
        history(GraphSteps(eager_steps(), 13), ORDERS, rates)


def test_stems_run_side_by_side_while_steps_are_recorded(
    recorded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def around(model: torch.nn.Module) -> Iterator[None]:
        assert model is eager.model
        runs_before.append(len(recorded))
        yield
        runs_before.append(len(recorded))

    runs_before: list[int] = []
    eager = eager_steps()
    monkeypatch.setattr(graphs, "side_by_side", around)
    GraphSteps(eager, 13)
    assert runs_before == [0, 2 * WARM_UP_STEPS]


def test_a_cpu_takes_eager_steps() -> None:
    eager = eager_steps()
    assert fastest(eager, pairs=13) is eager


def test_cuda_takes_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    on_cuda: Any = SimpleNamespace(labels=SimpleNamespace(device=torch.device("cuda:1")))
    monkeypatch.setattr(GraphSteps, "__init__", lambda *_: None)
    assert type(fastest(replace(eager_steps(), train=on_cuda), 13)) is GraphSteps


class StubCuda:
    """The calls that recording makes, in order, each with the stream it is made on."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.current = "main"

    def note(self, call: str) -> None:
        self.calls.append(f"{self.current}: {call}")

    def stream(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(
            name=name, wait_stream=lambda other: self.calls.append(f"{name} waits for {other.name}")
        )

    @contextmanager
    def on(self, stream: SimpleNamespace) -> Iterator[None]:
        before, self.current = self.current, stream.name
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def graph(self, graph: SimpleNamespace, *, stream: SimpleNamespace) -> Iterator[None]:
        with self.on(stream):
            self.note(f"begin {graph.name}")
            yield
            self.note(f"end {graph.name}")

    def put_in_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        names = iter("ABC")
        made = lambda _: self.stream("side")  # noqa: E731
        stand_ins = {
            "Stream": made,
            "current_stream": lambda device: self.stream("main"),  # noqa: ARG005
            "stream": self.on,
            "graph": self.graph,
            "CUDAGraph": lambda: SimpleNamespace(
                name=(name := next(names)), replay=lambda: self.note(f"replay {name}")
            ),
            "get_rng_state": lambda device: f"draws of {device}",
            "get_sync_debug_mode": lambda: "default",
            "set_sync_debug_mode": lambda mode: self.note(f"waiting: {mode}"),
            "set_rng_state": lambda state, device: self.note(f"set {state} on {device}"),
        }
        for name, stand_in in stand_ins.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)
        monkeypatch.setattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: self.note("forget workspaces"))
        graphs._side_stream.cache_clear()


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubCuda]:
    """Stands in for what ``record`` calls of torch.cuda."""
    stub = StubCuda()
    stub.put_in_place(monkeypatch)
    yield stub
    graphs._side_stream.cache_clear()


def test_recording_warms_up_beside_the_main_stream_and_gives_each_graph_a_workspace(cuda: StubCuda) -> None:
    device = torch.device("cuda:1")
    replay = graphs.record(lambda: cuda.note("work"), lambda: cuda.note("undo"), device)
    replay()
    assert cuda.calls == [
        "side waits for main",
        *["side: work", "side: undo"] * (WARM_UP_STEPS - 1),
        *["side: waiting: error", "side: work", "side: waiting: default", "side: undo"],
        "main waits for side",
        "main: forget workspaces",
        "side: begin A",
        "side: work",
        "side: end A",
        "main: forget workspaces",
        "main: set draws of cuda:1 on cuda:1",
        "main: replay A",
    ]


@pytest.mark.parametrize(
    ("message", "kind", "shown"),
    [
        (
            "called a synchronizing CUDA operation",
            WaitingError,
            "a CUDA graph cannot wait for the device, as .item()",
        ),
        ("expected scalar type Float", RuntimeError, "expected scalar type Float"),
    ],
)
def test_work_that_cannot_be_recorded_is_found_before_it_is(
    message: str, kind: type[RuntimeError], shown: str, cuda: StubCuda
) -> None:
    def work() -> None:
        cuda.note("work")
        if cuda.calls[-2].endswith("waiting: error"):
            raise RuntimeError(message)

    with pytest.raises(RuntimeError, match=re.escape(shown)) as raised:
        graphs.record(work, lambda: None, torch.device("cuda:1"))
    assert raised.type is kind
    assert cuda.calls[-3:] == ["side: work", "side: waiting: default", "main waits for side"]
    assert cuda.current == "main"


def test_all_recordings_of_a_device_share_a_stream(cuda: StubCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[torch.device] = []

    def stream(device: torch.device) -> SimpleNamespace:
        made.append(device)
        return cuda.stream("side")

    monkeypatch.setattr(torch.cuda, "Stream", stream)
    for device in (torch.device("cuda:0"), torch.device("cuda:0"), torch.device("cuda:1")):
        graphs.record(lambda: None, lambda: None, device)
    assert made == [torch.device("cuda:0"), torch.device("cuda:1")]


# What follows needs a CUDA device.


CUDA_RATES = [1e-3, 8e-4, 6e-4, 4e-4, 2e-4]


def cuda_steps(name: str, precision: Precision = FP32, **changes: Any) -> EagerSteps:
    """Of a model of the zoo and 36 simulated pairs: four batches of 8, and 4 pairs left."""
    data = shapes(40, 0, image_size=32)
    part = Part(data, torch.arange(36))
    stored = StoredPairs.of(part, ChannelStatistics.of(lambda: [part.batch()]), ("rgb", "lidar"), "cuda")
    model = build_seeded(find_model(name), data.info, 0, "cuda")
    if isinstance(model, FusionNet):
        model.freeze_experts()
    protocol = replace(STANDARD, batch_size=8, precision=precision, **changes)
    methods = make_methods(model, protocol, stored, 0)
    train = AugmentedPairs(stored, protocol, 0) if is_augmented(protocol) else stored
    optimizer = make_optimizer(trained_with(model, methods), protocol)
    return EagerSteps(model, optimizer, train, protocol, methods)


def cuda_history(eager: EagerSteps, steps: EagerSteps | GraphSteps) -> list[float]:
    """``history`` of three epochs by either form of the same steps, with all that is drawn."""
    losses = []
    with seeded(0, "steps", "cuda"):
        for epoch in (1, 2, 3):
            for drawn in (eager.methods, eager.train):
                if isinstance(drawn, Methods | AugmentedPairs):
                    drawn.begin(epoch)
            order = torch.randperm(36, generator=torch.Generator().manual_seed(epoch)).cuda()
            losses += history(steps, [order], CUDA_RATES)
    return losses


def graph_steps(eager: EagerSteps) -> GraphSteps:
    steps = fastest(eager, pairs=36)
    assert isinstance(steps, GraphSteps)
    return steps


FIELD = dict.fromkeys(
    [
        *{spec.embedder: spec.name for spec in FIELD_MODELS.values() if spec.operator == "concat"}.values(),
        *{spec.operator: spec.name for spec in FIELD_MODELS.values() if spec.embedder == "strided"}.values(),
    ]
)
"""Every embedder, and every operator."""

AUGMENTATION = {"horizontal_flip": 0.5, "random_crop": 2, "color_jitter": 0.4}

OPTIONS: list[dict[str, Any]] = [
    AUGMENTATION,
    {"class_weights": BALANCED},
    {"modality_dropout": 0.3},
    {"unimodal_loss": 0.5},
    {"ogm_ge": 0.5},
]


CASES: list[tuple[str, Precision, dict[str, Any]]] = [
    *((name, FP32, {}) for name in (*MODELS, *FIELD)),
    *(("wide-late-concat-maxpool", precision, {}) for precision in (TF32, BF16)),
    *((f"field-intermediate-{operator}-strided", BF16, {}) for operator in ("gmu", "cen", "mbt", "embracenet")),
    *((f"field-intermediate-concat-{embedder}", BF16, {}) for embedder in ("blurpool", "blurconv", "aps")),
    *((MODEL, precision, changes) for precision in (FP32, BF16) for changes in OPTIONS),
]
# Steps that draw come last: a recording that fails can leave CUDA's generator unusable.
CASES.sort(key=lambda case: "embracenet" in case[0] or "ogm_ge" in case[2])


@pytest.mark.needs_cuda
@pytest.mark.parametrize(("name", "precision", "changes"), CASES, ids=str)
def test_graphs_repeat_the_eager_history_on_cuda(name: str, precision: Precision, changes: dict[str, Any]) -> None:
    with deterministic(precision):
        one, other = (cuda_steps(name, precision, **changes) for _ in range(2))
        expected, repeated = cuda_history(one, one), cuda_history(other, graph_steps(other))
    assert repeated == pytest.approx(expected, rel=1e-6)


@pytest.mark.needs_cuda
@pytest.mark.parametrize("changes", [{}, *OPTIONS], ids=str)
def test_no_step_waits_for_the_device(changes: dict[str, Any]) -> None:
    order = torch.arange(36, device="cuda")
    with deterministic():
        steps = graph_steps(cuda_steps("compact-late-concat-maxpool", **changes)).epoch(order, CUDA_RATES)
        next(steps)  # the order and the rates are copied to the device before
        with no_waiting():
            assert len(list(steps)) == 4


@pytest.mark.needs_cuda
def test_a_step_that_waits_is_refused_and_the_next_is_recorded() -> None:
    class Waiting(Toy):
        def forward(self, inputs: dict[str, Tensor]) -> Tensor:
            return super().forward(inputs) * max(1.0, inputs["rgb"].sum().item())

    def steps(model: Toy) -> EagerSteps:
        on_cuda, protocol = model.cuda(), replace(STANDARD, batch_size=4)
        return EagerSteps(on_cuda, make_optimizer(on_cuda, protocol), toy_batch(13).to("cuda"), protocol)

    with pytest.raises(WaitingError, match="cannot wait for the device"):
        fastest(steps(Waiting()), 13)
    order = torch.arange(13, device="cuda")
    expected = history(steps(toy()), [order], RATES)
    assert history(fastest(steps(toy()), 13), [order], RATES) == pytest.approx(expected, rel=1e-6)


@pytest.mark.needs_cuda
def test_the_end_of_one_graph_leaves_the_others_alone() -> None:
    orders = [torch.arange(36, device="cuda")]
    name = "wide-intermediate-concat-strided"
    with deterministic():
        expected = history(graph_steps(cuda_steps(name)), orders, CUDA_RATES)
        first, second = graph_steps(cuda_steps(name)), graph_steps(cuda_steps(name))
        history(first, orders, CUDA_RATES)
        del first
        torch.cuda.empty_cache()
        assert history(second, orders, CUDA_RATES) == expected
