"""How the cost of training grows with a size, and how our training loop compares with the reference loop."""

from collections.abc import Iterable, Mapping
from statistics import geometric_mean, median
from types import MappingProxyType

import numpy as np
import scipy  # loads scipy.stats when it is first used

from bench.analysis.statistics import CONFIDENCE, Interval
from bench.config import BF16, FP32, TF32
from bench.records import GrowthRecord, RaceRecord

EXACT_TOLERANCE = 1e-6
"""Largest relative difference of the losses in double precision.

Far above its rounding, as the learning rate of a recorded step is a float32; far below the effect of another order
of pairs, another schedule or another loss.
"""

ROUNDING_TOLERANCE: Mapping[str, float] = MappingProxyType({FP32: 1e-2, TF32: 5e-2, BF16: 5e-2})
"""Largest relative difference of the first epoch's mean loss, by the precision of the trainings.

Different layouts sum in a different order, and Adam divides small gradients by their own size, so each step
enlarges the rounding of the last one: in float32 to the seventh digit at first, to the third after some tens of
steps.
"""


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


def lightning_ratio(record: RaceRecord) -> float | None:
    """The median of how many times longer Lightning's loop took than ours; None where it was not raced."""
    if record.lightning_seconds is None:
        return None
    return median(a / b for a, b in zip(record.lightning_seconds, record.engine_seconds, strict=True))


def mean_lightning_ratio(records: Iterable[RaceRecord]) -> float:
    """The geometric mean over the models that were raced against Lightning; at least one."""
    return geometric_mean(filter(None, map(lightning_ratio, records)))


def loss_differences(record: RaceRecord) -> list[float]:
    """The relative difference of the losses of each epoch."""
    losses = zip(record.reference_losses, record.engine_losses, strict=True)
    return [abs(ours - reference) / abs(reference) for reference, ours in losses]


def disagreements(record: RaceRecord) -> list[str]:
    """In what the loops of a race did not compute the same, a sentence each."""
    differences = {
        "ours": record.exact_difference,
        "PyTorch Lightning's": record.lightning_exact_difference or 0.0,
    }
    lines = [
        f"{record.model}: {loop} is another computation than the reference: losses in double precision differ by "
        f"{difference:.1g}"
        for loop, difference in differences.items()
        if not difference <= EXACT_TOLERANCE
    ]
    first, tolerance = loss_differences(record)[0], ROUNDING_TOLERANCE[record.precision]
    if not first <= tolerance:
        lines.append(f"{record.model}: the first epoch's losses differ by {first:.1g}, more than rounding")
    return lines
