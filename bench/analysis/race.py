"""How many times faster our training loop is than the reference loop, and how far their losses differ."""

from collections.abc import Iterable
from statistics import geometric_mean, median

from bench.records import RaceRecord


def ratios(record: RaceRecord) -> list[float]:
    """How many times longer the reference took, in each pair of neighboring epochs."""
    return [a / b for a, b in zip(record.reference_seconds, record.engine_seconds, strict=True)]


def ratio(record: RaceRecord) -> float:
    """The median of the ratios of one model."""
    return median(ratios(record))


def mean_ratio(records: Iterable[RaceRecord]) -> float:
    """The geometric mean over models; at least one."""
    return geometric_mean(ratio(record) for record in records)


def loss_differences(record: RaceRecord) -> list[float]:
    """The relative difference of the losses of each epoch."""
    return [
        abs(ours - reference) / abs(reference)
        for reference, ours in zip(record.reference_losses, record.engine_losses, strict=True)
    ]
