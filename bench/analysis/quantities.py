"""What rows are compared in: how it is read from a run, its direction, and the smallest difference that matters.

A difference that matters is declared with its reason, before anybody looks at results; nothing here was fitted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import log1p
from statistics import fmean, median

import numpy as np

from bench.analysis.statistics import Floats
from bench.probes.robustness import relative_robustness
from bench.records.probe import ProbeRecord
from bench.records.run import RunRecord
from bench.tables.published import measured_accuracy


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
        # Means of equal values differ by what adding them rounds; + 0.0 turns -0.0 into 0.0.
        return f"{value:.3g}" if self.ratio else f"{round(value, 12) + 0.0:+.2g}"

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


def corrupted(*names: str) -> Quantity:
    """The accuracy that is lost under corruptions of ``bench.probes.corruptions``, as a mean over their levels.

    Args:
        names: of the corruptions; the loss is the mean over them.
    """

    def lost(run: Run) -> float | None:
        curves = [_curve(run, name, "accuracy") for name in names]
        if any(len(curve) < 2 for curve in curves):
            return None
        return fmean(curve[0][1] - relative_robustness(*zip(*curve, strict=True)) for curve in curves)

    return Quantity(f"accuracy lost under {', '.join(names)}", "", False, 0.01, "as for accuracy", lost)


def probed(name: str, probe: str, margin: float, reason: str, layer: str | None = None) -> Quantity:
    """The mean of a probe over its levels and layers; higher is better.

    Args:
        name: of the quantity.
        probe: name of the probe.
        margin: the smallest difference that matters.
        reason: why.
        layer: the only layer that counts; None for all.
    """

    def mean(run: Run) -> float | None:
        values = [found.value for found in _latest(run, probe) if layer in (None, found.layer)]
        return fmean(values) if values else None

    return Quantity(name, "", True, margin, reason, mean)


def _curve(run: Run, probe: str, metric: str) -> list[tuple[float, float]]:
    """(level, value), by rising level."""
    return sorted((found.level or 0.0, found.value) for found in _latest(run, probe) if found.metric == metric)


def _latest(run: Run, probe: str) -> list[ProbeRecord]:
    """What a probe found, each thing once: a later record takes the place of an earlier one."""
    found = {
        (record.level, record.metric, record.layer, record.other_seed): record
        for record in run.probes
        if record.probe == probe
    }
    return list(found.values())


ZERO_GRADIENTS = probed(
    "zero gradients", "zero-gradients", 0.05, "one gradient in twenty, mean over the convolutions"
)
SHIFT_CONSISTENCY = probed("shift consistency", "shift-consistency", 0.01, "as for accuracy")
SHIFT_SIMILARITY = probed(
    "shift similarity (CKA)",
    "shift-similarity",
    0.05,
    "a twentieth of the scale, which runs from 0 to 1",
    layer="trunk",
)
