"""A session whose cells are trained by workers in this process: the same records and files as without."""

import re
import tempfile
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.harness.cell import Cell
from bench.harness.executors import execution
from bench.harness.executors.pool import ExecutorError, Watch
from bench.harness.executors.tasks import DataNeeded, Message, Raised, Ready, Refused, Task, Trained, Versions
from bench.harness.executors.worker import Worker, versions
from bench.harness.folder import FolderError
from bench.harness.options import resolve
from bench.harness.session import Session
from bench.records import COMPLETED, FAILED, RunRecord, read
from bench.records.sample import samples_path
from bench.tracking import register_tracker
from bench.training.runs import drive, silent
from data_utils import PairedDataset, register_dataset
from tests.bench.samples import MODEL, small_dataset
from tests.bench.tracking.session import Notebook

pytestmark = pytest.mark.usefixtures("registries")

TIMES = (
    "started_at",
    "other_load",
    "epoch_seconds",
    "train_seconds",
    "other_load",
    "total_seconds",
    "seconds_to_target",
    "ceiling",
)


class Here:
    """An engine with one worker at a time, in this process.

    Args:
        words: What ``RayEngine`` gets.
    """

    made: "list[Here]"
    fails: dict[str, list[Message]]

    def __init__(self, address: str, *, device: str, threads: int, versions: Versions, cache: Path) -> None:
        self.address, self.device, self.versions, self.cache = address, device, versions, cache
        self.reports: dict[str, str] = {}
        self.trained: list[str] = []
        self.closed = False
        self._workers: dict[int, Worker] = {}
        self._threads, self._count = threads, 0
        self._box: list[tuple[int, Message]] = []
        self.made.append(self)

    def start(self, avoid: frozenset[str]) -> Hashable:
        assert not avoid
        self._count += 1
        worker = Worker("here", self.reports.__setitem__, self.cache)
        self._workers[self._count] = worker
        if self._count == 1 or len(self._workers) == 1:  # there is one device
            self._prepare(self._count)
        return self._count

    def _prepare(self, number: int) -> None:
        message = self._workers[number].prepare(self.versions, self._threads, (), installed=False)
        self._box.append((number, message))

    def train(self, worker: Hashable, task: Task, data: PairedDataset | None) -> None:
        assert isinstance(worker, int)
        self.trained.append(task.name)
        planned = self.fails.get(task.name, [])
        message = planned.pop(0) if planned else self._workers[worker].train(task, data)
        self._box.append((worker, message))

    def stop(self, worker: Hashable) -> None:
        assert isinstance(worker, int)
        del self._workers[worker]
        if self._workers and not self._box:
            self._prepare(min(self._workers))

    def messages(self, seconds: float) -> list[tuple[Hashable, Message]]:  # noqa: ARG002
        return [self._box.pop(0)]

    def nodes(self) -> frozenset[str]:
        return frozenset({"here"})

    def progress(self) -> Mapping[str, str]:
        return self.reports

    def close(self) -> None:
        self.closed = True


Make = Callable[..., Session]


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[Here]:
    Here.made, Here.fails = [], {}
    monkeypatch.setattr(execution, "RayEngine", Here)
    return Here.made


@pytest.fixture
def make(tmp_path: Path, registries: None, monkeypatch: pytest.MonkeyPatch) -> Make:  # noqa: ARG001
    """Makes sessions of two cells on small data."""
    monkeypatch.setattr("bench.harness.options.parse_executor", str)  # also without Ray
    monkeypatch.setattr("bench.plots.write_figures", lambda *_: [])  # they take as long as a training
    monkeypatch.setattr("bench.tables.tabulation.write_tables", lambda *_, **__: [])
    register_dataset("small")(lambda pairs, seed: small_dataset())  # noqa: ARG005

    def made(folder: str, executor: str, **words: Any) -> Session:
        defaults = {"profile": "smoke", "device": "cpu", "dataset": "small", "study": "downsampling-compact"}
        session = Session(
            resolve(root=tmp_path, results_dir=str(tmp_path / folder), executor=executor, **{**defaults, **words})
        )
        session.open(session.cells)
        return session

    return made


def unwatched(waiting: int, lines: list[str]) -> None:
    """Show nothing."""


def train(session: Session, watch: Watch = unwatched, cells: slice = slice(2)) -> dict[str, RunRecord]:
    """The records of the first cells, as benchmarks get them."""
    session.start(session.cells[cells], watch)
    records = {}
    for cell in session.cells[cells]:
        record = session.recall(cell) or session.executed(cell) or session.run_cell(cell, drive, silent)
        records[cell.name] = record
    session.finish()
    return records


