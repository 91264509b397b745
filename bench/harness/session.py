"""One session of benchmarks: its cells, data, folder, records so far, and what is written at its end.

pytest drives a session through ``plugin.py``; nothing here knows pytest. Modules that load torch, pandas or
matplotlib are imported where they are needed: a session that only lists its cells needs none of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from bench.analysis.formats import counted, enumerated
from bench.config import OptionError
from bench.harness.cell import Cell
from bench.harness.data import SessionData
from bench.harness.folder import RunFolder
from bench.harness.looks import Plan
from bench.harness.options import Options
from bench.harness.resume import Resumption, probed_before, resume, row_of, unlike
from bench.records import (
    COMPLETED,
    FAILED,
    CostRecord,
    ProbeRecord,
    RecordError,
    RunRecord,
    SampleRecord,
    cell_of,
    escaped,
    read,
)
from bench.records.cost import FILE_NAME as COSTS
from bench.records.probe import FILE_NAME as PROBE_FILE
from bench.records.reading import read_run
from bench.records.run import CHECKPOINTS
from bench.records.run import FILE_NAME as RECORDS
from bench.records.sample import samples_path
from bench.tracking import TRACKERS, Shield

if TYPE_CHECKING:
    from bench.config import RunConfig
    from bench.harness.executors.execution import Execution
    from bench.harness.executors.pool import Watch
    from bench.probes.subject import Subject
    from bench.tables.text import TextTable
    from bench.training.runs import Driver
    from bench.training.trainer import EpochResult, Observer
    from data_utils import Source

T = TypeVar("T")


@dataclass
class Session:
    """Runs cells and keeps their results.

    Attributes:
        options: What the session runs, and how.
        records: Of the cells that have ended, in this session or in one that it resumes.
        probes: What was measured on their trained models.
        costs: What was measured beside them.
        skipped: Why cells cannot run on their data, by their names, and why benchmarks were skipped, by their ids.
        failures: What could not be written and fails the run, with the reason and the remedy, a sentence each.
        notes: What a user should know, but no reason to fail; a sentence each.
        interrupted: Whether its end was interrupted.
        earlier: The records that were in the folder before.
    """

    options: Options
    records: list[RunRecord] = field(default_factory=list)
    probes: list[ProbeRecord] = field(default_factory=list)
    costs: list[CostRecord] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False
    earlier: list[RunRecord] = field(default_factory=list)
    _of_cell: dict[str, RunRecord] = field(default_factory=dict)
    _probed: dict[tuple[str, str], list[ProbeRecord]] = field(default_factory=dict)
    _resumption: Resumption | None = None
    _execution: Execution | None = None

    @property
    def folder(self) -> Path:
        """Where everything of this session is written."""
        return self.options.results_dir

    @property
    def records_path(self) -> Path:
        """The file of the records."""
        return self.folder / RECORDS

    @cached_property
    def cells(self) -> list[Cell]:
        """Everything to run, in the order of running it."""
        return self.plan.ordered() if self.plan else self.options.cells()

    @cached_property
    def plan(self) -> Plan | None:
        """Which cells are still needed; None where all are run.

        Raises:
            ClaimError: A file of claims cannot be used.
            OptionError: Nothing can be decided by what is selected.
        """
        options = self.options
        if not options.until_decided:
            return None
        plan = Plan(options.claims, options.cells(), options.budget)
        plan.check()
        return plan

    @cached_property
    def data(self) -> SessionData:
        """What the cells are run on."""
        return SessionData(self.options)

    @cached_property
    def trackers(self) -> Shield:
        """The requested experiment trackers."""
        return Shield({name: TRACKERS[name].make for name in self.options.trackers}, self.folder)

    @cached_property
    def _files(self) -> RunFolder:
        return RunFolder(self.folder)

    @property
    def continued(self) -> str:
        """What to call to go on with the folder, as words of a sentence."""
        return f"the same command with --resume --results-dir {shlex.quote(str(self.folder))}"

    @property
    def device_name(self) -> str:
        """The model of the device, as its maker calls it."""
        import torch

        from bench.training.environment import device_name

        return device_name(torch.device(self.options.device))

    def any_source(self) -> Source:
        """That of the first cell, for measurements that depend on the shapes of its data alone."""
        return self.data.source(self.cells[0].config)

    def load(self, cells: Sequence[Cell]) -> None:
        """Open the data, and check that they can be split as the protocols ask.

        Raises:
            DataError: The data cannot be read, or not be split.
            OptionError: ``--set`` names a modality that the data lack, or what cannot work with them.
        """
        for sentence in self.data.check(cells):
            self.note(sentence)

    def open(self, cells: Sequence[Cell]) -> None:
        """Load the data (see ``load``), and take the folder.

        Raises:
            FolderError: The folder cannot be written, or another run is writing it.
            OptionError: The run of ``--earlier`` is of other code, data or protocols.
            RecordError: The folder has records that cannot be read.
        """
        self.load(cells)
        self._compare_with_earlier_looks(cells)
        self._files.take(self.options.own_claims)
        self.earlier = read(self.records_path, RunRecord)
        if self.options.resume:
            fitting = [cell for cell in cells if not self.data.misfit_of(cell)]
            wanted = {cell.name: self.described(cell) | self.data.drawn_content(cell) for cell in fitting}
            on_cluster = bool(self.options.executor.partition(":")[2])
            checkpoints = self.folder / CHECKPOINTS
            undisturbed = {cell.name for cell in fitting if cell.study.idle}
            self._resumption = resume(
                self.earlier, wanted, checkpoints, any_device=on_cluster, undisturbed=undisturbed
            )
            # All at once: whatever ends this session, its tables have them.
            self._of_cell |= self._resumption.finished
            self.records += self._resumption.finished.values()
            if any(cell.study.probes for cell in cells):
                self._recall_probes(self._resumption.finished)

    def _recall_probes(self, finished: Mapping[str, RunRecord]) -> None:
        from bench.probes.subject import probing_sha256

        path = self.folder / PROBE_FILE
        if path.is_file():
            self._probed = probed_before(read(path, ProbeRecord), finished, probing_sha256())
            self.probes += [probe for together in self._probed.values() for probe in together]

    def _compare_with_earlier_looks(self, cells: Sequence[Cell]) -> None:
        """Refuse to train what could not be merged with the run of ``--earlier`` afterwards.

        Raises:
            OptionError: That run is of other code, data or protocols.
        """
        place = self.options.earlier
        if place is None:
            return
        each = {(cell.config, cell.spec): cell for cell in cells if not self.data.misfit_of(cell)}.values()
        rows = {row_of(cell_of(fields)): fields for fields in map(self.described, each)}
        reason, machines = unlike(read_run(place).records, rows)
        if reason:
            raise OptionError(
                f"--earlier {place}: {reason}, so this look could not be merged with it; run both with one "
                "version, the same data and the same options"
            )
        for changed in machines:
            self.note(
                f"--earlier {place}: {changed}; claims are decided for each device model and number of threads "
                "separately, and their seeds do not add up"
            )

    def why_skipped(self, cell: Cell) -> str:
        """Why a cell cannot run on its data, or need not run, which is remembered; "" if it is to run."""
        if cell.name in self.skipped:
            return self.skipped[cell.name]
        reason = self.data.misfit_of(cell)
        trained = self._execution is not None and self._execution.is_under_way(cell)
        if not reason and self.plan and not trained and self.record_of(cell) is None:
            reason = self.plan.why_not(cell, self.records, self.probes)
        if reason:
            self.skipped[cell.name] = reason
        return reason

    def described(self, cell: Cell) -> dict[str, Any]:
        """The fields of a cell's record that are known before training."""
        from bench.training.runs import describe

        return describe(cell.spec, self.data.source(cell.config), cell.seed, cell.config)

    def describe(self, cells: Sequence[Cell]) -> list[str]:
        """What is going to be run, and what the readers of the data noticed; one line each."""
        lines = []
        seeds: dict[RunConfig, list[int]] = {}
        for cell in cells:
            seeds.setdefault(cell.config, []).append(cell.seed)
        for config, of_config in seeds.items():
            world = self.data.world(config, of_config[0])
            study = " ".join(filter(None, (config.study, config.variant)))
            tested = f"{len(world.test)} test" if len(world.test) else "no test"
            counts = f"{len(world.train)} training, {len(world.valid)} validation and {tested}"
            lines.append(
                f"{study}: {counts} pairs of {world.info.name} ({len(world.info.classes)} classes), "
                f"profile {config.profile}, {counted(config.protocol.epochs, 'epoch')}, "
                f"seeds {enumerated(of_config)}"
            )
            lines += [f"note: {note}" for note in world.notes]
        resumed = self._resumption.describe() if self._resumption else []
        others = [self._others()] if any(cell.study.idle for cell in cells) else []
        return [*dict.fromkeys(lines), f"device: {self.device_name}", *others, *resumed, f"results: {self.folder}"]

    def _others(self) -> str:
        """What other processes do, for a study that is about times."""
        from bench.records.load import most_load
        from bench.training.load import others

        found = others()
        if found is None:
            return (
                "note: this system does not report the load of other processes, so claims do not count the times "
                "of this run"
            )
        if found.cores <= most_load(self.options.device, found.of):
            return f"other processes: {found}"
        return (
            f"note: THE MACHINE IS BUSY. Other processes: {found}. Times that they disturb are marked, and no "
            "claim counts them. End these processes and start again, or let this run finish and repeat the "
            "disturbed trainings with --resume on an idle machine"
        )

    def start(self, cells: Sequence[Cell], watch: Watch) -> None:
        """Hand what is to be trained to the executor, if there is one; ``executed`` waits for it.

        With ``--until-decided`` these are the cells of the first look; those of the next one follow when its first
        cell is waited for, as all earlier ones have ended then.

        Args:
            cells: Those that are selected.
            watch: Shows what is under way.

        Raises:
            ExecutorError: It cannot be started.
        """
        if not self.options.executor:
            return
        from bench.harness.executors.execution import Execution

        finished = self._resumption.finished if self._resumption else {}
        waiting = {cell.name: cell for cell in cells if cell.name not in finished}
        fitting = [cell for cell in waiting.values() if not self.data.misfit_of(cell)]
        if fitting:
            self._execution = Execution(self, fitting, watch)
            self._execution.go_on(fitting[0])

    def executed(self, cell: Cell) -> RunRecord | None:
        """The record of a cell that the executor trains, when it has ended; None without an executor.

        Raises:
            ExecutorError: It failed, or nothing can be trained by the executor.
            FolderError: Its files could not be written.
        """
        if self._execution is None:
            return None
        self._execution.go_on(cell)
        self._execution.wait(cell)
        return self.record_of(cell)

    def receive(self, cell: Cell, record: RunRecord, epochs: Sequence[EpochResult]) -> None:
        """Keep the record of a cell that was trained elsewhere, and tell the trackers of it."""
        self.trackers.begin(cell.name, msgspec.to_builtins(self.described(cell)))
        for result in epochs:
            if not result.stage:
                self.trackers.epoch(result)
        try:
            record = self._keep(cell, record)
        finally:
            self.trackers.end(record if record.status != FAILED else None, self._samples(record))

    def recall(self, cell: Cell) -> RunRecord | None:
        """The finished record that stands for a run of the cell; None if the cell has to run."""
        return self._resumption.finished.get(cell.name) if self._resumption else None

    def run_cell(self, cell: Cell, driver: Driver, observe: Observer) -> RunRecord:
        """Run one cell; its record is on the disk when this returns, also when the run raised."""
        from bench.training import runs

        config, source = self.with_command(cell), self.data.source(cell.config)

        def observe_and_track(result: EpochResult) -> None:
            if not result.stage:
                self.trackers.epoch(result)
            observe(result)

        self.trackers.begin(cell.name, msgspec.to_builtins(self.described(cell)))
        record = None
        try:
            record = runs.run_cell(
                cell.spec, source, cell.seed, config, driver=driver, observe=observe_and_track, note=self.note
            )
        except Exception as error:
            self._keep(cell, runs.failed(cell.spec, source, cell.seed, config, error))
            raise
        else:
            record = self._keep(cell, record)
        finally:
            self.trackers.end(record, self._samples(record))
        return record

    def _samples(self, record: RunRecord | None) -> list[SampleRecord]:
        path = samples_path(self.folder, record.checkpoint) if record and record.checkpoint else None
        return read(path, SampleRecord) if path and path.is_file() else []

    def with_command(self, cell: Cell) -> RunConfig:
        """The settings of a cell's run, with the command that runs it again and the claims it is evidence for."""
        import torch

        command = self.options.command(cell, threads=torch.get_num_threads())
        claims = self.options.claims.hashes(cell.source, cell.spec.name)
        return replace(cell.config, command=command, claims=claims)

    def note(self, text: str) -> None:
        """Add a note, once."""
        if text not in self.notes:
            self.notes.append(text)

    def _keep(self, cell: Cell, record: RunRecord) -> RunRecord:
        record = self._of_cell[cell.name] = escaped(record)
        self.records.append(record)
        self._files.write(RECORDS, record)
        return record

    def record_of(self, cell: Cell) -> RunRecord | None:
        """The record of a cell that has ended, see ``records``; None if it has not ended yet."""
        return self._of_cell.get(cell.name)

    def subject(self, cell: Cell) -> Subject:
        """The trained model of a cell that has ended, to be probed.

        Raises:
            RecordError: It was not trained to the end, or its checkpoint is gone.
        """
        from bench.probes.subject import load_subject

        record = self.record_of(cell)
        if record is None:
            raise RecordError(f"{cell.name} has not been trained in this session; run its cell first")
        return load_subject(record, self.data.source(cell.config), cell.config)

    def earlier_seeds(self, cell: Cell) -> list[Cell]:
        """The cells of the same model from the seeds before this one that were trained to the end."""
        same = [other for other in self.cells if (other.config, other.spec) == (cell.config, cell.spec)]
        before = same[: [other.seed for other in same].index(cell.seed)]
        return [other for other in before if (record := self.record_of(other)) and record.status == COMPLETED]

    def recall_probes(self, cell: Cell, benchmark: str, others: Sequence[Cell] = ()) -> list[ProbeRecord]:
        """What a benchmark measured on the cell's model in a session that is resumed; none if it has to measure.

        Args:
            cell: The model's.
            benchmark: Its name.
            others: The models that it compares the cell's with.
        """
        probes = self._probed.get((cell.name, benchmark), [])
        compared = {probe.other_seed for probe in probes} - {None}
        return probes if compared == {other.seed for other in others} else []

    def keep_probes(self, probes: Sequence[ProbeRecord]) -> list[ProbeRecord]:
        """Write what was measured on a model together to the disk, and remember it; returns it as it is kept."""
        probes = [escaped(msgspec.structs.replace(probe, values=len(probes))) for probe in probes]
        self.probes += probes
        for probe in probes:
            self._files.write(PROBE_FILE, probe)
        return probes

    def keep_cost(self, cost: CostRecord) -> None:
        """Write a measurement to the disk and remember it."""
        cost = escaped(cost)
        self.costs.append(cost)
        self._files.write(COSTS, cost)

    def finish(self) -> list[TextTable]:
        """Write the tables and figures of everything that ended, tell the trackers, and release the folder.

        One part that cannot be written does not keep the others from being written. A record or a table that is
        missing is one of the ``failures``. Figures are among the ``notes``: a command makes them again.

        Returns:
            The tables.
        """
        tables: list[TextTable] = []
        try:
            self._end_workers()
            self.failures += self._files.write_what_waits()
            if self.records or self.probes or self.costs:
                from bench.tables.tabulation import all_tables, write_tables

                tables = (
                    self._attempt(
                        "tables", "tables", partial(write_tables, claims=self.options.claims), self.failures
                    )
                    or []
                )
                with suppress(Exception):  # then there are none to show, which is one of the failures
                    tables = tables or [*all_tables(self.records, self.probes, self.costs).values()]
                self._attempt("figures", "plots", _write_figures, self.notes)
            if self.records:
                self._tell_trackers()
        except KeyboardInterrupt:
            self.interrupted = True
            self.notes.append(
                "interrupted again while tables and figures were written; the records are complete, and these "
                f"commands write the rest: {self._command('tables')}; {self._command('plots')}"
            )
        finally:
            self._files.release()
        return tables

    def _end_workers(self) -> None:
        try:
            if self._execution is not None:
                self._execution.close()
        except Exception as error:  # what they trained is here, and tables are still to be written
            self.notes.append(f"the workers of --executor could not be ended ({type(error).__name__}: {error})")

    def _tell_trackers(self) -> None:
        from bench.tables.tabulation import tables_by_study

        if not self.options.trackers:
            return
        tables = {}
        with suppress(Exception):  # then they could not be written either, which is one of the failures
            tables = tables_by_study(self.records, self.probes)
        self.trackers.close(self.records, tables)
        self.notes += self.trackers.notes

    def _attempt(self, what: str, command: str, write: Callable[..., T], otherwise: list[str]) -> T | None:
        """Write one part to the folder that is named as the command that writes it again."""
        try:
            return write(self.records, self.folder / command, self.probes, self.costs)
        except Exception as error:
            otherwise.append(
                f"the {what} could not be written ({type(error).__name__}: {error}); the records are in "
                f"{self.folder}; try again: {self._command(command)}"
            )
            return None

    def _command(self, name: str) -> str:
        return shlex.join(["python", "-m", "bench", name, str(self.folder)])


def _write_figures(*arguments: Any) -> object:
    """``write_figures``, in which matplotlib may be broken."""
    from bench.plots import write_figures

    return write_figures(*arguments)
