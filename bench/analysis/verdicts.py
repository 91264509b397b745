"""Is A better than B? Verdicts on values paired by seed, for all the comparisons of one table together.

Equivalence is tested first: a significant difference below the margin counts as no difference.

- ``no difference larger than d``: two one-sided tests rule out every difference of d or more.
- ``A better`` and ``B better``: the paired t test rules out that there is no difference.
- ``undecided``: everything else, with the number of seeds that would probably decide it, if any would.
- ``not judged``: the metric has no direction.

P values are adjusted by Holm's method over the table. Metrics that do not depend on the seed
(``Metric.comparison`` is "exact") are decided by one run, without a test.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import exp, isnan, log1p, nan

import numpy as np

from bench.analysis.formats import margin
from bench.analysis.quantities import Quantity, Run
from bench.analysis.statistics import (
    ALPHA,
    FEWEST_SEEDS,
    MOST_SEEDS,
    NOTHING,
    Floats,
    Interval,
    bootstrap_interval,
    difference_p,
    equivalence_p,
    holm,
    mean_interval,
    not_worse_p,
    probability_better,
    seeds_needed,
)
from bench.records import Metric, same_data
from bench.records.keys import same_device

CLEAR = 0.75
"""P(A beats B) from which Bouthillier et al. 2021 (arXiv 2103.03098) call a difference meaningful."""


class Outcome(StrEnum):
    """The result of a comparison."""

    A_BETTER = "A better"
    B_BETTER = "B better"
    SAME = "no difference"
    UNDECIDED = "undecided"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Pairing:
    """One metric of the models named ``a`` and ``b``, with one value per seed in the same order of seeds."""

    a: str
    b: str
    metric: Metric
    values_a: tuple[float, ...]
    values_b: tuple[float, ...]

    @property
    def n(self) -> int:
        """The number of pairs."""
        return len(self.values_a)

    @property
    def exact(self) -> bool:
        """Whether the metric does not depend on the seed, so that one run decides."""
        return self.metric.comparison == "exact"

    @property
    def can_decide(self) -> bool:
        """Whether the metric has a direction and there are enough seeds for a verdict."""
        return self.metric.higher_is_better is not None and self.n >= (1 if self.exact else FEWEST_SEEDS)

    @property
    def advantages(self) -> Floats:
        """By how much A is better, (n,) differences or logarithms of ratios; A - B if there is no direction."""
        a, b = np.asarray(self.values_a, dtype=float), np.asarray(self.values_b, dtype=float)
        distance: Floats = np.log(a) - np.log(b) if self.metric.ratio else a - b
        return -distance if self.metric.higher_is_better is False else distance

    @property
    def threshold(self) -> float:
        """The margin on the scale of ``advantages``."""
        return log1p(self.metric.margin) if self.metric.ratio else self.metric.margin

    def effect(self, advantage: Interval) -> Interval:
        """An interval of advantages as one of A - B or A / B."""
        mean, low, high = advantage.mean, advantage.low, advantage.high
        if self.metric.higher_is_better is False:
            mean, low, high = -mean, -high, -low
        if self.metric.ratio:
            mean, low, high = exp(mean), exp(low), exp(high)
        return Interval(mean, low, high, advantage.n)


@dataclass(frozen=True)
class Verdict:
    """The result of a comparison, among the others of its table.

    Attributes:
        pairing: What was compared.
        outcome: In a word.
        effect: Mean of A - B with its t interval; of a ratio, the geometric mean of A / B.
        probability: P(A beats B).
        difference_p: That there is no difference; adjusted for the table, nan where nothing was tested.
        equivalence_p: That there is one of the margin or more; likewise.
        not_worse_p: That A is worse by the margin or more; likewise.
        more_seeds: How many more would probably decide; 0 if none would, ``MOST_SEEDS + 1`` for more than
            MOST_SEEDS.
    """

    pairing: Pairing
    outcome: Outcome
    effect: Interval
    probability: Interval
    difference_p: float
    equivalence_p: float
    not_worse_p: float
    more_seeds: int

    @property
    def words(self) -> str:
        """The verdict as it is printed."""
        match self.outcome:
            case Outcome.SAME if self.pairing.metric.margin == 0:
                return "equal"
            case Outcome.SAME:
                return f"no difference larger than {margin(self.pairing.metric)}"
            case Outcome.UNDECIDED if self.more_seeds:
                return f"undecided: {seeds_text(self.more_seeds)} would be needed"
        return self.outcome.value

    @property
    def effect_text(self) -> str:
        """The effect with its interval."""
        if not self.effect.n:
            return "-"
        mean, ends = self._text(self.effect.mean), self._ends(self.effect)
        return f"{mean} ({ends})" if ends else mean

    @cached_property
    def bootstrap(self) -> Interval:
        """The effect with the bootstrap's interval, shown to the reader; no verdict depends on it."""
        return self.pairing.effect(bootstrap_interval(self.pairing.advantages))

    @property
    def bootstrap_text(self) -> str:
        """The bootstrap's interval."""
        return self._ends(self.bootstrap) or "-"

    def _ends(self, interval: Interval) -> str:
        return "" if isnan(interval.low) else f"{self._text(interval.low)} to {self._text(interval.high)}"

    def _text(self, value: float) -> str:
        """A signed difference, or a ratio."""
        metric = self.pairing.metric
        # Means of equal values differ by what adding them rounds; + 0.0 turns -0.0 into 0.0.
        return f"{value:.3g}" if metric.ratio else f"{round(value / metric.scale, 12) + 0.0:+.2g}"


