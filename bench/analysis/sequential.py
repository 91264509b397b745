"""Group-sequential tests of paired runs: seeds come in looks declared beforehand, and a clear answer stops early.

A comparison that is tested again and again until it is significant finds differences that do not exist. Here each
look may spend only a share of the 5%: little at the first, all of it at the last (``spent``, of O'Brien and
Fleming's type, Lan and DeMets 1983). Three tests use it:

- ``sign_flips``, exact for any number of looks: if A and B are alike, each difference could as well have the other
  sign. A look's bound depends on the absolute differences alone, so the share of all sign patterns that cross any
  bound, and with it the chance of a false alarm, is at most the share spent.
- ``resampled_t`` for seeds that divide the same pairs again and again: their results depend on each other, so the
  variance is that of Nadeau and Bengio 2003. The bounds are those of independent normal differences; dependent
  ones change less from look to look, and so cross by chance less often.
- ``rarely_worse`` for the margin of what is 1 or 0, such as whether a run learned: exact, by the binomial
  distribution.

What a look decides depends on the differences up to it alone: later seeds never change an earlier look.

No library is used: scipy, statsmodels and confseq have no group-sequential tests; the well-kept ones (gsDesign,
rpact, ldbounds) are written in R. ``tests/bench/analysis/test_sequential.py`` compares with their bounds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import copysign, inf

import numpy as np
import scipy
from numpy.typing import ArrayLike

from bench.analysis.statistics import ALPHA, SEED, Floats

LOOKS = (10, 15, 20)
"""Numbers of seeds after which runs are looked at, where nothing else is declared."""

MOST_EXACT = 20
"""Up to this many differences at the last look, all sign patterns are tried; for more, RANDOM_PATTERNS of them."""

RANDOM_PATTERNS = 2**17

_TIE = 1e-12  # sums that differ by less than this share of all absolute differences are equal but for rounding
_NODES = 200  # of the numerical integration
_FURTHEST = 8.0  # standard deviations; nothing is further


@dataclass(frozen=True)
class Look:
    """The result of one look.

    Attributes:
        n: Differences seen.
        p: Of the test at this look alone, as if it were the only one.
        level: The largest p that this look may reject at.
        crossed: Whether it rejects.
    """

    n: int
    p: float
    level: float
    crossed: bool


def spent(share: float, alpha: float = ALPHA) -> float:
    """How much of ``alpha`` may be spent once a share of all seeds has been seen; 0 to 1 -> 0 to ``alpha``.

    It is spent on both sides together where a test has two.
    """
    quantile = scipy.special.ndtri(1 - alpha / 2)
    return float(2 * scipy.special.ndtr(-quantile / np.sqrt(share))) if share > 0 else 0.0


def deciding(looks: Sequence[int]) -> list[int]:
    """Those of the looks that can decide anything: at the others even differences of one sign alone are too few.

    n differences have p values of at least 1 / 2**n, on one side, and an early look may spend less than that.
    """
    return [look for look in looks if 0.5**look <= spent(look / looks[-1])]


def sign_flips(differences: ArrayLike, looks: Sequence[int], *, two_sided: bool = True) -> list[Look]:
    """The looks of the exact sign-flip test that were reached, with a chance of a false alarm of ALPHA over all.

    Args:
        differences: In the order of the seeds, (n,); nan for a pair of runs that says nothing, which is as good as
            one without a difference.
        looks: All declared numbers of differences, increasing; also those not reached.
        two_sided: Whether a mean below zero counts as well as one above it.
    """
    x = np.nan_to_num(np.asarray(differences, dtype=float), nan=0.0)
    reached = [look for look in looks if look <= x.size]
    if not reached:
        return []
    exact = looks[-1] <= MOST_EXACT
    waiting: np.ndarray = np.ones(1, dtype=bool)  # the sign patterns that crossed no bound yet
    results: list[Look] = []
    for look, sums in zip(reached, _sums(x, reached, exact=exact, two_sided=two_sided), strict=True):
        # Later differences only repeat the patterns so far, for each pattern of their own.
        waiting = np.tile(waiting, sums.size // waiting.size)
        tie = _TIE * np.abs(x[:look]).sum()
        allowed = int(spent(look / looks[-1]) * sums.size + 1e-9) - int((~waiting).sum())
        if allowed <= 0:
            bound = inf
        elif allowed < waiting.sum():  # the largest of those that may not cross
            bound = np.partition(np.where(waiting, sums, -inf), -allowed - 1)[-allowed - 1]
        else:
            bound = -inf
        crosses = sums > bound + tie
        p = float((sums >= sums[-1] - tie).mean())
        results.append(Look(look, p, float(crosses.mean()), bool(crosses[-1])))
        waiting &= ~crosses
    return results


def sign_flip_p(differences: ArrayLike, *, two_sided: bool = True) -> float:
    """The p value of the sign-flip test of n differences, (n,), at a single look.

    Its smallest two-sided value is 2 / 2**n: 0.0625 for five seeds, which can therefore never decide at 0.05; six
    can for a single comparison, eight for four under Holm.
    """
    x = np.asarray(differences, dtype=float)
    return sign_flips(x, (x.size,), two_sided=two_sided)[0].p if x.size else 1.0


def _sums(x: Floats, looks: Sequence[int], *, exact: bool, two_sided: bool) -> Iterator[Floats]:
    """The sum at each look for every sign pattern, (patterns,); the last pattern is the observed one.

    Each look's patterns are those of the look before, repeated.
    """
    if not exact:
        rng, sums = np.random.default_rng(SEED), np.zeros(RANDOM_PATTERNS)
    else:  # by symmetry the first sign is fixed where the sums' own signs do not count
        all_sums, size = np.zeros(2 ** (looks[-1] - two_sided)), 1
    for number, value in enumerate(x[: looks[-1]], 1):
        if not exact:  # one draw per seed, so that more seeds change no earlier one
            signs = rng.choice((-1.0, 1.0), size=RANDOM_PATTERNS)
            signs[-1] = 1.0
            sums = sums + signs * value
        elif number == 1 and two_sided:
            sums = all_sums[:1]
            sums += value
        else:
            np.add(all_sums[:size], value, out=all_sums[size : 2 * size])
            all_sums[:size] -= value
            size *= 2
            sums = all_sums[:size]
        if number in looks:
            yield np.abs(sums) if two_sided else sums


def rarely_worse(differences: ArrayLike, looks: Sequence[int], margin: float) -> list[Look]:
    """The looks of the exact test that A is 1 less often than B by the margin or more that were reached.

    If it is, A alone is 0 with at least the margin as probability, so few such seeds rule it out; their number has
    a binomial distribution. Sign flips would be wrong: ten seeds without a difference, which one in ten sequences
    has at a true difference of 0.2, would rule out 0.2 with p = 0.001.

    Args:
        differences: A - B, each 1 or 0, in the order of the seeds, (n,); nan for a pair that says nothing.
        looks: As in ``sign_flips``.
        margin: Above 0, below 1.
    """
    worse = np.asarray(differences, dtype=float) < 0
    # Of each number of such seeds, the probability that it is reached without crossing a bound.
    waiting = np.ones(1)
    results: list[Look] = []
    for before, look in pairwise((0, *looks)):
        if look > worse.size:
            break
        new = np.arange(look - before + 1)
        waiting = np.convolve(waiting, scipy.stats.binom.pmf(new, look - before, margin))
        allowed = spent(look / looks[-1]) - (1 - waiting.sum())
        crosses = waiting.cumsum() <= allowed + 1e-12
        count = int(worse[:look].sum())
        p, level = scipy.stats.binom.cdf((count, int(crosses.sum()) - 1), look, margin)
        results.append(Look(look, float(p), float(level), bool(crosses[count])))
        waiting[crosses] = 0
    return results


def resampled_t(
    differences: ArrayLike, looks: Sequence[int], ratio: float, *, two_sided: bool = True
) -> list[Look]:
    """The looks of the corrected resampled t test (Nadeau and Bengio 2003) that were reached.

    Args:
        differences: In the order of the seeds, (n,); those that are nan are left out.
        looks: As in ``sign_flips``.
        ratio: Test pairs per training pair; the variance of the mean is (1 / n + ratio) times that of one.
        two_sided: As in ``sign_flips``.
    """
    x = np.asarray(differences, dtype=float)
    results: list[Look] = []
    for n, level in zip(looks, levels(tuple(looks), two_sided=two_sided), strict=True):
        if n > x.size:
            break
        p = resampled_p(x[:n], ratio, two_sided=two_sided)
        results.append(Look(n, p, level, p <= level))
    return results


def resampled_p(differences: ArrayLike, ratio: float, *, two_sided: bool = True) -> float:
    """The p value of the corrected resampled t test at one look; see ``resampled_t``.

    It is never below that of n equal signs: differences without any spread do not make a few seeds certain.
    """
    x = np.asarray(differences, dtype=float)
    x = x[~np.isnan(x)]
    if x.size < 2 or not x.any():
        return 1.0
    mean, error = x.mean(), x.std(ddof=1) * np.sqrt(1 / x.size + ratio)
    t = mean / error if error else copysign(inf, mean)
    upper = scipy.special.stdtr(x.size - 1, -abs(t) if two_sided else -t)
    return float(max(upper, 0.5**x.size)) * (2 if two_sided else 1)


@lru_cache(maxsize=32)
def levels(looks: tuple[int, ...], alpha: float = ALPHA, two_sided: bool = True) -> tuple[float, ...]:
    """The largest p value that rejects at each look, for independent normal differences.

    By recursive integration over the sums that crossed no bound so far (Armitage, McPherson and Rowe 1969).
    """
    unit, weights = np.polynomial.legendre.leggauss(_NODES)
    points, masses = np.array([0.0]), np.array([1.0])  # the sums so far, and the probability that each stands for
    result: list[float] = []
    for before, look in pairwise((0, *looks)):
        spread, furthest = np.sqrt(look - before), _FURTHEST * np.sqrt(look)
        wanted = spent(look / looks[-1], alpha) - spent(before / looks[-1], alpha)
        bound = _bound(points, masses, spread, wanted, two_sided=two_sided)
        result.append(float(scipy.special.ndtr(-bound / np.sqrt(look))) * (2 if two_sided else 1))
        highest = min(bound, furthest)
        lowest = -highest if two_sided else -furthest
        sums, half = lowest + (unit + 1) * (highest - lowest) / 2, (highest - lowest) / 2
        density = scipy.stats.norm.pdf((sums[:, None] - points) / spread) / spread @ masses
        points, masses = sums, weights * half * density
    return tuple(result)


def _bound(points: Floats, masses: Floats, spread: float, wanted: float, *, two_sided: bool) -> float:
    """The sum that is exceeded next with a probability of ``wanted``; infinite where that is too small to compute.

    Args:
        points: The sums so far, (k,).
        masses: The probability of each, (k,).
        spread: Standard deviation of what is added to them.
        wanted: The probability.
        two_sided: Whether the negative of the bound counts too.
    """

    def excess(bound: float) -> float:
        beyond = scipy.special.ndtr((points - bound) / spread)
        if two_sided:
            beyond = beyond + scipy.special.ndtr((-bound - points) / spread)
        return float(masses @ beyond) - wanted

    furthest = np.abs(points).max() + _FURTHEST * spread
    return float(scipy.optimize.brentq(excess, 0.0, furthest)) if excess(furthest) < 0 else inf
