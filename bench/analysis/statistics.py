"""Statistics of a few runs: means with intervals, comparisons paired by seed, and how many seeds are enough.

Every function of paired values takes the differences of runs with the same seed, whose data, order and split are
the same, along the last axis: (..., n) for n seeds. calibration.py measures how often these fail; docs/evidence.md
explains the choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # loads scipy.stats, which takes long, only where it is used
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
POWER = 0.8
"""Chance of detecting a true difference with the number of seeds that verdicts name."""

FEWEST_SEEDS = 5
"""Fewer decide nothing: three runs of each model agree too often by chance (docs/evidence.md)."""

MOST_SEEDS = 100
"""The largest number of seeds that is suggested."""

LARGEST_EFFECT = 10.0
"""Mean difference in standard deviations; the power of larger ones is 1 anyway, and hard to compute."""

RESAMPLES = 9_999
SEED = 0
"""Of resampling, so that equal records give equal intervals."""


@dataclass(frozen=True)
class Interval:
    """A mean and where its true value lies.

    Attributes:
        mean: Of the values; nan for none.
        low: Lower end; nan where there are too few values for an interval.
        high: Upper end; likewise.
        n: The number of values.
    """

    mean: float
    low: float
    high: float
    n: int

    def excludes_zero(self) -> bool:
        """Whether zero lies outside; never without ends."""
        return self.low > 0 or self.high < 0


NOTHING = Interval(np.nan, np.nan, np.nan, 0)


def mean_interval(values: ArrayLike) -> Interval:
    """The mean of n values, (n,), with its t interval."""
    x = np.asarray(values, dtype=float)
    if x.size < 2:
        return Interval(float(x[0]), np.nan, np.nan, 1) if x.size else NOTHING
    mean, reach = x.mean(), scipy.special.stdtrit(x.size - 1, (1 + CONFIDENCE) / 2) * _standard_error(x)
    return Interval(float(mean), float(mean - reach), float(mean + reach), x.size)


def paired_difference(a: ArrayLike, b: ArrayLike) -> Interval:
    """The mean of a - b, (n,) each and paired by position, with its t interval.

    Raises:
        ValueError: They differ in length.
    """
    return mean_interval(_differences(a, b))


def bootstrap_interval(values: ArrayLike) -> Interval:
    """The mean of n values, (n,), with the percentile bootstrap's interval (Efron 1979).

    It is too narrow for few values, so no verdict uses it: for five values of a normal distribution it covers the
    true mean in 83 of 100 cases, not 95 (docs/evidence.md).
    """
    x = np.asarray(values, dtype=float)
    if x.size < 2 or np.ptp(x) == 0:
        return mean_interval(x)
    interval = scipy.stats.bootstrap(
        (x,), np.mean, confidence_level=CONFIDENCE, n_resamples=RESAMPLES, method="percentile", rng=SEED
    ).confidence_interval
    return Interval(float(x.mean()), float(interval.low), float(interval.high), x.size)


def probability_better(a: ArrayLike, b: ArrayLike, *, higher_is_better: bool) -> Interval:
    """P(A beats B): the share of pairs in which A is better, a tie being half a win.

    As in Bouthillier et al. 2021 (arXiv 2103.03098), but with the exact interval of Clopper and Pearson in place
    of the bootstrap's, which excludes any loss after five wins of five.

    Args:
        a: One value per seed, (n,).
        b: Likewise, of the same seeds.
        higher_is_better: The metric's direction.
    """
    from statsmodels.stats.proportion import proportion_confint

    wins = np.sign(_differences(a, b)) * (1 if higher_is_better else -1)
    if not wins.size:
        return NOTHING
    count = float((wins + 1).sum() / 2)
    low, high = proportion_confint(count, wins.size, alpha=ALPHA, method="beta")
    return Interval(count / wins.size, float(low), float(high), wins.size)


def difference_p(differences: ArrayLike) -> Floats:
    """Two-sided p values of the paired t test that the mean difference, over the last axis, is not zero.

    Five seeds can decide with it. It assumes that differences are about normally distributed; calibration.py
    measures its errors where they are not.
    """
    t, degrees = _t(np.asarray(differences, dtype=float), 0.0)
    return np.asarray(2 * scipy.special.stdtr(degrees, -np.abs(t)))


def not_worse_p(advantages: ArrayLike, margin: float) -> Floats:
    """One-sided p values that the mean advantage, over the last axis, is above ``-margin`` (non-inferiority)."""
    t, degrees = _t(np.asarray(advantages, dtype=float), -margin)
    return np.asarray(scipy.special.stdtr(degrees, -t))


def equivalence_p(differences: ArrayLike, margin: float) -> Floats:
    """The p values that the mean difference, over the last axis, lies between ``-margin`` and ``margin``.

    Two one-sided tests (Schuirmann 1987): both must reject, so the larger p counts.
    """
    x = np.asarray(differences, dtype=float)
    return np.maximum(not_worse_p(x, margin), not_worse_p(-x, margin))


def sign_flip_p(differences: ArrayLike) -> float:
    """Two-sided p value of the exact sign-flip permutation test of n differences, (n,).

    It assumes only that A and B have the same spread if neither is better. Its smallest value is 2 / 2**n: 0.0625
    for five seeds, which can therefore never decide at 0.05; six can for a single comparison, eight for four under
    Holm. Above 13 differences, 9,999 random flips replace all flips.
    """
    x = np.asarray(differences, dtype=float)
    if x.size < 2:
        return 1.0
    test = scipy.stats.permutation_test(
        (x,), np.mean, permutation_type="samples", n_resamples=RESAMPLES, alternative="two-sided", rng=SEED
    )
    return min(1.0, float(test.pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values of the comparisons of one table, adjusted for their number (Holm 1979), in the same order."""
    # Not statsmodels' multipletests: it collects garbage at every call, half a second in a process with torch.
    p = np.asarray(p_values, dtype=float)
    order = p.argsort()
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)))
    return [float(value) for value in adjusted]


