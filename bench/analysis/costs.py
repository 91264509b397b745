"""How the cost of training grows with a size, and how our training loop compares with the reference loop."""

from collections.abc import Iterable
from statistics import geometric_mean, median

import numpy as np
import scipy  # loads scipy.stats when it is first used

from bench.analysis.statistics import CONFIDENCE, Interval
from bench.records import GrowthRecord, RaceRecord


def medians(record: GrowthRecord) -> list[float]:
    """Seconds of the median epoch at each size."""
    return [median(seconds) for seconds in record.seconds]


def exponent(record: GrowthRecord) -> Interval:
    """The slope of log seconds against log size over all epochs, by least squares, with its t interval.

    Where cost = a * size ** exponent, logarithms lie on a line with that slope. An exponent below that of the
    workload indicates fixed overhead at small sizes. The interval holds the noise of the epochs and the distances
    of the medians from a line; it is NaN for two epochs, which always lie on a line.
    """
    sizes = np.repeat(record.sizes, [len(seconds) for seconds in record.seconds])
    fit = scipy.stats.linregress(np.log(sizes), np.log(np.concatenate(record.seconds)))
    freedom = len(sizes) - 2
    reach = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * fit.stderr if freedom else np.nan
    return Interval(float(fit.slope), float(fit.slope - reach), float(fit.slope + reach), len(sizes))


def ratios(record: RaceRecord) -> list[float]:
    """How many times longer the reference took, in each pair of neighboring epochs."""
    return [a / b for a, b in zip(record.reference_seconds, record.engine_seconds, strict=True)]


def ratio(record: RaceRecord) -> float:
    """The median of the ratios of one model."""
    return median(ratios(record))


def mean_ratio(records: Iterable[RaceRecord]) -> float:
    """The geometric mean over models; at least one."""
    return geometric_mean(map(ratio, records))


def loss_differences(record: RaceRecord) -> list[float]:
    """The relative difference of the losses of each epoch."""
    losses = zip(record.reference_losses, record.engine_losses, strict=True)
    return [abs(ours - reference) / abs(reference) for reference, ours in losses]
