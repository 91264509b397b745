"""One session of benchmarks: its data, its folder, its records so far, and what is written when it ends.

pytest drives a session through conftest.py; nothing here knows pytest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import torch

from bench import records, tables
from bench.config import FIRST_SEED, RunConfig
from bench.records import RunRecord, device_name
from bench.runs import Driver, choose, describe, failed, run
from bench.tables import TextTable
from bench.thresholds import threshold_table
from bench.tracking import TRACKERS, Tracker
from bench.training import EpochResult, Observer
from data_utils import DATASETS, PairedDataset, load
from fusion_models import ModelSpec


@dataclass(frozen=True)
class Cell:
    """One model and one seed, on the session's data."""

    spec: ModelSpec
    seed: int

    @property
    def name(self) -> str:
        """The cell's test id: the model, and the seed unless it is the published one."""
        return self.spec.name if self.seed == FIRST_SEED else f"{self.spec.name}-seed{self.seed}"


class FolderError(OSError):
    """The folder of a run cannot be written; the message names it and the remedy."""


@dataclass
class Session:
    """Runs cells and keeps what they came to.

    Args:
        config: the session's options.
        records: those of the cells that have ended.
    """

    config: RunConfig
    records: list[RunRecord] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where everything of this session is written."""
        return self.config.results_dir

    @property
    def records_path(self) -> Path:
        """The records, a line each."""
        return self.folder / "records.jsonl"

    @cached_property
    def dataset(self) -> PairedDataset:
        """The data set, simulated or read on first use."""
        # A simulator makes as many pairs as are asked for; of files every seed draws its own share.
        simulated = self.config.dataset in DATASETS
        return load(self.config.dataset, pairs=self.config.protocol.pairs if simulated else None)

    @cached_property
    def tracker(self) -> Tracker:
        """The experiment tracker that was asked for."""
        return TRACKERS[self.config.tracker](self.folder)

    def open(self) -> None:
        """Load the data, check that every seed can be split as the protocol asks, and make the folder.

        Raises:
            DataError: the data cannot be read, or not be split as the protocol asks.
            FolderError: the folder cannot be written.
        """
        for seed in self.config.seeds:
            choose(self.dataset, self.config.protocol, seed)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.records_path.touch()
        except OSError as error:
            raise FolderError(
                f"cannot write results to {self.folder} ({error.strerror}); give another folder with --results-dir"
            ) from error

    def describe(self) -> list[str]:
        """What is going to be run, and what the data set's reader noticed; a line each."""
        info, protocol = self.dataset.info, self.config.protocol
        return [
            f"data: {info.name}, {min(len(self.dataset), protocol.pairs)} pairs of {len(info.classes)} classes",
            f"profile: {self.config.profile.name}, {protocol.epochs} epochs; "
            f"{device_name(torch.device(self.config.device))}; seeds {', '.join(map(str, self.config.seeds))}",
            f"results: {self.folder}",
            *(f"note: {note}" for note in self.dataset.notes),
        ]

    def run_cell(self, cell: Cell, driver: Driver, observe: Observer) -> RunRecord:
        """Run one cell; its record is on the disk when this returns, also when the run raised."""
        record, spec, seed = None, cell.spec, cell.seed
        self.tracker.begin(cell.name, describe(spec, self.dataset, seed, self.config))
        try:
            record = run(
                spec,
                self.dataset,
                seed,
                self.config,
                driver=driver,
                observe=partial(_both, self.tracker.epoch, observe),
            )
        except Exception as error:
            self._keep(failed(spec, self.dataset, seed, self.config, error))
            raise
        finally:
            self.tracker.end(record)
        self._keep(record)
        return record

    def _keep(self, record: RunRecord) -> None:
        records.append(self.records_path, record)
        self.records.append(record)

    def close(self) -> list[TextTable]:
        """Write the tables of all cells that have ended, and return them; none if no cell has."""
        if not self.records:
            return []
        return write_tables(self.records, self.folder / "tables")


def write_tables(found: Sequence[RunRecord], folder: Path) -> list[TextTable]:
    """Make every table the records allow and write each as Markdown and CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [tables.fusion_table(found), threshold_table(found), tables.downsampling_table(found)]
    kept = [table for table in made if table is not None]
    for table in kept:
        (folder / f"{table.name}.md").write_text(table.markdown(), encoding="utf-8")
        table.data.to_csv(folder / f"{table.name}.csv", index=False)
    return kept


def _both(first: Observer, second: Observer, result: EpochResult) -> None:
    first(result)
    second(result)
