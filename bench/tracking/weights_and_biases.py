"""Weights & Biases: a run for every cell, and one of analysis at the session's end."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.records import COMPLETED, RunRecord, SampleRecord
from bench.tables.text import TextTable
from bench.tracking.tracker import pictures, scalars
from bench.training.trainer import EpochResult

PROJECT = "fusiongauge"
"""The default; WANDB_PROJECT and wandb's own settings take precedence."""

PATIENCE_SECONDS = 15.0
"""How long to wait for the network when a run is opened and when it is closed."""

SUMMARIES = {"valid_loss": "min", "valid_accuracy": "max", "epoch_seconds": "mean"}
"""How wandb summarizes each metric over epochs; other metrics show the last epoch."""

OF_ONE_RUN = (
    "WANDB_RUN_ID",
    "WANDB_RESUME",
    "WANDB_NAME",
    "WANDB_RESUME_FROM",
    "WANDB_FORK_FROM",
    "WANDB_SWEEP_ID",
)
"""Variables that scripts of a single run set. With them all cells would be one run, so they are not followed."""

OF_THE_RECORD = (
    *("status", "best_epoch", "best_valid_loss", "test_loss", "test_accuracy", "parameters", "train_seconds"),
)


class WeightsAndBiases:
    """Logs what the reference notebooks log: config, epochs, sample predictions, tables, loss curves.

    Without a key it works offline; if the server cannot be reached in time, it continues offline. wandb's
    environment variables and settings are respected, apart from those of OF_ONE_RUN.

    Args:
        results_dir: wandb's files go to ``wandb/`` in it.
        patience_seconds: See PATIENCE_SECONDS.
    """

    def __init__(self, results_dir: Path, patience_seconds: float = PATIENCE_SECONDS) -> None:
        # Imported here so that sessions without tracking need not load it.
        import wandb

        self._wandb = wandb
        self._folder = results_dir
        self._run: Any = None
        self._left_behind: list[Path] = []
        self._settings = wandb.Settings(
            silent=True,
            console="off",  # captured output would not reach pytest's terminal
            x_disable_stats=True,  # sampling the machine would disturb the timed epochs
            init_timeout=patience_seconds,
            finish_timeout=patience_seconds,
            finish_timeout_raises=True,
        )
        self._not_followed = [name for name in OF_ONE_RUN if os.environ.get(name)]
        with _without(OF_ONE_RUN):
            found = wandb.setup(self._settings).settings
            without_key = found.mode == "online" and not wandb.login(prompt=False, verify=False)
        self._project = found.project or PROJECT
        self._group = found.run_group or results_dir.name
        self._settings.mode = "offline" if without_key or found.mode == "dryrun" else found.mode

    def begin(self, name: str, config: Mapping[str, Any]) -> None:
        """Open a run and declare which summaries are minima and maxima."""
        self._open(name, "training", config)
        self._run.define_metric("epoch")
        self._run.define_metric("*", step_metric="epoch")
        for metric, summary in SUMMARIES.items():
            self._run.define_metric(metric, step_metric="epoch", summary=summary)

    def epoch(self, result: EpochResult) -> None:
        """Log an epoch's values."""
        self._run.log({"epoch": result.epoch, **scalars(result)})

    def end(self, record: RunRecord | None, samples: Sequence[SampleRecord]) -> None:
        """Log sample predictions, write the record's values as the run's summary, and close it."""
        if samples:
            self._run.log({"predictions": self._table_of(samples)})
        if record is not None:
            for name in OF_THE_RECORD:
                self._run.summary[name] = getattr(record, name)
        self._finish(exit_code=0 if record is not None else 1)

    def close(self, records: Sequence[RunRecord], tables: Mapping[str, Sequence[TextTable]]) -> list[str]:
        """Log the tables and the loss curves of each study as a run of their own."""
        self._open("analysis", "analysis", {"cells": len(records)})
        for study, made in tables.items():
            for table in made:
                logged = self._wandb.Table(dataframe=table.data, allow_mixed_types=True)
                self._run.log({f"{study}/{table.name}": logged})
        for study in dict.fromkeys(record.study for record in records):
            completed = [r for r in records if (r.study, r.status) == (study, COMPLETED)]
            if completed:
                self._run.log({f"{study}/loss_curves": self._loss_curves(study, completed)})
        self._finish(exit_code=0)
        notes = []
        if self._not_followed:
            notes = [
                f"Weights & Biases: {', '.join(self._not_followed)} not followed, as every cell is its own run; "
                f"the runs are in the group {self._group}"
            ]
        if not self._left_behind:
            return notes
        folders = " ".join(dict.fromkeys(str(path.with_name(_pattern(path.name))) for path in self._left_behind))
        return [*notes, f"Weights & Biases: not all runs are uploaded; upload them with: wandb sync {folders}"]

    def _open(self, name: str, job_type: str, config: Mapping[str, Any]) -> None:
        init = partial(
            self._wandb.init,
            project=self._project,
            name=name,
            group=self._group,
            job_type=job_type,
            config=dict(config),
            dir=self._folder,
            reinit="finish_previous",
            settings=self._settings,
        )
        with _without(OF_ONE_RUN):
            try:
                self._run = init()
            except self._wandb.errors.CommError:
                if self._settings.mode != "online":
                    raise
                self._settings.mode = "offline"
                self._run = init()

    def _finish(self, exit_code: int) -> None:
        files = Path(self._run.settings.sync_dir)
        try:
            self._run.finish(exit_code=exit_code)
        except TimeoutError:
            # What was not uploaded is on the disk; the next cells need not wait as long.
            self._settings.mode = "offline"
        if self._settings.mode == "offline":
            self._left_behind.append(files)
        self._run = None

    def _table_of(self, samples: Sequence[SampleRecord]) -> Any:
        image = self._wandb.Image
        return self._wandb.Table(
            columns=[*samples[0].pictures, "label", "prediction", "probability"],
            data=[
                [*map(image, pictures(sample).values()), sample.label, sample.predicted, sample.probability]
                for sample in samples
            ],
        )

    def _loss_curves(self, study: str, completed: Sequence[RunRecord]) -> Any:
        return self._wandb.plot.line_series(
            xs=[list(range(1, len(record.valid_losses) + 1)) for record in completed],
            ys=[record.valid_losses for record in completed],
            keys=[f"{record.label} seed {record.seed}" for record in completed],
            title=f"{study}: validation loss",
            xname="epoch",
        )


@contextmanager
def _without(variables: Iterable[str]) -> Iterator[None]:
    """The environment without some variables; wandb reads it whenever a run is opened."""
    kept = {name: os.environ.pop(name) for name in variables if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _pattern(name: str) -> str:
    """The shell pattern of all offline runs; the name itself for a run that was online."""
    return "offline-run-*" if name.startswith("offline-run-") else name