def test_workers_that_cannot_be_ended_are_noted_and_the_folder_is_released(
    make: Make, engines: list[Here], monkeypatch: pytest.MonkeyPatch
) -> None:
    def close(_: Here) -> None:
        raise ConnectionError("no cluster")

    monkeypatch.setattr(Here, "close", close)
    session = make("run", "ray")
    session.start(session.cells[:1], unwatched)
    session.finish()
    assert session.notes == ["the workers of --executor could not be ended (ConnectionError: no cluster)"]
    make("run", "ray")
    assert len(engines) == 1


def bits(record: RunRecord) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(record).items() if name not in TIMES}


def test_records_and_files_are_those_of_one_process(make: Make, engines: list[Here]) -> None:
    one, other = make("one", ""), make("other", "ray:auto")
    expected, records = train(one), train(other)
    assert {name: bits(record) for name, record in records.items()} == {
        name: bits(record) for name, record in expected.items()
    }
    for record in records.values():
        assert record.status == COMPLETED
        checkpoint = Path("checkpoints") / str(record.checkpoint)
        assert (other.folder / checkpoint).read_bytes() == (one.folder / checkpoint).read_bytes()
        samples = samples_path(other.folder, str(record.checkpoint))
        assert samples.read_bytes() == samples_path(one.folder, str(record.checkpoint)).read_bytes()
    kept = read(other.records_path, RunRecord)  # in the order in which cells ended, the costliest started first
    assert [record.model for record in kept] == [record.model for record in reversed(records.values())]
    (engine,) = engines
    assert (engine.address, engine.device, engine.closed) == ("auto", "cpu", True)
    assert set(engine.reports.values()) == {"epoch 2/2"}


def test_finished_cells_are_not_handed_over(make: Make, engines: list[Here]) -> None:
    train(make("run", ""), cells=slice(1))
    session = make("run", "ray", resume=True)
    train(session)
    (engine,) = engines
    assert engine.trained == [session.cells[1].name]
    again = make("run", "ray", resume=True)
    train(again)
    assert len(engines) == 1  # nothing was left to train


def test_a_cell_that_raised_three_times_is_recorded_with_the_reason(
    make: Make, engines: list[Here], capsys: pytest.CaptureFixture[str]
) -> None:
    session = make("run", "ray")
    first = session.cells[0].name
    Here.fails = {first: [Raised("ValueError: boom", "Traceback: of the worker")] * 3}
    session.start(session.cells[:2], unwatched)
    reason = "ValueError: boom (attempt 3; tried on here)"
    with pytest.raises(ExecutorError, match=f"^{re.escape(reason)}$"):
        session.executed(session.cells[0])
    assert "Traceback: of the worker" in capsys.readouterr().out
    session.executed(session.cells[1])
    session.finish()
    records = {record.model: record for record in read(session.records_path, RunRecord)}
    failed = records[session.cells[0].spec.name]
    assert (failed.status, failed.error, failed.environment["node"]) == (FAILED, reason, "here")
    assert records[session.cells[1].spec.name].status == COMPLETED
    assert engines[0].trained.count(first) == 3


def test_trackers_get_every_epoch_of_a_cell_when_it_has_ended(make: Make, engines: list[Here]) -> None:
    tracker = Notebook()
    register_tracker("notebook", package="pytest")(lambda _: tracker)
    session = make("run", "ray", tracker="notebook")
    records = train(session)
    assert len(engines) == 1
    assert [name for name, _ in tracker.notes] == [*["begin", "epoch", "epoch", "end"] * 2, "close"]
    assert tracker.notes[1:3] == [("epoch", 1), ("epoch", 2)]
    assert len(records) == 2


def test_without_cells_no_executor_is_started(make: Make, engines: list[Here]) -> None:
    session = make("run", "ray")
    session.start([], unwatched)
    assert engines == []
    assert session.executed(session.cells[0]) is None
    session.finish()


# A worker


@pytest.fixture
def task(make: Make) -> Task:
    session = make("run", "ray")
    cell = session.cells[0]
    config = replace(cell.config, results_dir=None)
    return Task(cell.name, MODEL, 51, config, {}, session.data.source(cell.config).sha256, 0, "world", 1.0)


def worker(tmp_path: Path) -> Worker:
    return Worker("here", lambda *_: None, tmp_path)


def test_a_worker_of_the_same_versions_is_ready(tmp_path: Path) -> None:
    assert worker(tmp_path).prepare(versions(), 1, (), installed=False) == Ready("here")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"code_sha256": "f" * 64},
            r"it has code \w{12} instead of f{12}; install the same versions there",
        ),
        ({"torch": "1.0"}, r"it has torch \S+ instead of 1\.0; install the same versions there"),
    ],
)
def test_a_worker_of_other_versions_refuses(change: dict[str, str], reason: str, tmp_path: Path) -> None:
    refused = worker(tmp_path).prepare(replace(versions(), **change), 1, (), installed=False)
    assert isinstance(refused, Refused)
    assert re.fullmatch(reason, refused.reason)


