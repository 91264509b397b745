"""How often verdicts are wrong, measured on simulated runs whose truth is known.

In every world A and B are drawn from one distribution, so every verdict for one of them is wrong. Shapes: T
simulated tables of C comparisons over n seeds. ``bench.tables.calibration`` writes the results into
docs/evidence.md.
"""

from collections.abc import Callable, Mapping
from itertools import product
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from scipy import stats

from bench.analysis.statistics import ALPHA, CONFIDENCE, Floats, difference_p, equivalence_p

TABLES = 10_000
RESAMPLES = 999
GUESSING = 0.693
"""The loss of a run at chance level."""

Draw = Callable[[Generator, tuple[int, ...]], Floats]
"""(source of all draws, shape) -> the results of that many runs of one model."""


def _dead(share: float) -> Draw:
    def draw(rng: Generator, shape: tuple[int, ...]) -> Floats:
        learned = 0.01 * rng.lognormal(sigma=0.8, size=shape)
        return np.where(rng.random(shape) < share, GUESSING, learned)

    return draw


WORLDS: Mapping[str, Draw] = MappingProxyType(
    {
        "normal": lambda rng, shape: rng.normal(size=shape),
        "heavy tails (t, 3 degrees of freedom)": lambda rng, shape: rng.standard_t(3, size=shape),
        "losses over several powers of ten (lognormal)": lambda rng, shape: rng.lognormal(sigma=2.0, size=shape),
        "one run in five never learns": _dead(0.2),
        "every second run never learns": _dead(0.5),
        "accuracy near 0.99 over 80 pairs": lambda rng, shape: rng.binomial(80, 0.99, size=shape) / 80,
    }
)
"""The distributions of the results of equally good models."""


def false_alarms(draw: Draw, n: int, comparisons: int) -> float:
    """The share of tables in which A or B is called better, though they have one distribution."""
    rng = np.random.default_rng(0)
    shape = (TABLES, comparisons, n)
    p = difference_p(draw(rng, shape) - draw(rng, shape))
    return float((p.min(axis=1) <= ALPHA / comparisons).mean())  # Holm rejects anything where this does


def false_equalities(n: int, spread: float) -> float:
    """The share of comparisons that are called the same, though they differ by exactly the margin of 1."""
    differences = np.random.default_rng(0).normal(1, spread, size=(TABLES, n))
    return float((equivalence_p(differences, 1.0) <= ALPHA).mean())


def power(effect: float, n: int, alpha: float) -> float:
    """The share of comparisons that detect a mean difference of ``effect`` standard deviations."""
    differences = np.random.default_rng(0).normal(effect, 1, size=(TABLES, n))
    return float((difference_p(differences) <= alpha).mean())


def sign_flip_power(effect: float, n: int, alpha: float) -> float:
    """Likewise by the exact sign-flip test; n is small, as all 2**n flips are tried."""
    differences = np.random.default_rng(0).normal(effect, 1, size=(TABLES, n))
    flips = np.array(list(product((-1.0, 1.0), repeat=n)))
    means = np.abs(differences @ flips.T)
    p = (means >= np.abs(differences.sum(axis=1, keepdims=True)) - 1e-9).mean(axis=1)
    return float((p <= alpha).mean())


def coverage(draw: Draw, mean: float, n: int, method: str) -> float:
    """The share of intervals that cover the true mean: t intervals ("t"), or those of a bootstrap method."""
    values = draw(np.random.default_rng(0), (TABLES // 5, n))
    if method == "t":
        reach = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * values.std(axis=1, ddof=1) / np.sqrt(n)
        low, high = values.mean(axis=1) - reach, values.mean(axis=1) + reach
    else:
        interval = stats.bootstrap(
            (values,), np.mean, axis=1, n_resamples=RESAMPLES, method=method, confidence_level=CONFIDENCE, rng=0
        ).confidence_interval
        low, high = interval.low, interval.high
    return float(((low <= mean) & (mean <= high)).mean())
