"""A run as points of a history: what github-action-benchmark takes as ``customSmallerIsBetter``.

Every figure is better when it is smaller, so accuracy is kept as error rate. The name of a figure is its place in
the history and never depends on what else was run. Pure: nothing is read, measured or printed here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from bench.records.run import COMPLETED, RecordError, RunRecord

Entry = dict[str, str | float]
"""``name``, ``unit``, ``value``, ``extra``, and ``range`` where there are several seeds."""


@dataclass(frozen=True)
class Figure:
    """One quantity of a model.

    Attributes:
        name: how the names of its entries end.
        unit: of its values.
        field: of a record.
        value: of that field.
    """

    name: str
    unit: str
    field: str
    value: Callable[[Any], float]


FIGURES = (
    Figure("validation loss", "nats", "best_valid_loss", float),
    Figure("error rate", "%", "valid_accuracy", lambda accuracy: 100 * (1 - accuracy)),
    Figure("epoch time", "s", "epoch_seconds", median),
    Figure("peak memory", "MB", "peak_memory_bytes", lambda size: size / 1e6),
)
"""Epoch time is the median of a run's epochs; memory is of one training step."""


def history(records: Sequence[RunRecord]) -> list[Entry]:
    """The figures of every model that was completed, in the order of the records.

    A value is the mean over the seeds, its range goes from the lowest seed to the highest. Of several records of
    one cell the last counts.

    Raises:
        RecordError: the records are of different profiles or devices, which have no history in common.
    """
    profile, device = conditions(records)
    models: dict[str, dict[int, RunRecord]] = {}
    for record in records:
        if record.status == COMPLETED:
            place = "/".join(filter(None, (record.study, record.variant, record.dataset, record.model)))
            models.setdefault(place, {})[record.seed] = record
    return [
        entry
        for place, seeds in models.items()
        for entry in _entries(place, list(seeds.values()), f"profile: {profile}\ndevice: {device}")
    ]


def conditions(records: Sequence[RunRecord]) -> tuple[str, str]:
    """The profile and the name of the device that all records share.

    Raises:
        RecordError: they do not.
    """
    found = {(record.profile, str(record.environment["device_name"])) for record in records}
    if len(found) != 1:
        kinds = "; ".join(f"{profile} on {device}" for profile, device in sorted(found)) or "none"
        raise RecordError(f"records of one profile on one device are needed, not of several ({kinds})")
    return found.pop()


def _entries(place: str, records: Sequence[RunRecord], under: str) -> Iterator[Entry]:
    seeds = ", ".join(str(record.seed) for record in records)
    commits = ", ".join(dict.fromkeys(str(record.environment["commit"]) for record in records))
    for figure in FIGURES:
        values = [figure.value(getattr(record, figure.field)) for record in records]
        entry: Entry = {
            "name": f"{place} {figure.name}",
            "unit": figure.unit,
            "value": fmean(values),
            "extra": f"{under}\nseeds: {seeds}\ncommit: {commits}",
        }
        if len(values) > 1:
            entry["range"] = f"{min(values):.4g} to {max(values):.4g}"
        yield entry