def test_a_worker_without_the_plugin_refuses(tmp_path: Path) -> None:
    refused = worker(tmp_path).prepare(versions(), 1, ("plugins/0/gone.py",), installed=False)
    assert isinstance(refused, Refused)
    assert "gone.py" in refused.reason


def test_data_of_another_hash_are_asked_for_and_those_that_come_are_used(task: Task, tmp_path: Path) -> None:
    elsewhere = replace(task, data_sha256="0" * 64)
    ours = worker(tmp_path)
    assert ours.train(elsewhere) == DataNeeded()
    trained = ours.train(elsewhere, small_dataset())
    assert isinstance(trained, Trained)
    assert trained.record.weights_sha256 == ours.train(task).record.weights_sha256  # type: ignore[union-attr]


def test_a_path_that_a_worker_lacks_is_asked_for(task: Task, tmp_path: Path) -> None:
    config = replace(task.config, dataset=str(tmp_path / "nowhere"))
    assert worker(tmp_path).train(replace(task, config=config, loading={})) == DataNeeded()


def test_an_error_travels_as_text(task: Task, tmp_path: Path) -> None:
    raised = worker(tmp_path).train(replace(task, model="no-such-model"))
    assert isinstance(raised, Raised)
    assert raised.reason.startswith("ModelError: ")
    assert "Traceback" in raised.traceback


def test_a_worker_leaves_no_files(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    trained = worker(tmp_path).train(task)
    assert isinstance(trained, Trained)
    assert trained.weights is not None
    assert list((tmp_path / "temporary").iterdir()) == []


def test_files_that_cannot_be_written_fail_the_benchmark_of_their_cell_alone(
    make: Make, engines: list[Here]
) -> None:
    session = make("run", "ray")
    session.start(session.cells[:2], unwatched)
    (session.folder / "checkpoints").touch()  # a file where the folder should be
    for cell in session.cells[:2]:
        with pytest.raises(FolderError, match=r"cannot write to .*; make room on the disk and use --resume"):
            session.executed(cell)
    session.finish()
    assert engines[0].closed


def test_a_log_that_cannot_be_written_is_noted_and_costs_no_cell(make: Make, engines: list[Here]) -> None:
    session = make("run", "ray")
    (session.folder / execution.LOG).mkdir()
    Here.fails = {cell.name: [ended_with(session, cell, 0.5)] for cell in session.cells[:2]}
    records = train(session)
    assert sorted(engines[0].trained) == sorted(records)  # each once
    assert len(read(session.records_path, RunRecord)) == 2
    assert session.notes == ["execution.log lacks events, as they could not be written (Is a directory)"]
    assert session.failures == []


# Until decided


def ended_with(session: Session, cell: Cell, loss: float) -> Trained:
    """A message about a cell that ended with a test loss."""
    values = {"best_valid_loss": loss, "test_loss": loss, "test_accuracy": 1 - loss, "valid_accuracy": 1 - loss}
    of_seed = {f"{part}_sha256": f"{part} of {cell.seed}" for part in ("train", "valid", "test")}
    known = session.described(cell) | {"train_losses": [1.0], "valid_losses": [loss], "epoch_seconds": [1.0]}
    parts = {"train_pairs": 64, "valid_pairs": 16, "test_pairs": 80}
    ended = RunRecord(**{**known, **values, **of_seed, **parts, "status": COMPLETED})
    return Trained(ended, (), None, None, (), 1.0)


@pytest.mark.parametrize(("losses_b", "decided"), [([0.5], True), ([0.1, 0.3], False)])
def test_looks_are_handed_over_when_the_earlier_ones_are_complete(
    losses_b: list[float], make: Make, engines: list[Here], *, decided: bool
) -> None:
    a, b = "compact-late-concat-maxpool", "compact-late-concat-strided"
    session = make("run", "ray", compare_models=(a, b), until_decided=True, max_seeds="11")
    for cell in session.cells:
        i = cell.seed - 51
        loss = (0.1 if cell.spec.name == a else losses_b[i % len(losses_b)]) + i / 1e4
        Here.fails[cell.name] = [ended_with(session, cell, loss)]
    session.start(session.cells, unwatched)
    (engine,) = engines
    reasons = {}
    for cell in session.cells:
        if reason := session.why_skipped(cell):
            reasons[cell.seed] = reason
            continue
        assert session.executed(cell) is not None
        if cell.seed < 61:  # of the first look
            assert {name.partition("-seed")[2] for name in engine.trained} <= {"", *map(str, range(52, 61))}
    session.finish()
    assert set(engine.trained[:20]) == {cell.name for cell in session.cells if cell.seed < 61}
    assert len(engine.trained) == (20 if decided else 22)
    assert set(reasons) == ({61} if decided else set())
    assert all(reason.startswith("its comparisons decided at look 1: ") for reason in reasons.values())
