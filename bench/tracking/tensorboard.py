"""TensorBoard: an event file for every cell, and one with the tables."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.records.run import RunRecord
from bench.tables import TextTable
from bench.tracking.tracker import scalars
from bench.training.samples import Prediction
from bench.training.trainer import EpochResult

OF_THE_RECORD = ("best_valid_loss", "valid_accuracy", "parameters", "train_seconds", "peak_memory_bytes")


class TensorBoard:
    """Writes scalars, config, hyperparameters, sample predictions and tables with torch's own writer.

    Args:
        results_dir: event files go to ``tensorboard/`` in it, a folder a cell.
    """

    def __init__(self, results_dir: Path) -> None:
        # Imported here so that sessions without it need neither load nor install it.
        from torch.utils.tensorboard import SummaryWriter

        self._open = SummaryWriter
        self._folder = results_dir / "tensorboard"
        self._writer: Any = None
        self._hyperparameters: dict[str, Any] = {}

    def begin(self, name: str, config: Mapping[str, Any]) -> None:
        """Open the cell's event file; study and variant become folders around it."""
        self._writer = self._open(str(self._folder.joinpath(*name.split(":"))))
        indented = json.dumps(config, indent=2).replace("\n", "\n    ")
        self._writer.add_text("config", f"    {indented}")
        described = {**config, **config["protocol"]}
        self._hyperparameters = {k: v for k, v in described.items() if isinstance(v, bool | int | float | str)}

    def epoch(self, result: EpochResult) -> None:
        """Write an epoch's figures, and have them in the file, for those who watch."""
        for name, value in scalars(result).items():
            self._writer.add_scalar(name, value, result.epoch)
        self._writer.flush()

    def end(self, record: RunRecord | None, samples: Sequence[Prediction]) -> None:
        """Write sample predictions and what the hyperparameters led to, and close the file."""
        if samples:
            for name in ("photo", "range_image"):
                pictures = np.stack([getattr(sample.view, name) for sample in samples])
                self._writer.add_images(f"predictions/{name}", pictures, dataformats="NHWC")
            self._writer.add_text("predictions", _listed(samples))
        if record is not None:
            results = {name: getattr(record, name) for name in OF_THE_RECORD}
            known = {f"result/{name}": value for name, value in results.items() if value is not None}
            self._writer.add_hparams(self._hyperparameters, known, run_name=".")
        self._writer.close()
        self._writer = None

    def close(self, records: Sequence[RunRecord], tables: Mapping[str, Sequence[TextTable]]) -> list[str]:  # noqa: ARG002
        """Write the tables of each study as text."""
        with self._open(str(self._folder / "analysis")) as writer:
            for study, made in tables.items():
                for table in made:
                    writer.add_text(f"{study}/{table.name}", table.markdown())
        return [f"TensorBoard: look at the run with: tensorboard --logdir {self._folder}"]


def _listed(samples: Sequence[Prediction]) -> str:
    """What the pictures show, in their order, as a Markdown table."""
    lines = ["| pair | label | prediction | probability |", "| --- | --- | --- | ---: |"]
    lines += [f"| {s.name} | {s.label} | {s.predicted} | {s.probability:.3f} |" for s in samples]
    return "\n".join(lines)
