"""What a user passes on the command line becomes runs: folders, files of records, and folders of either."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.records.cost import FILE_NAME as COSTS
from bench.records.cost import CostRecord, read_costs
from bench.records.files import RecordError, holds_records, read
from bench.records.keys import CellKey, cell_key, latest, probe_key, unlike_results
from bench.records.probe import FILE_NAME as PROBE_FILE
from bench.records.probe import ProbeRecord
from bench.records.run import FILE_NAME as RECORDS
from bench.records.run import RunRecord
from bench.records.sample import SAMPLES


@dataclass(frozen=True)
class Run:
    """The records of a run, or of several that stand together.

    Attributes:
        name: As it was passed.
        records: The last one of each cell.
        probes: The last of each value that probes measured on the weights of the records.
        costs: What was measured beside the trainings.
        folder: Where its files are, samples among them; None for records without files.
    """

    name: str
    records: list[RunRecord]
    probes: list[ProbeRecord]
    costs: list[CostRecord]
    folder: Path | None


def load_records(path: Path | str) -> list[RunRecord]:
    """The records of a run, the last one of each cell.

    Args:
        path: A run's folder, a file of records, or a folder of such files.

    Raises:
        RecordError: The path holds no records, or they cannot be read; the message names what to pass instead.
    """
    return read_run(Path(path)).records


def read_runs(paths: Iterable[Path]) -> list[Run]:
    """The runs at some paths; a folder of runs stands for each of them.

    Raises:
        RecordError: A path holds no records, or they cannot be read; the message names what to pass instead.
    """
    return [read_run(run) for path in paths for run in _runs_in(path) or [path]]


def read_run(path: Path) -> Run:
    """The run at a path: its folder, a file of records, or a folder of such files as ``results/baseline``.

    What belongs to ``records.jsonl`` is in ``probes.jsonl`` and ``costs.jsonl`` beside it, and what belongs to
    ``<name>.jsonl`` in ``<name>.probes.jsonl`` and ``<name>.costs.jsonl``.

    Raises:
        RecordError: The path holds no records, or they cannot be read; the message names what to pass instead.
    """
    if not path.exists():
        raise RecordError(
            f"{path}: there is no file or folder of this name; pass the folder of a run, or a file of records"
        )
    if runs := _runs_in(path):
        if len(runs) > 1:
            raise RecordError(f"{path}: a folder of {len(runs)} runs; pass one of them, such as {runs[0]}")
        (path,) = runs
    folder = path if path.is_dir() else path.parent
    files = _files_in(path) if path.is_dir() else [_main(path)]
    records = _together({file: latest(read(file, RunRecord)) for file in files if file.is_file()})
    probes = [p for file in files if (own := _beside(file, PROBE_FILE)).is_file() for p in read(own, ProbeRecord)]
    costs = [cost for file in files if (own := _beside(file, COSTS)).is_file() for cost in read_costs(own)]
    if not (records or probes or costs):
        raise RecordError(f"{path}: holds no records; pass the folder of a run in which a benchmark has ended")
    return Run(str(path), records, _of_weights(probes, records), costs, folder)


def _of_weights(probes: Sequence[ProbeRecord], records: Sequence[RunRecord]) -> list[ProbeRecord]:
    """The last of each value of probes, without those of weights whose record was replaced by another one."""
    weights = {cell_key(record): record.weights_sha256 for record in records}
    current = (
        probe for probe in probes if weights.get(cell_key(probe), probe.weights_sha256) == probe.weights_sha256
    )
    return list({probe_key(probe): probe for probe in current}.values())


def _together(files: Mapping[Path, Sequence[RunRecord]]) -> list[RunRecord]:
    """The records of several files, each cell once.

    Raises:
        RecordError: Two files, such as a run's and an older copy of it, have different results of a cell.
    """
    first: dict[CellKey, tuple[RunRecord, Path]] = {}
    for file, records in files.items():
        for record in records:
            earlier, where = first.setdefault(cell_key(record), (record, file))
            if unlike_results(earlier, record):
                raise RecordError(
                    f"{where} and {file} have different results of {record.label}, seed {record.seed}; pass one "
                    "of the files, or move one to another folder"
                )
    return [record for record, _ in first.values()]


def _beside(file: Path, kind: str) -> Path:
    """The file of probes or costs that belongs to a file of records."""
    return file.with_name(kind if file.name == RECORDS else f"{file.stem}.{kind}")


def _main(file: Path) -> Path:
    """The file of records that a file belongs to; itself for a file of records."""
    for kind in (PROBE_FILE, COSTS):
        if file.name == kind:
            return file.with_name(RECORDS)
        if file.name.endswith(f".{kind}"):
            return file.with_name(f"{file.name.removesuffix(kind)}jsonl")
    return file


def _files_in(folder: Path) -> list[Path]:
    """The files of records in a folder, including those of which only probes or costs exist."""
    return list(dict.fromkeys(_main(file) for file in sorted(folder.glob("*.jsonl"))))


def _runs_in(path: Path) -> list[Path]:
    """The folders of runs in a folder that is not one itself; those in which nothing has ended are left out."""
    if not path.is_dir() or _files_in(path):
        return []
    folders = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and folder.name != SAMPLES]
    return [folder for folder in folders if any(map(holds_records, folder.glob("*.jsonl")))]
