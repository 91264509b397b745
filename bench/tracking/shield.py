"""What stands between a session and its trackers, so that no tracker can fail a benchmark."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.records.run import RunRecord
from bench.tables import TextTable
from bench.tracking.tracker import Tracker
from bench.training.samples import Prediction
from bench.training.trainer import EpochResult


class Shield:
    """Passes everything on to some trackers; one that raises is told nothing more.

    Args:
        makers: how to make each tracker, by the name that notes call it.
        folder: of the run, handed to the makers.

    Attributes:
        notes: what the user should know at the end of the session, a line each.
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

    def end(self, record: RunRecord | None, samples: Callable[[], Sequence[Prediction]]) -> None:
        """The cell ended; ``samples`` is called where somebody wants them."""
        shown: Sequence[Prediction] = []
        if self._trackers and record is not None:
            try:
                shown = samples()
            except Exception as error:
                self._note(f"sample predictions of {record.model} are not tracked: {_in_a_line(error)}")
        self._tell(lambda tracker: tracker.end(record, shown))

    def close(self, records: Sequence[RunRecord], tables: Mapping[str, Sequence[TextTable]]) -> None:
        """The session ended; what the trackers say to that is among the notes."""
        self._tell(lambda tracker: self.notes.extend(tracker.close(records, tables)))

    def _tell(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            with self._guarded(name):
                call(tracker)

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        try:
            with warnings.catch_warnings():
                # pytest makes errors of warnings; those of a tracker's package are not ours to fail on.
                warnings.simplefilter("ignore")
                yield
        except Exception as error:
            self._trackers.pop(name, None)
            self._note(f"--track {name} failed and was off from then on: {_in_a_line(error)}")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _in_a_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
