"""Two models over the seeds that both were run with: one value of each per seed, in the same order.

What is no pair is decided here: runs that saw different data, times of different devices, and runs that did not
learn where the quantity is about models that did.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, isnan, log1p, nan

import numpy as np

from bench.analysis.formats import beside
from bench.analysis.quantities import Quantity, Run, learned
from bench.analysis.resampling import ratio_of, ratios
from bench.analysis.statistics import FEWEST_SEEDS, Floats, Interval
from bench.metrics import reported_part
from bench.records import COMPLETED, Metric, same_data
from bench.records.keys import same_device


@dataclass(frozen=True)
class Pairing:
    """One metric of the models named ``a`` and ``b``, with one value per seed in the same order of seeds.

    Attributes:
        a: Name of a model; ``b`` likewise.
        metric: What is compared.
        values_a: One per seed; nan in both where the pair does not count. ``values_b`` likewise.
        seeds: Ascending; () where they are not known.
        ratios: Of each seed, reported pairs per training pair if seeds divide the same pairs again and again;
            0, or () for all, if each seed has pairs of its own.
        yes_or_no: Whether values are 1 and 0 alone.
    """

    a: str
    b: str
    metric: Metric
    values_a: tuple[float, ...]
    values_b: tuple[float, ...]
    seeds: tuple[int, ...] = ()
    yes_or_no: bool = False
    ratios: tuple[float, ...] = ()

    @property
    def n(self) -> int:
        """The number of seeds."""
        return len(self.values_a)

    @property
    def ratio(self) -> float:
        """The largest of the ratios; 0 if each seed has pairs of its own."""
        return max(self.ratios, default=0.0)

    @property
    def names(self) -> str:
        """What is compared: A - B, or A / B of a ratio, what both names share once."""
        return beside(self.a, self.b, "/" if self.metric.ratio else "-")

    @property
    def counted(self) -> int:
        """The number of them whose pair counts."""
        return sum(not isnan(value) for value in self.values_a)

    @property
    def counted_seeds(self) -> list[int]:
        """The seeds, where they are known, whose pair counts."""
        return [seed for seed, value in zip(self.seeds, self.values_a, strict=False) if not isnan(value)]

    @property
    def exact(self) -> bool:
        """Whether the metric does not depend on the seed, so that one run decides."""
        return self.metric.comparison == "exact"

    @property
    def can_decide(self) -> bool:
        """Whether the metric has a direction and there are enough seeds for a verdict."""
        return self.metric.higher_is_better is not None and self.counted >= (1 if self.exact else FEWEST_SEEDS)

    @cached_property
    def differences(self) -> Floats:
        """By how much A is better, (n,) differences or logarithms of ratios; A - B if there is no direction.

        nan for pairs that do not count.
        """
        a, b = np.asarray(self.values_a, dtype=float), np.asarray(self.values_b, dtype=float)
        distance: Floats = np.log(a) - np.log(b) if self.metric.ratio else a - b
        return -distance if self.metric.higher_is_better is False else distance

    @property
    def advantages(self) -> Floats:
        """The differences of the pairs that count."""
        return self.differences[~np.isnan(self.differences)]

    @property
    def threshold(self) -> float:
        """The margin on the scale of ``differences``."""
        return log1p(self.metric.margin) if self.metric.ratio else self.metric.margin

    def first(self, n: int) -> "Pairing":
        """The same over the first n seeds; nothing of it depends on the others."""
        if n >= self.n:
            return self
        return replace(
            self,
            values_a=self.values_a[:n],
            values_b=self.values_b[:n],
            seeds=self.seeds[:n],
            ratios=self.ratios[:n],
        )

    def effect(self, advantage: Interval) -> Interval:
        """An interval of advantages as one of A - B or A / B."""
        mean, low, high = advantage.mean, advantage.low, advantage.high
        if self.metric.higher_is_better is False:
            mean, low, high = -mean, -high, -low
        if self.metric.ratio:
            mean, low, high = exp(mean), exp(low), exp(high)
        return Interval(mean, low, high, advantage.n)


def pair(a: str, b: str, quantity: Quantity, runs_a: Mapping[int, Run], runs_b: Mapping[int, Run]) -> Pairing:
    """The models named ``a`` and ``b``, with runs by seed, over the seeds that both were run with.

    Runs of one seed that did not see the same data are no pair, nor are times or memory of two device models.
    Pairs that lack the quantity, such as times that other processes disturbed, keep their place and do not count,
    so that the seeds of a look stay the same when a time is measured again. So do pairs in which a model did not
    learn, or diverged, where the quantity is about models that did. Where no pair was measured there is none.
    """
    values: dict[int, tuple[float, float] | None] = {}
    for seed in sorted(runs_a.keys() & runs_b.keys()):
        both = (runs_a[seed], runs_b[seed])
        if not _comparable(quantity, *both):
            continue
        if _left_out(quantity, both):
            values[seed] = (nan, nan)
        else:
            x, y = map(quantity.of, both)
            values[seed] = None if x is None or y is None else (float(x), float(y))
    if not any(values.values()):
        values = {}
    pairs = [value or (nan, nan) for value in values.values()]
    of_seeds = tuple(ratio_of(quantity.metric, r) for r in ratios(runs_a[seed].record for seed in values))
    return Pairing(
        a,
        b,
        quantity.metric,
        tuple(x for x, _ in pairs),
        tuple(y for _, y in pairs),
        tuple(values),
        quantity.yes_or_no,
        of_seeds,
    )


def _comparable(quantity: Quantity, one: Run, other: Run) -> bool:
    records = (one.record, other.record)
    if quantity.metric.per_machine and not same_device(*records):
        return False
    parts = {reported_part([record]) for record in records if record.status == COMPLETED}
    return same_data(*records) and len(parts) < 2


def over(one: Pairing, other: Pairing, alike: Collection[int]) -> Pairing:
    """The difference of two models, or their ratio, compared with that of two others over the common seeds.

    Args:
        one: The two models.
        other: The two others.
        alike: The seeds of which both pairs saw the same data.
    """
    sides = [dict(zip(pairing.seeds, _effects(pairing), strict=True)) for pairing in (one, other)]
    of_seeds = [
        dict(zip(pairing.seeds, pairing.ratios or (0.0,) * pairing.n, strict=True)) for pairing in (one, other)
    ]
    seeds = tuple(seed for seed in one.seeds if seed in sides[1] and seed in alike)
    pairs = [(sides[0][seed], sides[1][seed]) for seed in seeds]
    pairs = [(nan, nan) if isnan(sum(pair)) else pair for pair in pairs]
    return Pairing(
        f"{one.a} over {one.b}",
        f"{other.a} over {other.b}",
        one.metric,
        tuple(value for value, _ in pairs),
        tuple(value for _, value in pairs),
        seeds,
        ratios=tuple(max(of_side[seed] for of_side in of_seeds) for seed in seeds),
    )


def _effects(pairing: Pairing) -> list[float]:
    values = zip(pairing.values_a, pairing.values_b, strict=True)
    return [a / b if pairing.metric.ratio else a - b for a, b in values]


def _left_out(quantity: Quantity, runs: Iterable[Run]) -> bool:
    if quantity.of_diverged:
        return False
    return any(
        run.record.status != COMPLETED or (quantity.if_learned and learned(run.record) is False) for run in runs
    )
