"""A run beside the last good one: what a nightly job says of itself, and the records it is compared with.

The last good records lie in a folder of their own, a file for each profile and device, so that runs are compared
with what the same machine did before.
"""

from collections.abc import Sequence
from pathlib import Path

from bench.analysis import gate
from bench.analysis.comparison import compare, comparison_table
from bench.analysis.gate import Rule
from bench.analysis.history import conditions
from bench.harness.options import slug
from bench.records import run as records
from bench.records.run import COMPLETED, RecordError, RunRecord
from bench.tables.tabulation import tables_by_study


def last_good_path(folder: Path, found: Sequence[RunRecord]) -> Path:
    """Where the last good records of these records' profile and device lie.

    Raises:
        RecordError: the records are of several profiles or devices.
    """
    return folder / f"{slug('-'.join(conditions(found)))}.jsonl"


def last_good(folder: Path, found: Sequence[RunRecord]) -> list[RunRecord]:
    """The last good records to compare these with; none before the first good run.

    Raises:
        RecordError: they cannot be read, or the records are of several profiles or devices.
    """
    path = last_good_path(folder, found)
    return records.read(path) if path.exists() else []


def keep(folder: Path, found: Sequence[RunRecord]) -> Path:
    """Make these records the last good ones of their profile and device, and return their file.

    The file is replaced in one step, so that whoever reads it finds the old records or the new ones.

    Raises:
        RecordError: a cell was not completed, or the records are of several profiles or devices.
    """
    unfinished = shortcomings((), [], found)
    if unfinished:
        raise RecordError(f"not kept as good: {'; '.join(unfinished)}")
    path = last_good_path(folder, found)
    folder.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    for record in found:
        records.append(beside, record)
    beside.replace(path)
    return path


def shortcomings(rules: Sequence[Rule], before: Sequence[RunRecord], now: Sequence[RunRecord]) -> list[str]:
    """Why a run is no good one, a sentence each: cells that were not completed, and rules that are broken."""
    unfinished = [
        f"{record.study}: {record.model} (seed {record.seed}) {record.status}, {record.error}"
        for record in records.latest(now)
        if record.status != COMPLETED
    ]
    return unfinished + (gate.violations(rules, before, now) if before else [])


def summary(rules: Sequence[Rule], before: Sequence[RunRecord], now: Sequence[RunRecord]) -> str:
    """What there is to say of a run in the morning, in Markdown: verdict, comparison, tables."""
    found = shortcomings(rules, before, now)
    parts = ["## " + ("No good run" if found else "A good run")]
    parts += ["\n".join(f"- {sentence}" for sentence in found)] if found else []
    if before:
        comparison = compare(before, now)
        table = comparison_table(comparison)
        days = sorted({record.started_at[:10] for record in before})
        parts.append(f"Compared with the last good run, of {' to '.join(dict.fromkeys((days[0], days[-1])))}.")
        parts += [f"```\n{warning}\n```" for warning in comparison.warnings]
        parts += [f"- not judged everywhere: {sentence}" for sentence in gate.unjudged(rules, before, now)]
        parts.append(table.markdown() if table else "The two runs have no cell in common.")
    else:
        parts.append("No earlier good run of this profile on this device; nothing was compared.")
    for study, tables in tables_by_study(now).items():
        parts.append(f"### {study}")
        parts += [table.markdown() for table in tables]
    return "\n\n".join(parts) + "\n"
