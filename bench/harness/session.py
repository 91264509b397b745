"""One session of benchmarks: its cells, its data, its folder, its records so far, and what is written at its end.

pytest drives a session through conftest.py; nothing here knows pytest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from bench.config import RunConfig
from bench.costs.together import run_together
from bench.harness.cell import Cell
from bench.harness.options import Options
from bench.harness.resume import Resumption, resume
from bench.probes.subject import Subject, load_subject
from bench.records import probe as probe_records
from bench.records import run as records
from bench.records.probe import ProbeRecord
from bench.records.run import COMPLETED, RecordError, RunRecord, device_name, environment
from bench.tables import TextTable
from bench.tables.tabulation import tables_by_study, write_table, write_tables
from bench.tracking import TRACKERS, Shield
from bench.training.preparation import choose
from bench.training.runs import Driver, describe, failed, run
from bench.training.samples import Prediction, predictions
from bench.training.trainer import EpochResult, Observer
from data_utils import DATASETS, PairedDataset, load
from fusion_models import find_model


class FolderError(OSError):
    """The folder of a run cannot be written, or another run is writing it; the message says the remedy."""


@dataclass
class Session:
    """Runs cells and keeps what they came to.

    Attributes:
        options: what the session is to do.
        records: those of the cells that have ended, in this session or in one that it resumes.
        probes: what was found of their trained models.
        added: tables of what was measured beside the cells.
    """

    options: Options
    records: list[RunRecord] = field(default_factory=list)
    probes: list[ProbeRecord] = field(default_factory=list)
    added: list[TextTable] = field(default_factory=list)
    _asked_for: tuple[Cell, ...] = ()
    _resumption: Resumption | None = None
    _trained_beside: dict[str, tuple[RunRecord, str]] = field(default_factory=dict)
    _datasets: dict[tuple[str, int], PairedDataset] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where everything of this session is written."""
        return self.options.results_dir

    @property
    def records_path(self) -> Path:
        """The records, a line each."""
        return self.folder / "records.jsonl"

    @property
    def cells(self) -> list[Cell]:
        """All that there is to run, in the order of running it."""
        return [
            Cell(study, variant, find_model(model), seed)
            for study in self.options.studies
            for seed in self.options.seeds
            for variant in study.protocols
            for model in study.models
        ]

    @cached_property
    def trackers(self) -> Shield:
        """The experiment trackers that were asked for."""
        return Shield({name: TRACKERS[name].make for name in self.options.trackers}, self.folder)

    @cached_property
    def _lock(self) -> FileLock:
        """Held while the folder is written; the system lets it go when the process dies, however it dies."""
        return FileLock(self.folder / "run.lock", timeout=0)

    def config(self, cell: Cell) -> RunConfig:
        """What the run of a cell is asked for."""
        return self.options.run_config(cell.study, cell.variant)

    def dataset(self, config: RunConfig) -> PairedDataset:
        """The data a run is asked for, simulated or read on first use."""
        # A simulator makes as many pairs as are asked for; of files every seed draws its own share.
        pairs = config.protocol.pairs if config.dataset in DATASETS else None
        key = (config.dataset, pairs or 0)
        if key not in self._datasets:
            self._datasets[key] = load(config.dataset, pairs=pairs, cache=self.options.simulated_dir)
        return self._datasets[key]

    def any_dataset(self) -> PairedDataset:
        """The data of the first cell, for measurements that are about their shapes alone."""
        return self.dataset(self.config(self.cells[0]))

    def open(self, cells: Sequence[Cell]) -> None:
        """Load the data, check that they can be split as the protocols ask, and take the folder.

        Raises:
            DataError: the data cannot be read, or not be split.
            FolderError: the folder cannot be written, or another run is writing it.
            RecordError: the folder has records that cannot be read.
        """
        for config, seed in dict.fromkeys((self.config(cell), cell.seed) for cell in cells):
            choose(self.dataset(config), config.protocol, seed)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            self.records_path.touch()
        except Timeout as error:
            raise FolderError(
                f"another run is writing to {self.folder}; wait until it ends, or give another folder "
                "with --results-dir"
            ) from error
        except OSError as error:
            raise FolderError(
                f"cannot write results to {self.folder} ({error.strerror}); give another folder with --results-dir"
            ) from error
        self._asked_for = tuple({cell.name: cell for cell in cells}.values())
        earlier = records.read(self.records_path)
        if self.options.resume:
            asked = {cell.name: self._asked(cell) for cell in cells}
            self._resumption = resume(earlier, asked, self.folder / "checkpoints")

    def _asked(self, cell: Cell) -> dict[str, Any]:
        config = self.config(cell)
        return describe(cell.spec, self.dataset(config), cell.seed, config)

    def describe(self, cells: Sequence[Cell]) -> list[str]:
        """What is going to be run, and what the readers of the data noticed; a line each."""
        lines = []
        for config in dict.fromkeys(self.config(cell) for cell in cells):
            dataset, protocol = self.dataset(config), config.protocol
            study = " ".join(filter(None, (config.study, config.variant)))
            lines.append(
                f"{study}: {min(len(dataset), protocol.pairs)} pairs of {dataset.info.name} "
                f"({len(dataset.info.classes)} classes), profile {config.profile}, {protocol.epochs} epochs, "
                f"seeds {', '.join(map(str, self.options.seeds))}"
            )
            lines += [f"note: {note}" for note in dataset.notes]
        device = device_name(torch.device(self.options.device))
        resumed = self._resumption.describe() if self._resumption else []
        return [*dict.fromkeys(lines), f"device: {device}", *resumed, f"results: {self.folder}"]

    def recall(self, cell: Cell) -> tuple[RunRecord, str] | None:
        """The record that stands for a run of the cell, and where it is from; None where the cell has to run."""
        if cell.name in self._trained_beside:
            return self._trained_beside[cell.name]
        record = self._finished_earlier(cell)
        if record is None:
            return None
        self.records.append(record)
        return record, "from records"

    def _finished_earlier(self, cell: Cell) -> RunRecord | None:
        return self._resumption.finished.get(cell.name) if self._resumption else None

    def _beside(self, cell: Cell) -> list[Cell]:
        """The cells that are trained side by side with this one: the seeds of its row that have not ended."""
        if not self.options.seeds_together:
            return []
        return [
            other
            for other in self._asked_for
            if (other.study, other.variant, other.spec) == (cell.study, cell.variant, cell.spec)
            and other.seed != cell.seed
            and self.record_of(other) is None
            and self._finished_earlier(other) is None
        ]

    def measured_on(self) -> list[str]:
        """What the figures of a table beside the cells were obtained under, a line each."""
        found = environment(torch.device(self.options.device))
        return [
            f"profile: {self.options.profile.name}",
            f"device: {found['device_name']}, threads: {found['threads']}, torch {found['packages']['torch']}",
        ]

    def run_cell(self, cell: Cell, driver: Driver, observe: Observer) -> RunRecord:
        """Run one cell; its record is on the disk when this returns, also when the run raised.

        Where seeds are trained side by side, the first one takes the others along, and nobody's ``driver`` is
        asked: what it would time is no cell's own. The others are there to ``recall`` then.
        """
        if beside := self._beside(cell):
            return self._run_side_by_side([cell, *beside], observe)
        config = self.config(cell)
        dataset = self.dataset(config)

        def observe_and_track(result: EpochResult) -> None:
            if not result.stage:
                self.trackers.epoch(result)
            observe(result)

        self.trackers.begin(cell.name, self._asked(cell))
        record = None
        try:
            record = run(cell.spec, dataset, cell.seed, config, driver=driver, observe=observe_and_track)
        except Exception as error:
            self._keep(failed(cell.spec, dataset, cell.seed, config, error))
            raise
        else:
            self._keep(record)
        finally:
            self.trackers.end(record, partial(self._samples, record, config))
        return record

    def _run_side_by_side(self, cells: Sequence[Cell], observe: Observer) -> RunRecord:
        # Trackers are told when all have ended, as they follow one run at a time.
        first, *others = cells
        config = self.config(first)
        dataset = self.dataset(config)
        seen: dict[int, list[EpochResult]] = {cell.seed: [] for cell in cells}

        def observe_seed(seed: int, result: EpochResult) -> None:
            if not result.stage:
                seen[seed].append(result)
            observe(replace(result, stage=", ".join(filter(None, (f"seed {seed}", result.stage)))))

        try:
            found = run_together(first.spec, dataset, list(seen), config, observe_seed)
        except Exception as error:
            self._keep(failed(first.spec, dataset, first.seed, config, error))
            self.trackers.begin(first.name, self._asked(first))
            self.trackers.end(None, list)
            raise
        for cell, record in zip(cells, found, strict=True):
            self._keep(record)
            self.trackers.begin(cell.name, self._asked(cell))
            for result in seen[cell.seed]:
                self.trackers.epoch(result)
            self.trackers.end(record, partial(self._samples, record, config))
        origin = f"beside seed {first.seed}"
        self._trained_beside |= {
            cell.name: (record, origin) for cell, record in zip(others, found[1:], strict=True)
        }
        return found[0]

    def _samples(self, record: RunRecord | None, config: RunConfig) -> list[Prediction]:
        """Sample predictions of a cell, for trackers; none of a run that was not completed."""
        if record is None or record.status != COMPLETED:
            return []
        return predictions(record, self.folder, self.dataset(config), device=config.device)

    def record_of(self, cell: Cell) -> RunRecord | None:
        """The latest record of a cell, None if it has not ended yet."""
        wanted = (cell.study.name, cell.variant, cell.spec.name, cell.seed)
        found = [each for each in self.records if (each.study, each.variant, each.model, each.seed) == wanted]
        return found[-1] if found else None

    def subject(self, cell: Cell) -> Subject:
        """The trained model of a cell that has ended, to be probed.

        Raises:
            RecordError: it was not trained to the end, or its checkpoint is gone.
        """
        record, config = self.record_of(cell), self.config(cell)
        if record is None:
            raise RecordError(f"{cell.name} has not been trained in this session; run its cell first")
        return load_subject(record, self.dataset(config), config)

    def earlier_subjects(self, cell: Cell) -> list[Subject]:
        """The trained models of the same row from the seeds before this one, as far as there are any."""
        row = (cell.study, cell.variant, cell.spec)
        of_row = [each for each in self.cells if (each.study, each.variant, each.spec) == row]
        before = of_row[: [each.seed for each in of_row].index(cell.seed)]
        ended = [each for each in before if (record := self.record_of(each)) and record.status == COMPLETED]
        return [self.subject(each) for each in ended]

    def keep_probes(self, found: Sequence[ProbeRecord]) -> None:
        """Write what a probe found to the disk and remember it."""
        for record in found:
            probe_records.append(self.folder / probe_records.FILE_NAME, record)
        self.probes += found

    def _keep(self, record: RunRecord) -> None:
        records.append(self.records_path, record)
        self.records.append(record)

    def add_table(self, table: TextTable) -> None:
        """Write a table of what was measured beside the cells, and show it at the end."""
        write_table(table, self.folder / "tables", table.name)
        self.added.append(table)

    def close(self) -> list[TextTable]:
        """Write the tables of all cells that have ended, tell the trackers, and let go of the folder.

        Returns:
            The tables of the cells, and those that were added.
        """
        try:
            made = write_tables(self.records, self.folder / "tables", self.probes) if self.records else []
            if made:
                self.trackers.close(self.records, tables_by_study(self.records, self.probes))
            return made + self.added
        finally:
            self._lock.release()

    def draw(self) -> str:
        """Write the figures of all cells that have ended; says where they are, or why they are not.

        Whatever goes wrong is said and ends nothing: records and tables are there, and give the figures later.
        """
        folder = self.folder / "plots"
        try:
            # Imported here: matplotlib takes its time to load, and most that use a session draw nothing.
            from bench.plots import write_figures

            drawn = write_figures(self.records, folder, self.probes)
        except Exception as error:
            again = f"python -m bench plots {self.folder}"
            return f"the figures could not be drawn ({type(error).__name__}: {error}); try again: {again}"
        return f"figures are in {folder}" if drawn else ""