def seeds_text(more: int) -> str:
    """A number of further seeds, in words."""
    if more > MOST_SEEDS:
        return f"more than {MOST_SEEDS} more seeds"
    return f"{more} more seed{'' if more == 1 else 's'}"


def pair(a: str, b: str, quantity: Quantity, runs_a: Mapping[int, Run], runs_b: Mapping[int, Run]) -> Pairing:
    """The models named ``a`` and ``b``, with runs by seed, over the seeds that both have the quantity of.

    Runs of one seed that did not see the same data are no pair, nor are times or memory of two device models.
    """
    pairs = [
        (float(x), float(y))
        for seed in sorted(runs_a.keys() & runs_b.keys())
        if same_data(runs_a[seed].record, runs_b[seed].record)
        and (not quantity.metric.per_machine or same_device(runs_a[seed].record, runs_b[seed].record))
        and (x := quantity.of(runs_a[seed])) is not None
        and (y := quantity.of(runs_b[seed])) is not None
    ]
    return Pairing(a, b, quantity.metric, tuple(x for x, _ in pairs), tuple(y for _, y in pairs))


def judge(pairings: Iterable[Pairing]) -> list[Verdict]:
    """A verdict on each of a table's comparisons, in the same order.

    The chance that one of the table's comparisons without any difference is called better for one side is at most
    5%, and so is the chance that one with a difference of the margin or more is called the same.
    """
    pairings = list(pairings)
    tested = [pairing for pairing in pairings if pairing.can_decide and not pairing.exact]
    p_values = zip(
        holm([float(difference_p(pairing.advantages)) for pairing in tested]),
        holm([float(equivalence_p(pairing.advantages, pairing.threshold)) for pairing in tested]),
        holm([float(not_worse_p(pairing.advantages, pairing.threshold)) for pairing in tested]),
        strict=True,
    )
    return [
        _verdict(
            pairing,
            next(p_values) if pairing.can_decide and not pairing.exact else _exact_p(pairing),
            ALPHA / max(1, len(tested)),
        )
        for pairing in pairings
    ]


def _exact_p(pairing: Pairing) -> tuple[float, float, float]:
    """The p values of a metric without chance, 0 or 1; nan where nothing can be said."""
    if not pairing.can_decide:
        return nan, nan, nan
    advantages, threshold = pairing.advantages, pairing.threshold
    mean, largest = advantages.mean(), abs(advantages).max()
    return float(abs(mean) <= threshold), float(largest > threshold), float(mean < -threshold)


def _verdict(pairing: Pairing, p: tuple[float, float, float], alpha: float) -> Verdict:
    difference, equivalence, not_worse = p
    outcome = _outcome(pairing, difference, equivalence)
    probability, direction = NOTHING, pairing.metric.higher_is_better
    if direction is not None:
        probability = probability_better(pairing.values_a, pairing.values_b, higher_is_better=direction)
    return Verdict(
        pairing,
        outcome,
        effect=pairing.effect(mean_interval(pairing.advantages)),
        probability=probability,
        difference_p=difference,
        equivalence_p=equivalence,
        not_worse_p=not_worse,
        more_seeds=_more_seeds(pairing, alpha) if outcome is Outcome.UNDECIDED else 0,
    )


def _outcome(pairing: Pairing, difference: float, equivalence: float) -> Outcome:
    if pairing.metric.higher_is_better is None:
        return Outcome.NOT_JUDGED
    advantages = pairing.advantages
    # A margin of 0 cannot be tested; runs that agree to the bit are equal without a test.
    if equivalence <= ALPHA or (pairing.can_decide and not advantages.any()):
        return Outcome.SAME
    if difference <= ALPHA:
        return Outcome.A_BETTER if advantages.mean() > 0 else Outcome.B_BETTER
    return Outcome.UNDECIDED


def _more_seeds(pairing: Pairing, alpha: float) -> int:
    """How many further seeds would see the observed difference, or the margin if that is larger."""
    if pairing.exact:
        return 0 if pairing.n else 1
    if pairing.n < 2:
        return FEWEST_SEEDS - pairing.n
    advantages = pairing.advantages
    sought = max(abs(float(advantages.mean())), pairing.threshold)
    needed = seeds_needed(float(advantages.std(ddof=1)), sought, alpha=alpha)
    return needed if needed > MOST_SEEDS else max(needed - pairing.n, FEWEST_SEEDS - pairing.n, 1)
