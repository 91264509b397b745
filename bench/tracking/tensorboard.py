"""TensorBoard: an event file for every cell, and one with the tables."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.metrics import declarations, value
from bench.records import RunRecord, SampleRecord
from bench.tables.text import TextTable, markdown_lines
from bench.tracking.tracker import pictures, scalars
from bench.training.trainer import EpochResult


class TensorBoard:
    """Writes scalars, config, hyperparameters, sample predictions and tables with torch's own writer.

    Args:
        results_dir: Event files go to ``tensorboard/`` in it, one folder per cell.
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
        """Write an epoch's values and flush the file, for live views."""
        for name, scalar in scalars(result).items():
            self._writer.add_scalar(name, scalar, result.epoch)
        self._writer.flush()

    def end(self, record: RunRecord | None, samples: Sequence[SampleRecord]) -> None:
        """Write sample predictions, hyperparameters and results, and close the file."""
        if samples:
            for modality in samples[0].pictures:
                images = np.stack([np.asarray(pictures(sample)[modality]) for sample in samples])
                self._writer.add_images(f"predictions/{modality}", images, dataformats="NHWC")
            self._writer.add_text("predictions", _listed(samples))
        if record is not None:
            shown = [metric.name for metric in declarations([record]).values() if metric.shown]
            results = {f"result/{name}": value(record, name) for name in shown if value(record, name) is not None}
            self._writer.add_hparams(self._hyperparameters, results, run_name=".")
        self._writer.close()
        self._writer = None

    def close(self, records: Sequence[RunRecord], tables: Mapping[str, Sequence[TextTable]]) -> list[str]:  # noqa: ARG002
        """Write the tables of each study as text."""
        with self._open(str(self._folder / "analysis")) as writer:
            for study, made in tables.items():
                for table in made:
                    writer.add_text(f"{study}/{table.name}", table.markdown())
        return [f"TensorBoard: look at the run with: tensorboard --logdir {self._folder}"]


def _listed(samples: Sequence[SampleRecord]) -> str:
    """What the pictures show, in their order, as a Markdown table."""
    rows = [[sample.name, sample.label, sample.predicted, f"{sample.probability:.3f}"] for sample in samples]
    return "\n".join(markdown_lines(["pair", "label", "prediction", "probability"], 3, rows))
