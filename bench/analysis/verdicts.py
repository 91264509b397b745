"""Is A better than B? Verdicts on values paired by seed.

- ``equivalent within d``: two one-sided tests rule out every difference of d or more (Schuirmann 1987). This comes
  first: a significant difference below the margin d counts as equivalent.
- ``A superior``, ``B superior``: the test rules out that there is no difference, and the observed one is d or
  more.
- ``direction only``: likewise, but the observed difference is below d.
- ``undecided``: everything else.
- ``not judged``: the metric has no direction.

Tests are exact sign flips where each seed has pairs of its own, and the corrected t test of Nadeau and Bengio
where seeds divide the same pairs. Margins of what is 1 or 0 are tested by binomial distributions. ``judge``
decides all comparisons of a table together (Holm 1979); ``follow`` decides one comparison in looks declared
beforehand. Metrics that do not depend on the seed (``Metric.comparison`` is "exact") are decided by one run,
without a test.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import isnan, nan

import numpy as np

from bench.analysis.formats import margin, significant
from bench.analysis.pairing import Pairing
from bench.analysis.sequential import Look, rarely_worse, resampled_p, resampled_t, sign_flips
from bench.analysis.statistics import (
    ALPHA,
    CONFIDENCE,
    FEWEST_SEEDS,
    NOTHING,
    Floats,
    Interval,
    bootstrap_interval,
    difference_p,
    holm,
    mean_interval,
    probability_better,
    three_outcomes,
)


class Outcome(StrEnum):
    """The result of a comparison."""

    A_SUPERIOR = "A superior"
    B_SUPERIOR = "B superior"
    A_AHEAD = "direction only: A better"
    B_AHEAD = "direction only: B better"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    NOT_JUDGED = "not judged"


A_BETTER = (Outcome.A_SUPERIOR, Outcome.A_AHEAD)
B_BETTER = (Outcome.B_SUPERIOR, Outcome.B_AHEAD)


@dataclass(frozen=True)
class Verdict:
    """The result of a comparison.

    Attributes:
        pairing: What was compared, with the seeds that were looked at.
        difference_p: That there is no difference. Among other comparisons of a table adjusted for their number;
            nan where nothing was tested.
        equivalence_p: That there is one of the margin or more; likewise.
        not_worse_p: That A is worse by the margin or more; likewise.
        differs: Whether the test rules out that there is no difference.
        equivalent: Whether the tests rule out a difference of the margin or more.
        not_worse: Whether the test rules out that A is worse by the margin or more.
        look: The number of the look that this is the result of, from 1 on; 0 where no looks were declared or
            reached.
    """

    pairing: Pairing
    difference_p: float
    equivalence_p: float
    not_worse_p: float
    differs: bool
    equivalent: bool
    not_worse: bool
    look: int = 0

    @property
    def outcome(self) -> Outcome:
        """In a word."""
        if self.pairing.metric.higher_is_better is None:
            return Outcome.NOT_JUDGED
        if self.equivalent:
            return Outcome.EQUIVALENT
        if not self.differs:
            return Outcome.UNDECIDED
        mean = self.pairing.advantages.mean()
        if abs(mean) >= self.pairing.threshold:
            return Outcome.A_SUPERIOR if mean > 0 else Outcome.B_SUPERIOR
        return Outcome.A_AHEAD if mean > 0 else Outcome.B_AHEAD

    @property
    def words(self) -> str:
        """The verdict as it is printed."""
        metric = self.pairing.metric
        match self.outcome:
            case Outcome.EQUIVALENT if metric.margin == 0:
                return "equal"
            case Outcome.EQUIVALENT:
                return f"equivalent within {margin(metric)}"
            case Outcome.A_AHEAD | Outcome.B_AHEAD:
                return f"{self.outcome.value} (below {margin(metric)})"
            case Outcome.UNDECIDED if not self.pairing.exact and self.pairing.counted < FEWEST_SEEDS:
                return f"undecided: fewer than {FEWEST_SEEDS} seeds"
        return self.outcome.value

    @cached_property
    def effect(self) -> Interval:
        """The mean of A - B with its t interval; of a ratio, the geometric mean of A / B."""
        return self._effect(CONFIDENCE)

    @cached_property
    def equivalence_effect(self) -> Interval:
        """The same with the 90% interval: within the margins where two t tests at 5% show equivalence."""
        return self._effect(1 - 2 * ALPHA)

    def _effect(self, confidence: float) -> Interval:
        pairing = self.pairing
        return pairing.effect(mean_interval(pairing.advantages, confidence=confidence, ratio=pairing.ratio))

    @cached_property
    def probability(self) -> Interval:
        """P(A beats B); NOTHING without a direction."""
        pairing, direction = self.pairing, self.pairing.metric.higher_is_better
        if direction is None:
            return NOTHING
        counts = ~np.isnan(pairing.differences)
        a, b = np.asarray(pairing.values_a)[counts], np.asarray(pairing.values_b)[counts]
        return probability_better(a, b, higher_is_better=direction)

    @property
    def probability_outcome(self) -> str:
        """What P(A beats B) says by itself (Bouthillier et al. 2021)."""
        return three_outcomes(self.probability)

    @property
    def t_p(self) -> float:
        """The p value of the t test that there is no difference, as a check; not adjusted."""
        pairing = self.pairing
        if pairing.exact or pairing.counted < 2:
            return nan
        if pairing.ratio:
            return resampled_p(pairing.advantages, pairing.ratio)
        return float(difference_p(pairing.advantages))

    @property
    def effect_text(self) -> str:
        """The effect with its interval."""
        return self._text(self.effect)

    @property
    def equivalence_text(self) -> str:
        """The 90% interval."""
        return self._ends(self.equivalence_effect) or "-"

    @cached_property
    def bootstrap(self) -> Interval:
        """The effect with the bootstrap's interval, shown to the reader; no verdict depends on it."""
        return self.pairing.effect(bootstrap_interval(self.pairing.advantages))

    def _text(self, interval: Interval) -> str:
        if not interval.n:
            return "-"
        mean, ends = self._value(interval.mean), self._ends(interval)
        return f"{mean} ({ends})" if ends else mean

    def _ends(self, interval: Interval) -> str:
        return "" if isnan(interval.low) else f"{self._value(interval.low)} to {self._value(interval.high)}"

    def _value(self, value: float) -> str:
        """A signed difference, or a ratio."""
        metric = self.pairing.metric
        # Means of equal values differ by what adding them rounds; + 0.0 turns -0.0 into 0.0.
        return (
            significant(value, 3) if metric.ratio else significant(round(value / metric.scale, 12) + 0.0, 2, "+")
        )


