"""What rows are compared in: how it is read from a run, its direction, and the smallest difference that matters.

A difference that matters is declared with its reason, before anybody looks at results; nothing here was fitted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import log1p
from statistics import fmean, median

import numpy as np

from bench.evidence.statistics import Floats
from bench.probes.records import ProbeRecord
from bench.published import measured_accuracy
from bench.records import RunRecord


@dataclass(frozen=True)
class Run:
    """A completed run, and what probes found in its weights."""

    record: RunRecord
    probes: tuple[ProbeRecord, ...] = ()


@dataclass(frozen=True)
class Quantity:
    """One thing that two rows can be compared in.

    Attributes:
        name: short, for tables and files.
        unit: of its values, "" for a share or a count.
        higher_is_better: the direction.
        margin: the smallest difference that matters, in the unit; of a ratio, the part by which it leaves 1.
        reason: why that is the smallest.
        of: a run -> value; None where the run lacks it.
        ratio: whether rows are compared by A / B in place of A - B. Values are then above zero.
        exact: whether it does not depend on the seed, so that one run decides.
    """

    name: str
    unit: str
    higher_is_better: bool
    margin: float
    reason: str
    of: Callable[[Run], float | None] = field(repr=False)
    ratio: bool = False
    exact: bool = False

    @property
    def threshold(self) -> float:
        """The margin on the scale of ``advantages``."""
        return log1p(self.margin) if self.ratio else self.margin

    def advantages(self, a: Sequence[float], b: Sequence[float]) -> Floats:
        """By how much A is better than B, pair by pair: (n,) differences, or logarithms of ratios."""
        first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        distance: Floats = np.log(first) - np.log(second) if self.ratio else first - second
        return distance if self.higher_is_better else -distance

    def text(self, value: float) -> str:
        """An effect: a signed difference, or a ratio."""
        return f"{value:.3f}" if self.ratio else f"{value:+.2g}"

    @property
    def margin_text(self) -> str:
        """The margin with its unit."""
        return f"{self.margin:.0%}" if self.ratio else " ".join(filter(None, (f"{self.margin:g}", self.unit)))


def _mean_loss(run: Run) -> float | None:
    losses = [loss for loss in run.record.valid_losses if loss is not None]
    return fmean(losses) if losses else None


def _epoch_seconds(run: Run) -> float | None:
    return median(run.record.epoch_seconds) if run.record.epoch_seconds else None


_LOSS_REASON = (
    "a hundredth of a nat is the right class named with 1% less probability; guessing costs 0.693 with two classes"
)
_ACCURACY_REASON = "one pair in a hundred: twice the standard error of a share of 0.99 over 400 validation pairs"

LOSS = Quantity("loss", "nats", False, 0.01, _LOSS_REASON, lambda run: run.record.best_valid_loss)
MEAN_LOSS = Quantity("mean loss", "nats", False, 0.01, _LOSS_REASON, _mean_loss)
ACCURACY = Quantity("accuracy", "", True, 0.01, _ACCURACY_REASON, lambda run: run.record.valid_accuracy)
ALL_ACCURACY = Quantity(
    "accuracy over all pairs",
    "",
    True,
    0.01,
    "as for accuracy; the published one is over training and validation pairs together",
    lambda run: measured_accuracy({"train_and_valid_accuracy": None}, run.record),
)
EPOCH_TIME = Quantity(
    "epoch time",
    "s",
    False,
    0.05,
    "the smallest published ratio that is called faster is 0.950",
    _epoch_seconds,
    ratio=True,
)
MEMORY = Quantity(
    "peak memory",
    "bytes",
    False,
    0.01,
    "allocators round to blocks; a hundredth is beyond that",
    lambda run: run.record.peak_memory_bytes,
    ratio=True,
    exact=True,
)
PARAMETERS = Quantity(
    "parameters",
    "",
    False,
    0.0,
    "counts are exact",
    lambda run: run.record.parameters,
    ratio=True,
    exact=True,
)
