"""The interface and the registry of trackers, and what all of them show of epochs and samples."""

from __future__ import annotations

import importlib.util
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bench.records import RunRecord, SampleRecord
from fusiongauge import Registry

if TYPE_CHECKING:
    from PIL import Image

    from bench.tables.text import TextTable
    from bench.training.trainer import EpochResult


class Tracker(Protocol):
    """Follows a session: begin, any number of epochs, end, for one cell after the other; then close.

    None of this is called while an epoch is timed. An exception ends the tracking and nothing else (``Shield``).
    """

    def begin(self, name: str, config: Mapping[str, Any]) -> None:
        """A cell starts; ``config`` holds the fields of its record that are known before training."""

    def epoch(self, result: EpochResult) -> None:
        """An epoch ended."""

    def end(self, record: RunRecord | None, samples: Sequence[SampleRecord]) -> None:
        """The cell ended.

        Args:
            record: Its result; None if it was interrupted or raised.
            samples: Sample predictions of the trained model; empty if there are none.
        """

    def close(self, records: Sequence[RunRecord], tables: Mapping[str, Sequence[TextTable]]) -> list[str]:
        """The session ended.

        Args:
            records: Of all cells that have ended.
            tables: Made of them, by study.

        Returns:
            What the user should know: where to look, what is left to do; one line each.
        """


Make = Callable[[Path], Tracker]
"""The folder of a run, which the tracker may write to -> tracker."""


@dataclass(frozen=True)
class TrackerKind:
    """A tracker that can be requested.

    Attributes:
        make: Makes it.
        package: The package that has to be installed for it; "" for none.
        requirement: What to pass to ``pip install`` for that.
    """

    make: Make
    package: str
    requirement: str

    @property
    def available(self) -> bool:
        """Whether the package is installed; it is not imported for that."""
        if not self.package:
            return True
        try:
            return importlib.util.find_spec(self.package) is not None
        except ImportError:  # of the package that a part is of
            return False


TRACKERS: Registry[TrackerKind] = Registry("tracker", home="bench.tracking.shipped", reserved=("none",))


def register_tracker(name: str, *, package: str = "", requirement: str = "") -> Callable[[Make], Make]:
    """Register a tracker, a function or class called with the folder of a run that returns a ``Tracker``.

    Args:
        name: As in ``--track``.
        package: The package that has to be installed for it; "" for none.
        requirement: What to pass to ``pip install`` for that; the package if left out.

    Raises:
        PluginError: The name is taken.
    """
    return TRACKERS.decorator(name, lambda make: TrackerKind(make, package, requirement or package))


def pictures(sample: SampleRecord) -> dict[str, Image.Image]:
    """The pictures of a sample by modality."""
    from PIL import Image

    return {modality: Image.open(BytesIO(b64decode(png))) for modality, png in sample.pictures.items()}


def scalars(result: EpochResult) -> dict[str, float]:
    """The tracked values of an epoch: losses in nats, metrics, times in seconds, memory in bytes."""
    values: dict[str, float] = {
        "train_loss": result.train_loss,
        **{f"valid_{name}": value for name, value in result.valid.items()},
        "learning_rate": result.learning_rate,
        "epoch_seconds": result.seconds,
    }
    if result.peak_memory_bytes is not None:
        values["peak_memory_bytes"] = result.peak_memory_bytes
    return values