def judge(pairings: Iterable[Pairing]) -> list[Verdict]:
    """A verdict on each of a table's comparisons, in the same order.

    The chance that one of the table's comparisons without any difference is called better for one side is at most
    5%, and so is the chance that one with a difference of the margin or more is called equivalent.
    """
    pairings = list(pairings)
    tested = [pairing for pairing in pairings if pairing.can_decide and not pairing.exact]
    tests = (_differs, _equivalent, _not_worse)
    p_values = zip(*(holm([test(pairing) for pairing in tested]) for test in tests), strict=True)
    return [
        _exact(pairing) if pairing.exact or not pairing.can_decide else _tested(pairing, *next(p_values))
        for pairing in pairings
    ]


def _differs(pairing: Pairing) -> float:
    return _p(pairing, pairing.advantages, two_sided=True)


def _not_worse(pairing: Pairing) -> float:
    return _p(pairing, pairing.advantages)


def _equivalent(pairing: Pairing) -> float:
    return max(_not_worse(pairing), _p(pairing, -pairing.advantages))


def _p(pairing: Pairing, advantages: Floats, *, two_sided: bool = False) -> float:
    return _tests(pairing, advantages, (advantages.size,), two_sided=two_sided)[0].p


def _tested(pairing: Pairing, difference: float, equivalence: float, not_worse: float) -> Verdict:
    return Verdict(
        pairing,
        difference,
        equivalence,
        not_worse,
        differs=difference <= ALPHA,
        equivalent=equivalence <= ALPHA or _equal(pairing),
        not_worse=not_worse <= ALPHA,
    )


