"""The last good run of each profile and device, and why a run is not good.

The last good records are in a folder of their own, one file for each profile and device, so that runs are compared
with earlier ones of the same machine.
"""

from collections.abc import Sequence
from pathlib import Path

from bench.analysis import gate
from bench.analysis.comparison import Comparison, compare
from bench.analysis.gate import Rule
from bench.analysis.history import profile_and_device
from bench.records import RecordError, RunRecord, read, write_records
from fusiongauge import slug


def last_good_path(folder: Path, records: Sequence[RunRecord]) -> Path:
    """The file of the last good records of these records' profile and device.

    Raises:
        RecordError: The records are of several profiles or devices.
    """
    return folder / f"{slug('-'.join(profile_and_device(records)))}.jsonl"


def last_good(folder: Path, records: Sequence[RunRecord]) -> list[RunRecord]:
    """The last good records to compare these with; none before the first good run.

    Raises:
        RecordError: They cannot be read, or the records are of several profiles or devices.
    """
    path = last_good_path(folder, records)
    if folder.exists() and not folder.is_dir():
        raise RecordError(f"{folder}: this is not a folder; give the one in which good runs are kept")
    if not path.exists():
        return []
    if not (kept := read(path, RunRecord)):
        raise RecordError(f"{path}: holds no records; restore the file, or remove it to begin with a first run")
    return kept


def keep(folder: Path, records: Sequence[RunRecord]) -> Path:
    """Make these records the last good ones of their profile and device, and return their file.

    The file is replaced in one step, so that a reader sees either the old records or the new ones.

    Raises:
        RecordError: A cell was not completed, or the records are of several profiles or devices.
    """
    unfinished = shortcomings((), compare([], records))
    if unfinished:
        raise RecordError(f"not kept as good: {'; '.join(unfinished)}")
    path = last_good_path(folder, records)
    write_records(path, records)
    return path


def shortcomings(rules: Sequence[Rule], comparison: Comparison) -> list[str]:
    """Why a run is not good, a sentence each.

    Cells that were not completed, those among them that have no record at all; broken rules; and rules that could
    not be judged, as a run that nobody judged is not a good one.
    """
    absent = [f"{cells}: only in the last good run" for cells in comparison.only_before]
    return [*comparison.unfinished, *absent, *gate.broken(rules, comparison), *gate.missed(rules, comparison)]
