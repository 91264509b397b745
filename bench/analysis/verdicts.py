"""Is A better than B? Verdicts over runs paired by seed, for all the comparisons of one table together.

``A better`` and ``B better``: the paired t test, under Holm over the table, rules out that there is no difference.
``no difference larger than d``: two one-sided tests, under Holm over the table, rule out every difference of d or
more. This comes first: a difference that is sure but too small to matter is none. Everything else is undecided,
with the number of seeds that would probably decide it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import exp, isnan, nan

from bench.analysis.quantities import Quantity, Run
from bench.analysis.statistics import (
    ALPHA,
    FEWEST_SEEDS,
    MOST_SEEDS,
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

CLEAR = 0.75
"""P(A beats B) from which Bouthillier et al. 2021 (arXiv 2103.03098) call a difference meaningful."""


class Outcome(StrEnum):
    """What a comparison came to."""

    A_BETTER = "A better"
    B_BETTER = "B better"
    SAME = "no difference"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Comparison:
    """Two rows, and one quantity of their runs with the same seeds.

    Attributes:
        a: what A is called; ``b`` likewise.
        quantity: what they are compared in.
        values_a: a value a seed; ``values_b`` likewise, in the same order of seeds.
    """

    a: str
    b: str
    quantity: Quantity
    values_a: tuple[float, ...]
    values_b: tuple[float, ...]

    @property
    def n(self) -> int:
        """How many pairs."""
        return len(self.values_a)

    @property
    def advantages(self) -> Floats:
        """By how much A is better, (n,); see ``Quantity.advantages``."""
        return self.quantity.advantages(self.values_a, self.values_b)

    @property
    def can_decide(self) -> bool:
        """Whether there are enough seeds for a verdict."""
        return self.n >= (1 if self.quantity.exact else FEWEST_SEEDS)


@dataclass(frozen=True)
class Verdict:
    """What a comparison came to, among the others of its table.

    Attributes:
        comparison: what was compared.
        outcome: in a word.
        effect: mean of A - B with its t interval; of a ratio, the geometric mean of A / B.
        probability: P(A beats B).
        difference_p: that there is no difference; adjusted for the table, nan where nothing was tested.
        equivalence_p: that there is one of the margin or more; likewise.
        not_worse_p: that A is worse by the margin or more; likewise.
        more_seeds: how many more would probably decide; 0 if decided, ``MOST_SEEDS + 1`` for more than MOST_SEEDS.
    """

    comparison: Comparison
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
            case Outcome.SAME if self.comparison.quantity.margin == 0:
                return "equal"
            case Outcome.SAME:
                return f"no difference larger than {self.comparison.quantity.margin_text}"
            case Outcome.UNDECIDED:
                return f"undecided: {seeds_text(self.more_seeds)} would be needed"
        return self.outcome.value

    @property
    def effect_text(self) -> str:
        """The effect with its interval."""
        return self._text(self.effect)

    @cached_property
    def bootstrap(self) -> Interval:
        """The effect with the bootstrap's interval, for the reader alone: no verdict hangs on it."""
        return _shown(bootstrap_interval(self.comparison.advantages), self.comparison.quantity)

    @property
    def bootstrap_text(self) -> str:
        """The bootstrap's interval."""
        return self._text(self.bootstrap).partition(" (")[2].removesuffix(")") or "-"

    def _text(self, interval: Interval) -> str:
        text = self.comparison.quantity.text
        if not interval.n:
            return "-"
        if isnan(interval.low):
            return text(interval.mean)
        return f"{text(interval.mean)} ({text(interval.low)} to {text(interval.high)})"


def seeds_text(more: int) -> str:
    """A number of further seeds, in words."""
    if more > MOST_SEEDS:
        return f"more than {MOST_SEEDS} more seeds"
    return f"{more} more seed{'' if more == 1 else 's'}"


