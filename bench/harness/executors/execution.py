"""The cells of a session, trained by an executor: tasks out of cells, records and files out of results."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import torch

from bench.harness.executors.pool import ExecutorError, Failed, Pool, Watch
from bench.harness.executors.ray_engine import RayEngine
from bench.harness.executors.tasks import Task, Trained
from bench.harness.executors.worker import versions
from bench.harness.folder import FolderError
from bench.harness.workload import committed_records, expected_seconds
from bench.records import FAILED, RunRecord, write_file
from bench.records.run import CHECKPOINTS
from bench.records.sample import samples_path
from bench.training.preparation import shares_of
from data_utils import DATASETS
from fusiongauge import user_path

if TYPE_CHECKING:
    from bench.harness.cell import Cell
    from bench.harness.session import Session
    from data_utils import Source


LOG = "execution.log"
"""In the run's folder: one event per line, such as the start of a cell, with ``time`` in seconds since 1970."""


class Execution:
    """Trains cells of a session in other processes.

    Args:
        session: It is open; its folder gets the results.
        cells: All that may have to be trained, in the order of their benchmarks.
        watch: Shows what is under way.

    Raises:
        ExecutorError: The executor cannot be started.
    """

    def __init__(self, session: Session, cells: Sequence[Cell], watch: Watch) -> None:
        self._session = session
        self._cells = {cell.name: cell for cell in cells}
        self._to_come = dict(self._cells)
        self._tracebacks: dict[str, str] = {}
        self._errors: dict[str, Exception] = {}
        options = session.options
        engine = RayEngine(
            options.executor.partition(":")[2],
            device=torch.device(options.device).type,
            threads=torch.get_num_threads(),
            versions=versions(),
            cache=options.simulated_dir,
        )
        self._pool = Pool(engine, self._data, self._receive, watch, self._log, self._is_over)
        self._seconds = expected_seconds(cells, [*committed_records(), *session.earlier])

    def go_on(self, cell: Cell) -> None:
        """Hand over everything of a cell's look, unless that was done: the costliest starts first."""
        if cell.name not in self._to_come:
            return
        plan = self._session.plan
        look = plan.look_of(cell) if plan else 0
        of_look = [other for other in self._to_come.values() if not plan or plan.look_of(other) == look]
        for other in of_look:
            del self._to_come[other.name]
        needed = [other for other in of_look if not self._session.why_skipped(other)]
        needed.sort(key=lambda cell: -self._seconds[cell.name])
        self._pool.submit([self._task(cell) for cell in needed])

    def wait(self, cell: Cell) -> None:
        """Return when a cell has ended; its record is kept then. A worker's traceback is printed.

        Raises:
            ExecutorError: The cell failed, or no worker can be started.
            FolderError: Its files could not be written.
        """
        self._pool.wait(cell.name)
        if text := self._tracebacks.pop(cell.name, ""):
            print(text)
        if not self._pool.unfinished and not self._to_come:
            self.close()
        if error := self._errors.pop(cell.name, None):
            raise error

    def is_under_way(self, cell: Cell) -> bool:
        """Whether a cell waits for a worker or is trained by one."""
        return cell.name in self._pool.unfinished

    def close(self) -> None:
        """End all workers, whatever they do."""
        self._pool.close()

    def _task(self, cell: Cell) -> Task:
        config, session = cell.config, self._session
        registered = config.dataset in DATASETS
        return Task(
            name=cell.name,
            model=cell.spec if cell.spec.build is None else cell.spec.name,
            seed=cell.seed,
            config=replace(
                session.with_command(cell),
                results_dir=None,
                device=torch.device(config.device).type,
                dataset=config.dataset if registered else str(user_path(config.dataset).resolve()),
            ),
            loading=session.data.loading(),
            data_sha256=session.data.source(config).sha256,
            cache_bytes=session.options.cache_bytes,
            world=(session.data.source(config).sha256, shares_of(config.protocol), cell.seed),
            expected_seconds=self._seconds[cell.name],
        )

    def _is_over(self) -> bool:
        plan = self._session.plan
        return plan is not None and plan.over

    def _log(self, event: dict[str, object]) -> None:
        try:
            with (self._session.folder / LOG).open("ab") as file:
                file.write(msgspec.json.encode({"time": time.time(), **event}) + b"\n")
        except OSError as error:  # what the event is about has to go on
            self._session.note(f"{LOG} lacks events, as they could not be written ({error.strerror})")

    def _data(self, task: Task) -> Source:
        return self._session.data.source(self._cells[task.name].config)

    def _receive(self, name: str, outcome: Trained | Failed) -> None:
        try:
            self._keep(name, outcome)
        except OSError as error:  # it is the benchmark of this cell that fails, and not the one that waits now
            folder = self._session.folder
            self._errors[name] = (
                error
                if isinstance(error, FolderError)
                else FolderError(
                    f"cannot write to {folder} ({error.strerror}); make room on the disk and use --resume"
                )
            )

    def _keep(self, name: str, outcome: Trained | Failed) -> None:
        cell, session = self._cells[name], self._session
        here = session.described(cell)
        if isinstance(outcome, Failed):
            self._tracebacks[name] = outcome.traceback
            self._errors[name] = ExecutorError(outcome.reason)
            here["command"] = session.with_command(cell).command
            here["environment"] = {**here["environment"], "node": outcome.node}
            session.receive(cell, RunRecord(**here, status=FAILED, error=outcome.reason), ())
            return
        record = outcome.record
        if record.checkpoint is not None:
            files = {
                session.folder / CHECKPOINTS / record.checkpoint: outcome.weights,
                samples_path(session.folder, record.checkpoint): outcome.samples,
            }
            for path, content in files.items():
                if content is not None:
                    write_file(path, content)
        for note in outcome.notes:
            session.note(note)
        # Workers have a copy of the code, which is no checkout.
        checkout = {what: here["environment"][what] for what in ("commit", "dirty")}
        record = msgspec.structs.replace(record, environment={**record.environment, **checkout})
        session.receive(cell, record, outcome.epochs)
