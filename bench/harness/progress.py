"""The progress of the trainings on the terminal: one line per cell, rewritten every epoch where possible."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import TYPE_CHECKING

from bench.metrics import reported, reported_part
from bench.records import COMPLETED, RunRecord

if TYPE_CHECKING:
    from bench.training.trainer import EpochResult


class Progress:
    """Counts cells and describes the one that runs.

    Args:
        write: Puts text on the terminal as it is.
        live: Whether a line can be rewritten; if not, only finished cells get one.
        cells: Their number.
    """

    def __init__(self, write: Callable[[str], None], *, live: bool, cells: int) -> None:
        self._write, self._live, self._cells = write, live, cells
        self._started = 0
        self._name = ""

    def begin(self, name: str) -> None:
        """A cell starts."""
        self._started += 1
        self._name = name
        self._rewrite("starts")

    def epoch(self, result: EpochResult) -> None:
        """An epoch of the cell ended."""
        stage = f"{result.stage}, " if result.stage else ""
        self._rewrite(
            f"{stage}epoch {result.epoch}/{result.epochs}  training loss {result.train_loss:.4g}  "
            f"validation loss {result.valid['loss']:.4g}  {result.seconds:.2f} s"
        )

    def recall(self, record: RunRecord) -> None:
        """The cell did not have to run: its record existed."""
        self._result(record, "from records: ")

    def end(self, record: RunRecord) -> None:
        """The cell ended."""
        self._result(record, "")

    def skip(self, reason: str) -> None:
        """The cell cannot run on its data."""
        self._write(self._line(f"skipped: {reason}") + "\n")

    def probed(self, name: str, probe: str, values: int) -> None:
        """A probe has measured the trained model of a cell."""
        self._write(f"{name:40} {probe}: {values} values\n")

    def _result(self, record: RunRecord, origin: str) -> None:
        if record.status == COMPLETED:
            part, loss, accuracy = reported_part([record]), reported(record, "loss"), reported(record, "accuracy")
            text = (
                f"loss {nan if loss is None else loss:<9.4g} accuracy {accuracy:.3f} ({part})  "
                f"{record.train_seconds:6.1f} s  {(record.peak_memory_bytes or 0) / 1e6:5.0f} MB"
            )
        else:
            text = f"{record.status}: {record.error}"
        self._write(self._line(origin + text) + "\n")

    def _rewrite(self, text: str) -> None:
        if self._live:
            self._write(self._line(text))

    def _line(self, text: str) -> str:
        start, width = "\r\x1b[K" if self._live else "", len(str(self._cells))
        return f"{start}[{self._started:{width}}/{self._cells}] {self._name:40} {text}"
