"""What a user names (a run's folder, a records file, a folder of either) -> records."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.records.cost import FILE_NAME as COSTS
from bench.records.cost import CostRecord
from bench.records.files import RecordError, read
from bench.records.keys import latest
from bench.records.probe import FILE_NAME as PROBES
from bench.records.probe import ProbeRecord
from bench.records.run import RunRecord

RECORDS = "records.jsonl"
"""The records file of a run's folder."""


@dataclass(frozen=True)
class Run:
    """The records of one run, or of several that are shown as one.

    Attributes:
        name: What to call it.
        records: The last one of each cell.
        probes: What probes measured on the trained models.
        costs: What was measured beside the trainings.
        folder: Where its other files are.
    """

    name: str
    records: list[RunRecord]
    probes: list[ProbeRecord]
    costs: list[CostRecord]
    folder: Path


def load_records(path: Path | str) -> list[RunRecord]:
    """The records of a run, the last one of each cell.

    Args:
        path: A run's folder, a records file, or a folder of either.

    Raises:
        RecordError: There are none, or they cannot be read.
    """
    return latest(record for run in read_runs([Path(path)]) for record in run.records)


def read_runs(paths: Iterable[Path]) -> list[Run]:
    """The runs at some paths, see ``load_records``; a folder of runs is several.

    Raises:
        RecordError: There are none, or they cannot be read.
    """
    return [run for path in paths for run in _runs(path)]


def read_run(path: Path) -> Run:
    """The run at a path; a folder of several is read as one.

    Raises:
        RecordError: There is none, or it cannot be read.
    """
    runs = _runs(path)
    return Run(
        str(path),
        latest(record for run in runs for record in run.records),
        [probe for run in runs for probe in run.probes],
        [cost for run in runs for cost in run.costs],
        runs[0].folder if len(runs) == 1 else path,
    )


def _runs(path: Path) -> list[Run]:
    files = _files(path)
    runs = [_run(file) for file in files]
    if not any(run.records or run.probes or run.costs for run in runs):
        raise RecordError(f"{path}: holds no record; give the folder of a run in which a cell has ended")
    return runs


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise RecordError(f"{path}: no such file; give the folder of a run, or its {RECORDS}")
    if any((path / name).is_file() for name in (RECORDS, COSTS)):
        return [path / RECORDS]
    beside = (COSTS, PROBES)
    files = [file for file in sorted(path.glob("*.jsonl")) if not file.name.endswith(beside)]
    files += sorted(path.glob(f"*/{RECORDS}"))
    if not files:
        raise RecordError(
            f"{path}: has neither a {RECORDS} nor other files of records (*.jsonl); give the folder of a run"
        )
    return files


def _run(file: Path) -> Run:
    prefix = "" if file.name == RECORDS else f"{file.stem}."
    probes, costs = (file.with_name(prefix + name) for name in (PROBES, COSTS))
    return Run(
        name=str(file.parent if file.name == RECORDS else file),
        records=latest(read(file, RunRecord)) if file.is_file() else [],
        probes=read(probes, ProbeRecord) if probes.is_file() else [],
        costs=read(costs, CostRecord) if costs.is_file() else [],  # type: ignore[arg-type]
        folder=file.parent,
    )
