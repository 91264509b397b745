"""The layer between a session and its trackers: no tracker can fail a benchmark."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.records import RunRecord, SampleRecord
from bench.tracking.tracker import Tracker

if TYPE_CHECKING:
    from bench.tables.text import TextTable
    from bench.training.trainer import EpochResult


class Shield:
    """Passes everything on to some trackers. One that raises is reported once, then disabled.

    Args:
        makers: Functions that make the trackers, by the names used in notes.
        folder: Of the run; the argument of the makers.

    Attributes:
        notes: What the user should know at the end of the session, one line each.
    """

    def __init__(self, makers: Mapping[str, Callable[[Path], Tracker]], folder: Path) -> None:
        self.notes: list[str] = []
        self._trackers: dict[str, Tracker] = {}
        for name, make in makers.items():
            with self._guarded(name):
                self._trackers[name] = make(folder)

    def begin(self, name: str, config: Mapping[str, Any]) -> None:
        """A cell starts; see ``Tracker``."""
        self._tell(lambda tracker: tracker.begin(name, config))

    def epoch(self, result: EpochResult) -> None:
        """An epoch ended."""
        self._tell(lambda tracker: tracker.epoch(result))

    def end(self, record: RunRecord | None, samples: Sequence[SampleRecord]) -> None:
        """The cell ended."""
        self._tell(lambda tracker: tracker.end(record, samples))

    def close(self, records: Sequence[RunRecord], tables: Mapping[str, Sequence[TextTable]]) -> None:
        """The session ended; what the trackers return becomes notes."""
        self._tell(lambda tracker: self.notes.extend(tracker.close(records, tables)))

    def _tell(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            with self._guarded(name):
                call(tracker)

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        try:
            with warnings.catch_warnings():
                # Warnings may be errors here; those of a tracker's package are not ours to fail on.
                warnings.simplefilter("ignore")
                yield
        except Exception as error:
            self._trackers.pop(name, None)
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self.notes.append(f"--track {name} failed and was disabled: {reason}")
