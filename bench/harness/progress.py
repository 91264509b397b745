"""What is shown while cells are trained: one line a cell, rewritten every epoch where the terminal allows it."""

from collections.abc import Callable

from bench.records.run import COMPLETED, RunRecord
from bench.training.trainer import EpochResult


class Progress:
    """Counts cells and describes the one that runs.

    Args:
        write: puts text on the terminal as it is.
        live: whether a line can be rewritten; if not, only finished cells get one.
        cells: how many there will be.
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

    def recall(self, record: RunRecord, origin: str) -> None:
        """The cell did not have to run: its record was there, from there."""
        self._result(record, f"{origin}: ")

    def end(self, record: RunRecord) -> None:
        """The cell ended."""
        self._result(record, "")

    def _result(self, record: RunRecord, origin: str) -> None:
        if record.status == COMPLETED:
            text = (
                f"loss {record.best_valid_loss:<9.4g} accuracy {record.valid_accuracy:.3f}  "
                f"{record.train_seconds:6.1f} s  {(record.peak_memory_bytes or 0) / 1e6:5.0f} MB"
            )
        else:
            text = f"{record.status}: {record.error}"
        self._write(("\r\x1b[K" if self._live else "") + self._line(origin + text) + "\n")

    def probed(self, name: str, probe: str, values: int) -> None:
        """A probe has looked at the trained model of a cell."""
        self._write(f"{name:40} {probe}: {values} values\n")

    def _rewrite(self, text: str) -> None:
        if self._live:
            self._write("\r\x1b[K" + self._line(text))

    def _line(self, text: str) -> str:
        width = len(str(self._cells))
        return f"[{self._started:{width}}/{self._cells}] {self._name:40} {text}"
