"""Comparisons over several data sets: an effect for each, summarized over the data sets.

Seeds of different data sets are never pooled: they answer how sure the effect on one data set is, not whether it
is the same on the next.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy

from bench.analysis.statistics import ALPHA, NOTHING, RESAMPLES, SEED, Interval
from bench.analysis.verdicts import Verdict


@dataclass(frozen=True)
class Summary:
    """One comparison on several data sets.

    Attributes:
        verdicts: By data set.
    """

    verdicts: Mapping[str, Verdict]

    @property
    def wins(self) -> int:
        """On how many of them A is better on average."""
        return sum(float(verdict.pairing.advantages.mean()) > 0 for verdict in self.verdicts.values())

    @property
    def probability(self) -> Interval:
        """The probability of improvement: the mean of P(A beats B), with a bootstrap interval over the data sets.

        The interval is about further data sets like these. It is too narrow for few of them.
        """
        chances = np.array([verdict.probability.mean for verdict in self.verdicts.values()])
        if np.isnan(chances).any():
            return NOTHING
        mean = float(chances.mean())
        if chances.size < 2 or np.ptp(chances) == 0:
            return Interval(mean, mean, mean, chances.size)
        interval = scipy.stats.bootstrap(
            (chances,),
            np.mean,
            confidence_level=1 - ALPHA,
            n_resamples=RESAMPLES,
            method="percentile",
            rng=SEED,
        ).confidence_interval
        return Interval(mean, float(interval.low), float(interval.high), chances.size)


def across(verdicts: Iterable[tuple[str, Verdict]]) -> list[Summary]:
    """The comparisons that were made on several data sets, in the order of the first one.

    Args:
        verdicts: With the data set of each; those of the same models and metric are one comparison.
    """
    found: dict[tuple[str, str, str], dict[str, Verdict]] = {}
    for dataset, verdict in verdicts:
        pairing = verdict.pairing
        if pairing.counted:
            found.setdefault((pairing.a, pairing.b, pairing.metric.name), {})[dataset] = verdict
    return [Summary(by_dataset) for by_dataset in found.values() if len(by_dataset) > 1]
