"""What the table of all cells shows of a record, and of how to run its cell again."""

from collections.abc import Iterable

from bench.analysis import formats
from bench.analysis.statistics import mean_interval
from bench.metrics import value
from bench.records import Metric, RunRecord


def measured(record: RunRecord, metric: Metric, decimals: int | None) -> str:
    """The value of a metric with the decimals of its column; "-" where the record lacks it."""
    number = value(record, metric.name)
    return "-" if number is None else formats.text(metric, number, decimals)


def decimals(records: Iterable[RunRecord], metrics: Iterable[Metric]) -> dict[str, int | None]:
    """Those of each metric's column, by its name; see ``formats.common_decimals``."""
    records = list(records)
    columns = {metric: [value(record, metric.name) for record in records] for metric in metrics}
    return {
        metric.name: formats.common_decimals(metric, [mean_interval([x]) for x in values if x is not None])
        for metric, values in columns.items()
    }


def commit(record: RunRecord) -> str:
    """What the cell was run from."""
    name = str(record.environment.get("commit") or "unknown")[:12]
    return f"{name}, with changes" if record.environment.get("dirty") else name


def caveats(record: RunRecord) -> list[str]:
    """What the command needs, or what keeps it from giving the same result; a clause each."""
    clauses = [] if record.command else ["not run by a command"]
    if not record.environment.get("commit"):
        clauses.append("the commit is unknown")
    if record.environment.get("dirty"):
        clauses.append("the checkout had uncommitted changes")
    if not record.simulated:
        clauses.append(f"needs the files of {record.dataset}")
    if record.plugins:
        clauses.append(f"needs the plug-ins {', '.join(record.plugins)}")
    return clauses
