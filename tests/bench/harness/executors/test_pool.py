"""Which worker trains which cell, with an engine whose workers do what the test says."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

import pytest

from bench.config import STANDARD, RunConfig
from bench.harness.executors.pool import RETRIES, ExecutorError, Failed, Pool
from bench.harness.executors.tasks import DataNeeded, Gone, Message, Raised, Ready, Refused, Task, Trained
from data_utils import Source
from tests.bench.samples import MODEL, record

TRAINED = Trained(record(), (), b"weights", None, (), 1.0)
BOOM = Raised("ValueError: boom", "the traceback")
DEAD = Gone("its node is gone")


COSTS = {"a": 9.0, "b": 9.0, "c": 8.0, "d": 8.0, "e": 3.0, "f": 3.0}
"""Other cells take a second. Cells have the same data where the rest of their names is the same: "a1", "b1"."""


def task(name: str) -> Task:
    seconds = COSTS.get(name[0], 1.0)
    return Task(name, MODEL, 51, RunConfig(STANDARD), {}, "0" * 64, 0, name[1:] or name, seconds)


@dataclass
class Machines:
    """An engine of nodes with a number of devices each; a cell's messages come in the order given, then TRAINED.

    Attributes:
        devices: By node.
        script: Messages by cell.
        refuse: Reasons by node.
        started: Cell and node of every training, in order.
        kept_free: Nodes that the pool has asked to avoid.
    """

    devices: dict[str, int]
    script: dict[str, list[Message]] = field(default_factory=dict)
    refuse: dict[str, str] = field(default_factory=dict)
    unable: bool = False
    started: list[tuple[str, str]] = field(default_factory=list)
    processes: list[int] = field(default_factory=list)
    kept_free: set[str] = field(default_factory=set)
    closed: bool = False
    data: list[str] = field(default_factory=list)
    _places: dict[int, str] = field(default_factory=dict)
    _pending: dict[int, frozenset[str]] = field(default_factory=dict)
    _box: list[tuple[int, Message]] = field(default_factory=list)
    _count: int = 0

    def start(self, avoid: frozenset[str]) -> Hashable:
        self._count += 1
        self._pending[self._count] = avoid
        self.kept_free |= avoid
        return self._count

    def _place(self) -> None:
        for worker, avoid in list(self._pending.items()):
            used = list(self._places.values())
            free = [n for n, count in self.devices.items() if used.count(n) < count and n not in avoid]
            if self.unable:
                self._box.append((worker, Gone("no space left on device")))
                del self._pending[worker]
            elif free:
                self._places[worker] = free[0]
                node = free[0]
                self._box.append(
                    (worker, Refused(node, self.refuse[node]) if node in self.refuse else Ready(node))
                )
                del self._pending[worker]

    def train(self, worker: Hashable, task: Task, data: Source | None) -> None:
        assert isinstance(worker, int)
        if data is not None:
            self.data.append(task.name)
        else:
            self.started.append((task.name, self._places[worker]))
            self.processes.append(worker)
        left = self.script.get(task.name, [])
        self._box.append((worker, left.pop(0) if left else TRAINED))

    def stop(self, worker: Hashable) -> None:
        assert isinstance(worker, int)
        self._places.pop(worker, None)
        self._pending.pop(worker, None)
        self._box = [(whose, message) for whose, message in self._box if whose != worker]

    def messages(self, seconds: float) -> list[tuple[Hashable, Message]]:
        assert seconds > 0
        self._place()
        assert self._box, "the pool waits for nothing"
        worker, message = self._box.pop(0)
        if isinstance(message, Gone):
            self._places.pop(worker, None)
        return [(worker, message)]

    def nodes(self) -> frozenset[str]:
        return frozenset(self.devices)

    def progress(self) -> Mapping[str, str]:
        return {"a": "epoch 1/2"}

    def close(self) -> None:
        self.closed = True


@dataclass
class Kept:
    """What the pool hands back."""

    outcomes: dict[str, Trained | Failed] = field(default_factory=dict)
    lines: list[tuple[int, list[str]]] = field(default_factory=list)
    events: list[dict[str, object]] = field(default_factory=list)

    def receive(self, name: str, outcome: Trained | Failed) -> None:
        assert name not in self.outcomes
        self.outcomes[name] = outcome


Run = Callable[..., Kept]


def run(machines: Machines, *names: str, wait: str = "") -> Kept:
    """Train cells to the end, or until one has ended."""
    kept = Kept()
    pool = Pool(
        machines,
        lambda _: record,  # type: ignore[arg-type, return-value]  # stands for data
        kept.receive,
        lambda waiting, lines: kept.lines.append((waiting, lines)),
        kept.events.append,
    )
    pool.submit(map(task, names))
    for name in [wait] if wait else names:
        pool.wait(name)
    return kept


def test_cells_start_in_the_given_order_on_all_devices_and_workers_are_kept() -> None:
    machines = Machines({"x": 1, "y": 1})
    kept = run(machines, "a", "b", "c", "d", "e")
    assert machines.started == [("a", "x"), ("b", "y"), ("c", "x"), ("d", "y"), ("e", "x")]
    assert len(set(machines.processes)) == 2
    assert kept.outcomes == dict.fromkeys("abcde", TRAINED)


def test_a_worker_keeps_to_its_data_among_cells_that_are_nearly_as_costly() -> None:
    machines = Machines({"x": 1, "y": 1})
    run(machines, "a1", "a2", "b1", "b2", "c1", "c2", "e1", "e2")
    by_node = {node: [name for name, where in machines.started if where == node] for node in "xy"}
    assert by_node == {"x": ["a1", "b1", "c1", "e1"], "y": ["a2", "b2", "c2", "e2"]}


def test_a_much_costlier_cell_goes_before_one_of_the_same_data() -> None:
    machines = Machines({"x": 1})
    run(machines, "a1", "c2", "e1")
    assert [name for name, _ in machines.started] == ["a1", "c2", "e1"]


def test_what_ends_while_another_is_waited_for_is_received_too() -> None:
    kept = run(Machines({"x": 1}), "a", "b", "c", wait="c")
    assert list(kept.outcomes) == ["a", "b", "c"]


@pytest.mark.parametrize("failure", [BOOM, DEAD], ids=["raised", "gone"])
def test_a_cell_that_failed_is_trained_elsewhere_in_a_new_process(failure: Message) -> None:
    machines = Machines({"x": 1, "y": 1}, {"a": [failure]})
    kept = run(machines, "a", "b")
    assert [node for name, node in machines.started if name == "a"] == ["x", "y"]
    assert kept.outcomes == {"a": TRAINED, "b": TRAINED}
    (first, second) = [p for p, (name, _) in zip(machines.processes, machines.started, strict=True) if name == "a"]
    assert first != second


def test_with_one_node_a_cell_is_trained_there_again_in_a_new_process() -> None:
    machines = Machines({"x": 1}, {"a": [BOOM]})
    assert run(machines, "a").outcomes == {"a": TRAINED}
    assert machines.started == [("a", "x"), ("a", "x")]
    assert len(set(machines.processes)) == 2


def test_after_two_retries_a_cell_has_failed_and_the_others_go_on() -> None:
    machines = Machines({"x": 1, "y": 1}, {"a": [BOOM] * 9})
    kept = run(machines, "a", "b", "c")
    failed = kept.outcomes.pop("a")
    assert isinstance(failed, Failed)
    assert failed.reason == "ValueError: boom (attempt 3; tried on x, y)"
    assert failed.traceback == "the traceback"
    assert sum(name == "a" for name, _ in machines.started) == 1 + RETRIES
    assert kept.outcomes == {"b": TRAINED, "c": TRAINED}


def test_no_cell_starts_twice_without_a_failure() -> None:
    machines = Machines({"x": 3, "y": 2}, {"c": [DEAD], "f": [BOOM, DEAD]})
    run(machines, *"abcdefgh")
    assert sorted(name for name, _ in machines.started) == sorted("abcdefgh" + "c" + "ff")


def test_a_node_that_disappears_is_not_waited_for() -> None:
    machines = Machines({"x": 1, "y": 1}, {"a": [DEAD]})
    devices = machines.devices
    machines.messages, all_messages = lambda seconds: lose(all_messages(seconds)), machines.messages  # type: ignore[method-assign]

    def lose(messages: list[tuple[Hashable, Message]]) -> list[tuple[Hashable, Message]]:
        if any(isinstance(message, Gone) for _, message in messages):
            devices.pop("x", None)
        return messages

    kept = run(machines, "a", "b", "c")
    assert kept.outcomes == dict.fromkeys("abc", TRAINED)
    assert {node for name, node in machines.started[2:]} == {"y"}


def test_a_worker_without_the_data_gets_them_and_the_cell_starts_once() -> None:
    machines = Machines({"x": 1}, {"a": [DataNeeded()]})
    assert run(machines, "a", "b").outcomes == {"a": TRAINED, "b": TRAINED}
    assert machines.data == ["a"]
    assert machines.started == [("a", "x"), ("b", "x")]


def test_a_node_with_other_versions_is_not_used() -> None:
    machines = Machines({"old": 1, "new": 1}, refuse={"old": "it has code 2 instead of code 1"})
    kept = run(machines, "a", "b", "c")
    assert {node for _, node in machines.started} == {"new"}
    assert machines.kept_free == {"old"}
    assert kept.outcomes == dict.fromkeys("abc", TRAINED)


def test_where_every_node_is_refused_the_reason_is_raised() -> None:
    machines = Machines({"x": 1, "y": 1}, refuse={"x": "it has code 2 instead of code 1", "y": "it has no ray"})
    with pytest.raises(
        ExecutorError, match=r"^x is not used: it has code 2 instead of code 1; y is not used: it has"
    ):
        run(machines, "a")
    assert machines.started == []


def test_where_no_worker_starts_the_reason_is_raised() -> None:
    with pytest.raises(ExecutorError, match=r"^workers do not start: no space left on device$"):
        run(Machines({"x": 1}, unable=True), "a")


def test_progress_names_every_cell_under_way_and_its_node() -> None:
    kept = run(Machines({"x": 1, "y": 1}), "a", "b", "c")
    assert (1, [f"{'a':40} epoch 1/2  (x)", f"{'b':40} starts  (y)"]) in kept.lines
    assert kept.lines[-1] == (0, [])


def test_events_tell_what_became_of_every_cell() -> None:
    events = run(Machines({"x": 1}, {"a": [BOOM]}), "a").events
    assert [event["event"] for event in events] == [
        *["requested", "ready", "started", "raised", "requested", "ready", "started", "ended"]
    ]
    assert events[3] == {"event": "raised", "worker": 1, "node": "x", "cell": "a", "reason": "ValueError: boom"}


def test_cells_that_wait_are_dropped_when_the_time_is_over_and_those_under_way_end() -> None:
    kept = Kept()
    machines = Machines({"x": 1})
    over = iter([False, False, True])
    pool = Pool(
        machines,
        lambda _: record,  # type: ignore[arg-type, return-value]
        kept.receive,
        lambda *_: None,
        kept.events.append,
        lambda: next(over),
    )
    pool.submit(map(task, ["a", "b", "c"]))
    pool.wait("a")
    assert pool.unfinished == {"b", "c"}
    pool.wait("c")  # returns when it is dropped
    assert list(kept.outcomes) == ["a", "b"]
    assert pool.unfinished == set()


def test_closing_ends_the_engine() -> None:
    machines = Machines({"x": 1})
    pool = Pool(machines, lambda _: record, print, print, print)  # type: ignore[arg-type, return-value]
    pool.submit([task("a")])
    pool.close()
    assert machines.closed
    assert pool.unfinished == set()
