"""What a tracker is told, and the figures of an epoch by the names that all trackers use."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from bench.records.run import RunRecord
from bench.tables import TextTable
from bench.training.samples import Prediction
from bench.training.trainer import EpochResult


class Tracker(Protocol):
    """Follows a session: begin, any number of epochs, end, for one cell after the other; then close.

    None of this is called while an epoch is timed. What it raises ends its tracking and nothing else (``Shield``).
    """

    def begin(self, name: str, config: Mapping[str, Any]) -> None:
        """A cell starts; ``config`` is what its record says before training."""

    def epoch(self, result: EpochResult) -> None:
        """An epoch ended."""

    def end(self, record: RunRecord | None, samples: Sequence[Prediction]) -> None:
        """The cell ended.

        Args:
            record: what it came to; None if it was interrupted or raised.
            samples: what the trained model made of some validation pairs; empty where it did not come to that.
        """

    def close(self, records: Sequence[RunRecord], tables: Mapping[str, Sequence[TextTable]]) -> list[str]:
        """The session ended.

        Args:
            records: of all cells that have ended.
            tables: made of them, by study.

        Returns:
            What the user should know: where to look, what is left to do; a line each.
        """


def scalars(result: EpochResult) -> dict[str, float]:
    """What is tracked of an epoch: losses in nats, metrics, times in seconds, memory in bytes."""
    found: dict[str, float] = {
        "train_loss": result.train_loss,
        **{f"valid_{name}": value for name, value in result.valid.items()},
        "learning_rate": result.learning_rate,
        "epoch_seconds": result.seconds,
    }
    if result.peak_memory_bytes is not None:
        found["peak_memory_bytes"] = result.peak_memory_bytes
    return found
