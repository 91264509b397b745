"""Which worker trains which cell, and what happens when one fails.

A worker has one cell at a time and is kept for the next one, which is the costliest that waits, or one that is
nearly as costly and has the same data; after a failure it is replaced. A cell whose worker
raised or disappeared is trained again, on another node if there is one, at most ``RETRIES`` times. A node whose
versions differ is not used again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bench.harness.executors.tasks import (
    DataNeeded,
    Gone,
    Message,
    Raised,
    Ready,
    Refused,
    Task,
    Trained,
)
from data_utils import Source
from fusiongauge import FusionGaugeError

RETRIES = 2
"""How often a cell is trained again."""

MOST_LOST_AT_START = 8
"""How many workers in a row may be lost before they are ready; more will not help."""

NEARLY = 0.75
"""The share of the costliest cell's time from which one of the same data goes before it."""

MOST_STARTING = 64
"""How many workers are requested at once; more would only wait for the same devices."""

_SECONDS = 0.5
"""Between two looks at the progress."""


class ExecutorError(FusionGaugeError, RuntimeError):
    """Cells cannot be trained by the executor; the message has the reason and the remedy."""


class Engine(Protocol):
    """Starts workers where there is room, and carries messages."""

    def start(self, avoid: frozenset[str]) -> Hashable:
        """Request a worker with a device of its own on none of these nodes; it says Ready or Refused first."""

    def train(self, worker: Hashable, task: Task, data: Source | None) -> None:
        """Let a worker that is ready train; its message is Trained, Raised or DataNeeded."""

    def stop(self, worker: Hashable) -> None:
        """End a worker, whatever it does; no message comes from it any more."""

    def messages(self, seconds: float) -> list[tuple[Hashable, Message]]:
        """What has come within some seconds; Gone from a worker that has disappeared."""

    def nodes(self) -> frozenset[str]:
        """The nodes that could have a worker; more may come."""

    def progress(self) -> Mapping[str, str]:
        """How far cells are, in words, by name."""

    def close(self) -> None:
        """End all workers and everything that was started for them."""


@dataclass
class _Cell:
    task: Task
    failures: list[tuple[str, Raised | Gone]] = field(default_factory=list)  # with the node


@dataclass
class _Worker:
    node: str = ""  # "" until it is ready
    cell: _Cell | None = None
    world: Hashable = None  # of its latest cell


@dataclass(frozen=True)
class Failed:
    """A cell that was given up.

    Attributes:
        reason: Of the last attempt, and how many there were where.
        traceback: Of the last attempt that raised; "" if none did.
        node: Of the last attempt.
    """

    reason: str
    traceback: str
    node: str


Receive = Callable[[str, Trained | Failed], None]
"""Called with a cell's name and what became of it, once per cell and as soon as it is known."""

Log = Callable[[dict[str, object]], None]
"""Called with every event: what happened ("event"), to which cell, worker and node."""

Watch = Callable[[int, list[str]], None]
"""Called with the number of cells that wait, and one line for each that is under way."""


