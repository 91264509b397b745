"""Progress on the terminal: of reading the data, and of trainings, one line per cell, rewritten where possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from shutil import get_terminal_size
from time import monotonic
from typing import TYPE_CHECKING

from bench.metrics import reported, reported_part
from bench.records import COMPLETED, RunRecord

if TYPE_CHECKING:
    from bench.training.trainer import EpochResult
    from data_utils.memory import Need


_SHOWN = 12
"""How many cells under way are shown at once."""

_QUIET_SECONDS, _REDRAWN_SECONDS = 2.0, 0.2
"""Reading data that takes less is not shown; between two lines about it."""

_SECONDS = 60
"""Between two lines about cells under way, where lines cannot be rewritten."""


class Reading:
    """What the data of a run need, and how far they are read or made where that takes long.

    Args:
        write: Puts text on the terminal as it is.
        live: Whether a line can be rewritten; if not, there is no line on how far they are.
    """

    def __init__(self, write: Callable[[str], None], *, live: bool) -> None:
        self._write, self._live = write, live
        self._announced: set[tuple[str, int, int]] = set()
        self._started = self._told = monotonic()
        self._drawn = False

    def announce(self, need: Need) -> None:
        """Data are about to be read; those of another seed that need the same are not announced again."""
        self._started = self._told = monotonic()
        key = (need.name, need.pairs, need.stored_bytes)
        if key not in self._announced:
            self._announced.add(key)
            self._write(f"data: {need.sentence}\n")
            if need.warning:
                self._write(f"warning: {need.warning}\n")

    def progress(self, done: int, total: int) -> None:
        """This number of files has been read, or of pairs made."""
        now = monotonic()
        if done >= total:
            self.end()
        elif self._live and now - self._started >= _QUIET_SECONDS and now - self._told >= _REDRAWN_SECONDS:
            self._told, self._drawn = now, True
            left = (now - self._started) * (total - done) / max(done, 1)
            self._write(f"\r\x1b[Kreading the data: {done:,} of {total:,}, about {left:.0f} s left")

    def end(self) -> None:
        """Remove the line, if there is one."""
        if self._drawn:
            self._write("\r\x1b[K")
        self._drawn = False


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
        self._drawn = 0  # lines of the block of cells under way
        self._told = monotonic()

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

    def under_way(self, waiting: int, lines: Sequence[str]) -> None:
        """Show the cells that other processes train: below each other, or in one line every minute.

        Args:
            waiting: How many cells have not begun.
            lines: One for each that is under way; none after the last one.
        """
        text = f"under way: {len(lines)}, waiting: {waiting}"
        size = get_terminal_size()
        shown = min(_SHOWN, max(1, size.lines - 4))  # the block must not scroll
        if self._live:
            hidden = [f"and {len(lines) - shown} more"] if len(lines) > shown else []
            block = [text, *(f"  {line}" for line in (*lines[:shown], *hidden))]
            self._redraw([line[: size.columns - 1] for line in block] if lines or waiting else [])
        elif (lines or waiting) and monotonic() - self._told >= _SECONDS:
            self._told = monotonic()
            self._write(f"{text}; {'; '.join(' '.join(line.split()) for line in lines[:shown])}\n")

    def _redraw(self, block: Sequence[str]) -> None:
        """Put a block of lines in place of the one that was drawn last, and the cursor before it."""
        if block or self._drawn:
            self._write("".join(["\r\x1b[J", *(f"{line}\n" for line in block)]))
            self._write(f"\x1b[{len(block)}A" if block else "")
        self._drawn = len(block)

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
        erase = "J" if self._drawn else "K"  # everything below too, or this line alone
        start, width = f"\r\x1b[{erase}" if self._live else "", len(str(self._cells))
        self._drawn = 0
        return f"{start}[{self._started:{width}}/{self._cells}] {self._name:40} {text}"