def untested(pairing: Pairing) -> Verdict:
    """The verdict where nothing is tested: undecided."""
    return Verdict(pairing, nan, nan, nan, differs=False, equivalent=False, not_worse=False)


def _exact(pairing: Pairing) -> Verdict:
    """The verdict on a metric without chance, with p values of 0 or 1; undecided where nothing can be said."""
    if not pairing.can_decide:
        return untested(pairing)
    advantages, threshold = pairing.advantages, pairing.threshold
    mean, largest = advantages.mean(), abs(advantages).max()
    differs, equivalent, not_worse = abs(mean) > threshold, largest <= threshold, mean >= -threshold
    return Verdict(
        pairing,
        float(not differs),
        float(not equivalent),
        float(not not_worse),
        differs=bool(differs),
        equivalent=bool(equivalent),
        not_worse=bool(not_worse),
    )


def follow(pairing: Pairing, looks: Sequence[int], settles: Callable[[Verdict], bool]) -> Verdict:
    """The verdict of the first look that settles a comparison, or of the last look that was reached.

    Over all looks, the chance that models without any difference are told apart is at most 5%, and so is the
    chance that a difference of the margin or more is ruled out. Nothing is adjusted for other comparisons.

    Args:
        pairing: With the values of all seeds so far; those after the look that settles it change nothing.
        looks: The declared numbers of seeds, increasing.
        settles: Whether a verdict answers what was asked.
    """
    if pairing.exact:
        return _exact(pairing)
    verdict = untested(pairing)
    if pairing.metric.higher_is_better is None:
        return verdict
    for number, look in enumerate((look for look in looks if look <= pairing.n), 1):
        seen = pairing.first(look)
        difference_p, differs = _crossed(seen, seen.differences, looks, two_sided=True)
        not_worse_p, not_worse = _crossed(seen, seen.differences, looks)
        not_better_p, not_better = _crossed(seen, -seen.differences, looks)
        verdict = Verdict(
            seen,
            difference_p,
            max(not_worse_p, not_better_p),
            not_worse_p,
            differs=differs,
            equivalent=(not_worse and not_better) or _equal(seen),
            not_worse=not_worse,
            look=number,
        )
        if settles(verdict):
            break
    return verdict


def _crossed(
    pairing: Pairing, differences: Floats, looks: Sequence[int], *, two_sided: bool = False
) -> tuple[float, bool]:
    """The p value at the last look that was reached, and whether it or one before rejects."""
    reached = _tests(pairing, differences, looks, two_sided=two_sided)
    return reached[-1].p, any(look.crossed for look in reached)


def _tests(pairing: Pairing, differences: Floats, looks: Sequence[int], *, two_sided: bool = False) -> list[Look]:
    """The looks reached of the test that there is no difference; one-sided, that it is -margin or less."""
    if two_sided:
        shifted = differences
    elif not pairing.threshold:
        return [Look(differences.size, 1.0, 0.0, crossed=False)]  # a margin of 0 cannot be tested
    elif pairing.yes_or_no and pairing.ratio:
        # How rare failures of seeds that divide the same pairs depend on each other is not known.
        return [Look(differences.size, 1.0, 0.0, crossed=False)]
    elif pairing.yes_or_no:
        return rarely_worse(differences, looks, pairing.threshold)
    else:
        shifted = differences + pairing.threshold
    if pairing.ratio:
        return resampled_t(shifted, looks, pairing.ratio, two_sided=two_sided)
    return sign_flips(shifted, looks, two_sided=two_sided)


def _equal(pairing: Pairing) -> bool:
    """Whether enough runs agree to the bit, which leaves no doubt unless there are only two values."""
    return pairing.can_decide and not pairing.yes_or_no and not pairing.advantages.any()
