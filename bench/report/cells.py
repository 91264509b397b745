"""The table of all cells: what was measured, and how to run each cell again."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis import formats
from bench.analysis.frames import outcomes
from bench.metrics import value
from bench.records import Metric, RunRecord


@dataclass(frozen=True)
class Cell:
    """One record as the table shows it.

    Attributes:
        run: The name of its run.
        record: The record.
        values: Of ``outcomes`` of all records, as text.
        commit: What the cell was run from.
        caveats: What the command needs, or what keeps it from giving the same result; a clause each.
    """

    run: str
    record: RunRecord
    values: list[str]
    commit: str
    caveats: list[str]


def cells(records: Sequence[RunRecord], runs: Sequence[str]) -> list[Cell]:
    """The cells of some records.

    Args:
        records: Comparable ones.
        runs: The name of the run of each.
    """
    metrics = outcomes(records)
    return [
        Cell(run, record, [_text(metric, record) for metric in metrics], _commit(record), _caveats(record))
        for record, run in zip(records, runs, strict=True)
    ]


def _text(metric: Metric, record: RunRecord) -> str:
    number = value(record, metric.name)
    return "-" if number is None else formats.text(metric, number)


def _commit(record: RunRecord) -> str:
    commit = str(record.environment.get("commit") or "unknown")[:12]
    return f"{commit}, with changes" if record.environment.get("dirty") else commit


def _caveats(record: RunRecord) -> list[str]:
    caveats = [] if record.command else ["not run by a command"]
    if not record.environment.get("commit"):
        caveats.append("the commit is unknown")
    if record.environment.get("dirty"):
        caveats.append("the checkout had uncommitted changes")
    if not record.simulated:
        caveats.append(f"needs the files of {record.dataset}")
    if record.plugins:
        caveats.append(f"needs the plug-ins {', '.join(record.plugins)}")
    return caveats
