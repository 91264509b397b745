"""Statistics of a few runs: means with intervals, comparisons paired by seed, and how many seeds are enough.

Every function of paired values takes the differences of runs with the same seed, whose data, order and split are
the same, along the last axis: (..., n) for n seeds. calibration.py measures how often these fail; docs/evidence.md
explains the choice. Verdicts rest on sign flips, or on the corrected t test where seeds divide the same pairs; the
plain t test is shown beside them as a check. Tests of runs that come in looks are in sequential.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # loads scipy.stats, which takes long, only where it is used
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
FEWEST_SEEDS = 6
"""Fewer decide nothing: five differences of one sign have a two-sided sign-flip p of 0.0625."""

CLEAR = 0.75
"""P(A beats B) from which Bouthillier et al. 2021 (arXiv 2103.03098) call a difference meaningful."""

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


def mean_interval(values: ArrayLike, *, confidence: float = CONFIDENCE, ratio: float = 0.0) -> Interval:
    """The mean of n values, (n,), with its t interval.

    Args:
        values: One per seed.
        confidence: 0.9 for the interval that two one-sided tests at 5% belong to.
        ratio: Test pairs per training pair where seeds divide the same pairs again and again: values then depend
            on each other, and the variance of the mean is (1 / n + ratio) times that of one (Nadeau and Bengio
            2003).
    """
    x = np.asarray(values, dtype=float)
    if x.size < 2:
        return Interval(float(x[0]), np.nan, np.nan, 1) if x.size else NOTHING
    # The mean of equal values is rounded, so their deviations from it need not be 0.
    error = x.std(ddof=1) * np.sqrt(1 / x.size + ratio) if np.ptp(x) else 0.0
    mean, reach = x.mean(), scipy.special.stdtrit(x.size - 1, (1 + confidence) / 2) * error
    return Interval(float(mean), float(mean - reach), float(mean + reach), x.size)


def narrowest(values: ArrayLike, ratio: float) -> float:
    """Half of the interval that ``mean_interval`` approaches with ever more values that spread like these (n,)."""
    spread = np.asarray(values, dtype=float).std(ddof=1)
    return float(scipy.special.ndtri((1 + CONFIDENCE) / 2) * spread * np.sqrt(ratio))


def paired_difference(a: ArrayLike, b: ArrayLike, *, ratio: float = 0.0) -> Interval:
    """The mean of a - b, (n,) each and paired by position, with its t interval; ``ratio`` as in ``mean_interval``.

    Raises:
        ValueError: They differ in length.
    """
    return mean_interval(_differences(a, b), ratio=ratio)


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
    wins = np.sign(_differences(a, b)) * (1 if higher_is_better else -1)
    if not wins.size:
        return NOTHING
    return share_interval(float((wins + 1).sum() / 2), wins.size)


def share_interval(count: float, n: int) -> Interval:
    """The share of ``count`` in n with the exact interval of Clopper and Pearson 1934; NOTHING for n = 0."""
    from statsmodels.stats.proportion import proportion_confint

    if not n:
        return NOTHING
    low, high = proportion_confint(count, n, alpha=ALPHA, method="beta")
    return Interval(count / n, float(low), float(high), n)


def three_outcomes(probability: Interval) -> str:
    """What P(A beats B) says by itself, after Bouthillier et al. 2021: one of three outcomes, in words.

    ``significant and meaningful`` where the interval lies above 0.5 and reaches above CLEAR, or, for B, below 0.5
    and below 1 - CLEAR. "" without an interval.
    """
    low, high = probability.low, probability.high
    if np.isnan(low):
        return ""
    if low <= 0.5 <= high:
        return "not significant"
    meaningful = high > CLEAR if low > 0.5 else low < 1 - CLEAR
    return "significant and meaningful" if meaningful else "significant, not meaningful"


def difference_p(differences: ArrayLike) -> Floats:
    """Two-sided p values of the paired t test that the mean difference, over the last axis, is not zero.

    It assumes that differences are about normally distributed; calibration.py measures its errors where they are
    not. Verdicts do not rest on it.
    """
    # Not scipy's own test: it warns about, and cannot use, runs that agree to the bit. Equal differences
    # give 1 if they are zero, and 0 otherwise.
    x = np.asarray(differences, dtype=float)
    n = x.shape[-1]
    if n < 2:
        return np.ones(x.shape[:-1])
    distance, error = np.abs(x.mean(axis=-1)), x.std(axis=-1, ddof=1) / np.sqrt(n)
    t = np.where(error > 0, distance / np.where(error > 0, error, 1), np.where(distance > 0, np.inf, 0.0))
    return np.asarray(2 * scipy.special.stdtr(n - 1, -t))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values of the comparisons of one table, adjusted for their number (Holm 1979), in the same order."""
    # Not statsmodels' multipletests: it collects garbage at every call, half a second in a process with torch.
    p = np.asarray(p_values, dtype=float)
    order = p.argsort()
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)))
    return [float(value) for value in adjusted]


def _differences(a: ArrayLike, b: ArrayLike) -> Floats:
    first: Floats = np.asarray(a, dtype=float)
    second: Floats = np.asarray(b, dtype=float)
    if first.shape != second.shape:
        raise ValueError(f"values are paired by seed, but there are {first.shape} of A and {second.shape} of B")
    return first - second
