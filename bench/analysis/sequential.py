"""Group-sequential tests of paired runs: seeds are added in looks declared beforehand, and a clear answer stops early.

A comparison that is tested again and again until it is significant finds differences that do not exist. Here each
look may spend only a share of the 5%: little at the first, all of it at the last (``spent``, of O'Brien and
Fleming's type, Lan and DeMets 1983). Two tests use it:

- ``sign_flips``, exact for any number of looks: if A and B are alike, each difference could as well have the other
  sign. A look's bound depends on the absolute differences alone, so the share of all sign patterns that cross any
  bound, and with it the chance of a false alarm, is at most the share spent.
- ``resampled_t`` for seeds that divide the same pairs again and again: their results depend on each other, so the
  variance is that of Nadeau and Bengio 2003, and the bounds are those of a normal distribution.

No library is used: scipy, statsmodels and confseq have no group-sequential tests; the well-kept ones (gsDesign,
rpact, ldbounds) are written in R. ``tests/bench/analysis/test_sequential.py`` compares with their published bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import ArrayLike

from bench.analysis.statistics import ALPHA, SEED, Floats

MOST_EXACT = 20
"""Up to so many differences all sign patterns are tried; for more, RANDOM_PATTERNS of them."""

RANDOM_PATTERNS = 2**17

_TIE = 1e-12  # sums that differ by less are equal but for rounding
_GRID = 2_001  # points of the numerical integration; the levels are good to five digits
_FURTHEST = 8.0  # standard deviations


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
    """How much of ``alpha`` may be spent once a share of all seeds has been seen; 0 to 1 -> 0 to alpha."""
    quantile = scipy.special.ndtri(1 - alpha / 2)
    return float(2 * scipy.special.ndtr(-quantile / np.sqrt(share))) if share > 0 else 0.0


def sign_flips(
    differences: ArrayLike, looks: Sequence[int], *, alpha: float = ALPHA, two_sided: bool = True
) -> list[Look]:
    """The looks of the exact sign-flip test that were reached.

    Args:
        differences: In the order of the seeds, (n,).
        looks: All declared numbers of differences, increasing; also those not reached.
        alpha: The chance of a false alarm over all looks.
        two_sided: Whether a mean below zero counts as well as one above it.
    """
    x = np.asarray(differences, dtype=float)
    reached = [look for look in looks if look <= x.size]
    if not reached:
        return []
    x = x[: reached[-1]]
    paths = _paths(x / (np.abs(x).sum() or 1.0), reached, two_sided)  # sums lie between -1 and 1
    waiting = np.ones(paths[-1].size, dtype=bool)  # the sign patterns that crossed no bound yet
    results = []
    for look, sums in zip(reached, paths, strict=True):
        allowed = int(spent(look / looks[-1], alpha) * waiting.size + 1e-9) - int((~waiting).sum())
        left = sums[waiting]
        if allowed <= 0:
            bound = np.inf
        else:  # the largest of those that may not cross
            bound = np.partition(left, -allowed - 1)[-allowed - 1] if allowed < left.size else -np.inf
        crosses = sums > bound + _TIE
        p = float((sums >= sums[-1] - _TIE).mean())
        results.append(Look(look, p, float(crosses.mean()), bool(crosses[-1])))
        waiting &= ~crosses
    return results


def _paths(x: Floats, looks: Sequence[int], two_sided: bool) -> list[Floats]:
    """The sum at each look for every sign pattern, (patterns,) each; the last pattern is the observed one."""
    if x.size <= MOST_EXACT:
        # By symmetry the first sign can be fixed where the sums' own signs do not count.
        sums = x[:1] if two_sided else np.array([-x[0], x[0]])
        at_looks = {1: sums}
        for number, value in enumerate(x[1:], 2):
            sums = np.concatenate((sums - value, sums + value))
            at_looks[number] = sums
        size = sums.size
        paths = [np.tile(at_looks[look], size // at_looks[look].size) for look in looks]
    else:
        signs = np.random.default_rng(SEED).choice((-1.0, 1.0), size=(RANDOM_PATTERNS, x.size))
        signs[-1] = 1.0
        cumulated = np.cumsum(signs * x, axis=1)
        paths = [cumulated[:, look - 1] for look in looks]
    return [np.abs(path) for path in paths] if two_sided else paths


def resampled_t(
    differences: ArrayLike,
    looks: Sequence[int],
    ratio: float,
    *,
    alpha: float = ALPHA,
    two_sided: bool = True,
) -> list[Look]:
    """The looks of the corrected resampled t test (Nadeau and Bengio 2003) that were reached.

    Args:
        differences: In the order of the seeds, (n,).
        looks: As in ``sign_flips``.
        ratio: Test pairs per training pair; the variance of the mean is (1 / n + ratio) times that of one.
        alpha: As in ``sign_flips``.
        two_sided: Likewise.
    """
    x = np.asarray(differences, dtype=float)
    results: list[Look] = []
    for n, level in zip(looks, levels(tuple(looks), alpha, two_sided), strict=True):
        if n > x.size:
            break
        p = resampled_p(x[:n], ratio, two_sided=two_sided)
        results.append(Look(n, p, level, p <= level))
    return results


def resampled_p(differences: ArrayLike, ratio: float, *, two_sided: bool = True) -> float:
    """The p value of the corrected resampled t test at one look; see ``resampled_t``."""
    x = np.asarray(differences, dtype=float)
    mean, deviation = x.mean(), x.std(ddof=1)
    if not deviation:
        return 0.0 if mean > 0 or (two_sided and mean) else 1.0
    t = mean / (deviation * np.sqrt(1 / x.size + ratio))
    upper = float(scipy.special.stdtr(x.size - 1, -(abs(t) if two_sided else t)))
    return 2 * upper if two_sided else upper


@lru_cache(maxsize=32)
def levels(looks: tuple[int, ...], alpha: float = ALPHA, two_sided: bool = True) -> tuple[float, ...]:
    """The largest p value that rejects at each look, for independent normal differences.

    By recursive integration over the sums that crossed no bound so far (Armitage, McPherson and Rowe 1969).
    """
    z = np.linspace(-_FURTHEST, _FURTHEST, _GRID)
    rejected, density, before = 0.0, np.array([1.0]), 0
    points = np.array([0.0])  # the sums at the look before, and the probability of each
    result: list[float] = []
    for look in looks:
        sums = z * np.sqrt(look)
        step = sums[1] - sums[0]
        spread = np.sqrt(look - before)
        reached = scipy.stats.norm.pdf((sums[:, None] - points[None, :]) / spread) / spread @ density * step
        wanted = spent(look / looks[-1], alpha) - rejected

        def excess(bound: float, points: Floats = points, density: Floats = density, look: int = look) -> float:
            edge, scale = bound * np.sqrt(look), np.sqrt(look - before)  # noqa: B023 (used before it changes)
            beyond = scipy.special.ndtr((points - edge) / scale)
            if two_sided:
                beyond = beyond + scipy.special.ndtr((-edge - points) / scale)
            return float(density @ beyond) - wanted  # noqa: B023

        bound = float(scipy.optimize.brentq(excess, 0.0, _FURTHEST))
        result.append(float(scipy.special.ndtr(-bound)) * (2 if two_sided else 1))
        inside = np.abs(z) <= bound if two_sided else z <= bound
        points, density, before = sums[inside], reached[inside], look
        rejected = spent(look / looks[-1], alpha)
    return tuple(result)