def compare(
    a: str, b: str, quantity: Quantity, runs_a: Mapping[int, Run], runs_b: Mapping[int, Run]
) -> Comparison:
    """The comparison of two rows over the seeds that both have the quantity of, as far as they saw the same data.

    Args:
        a: what A is called.
        b: what B is called.
        quantity: what they are compared in.
        runs_a: A's runs by seed.
        runs_b: B's runs by seed.
    """
    pairs = []
    for seed in sorted(runs_a.keys() & runs_b.keys()):
        first, second = quantity.of(runs_a[seed]), quantity.of(runs_b[seed])
        if first is not None and second is not None and _same_data(runs_a[seed], runs_b[seed]):
            pairs.append((float(first), float(second)))
    return Comparison(a, b, quantity, tuple(first for first, _ in pairs), tuple(second for _, second in pairs))


def _same_data(one: Run, other: Run) -> bool:
    """Not only by name: files change, and simulators are mended. Records of version 1 do not say."""
    known = {run.record.data_sha256 for run in (one, other)} - {None}
    return len(known) < 2


def judge(comparisons: Iterable[Comparison]) -> list[Verdict]:
    """A verdict on each of a table's comparisons, in the same order.

    The chance that one of the table's rows without any difference is called better for one side is at most 5%, and
    so is the chance that one with a difference of the margin or more is called the same.
    """
    asked = list(comparisons)
    tested = [i for i, comparison in enumerate(asked) if comparison.can_decide and not comparison.quantity.exact]
    each = [(asked[i].advantages, asked[i].quantity.threshold) for i in tested]
    families = (
        [float(difference_p(advantages)) for advantages, _ in each],
        [float(equivalence_p(advantages, margin)) for advantages, margin in each],
        [float(not_worse_p(advantages, margin)) for advantages, margin in each],
    )
    adjusted = dict(zip(tested, zip(*map(holm, families), strict=True), strict=True))
    return [
        _verdict(comparison, adjusted.get(i, _exact_p(comparison)), ALPHA / max(1, len(tested)))
        for i, comparison in enumerate(asked)
    ]


def _exact_p(comparison: Comparison) -> tuple[float, float, float]:
    """The p values of a quantity without chance, 0 or 1; nan where nothing can be said."""
    if not comparison.can_decide:
        return nan, nan, nan
    advantage, margin = comparison.advantages.mean(), comparison.quantity.threshold
    return float(abs(advantage) <= margin), float(abs(advantage) > margin), float(advantage < -margin)


def _verdict(comparison: Comparison, p: tuple[float, float, float], alpha: float) -> Verdict:
    difference, equivalence, not_worse = p
    advantages = comparison.advantages
    outcome = Outcome.UNDECIDED
    if equivalence <= ALPHA:
        outcome = Outcome.SAME
    elif difference <= ALPHA:
        outcome = Outcome.A_BETTER if advantages.mean() > 0 else Outcome.B_BETTER
    return Verdict(
        comparison,
        outcome,
        effect=_shown(mean_interval(advantages), comparison.quantity),
        probability=probability_better(
            comparison.values_a, comparison.values_b, higher_is_better=comparison.quantity.higher_is_better
        ),
        difference_p=difference,
        equivalence_p=equivalence,
        not_worse_p=not_worse,
        more_seeds=_more_seeds(comparison, alpha) if outcome is Outcome.UNDECIDED else 0,
    )


def _shown(advantage: Interval, quantity: Quantity) -> Interval:
    """An interval of advantages as one of A - B or A / B."""
    ends = (advantage.low, advantage.high) if quantity.higher_is_better else (-advantage.high, -advantage.low)
    mean = advantage.mean if quantity.higher_is_better else -advantage.mean
    if quantity.ratio:
        return Interval(exp(mean), exp(ends[0]), exp(ends[1]), advantage.n)
    return Interval(mean, *ends, advantage.n)


def _more_seeds(comparison: Comparison, alpha: float) -> int:
    """How many further seeds would see the difference that there seems to be, or the margin if that is larger."""
    if comparison.quantity.exact:
        return 1
    if comparison.n < 2:
        return FEWEST_SEEDS - comparison.n
    advantages = comparison.advantages
    sought = max(abs(float(advantages.mean())), comparison.quantity.threshold)
    needed = seeds_needed(float(advantages.std(ddof=1)), sought, alpha=alpha)
    return needed if needed > MOST_SEEDS else max(needed - comparison.n, FEWEST_SEEDS - comparison.n, 1)
