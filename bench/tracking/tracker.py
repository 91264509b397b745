"""The interface of trackers, and the values of an epoch by the names that all trackers use."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, Protocol

from bench.records import RunRecord, SampleRecord

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


def pictures(sample: SampleRecord) -> dict[str, Image.Image]:
    """The pictures of a sample by modality."""
    from PIL import Image

    return {modality: Image.open(BytesIO(b64decode(png))) for modality, png in sample.pictures.items()}


def scalars(result: EpochResult) -> dict[str, float]:
    """The tracked values of an epoch: losses in nats, metrics, times in seconds, memory in bytes."""
    values: dict[str, float] = {
        "train_loss": result.train_loss,
        **{f"valid_{name}": value for name, value in result.valid.items() if value is not None},
        "learning_rate": result.learning_rate,
        "epoch_seconds": result.seconds,
    }
    if result.peak_memory_bytes is not None:
        values["peak_memory_bytes"] = result.peak_memory_bytes
    return values
