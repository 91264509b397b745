"""Whose sample predictions the page shows, and why there are none where there are none."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from bench.records.probe import ProbeRecord
from bench.records.run import COMPLETED, RunRecord
from bench.tables import COLUMN
from bench.training.checkpoints import CheckpointError, checkpoint_of
from bench.training.samples import Prediction, SamplesError, dataset_of, predictions
from data_utils import DataError, PairedDataset


@dataclass(frozen=True)
class Run:
    """A run as the page is given it.

    Attributes:
        name: what the page calls it.
        records: those of its cells.
        probes: what was found of their models.
        folder: where its checkpoints are; None for records that come without.
    """

    name: str
    records: list[RunRecord]
    probes: list[ProbeRecord]
    folder: Path | None


@dataclass(frozen=True)
class Samples:
    """The predictions of one row; none where ``reason`` says why."""

    title: str
    predictions: list[Prediction]
    reason: str = ""


class Gallery:
    """Makes sample predictions for several studies, and loads data once for all that share them.

    Args:
        runs: whose records are going to be asked for.
        path: where the files of their data lie; simulated data need none.
    """

    def __init__(self, runs: Sequence[Run], path: str) -> None:
        self._runs = runs
        self._path = path
        self._loaded: dict[tuple[str, int], PairedDataset] = {}

    def run(self, record: RunRecord) -> Run:
        """The run that the record is of."""
        return next(run for run in self._runs if any(record is own for own in run.records))

    def samples(self, records: Sequence[RunRecord]) -> list[Samples]:
        """Predictions of the best and of the worst row of the first seed, by validation loss."""
        done = [
            (record.best_valid_loss, record)
            for record in records
            if record.status == COMPLETED and record.best_valid_loss is not None
        ]
        if not done:
            return []
        seed = min(record.seed for _, record in done)
        of_seed = sorted(((loss, record) for loss, record in done if record.seed == seed), key=itemgetter(0))
        shown = {"lowest": of_seed[0], "highest": of_seed[-1]} if len(of_seed) > 1 else {"only": of_seed[0]}
        made = []
        for which, (loss, record) in shown.items():
            row = f"{record.variant} {record.model}".strip()
            title = f"{row}, seed {seed}: the {which} validation loss of this seed, {_LOSS(loss)}"
            try:
                made.append(Samples(title, self._predictions(record)))
            except (CheckpointError, SamplesError, DataError) as error:
                made.append(Samples(title, [], str(error)))
        return made

    def _predictions(self, record: RunRecord) -> list[Prediction]:
        folder = self.run(record).folder
        if folder is None:
            raise SamplesError("These records come without checkpoints; the folder of a run has them.")
        checkpoint_of(record, folder)  # before data are loaded for nothing
        data = (record.dataset, record.protocol["pairs"])
        if data not in self._loaded:
            self._loaded[data] = dataset_of(record, self._path)
        return predictions(record, folder, self._loaded[data])


_LOSS = COLUMN["best_valid_loss"].text
