"""Comparisons over several data sets: an effect for each, summarized over the data sets.

Seeds of different data sets are never pooled: they answer how sure the effect on one data set is, not whether it
is the same on the next.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isnan

from bench.analysis.statistics import NOTHING, Interval, bootstrap_interval
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
        chances = [verdict.probability.mean for verdict in self.verdicts.values()]
        return NOTHING if any(map(isnan, chances)) else bootstrap_interval(chances)


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
