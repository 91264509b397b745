"""How the cost of training grows with a size.

Where cost = a * size ** exponent, logarithms lie on a line whose slope is the exponent. An exponent below that of
the workload indicates fixed overhead at small sizes.
"""

from statistics import median

import numpy as np
import scipy  # loads scipy.stats when it is first used

from bench.analysis.statistics import CONFIDENCE, Interval
from bench.records import GrowthRecord


def medians(record: GrowthRecord) -> list[float]:
    """Seconds of the median epoch at each size."""
    return [median(seconds) for seconds in record.seconds]


def exponent(record: GrowthRecord) -> Interval:
    """The slope of log seconds against log size over all epochs, by least squares, with its t interval.

    The interval holds the noise of the epochs and the distances of the medians from a line. It is NaN for two
    epochs, which always lie on a line.
    """
    sizes = np.repeat(record.sizes, [len(seconds) for seconds in record.seconds])
    fit = scipy.stats.linregress(np.log(sizes), np.log(np.concatenate(record.seconds)))
    freedom = len(sizes) - 2
    reach = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * fit.stderr if freedom else np.nan
    return Interval(float(fit.slope), float(fit.slope - reach), float(fit.slope + reach), len(sizes))