def seeds_needed(spread: float, difference: float, *, alpha: float = ALPHA) -> int:
    """How many seeds detect a mean difference with a chance of POWER, by the paired t test.

    Args:
        spread: Standard deviation of the differences between pairs of runs.
        difference: The mean difference to be detected.
        alpha: Two-sided level of the test.

    Returns:
        At least FEWEST_SEEDS, and ``MOST_SEEDS + 1`` for any number above MOST_SEEDS.
    """
    from statsmodels.stats.power import TTestPower

    # Differences without any spread are detected with the fewest seeds.
    effect = min(abs(difference) / spread, LARGEST_EFFECT) if spread else LARGEST_EFFECT
    counts = np.arange(FEWEST_SEEDS, MOST_SEEDS + 1)
    enough = TTestPower().power(effect, counts, alpha) >= POWER
    return int(counts[enough][0]) if enough.any() else MOST_SEEDS + 1


def _differences(a: ArrayLike, b: ArrayLike) -> Floats:
    first: Floats = np.asarray(a, dtype=float)
    second: Floats = np.asarray(b, dtype=float)
    if first.shape != second.shape:
        raise ValueError(f"values are paired by seed, but there are {first.shape} of A and {second.shape} of B")
    return first - second


def _standard_error(x: Floats) -> Floats:
    return np.asarray(x.std(axis=-1, ddof=1) / np.sqrt(x.shape[-1]))


def _t(x: Floats, mean: float) -> tuple[Floats, int]:
    """Student's t of the mean over the last axis against another mean, and its degrees of freedom.

    Written out because scipy's own test warns about, and cannot use, runs that agree to the bit: equal to the mean
    they give 0, and otherwise infinity.
    """
    n = x.shape[-1]
    if n < 2:
        return np.zeros(x.shape[:-1]), 1
    distance, error = x.mean(axis=-1) - mean, _standard_error(x)
    exact = np.where(distance == 0, 0.0, np.copysign(np.inf, distance))
    return np.where(error > 0, distance / np.where(error > 0, error, 1), exact), n - 1
