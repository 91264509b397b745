"""Cells as benchmarks: each is trained under pytest-benchmark's timer, one round per epoch, with its progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bench.harness.cell import Cell
from bench.harness.progress import Progress
from bench.harness.saved import facts
from bench.harness.session import Session
from bench.records import ProbeRecord, RunRecord
from fusiongauge import FusionGaugeError

if TYPE_CHECKING:
    from bench.probes.subject import Subject
    from bench.training.runs import Driver


class Trainings:
    """The cells that pytest has selected.

    Args:
        session: Trains them, or has their records.
        cells: The selected ones.
        progress: Shows them.
    """

    def __init__(self, session: Session, cells: Sequence[Cell], progress: Progress) -> None:
        self._session, self._progress = session, progress
        self._cells = {cell.name: cell for cell in cells}

    @property
    def unfinished(self) -> int:
        """The number of cells that have not ended and may still be needed."""
        needed = (cell for name, cell in self._cells.items() if name not in self._session.skipped)
        return sum(self._session.record_of(cell) is None for cell in needed)

    def run(self, cell: Cell, benchmark: Any) -> RunRecord:
        """The record of a cell, which is trained under the timer of a benchmark unless there is one already."""
        self._progress.begin(cell.name)
        self._skip_if_not_needed(cell)
        if record := self._session.recall(cell):
            _replay(benchmark, record.epoch_seconds)
            self._progress.recall(record)
        else:
            with _failing():
                if record := self._session.executed(cell):
                    _replay(benchmark, record.epoch_seconds)
                else:
                    self._skip_if_not_needed(cell)  # the time of --budget may be used up meanwhile
                    record = self._trained(cell, benchmark)
            self._progress.end(record)
        benchmark.extra_info.update(facts(record))
        return record

    def _trained(self, cell: Cell, benchmark: Any) -> RunRecord:
        try:
            return self._session.run_cell(cell, _timed_by(benchmark), self._progress.epoch)
        except KeyboardInterrupt:
            benchmark.skipped = True  # else pytest-benchmark warns that it was not used, before the first epoch
            raise

    def subject(self, cell: Cell) -> Subject:
        """A cell's trained model; trained without a timer if the session has not done so yet."""
        from bench.training.runs import drive

        session = self._session
        if reason := session.why_skipped(cell):
            pytest.skip(reason)
        with _failing():
            if not (session.record_of(cell) or session.executed(cell)):
                self._progress.begin(cell.name)
                self._progress.end(session.run_cell(cell, drive, self._progress.epoch))
            return session.subject(cell)

    def probe(
        self, cell: Cell, benchmark: str, measure: Callable[[], list[ProbeRecord]], others: Sequence[Cell] = ()
    ) -> list[ProbeRecord]:
        """What a benchmark measures on a cell's model: from records, or measured now and written; and show it.

        Args:
            cell: The model's.
            benchmark: Its name.
            measure: Measures it.
            others: The models that the cell's is compared with.
        """
        if probes := self._session.recall_probes(cell, benchmark, others):
            self._progress.probed(cell.name, f"from records: {benchmark}", len(probes))
            return probes
        probes = self._session.keep_probes(measure())
        self._progress.probed(cell.name, benchmark, len(probes))
        return probes

    def _skip_if_not_needed(self, cell: Cell) -> None:
        if reason := self._session.why_skipped(cell):
            self._progress.skip(reason)
            pytest.skip(reason)


@contextmanager
def _failing() -> Iterator[None]:
    """An error that has a message for the user fails the benchmark with it; a traceback would add nothing."""
    try:
        yield
    except FusionGaugeError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _timed_by(benchmark: Any) -> Driver:
    """A driver of epochs that times them."""
    from bench.training.runs import drive

    def driver(train_epoch: Callable[[], None], finish_epoch: Callable[[], None], epochs: int) -> None:
        try:
            if benchmark.disabled:  # then pedantic calls its target once, so that is all the epochs
                benchmark.pedantic(drive, args=(train_epoch, finish_epoch, epochs))
            else:
                benchmark.pedantic(train_epoch, teardown=finish_epoch, rounds=epochs)
        except BaseException:
            benchmark.has_error = True  # also when interrupted: half a run is not a result
            raise

    return driver


def _replay(benchmark: Any, seconds: Sequence[float]) -> None:
    """Give pytest-benchmark the epochs of a record, for its table and its file."""
    benchmark.pedantic(lambda: None, rounds=max(len(seconds), 1))
    if seconds and not benchmark.disabled:
        benchmark.stats.stats.data[:] = seconds
