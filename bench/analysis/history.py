"""A run as points of a history: the input of github-action-benchmark's ``customSmallerIsBetter``.

Every series is better when it is smaller, so a share of which more is better, such as accuracy, is kept as its
distance from 100%. The name of a series is its place in the history and never depends on what else was run.
"""

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

from bench.analysis import formats
from bench.analysis.frames import completed, grouped, shown
from bench.metrics import value
from bench.records import Metric, RecordError, RunRecord

Entry = dict[str, str | float]
"""``name``, ``unit``, ``value``, ``extra``, and ``range`` where there are several seeds."""


def history(records: Sequence[RunRecord]) -> list[Entry]:
    """The series of every model that was completed, in the order of the records.

    Series are of the evaluated metrics that tables show, and of others whose declaration names one. A value is the
    mean over the seeds; its range goes from the lowest seed to the highest. Of several records of one cell the
    last counts.

    Raises:
        RecordError: The records are of different profiles or devices, which have no history in common.
    """
    profile, device = profile_and_device(records)
    models = grouped(completed(records), _place)
    metrics = [m for m in shown(records) if m.higher_is_better is not None and (m.history or m.part)]
    return [
        entry
        for place, seeds in models.items()
        for entry in _entries(place, seeds, metrics, f"profile: {profile}\ndevice: {device}")
    ]


def profile_and_device(records: Sequence[RunRecord]) -> tuple[str, str]:
    """The profile and the name of the device that all records share.

    Raises:
        RecordError: They share none.
    """
    kinds = {(record.profile, str(record.environment.get("device_name", "unknown"))) for record in records}
    if not kinds:
        raise RecordError(
            "records of trained models are needed, and the run has none; pass a run that trained some"
        )
    if len(kinds) > 1:
        words = "; ".join(f"{profile} on {device}" for profile, device in sorted(kinds))
        raise RecordError(
            f"records of one profile on one device are needed, not of several ({words}); pass a run of one"
        )
    return kinds.pop()


def _place(record: RunRecord) -> str:
    return "/".join(filter(None, (record.study, record.variant, record.dataset, record.model)))


def _entries(place: str, records: Sequence[RunRecord], metrics: Sequence[Metric], under: str) -> Iterator[Entry]:
    seeds = ", ".join(str(record.seed) for record in records)
    commits = ", ".join(dict.fromkeys(str(record.environment.get("commit")) for record in records))
    for metric in metrics:
        name, unit, smaller_is_better = _series(metric)
        values = [smaller_is_better(x) for r in records if (x := value(r, metric.name)) is not None]
        if not values:
            continue
        entry: Entry = {
            "name": f"{place} {metric.history or name}",
            "unit": unit,
            "value": fmean(values),
            "extra": f"{under}\nseeds: {seeds}\ncommit: {commits}",
        }
        if len(values) > 1:
            entry["range"] = f"{min(values):.4g} to {max(values):.4g}"
        yield entry


def _series(metric: Metric) -> tuple[str, str, Callable[[float], float]]:
    """Name, unit, and the function that makes smaller values better."""
    title, unit = formats.short_title(metric), formats.unit(metric)
    if not metric.higher_is_better:
        return title, unit, lambda x: x / metric.scale
    if metric.unit:
        return f"negative {title}", unit, lambda x: -x / metric.scale
    return f"100% - {title}", "%", lambda share: 100 * (1 - share)
