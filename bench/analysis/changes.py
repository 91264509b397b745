"""One metric of one row in two runs, and what its change means: the verdicts of a comparison.

Equal code, data, protocol and machine give equal bits, so a difference of losses always has a cause; a verdict
says whether it is more than the seeds' spread. Times spread by themselves, so theirs is that of the epochs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from statistics import fmean, median

import numpy as np

from bench.analysis.statistics import CONFIDENCE, FEWEST_SEEDS, Interval, paired_difference
from bench.records.run import RunRecord
from bench.tables import COLUMN, Column

SAME, CHANGED, BETTER, WORSE = "same", "changed", "better", "worse"
WITHIN_NOISE, NOT_JUDGED = "within noise", "not judged"

TIME_TOLERANCE = 0.1
"""Share by which times of two sessions of one machine may differ for reasons of the machine's own."""


@dataclass(frozen=True)
class Metric:
    """One quantity that is compared.

    Attributes:
        column: its field in records, its title, and how it is written.
        value: of one record; None where the record does not have it.
        samples: of one record, the values whose median counts and whose quartiles show the spread; none where the
            mean over seeds counts.
        higher_is_better: its direction; None where more is neither better nor worse.
        of_machine: whether it depends on the machine, so that values of different ones are not judged.
        judge: values a seed before and now -> verdict, for values that differ.
    """

    column: Column
    value: Callable[[RunRecord], float | None]
    samples: Callable[[RunRecord], Sequence[float]]
    higher_is_better: bool | None
    of_machine: bool
    judge: Callable[["Change"], str]

    @property
    def name(self) -> str:
        """The record's field."""
        return self.column.field

    def better_or_worse(self, difference: float) -> str:
        """What a difference now - before means for this metric; changes that cancel out mean neither."""
        if self.higher_is_better is None or difference == 0:
            return CHANGED
        return BETTER if (difference > 0) == self.higher_is_better else WORSE


@dataclass(frozen=True)
class Change:
    """One metric of one row in two runs.

    Attributes:
        row: the model, with whatever tells it from other rows, and its seeds.
        metric: what is compared.
        seeds: those that both runs completed, ascending.
        before: a value a seed.
        now: a value a seed.
        samples_before: all values that show the spread, of all seeds; empty where there are none.
        samples_now: likewise.
        comparable: whether the runs' machines allow a verdict.
    """

    row: str
    metric: Metric
    seeds: tuple[int, ...]
    before: tuple[float, ...]
    now: tuple[float, ...]
    samples_before: tuple[float, ...]
    samples_now: tuple[float, ...]
    comparable: bool

    @property
    def center_before(self) -> float:
        """The median of the samples, or the mean over seeds of what has none."""
        return median(self.samples_before) if self.samples_before else fmean(self.before)

    @property
    def center_now(self) -> float:
        """Likewise, of the later run."""
        return median(self.samples_now) if self.samples_now else fmean(self.now)

    @property
    def difference(self) -> Interval:
        """Now - before: of means with an interval, paired by seed; of medians without one."""
        if self.samples_now:
            return Interval(self.center_now - self.center_before, nan, nan, len(self.seeds))
        return paired_difference(self.now, self.before, CONFIDENCE)

    @property
    def verdict(self) -> str:
        """Same, better, worse, changed (neither, or too few seeds to say), within noise, or not judged."""
        if not self.comparable:
            return NOT_JUDGED
        return SAME if self.before == self.now else self.metric.judge(self)


def _by_seeds(change: Change) -> str:
    """Judged by the interval of the differences between runs of one seed; fewer seeds decide nothing."""
    if len(change.seeds) < FEWEST_SEEDS:
        return CHANGED
    difference = change.difference
    return change.metric.better_or_worse(difference.mean) if difference.excludes_zero() else WITHIN_NOISE


def _exactly(change: Change) -> str:
    """Judged as it is: the same code gives the same value."""
    return change.metric.better_or_worse(change.difference.mean)


def _by_quartiles(change: Change) -> str:
    """Judged where it is beyond the tolerance and the middle halves of all samples lie apart."""
    low_before, high_before = quartiles(change.samples_before)
    low_now, high_now = quartiles(change.samples_now)
    overlap = low_now <= high_before and low_before <= high_now
    small = abs(change.difference.mean) <= TIME_TOLERANCE * change.center_before
    return WITHIN_NOISE if overlap or small else change.metric.better_or_worse(change.difference.mean)


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The first and the third quartile, interpolated."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(low), float(high)


def _no_samples(_: RunRecord) -> Sequence[float]:
    return ()


def _of_seeds(field: str, *, higher_is_better: bool) -> Metric:
    return Metric(
        column=COLUMN[field],
        value=lambda record: getattr(record, field),
        samples=_no_samples,
        higher_is_better=higher_is_better,
        of_machine=False,
        judge=_by_seeds,
    )


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _of_seeds("best_valid_loss", higher_is_better=False),
        _of_seeds("valid_accuracy", higher_is_better=True),
        Metric(
            column=COLUMN["parameters"],
            value=lambda record: record.parameters,
            samples=_no_samples,
            higher_is_better=None,
            of_machine=False,
            judge=_exactly,
        ),
        Metric(
            column=COLUMN["epoch_seconds"],
            value=lambda record: median(record.epoch_seconds),
            samples=lambda record: record.epoch_seconds,
            higher_is_better=False,
            of_machine=True,
            judge=_by_quartiles,
        ),
        Metric(
            column=COLUMN["train_seconds"],
            value=lambda record: record.train_seconds,
            samples=lambda record: [record.train_seconds or 0.0],
            higher_is_better=False,
            of_machine=True,
            judge=_by_quartiles,
        ),
        Metric(
            column=COLUMN["peak_memory_bytes"],
            value=lambda record: record.peak_memory_bytes,
            samples=_no_samples,
            higher_is_better=False,
            of_machine=True,
            judge=_exactly,
        ),
    )
}
"""By field, in the order of tables."""
