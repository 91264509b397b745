"""Mirrors of a session in an experiment tracker. The record is the truth; a tracker is a place to look at it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from bench.records import RunRecord
from bench.training import EpochResult


class Tracker(Protocol):
    """One tracked run at a time: begin, any number of epochs, end."""

    def begin(self, name: str, config: dict[str, Any]) -> None:
        """A cell starts; ``config`` is what its record says before training."""

    def epoch(self, result: EpochResult) -> None:
        """An epoch ended."""

    def end(self, record: RunRecord | None) -> None:
        """The cell ended with this record; None if it was interrupted or raised."""


class SilentTracker:
    """Tracks nothing."""

    def begin(self, name: str, config: dict[str, Any]) -> None:
        """Do nothing."""

    def epoch(self, result: EpochResult) -> None:
        """Do nothing."""

    def end(self, record: RunRecord | None) -> None:
        """Do nothing."""


class WandbTracker:
    """A Weights & Biases run for every cell.

    Without a key it works offline; ``wandb sync`` uploads the folder later. WANDB_MODE, WANDB_PROJECT and the
    other variables of wandb are respected.

    Args:
        results_dir: wandb's files go to ``wandb/`` in it.
    """

    def __init__(self, results_dir: Path) -> None:
        # Imported here so that sessions without tracking neither need nor load it.
        import wandb

        self._wandb = wandb
        self._folder = results_dir
        self._run: Any = None

    def begin(self, name: str, config: dict[str, Any]) -> None:
        """Open a run and declare which summaries are minima and maxima."""
        online = os.environ.get("WANDB_MODE") or self._wandb.api.api_key
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", "fusiongauge"),
            name=name,
            group=self._folder.name,
            config=config,
            dir=self._folder,
            mode=None if online else "offline",
            reinit="finish_previous",
            settings=self._wandb.Settings(silent=True),
        )
        self._run.define_metric("epoch")
        self._run.define_metric("*", step_metric="epoch")
        self._run.define_metric("valid_loss", step_metric="epoch", summary="min")
        self._run.define_metric("valid_accuracy", step_metric="epoch", summary="max")

    def epoch(self, result: EpochResult) -> None:
        """Log losses, metrics, learning rate and time of an epoch."""
        self._run.log(
            {
                "epoch": result.epoch,
                "train_loss": result.train_loss,
                **{f"valid_{name}": value for name, value in result.valid.items()},
                "learning_rate": result.learning_rate,
                "epoch_seconds": result.seconds,
            }
        )

    def end(self, record: RunRecord | None) -> None:
        """Write the record's figures as the run's summary and close it."""
        if record is not None:
            for name in ("status", "best_epoch", "best_valid_loss", "parameters", "peak_memory_bytes"):
                self._run.summary[name] = getattr(record, name)
        self._run.finish(exit_code=0 if record is not None else 1)
        self._run = None


def _silent(results_dir: Path) -> SilentTracker:  # noqa: ARG001 - trackers are made with the run's folder
    return SilentTracker()


TRACKERS: dict[str, Callable[[Path], Tracker]] = {"none": _silent, "wandb": WandbTracker}
