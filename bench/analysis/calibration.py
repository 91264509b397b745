"""How often verdicts are wrong, and how many seeds they take, measured on simulated runs whose truth is known.

In every world A and B are drawn from one distribution, so every verdict for one of them is wrong. Shapes: T
simulated tables of C comparisons over n seeds; S sequences of seeds that come in looks.
``bench.tables.calibration`` writes the results into docs/evidence.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import stats

from bench.analysis.pairing import Pairing
from bench.analysis.sequential import LOOKS, sign_flip_p
from bench.analysis.statistics import ALPHA, CONFIDENCE, FEWEST_SEEDS, Floats, difference_p
from bench.analysis.verdicts import Outcome, follow
from bench.records import Metric

TABLES = 10_000
SEQUENCES = 2_000
RATIO = 0.25
"""Reported pairs per training pair, where seeds divide the same pairs again and again."""

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


@dataclass(frozen=True)
class Stops:
    """Where sequences of seeds that come in looks stopped, (S,).

    Attributes:
        seeds: Those that were run.
        different: Whether the verdict is that A and B differ.
        equivalent: Whether it is that they do not by the margin.
    """

    seeds: NDArray[np.int64]
    different: NDArray[np.bool_]
    equivalent: NDArray[np.bool_]

    def different_by(self, look: int) -> float:
        """The share that was found to be different at this look or before."""
        return float((self.different & (self.seeds <= look)).mean())


def stops(differences: Floats, *, margin: float = 0.0, ratio: float = 0.0) -> Stops:
    """The verdicts on sequences of paired differences, (S, n), as ``bench.analysis.verdicts.follow`` reaches them.

    Looks are those of LOOKS.

    Args:
        differences: One per seed.
        margin: The smallest that matters; 0 stops for a difference alone.
        ratio: Of all seeds, as in ``bench.analysis.pairing.Pairing``.
    """
    metric = Metric(name="value", title="value", higher_is_better=True, margin=margin)
    outcomes, seeds = [], []
    n = differences.shape[1]
    for sequence in differences.tolist():
        pairing = Pairing("A", "B", metric, tuple(sequence), (0.0,) * n, ratios=(ratio,) * n)
        verdict = follow(pairing, LOOKS, lambda verdict: verdict.outcome is not Outcome.UNDECIDED)
        outcomes.append(verdict.outcome)
        seeds.append(verdict.pairing.n)
    equivalent = np.array([outcome is Outcome.EQUIVALENT for outcome in outcomes])
    undecided = np.array([outcome is Outcome.UNDECIDED for outcome in outcomes])
    return Stops(np.array(seeds), ~(equivalent | undecided), equivalent)


def alike(draw: Draw) -> Floats:
    """Sequences of differences of models that are alike, (S, LOOKS[-1])."""
    rng = np.random.default_rng(0)
    shape = (SEQUENCES, LOOKS[-1])
    return draw(rng, shape) - draw(rng, shape)


def divided(seeds: int = LOOKS[-1]) -> Floats:
    """The same where seeds divide the same pairs: all differences share what those pairs have in common.

    Nadeau and Bengio 2003: results correlate by the share of the pairs that are reported.
    """
    rng = np.random.default_rng(0)
    common = RATIO / (1 + RATIO)
    shared, own = rng.normal(size=(SEQUENCES, 1)), rng.normal(size=(SEQUENCES, seeds))
    return np.asarray(np.sqrt(common) * shared + np.sqrt(1 - common) * own)


def shifted(effect: float) -> Floats:
    """Sequences of normal differences with this mean and a standard deviation of 1, (S, LOOKS[-1])."""
    return np.random.default_rng(0).normal(effect, 1, size=(SEQUENCES, LOOKS[-1]))


def repeated_testing(differences: Floats) -> float:
    """The share of sequences, (S, n), that a t test at 5% calls different at one of LOOKS at least."""
    return float(np.any([difference_p(differences[:, :look]) <= ALPHA for look in LOOKS], axis=0).mean())


def fixed_seeds(differences: Floats, power: float) -> float:
    """How many seeds detect a difference with this power at a single look, interpolated; nan if n do not.

    Args:
        differences: Sequences of differences, (S, n).
        power: The share of sequences in which they are detected.
    """
    before = 0.0
    for n in range(FEWEST_SEEDS, differences.shape[1] + 1):
        share = float(np.mean([sign_flip_p(sequence[:n]) <= ALPHA for sequence in differences]))
        if share >= power:
            return n - (share - power) / (share - before)
        before = share
    return np.nan