class Pool:
    """The workers of one session.

    Args:
        engine: Starts them.
        data: The data of a task, for workers that do not have them.
        receive: Called with every cell that ended.
        watch: Called about twice per second while a cell is waited for.
        log: Called with what happens.
        is_over: Whether no further cell is to start; those that wait are dropped then.
    """

    def __init__(
        self,
        engine: Engine,
        data: Callable[[Task], Source],
        receive: Receive,
        watch: Watch,
        log: Log,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_over = is_over
        self._engine, self._data, self._receive, self._watch, self._log = engine, data, receive, watch, log
        self._waiting: list[_Cell] = []
        self._workers: dict[Hashable, _Worker] = {}
        self._refused: dict[str, str] = {}  # reasons by node
        self._lost_at_start: list[str] = []  # reasons, since the last worker that could start

    def submit(self, tasks: Iterable[Task]) -> None:
        """Add cells; the first ones start first."""
        self._waiting += map(_Cell, tasks)
        self._fill()

    @property
    def unfinished(self) -> set[str]:
        """The names of the cells that wait or are under way."""
        under_way = [worker.cell for worker in self._workers.values() if worker.cell is not None]
        return {cell.task.name for cell in (*self._waiting, *under_way)}

    def wait(self, name: str) -> None:
        """Return when a cell has ended, or was dropped; those that end meanwhile are received too.

        Raises:
            ExecutorError: No worker can be started.
        """
        while name in self.unfinished:
            if not self._workers:
                raise ExecutorError(self._why_none())
            for worker, message in self._engine.messages(_SECONDS):
                self._handle(worker, message)
            self._watch(len(self._waiting), self._lines())
        if not self.unfinished:
            self._watch(0, [])

    def close(self) -> None:
        """End everything; cells under way are lost."""
        self._waiting.clear()
        self._workers.clear()
        self._engine.close()

    def _lines(self) -> list[str]:
        progress = self._engine.progress()
        return [
            f"{worker.cell.task.name:40} {progress.get(worker.cell.task.name, 'starts')}  ({worker.node})"
            for worker in self._workers.values()
            if worker.cell is not None
        ]

    def _fill(self) -> None:
        """Request a worker for every cell that waits, as far as none is starting for it."""
        starting = sum(not worker.node for worker in self._workers.values())
        missing = min(len(self._waiting), MOST_STARTING) - starting
        all_refused = self._refused and self._engine.nodes() <= self._refused.keys()
        if all_refused or len(self._lost_at_start) >= MOST_LOST_AT_START:
            return
        for _ in range(missing):
            handle = self._engine.start(frozenset(self._refused))
            self._workers[handle] = _Worker()
            self._log({"event": "requested", "worker": handle})

    def _handle(self, handle: Hashable, message: Message) -> None:
        worker = self._workers.get(handle)
        if worker is None:
            return
        match message:
            case Ready(node):
                worker.node = node
                self._log({"event": "ready", "worker": handle, "node": node})
                self._lost_at_start.clear()
            case Refused(node, reason):
                self._refused[node] = reason
                self._log({"event": "refused", "worker": handle, "node": node, "reason": reason})
                self._remove(handle)
            case DataNeeded():
                if worker.cell is not None:
                    self._engine.train(handle, worker.cell.task, self._data(worker.cell.task))
                return
            case Trained():
                if worker.cell is not None:
                    name, worker.cell = worker.cell.task.name, None
                    self._log({"event": "ended", "worker": handle, "cell": name, "seconds": message.seconds})
                    self._receive(name, message)
            case Raised() | Gone():
                kind = type(message).__name__.lower()
                cell = worker.cell.task.name if worker.cell else None
                lost = {"worker": handle, "node": worker.node, "cell": cell, "reason": message.reason}
                self._log({"event": kind, **lost})
                self._remove(handle)
                if worker.cell is not None:
                    self._failed(worker.cell, worker.node, message)
                elif not worker.node:
                    self._lost_at_start.append(message.reason)
        self._assign()
        self._fill()

    def _remove(self, handle: Hashable) -> None:
        self._engine.stop(handle)
        del self._workers[handle]

    def _failed(self, cell: _Cell, node: str, message: Raised | Gone) -> None:
        cell.failures.append((node, message))
        if len(cell.failures) <= RETRIES:
            self._waiting.insert(0, cell)
            return
        nodes = ", ".join(dict.fromkeys(where for where, _ in cell.failures))
        raised = [failure.traceback for _, failure in cell.failures if isinstance(failure, Raised)]
        reason = f"{message.reason} (attempt {len(cell.failures)}; tried on {nodes})"
        self._receive(cell.task.name, Failed(reason, raised[-1] if raised else "", node))

    def _assign(self) -> None:
        """Give every idle worker the first cell that it may train; end those that no cell needs."""
        if self._is_over():
            self._waiting.clear()
        for handle, worker in list(self._workers.items()):
            if worker.node and worker.cell is None and (cell := self._next_for(worker)) is not None:
                self._waiting.remove(cell)
                worker.cell, worker.world = cell, cell.task.world
                started = {"worker": handle, "node": worker.node, "cell": cell.task.name}
                self._log({"event": "started", **started})
                self._engine.train(handle, cell.task, None)
        if not self._waiting:
            for handle in [handle for handle, worker in self._workers.items() if worker.cell is None]:
                self._remove(handle)

    def _next_for(self, worker: _Worker) -> _Cell | None:
        """The first cell that waits, or one of the same data that is nearly as costly.

        A cell is not trained where it has failed, unless it has failed on all nodes that have workers.
        """
        nodes = {other.node for other in self._workers.values() if other.node}
        allowed = [
            cell
            for cell in self._waiting
            if worker.node not in (failed_on := {where for where, _ in cell.failures}) or nodes <= failed_on
        ]
        least = NEARLY * max((cell.task.expected_seconds for cell in allowed[:1]), default=0.0)
        alike = (
            cell for cell in allowed if cell.task.world == worker.world and cell.task.expected_seconds >= least
        )
        return next(alike, allowed[0] if allowed else None)

    def _why_none(self) -> str:
        refused = [f"{node} is not used: {reason}" for node, reason in self._refused.items()]
        lost = [f"workers do not start: {self._lost_at_start[-1]}"] if self._lost_at_start else []
        return "; ".join(refused + lost) or "the executor has ended"
