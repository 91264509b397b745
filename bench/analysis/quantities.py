"""What runs are compared in: a metric, and how its value is read from a run and its probes.

Most quantities are metrics of ``bench.metrics``. Declared here are only those that claims need beside them. The
smallest difference that matters is declared with its reason before anybody looks at results; none was fitted.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean

from msgspec.structs import replace

from bench.analysis.published import overall_accuracy
from bench.analysis.robustness import relative_robustness
from bench.metrics import CHOSEN, REPORTED, declarations, name_on, value
from bench.records import Metric, ProbeRecord, RunRecord


@dataclass(frozen=True)
class Run:
    """A completed run, and the probes of its weights."""

    record: RunRecord
    probes: tuple[ProbeRecord, ...] = ()


@dataclass(frozen=True)
class Quantity:
    """What two models can be compared in; ``of`` gives its value in a run, None where the run lacks it."""

    metric: Metric
    of: Callable[[Run], float | None] = field(repr=False)

    def on(self, part: str) -> "Quantity":
        """The same on a part of the pairs; itself if it is not evaluated on either part."""
        if self.metric.part in ("", part):
            return self
        evaluated = self.metric.name.removeprefix(f"{self.metric.part}_")
        other = _METRICS[name_on(evaluated, part)]
        return measured(replace(other, margin=self.metric.margin, reason=self.metric.reason))

    def with_margin(self, margin: float, reason: str) -> "Quantity":
        """The same with another smallest difference that matters."""
        return Quantity(replace(self.metric, margin=margin, reason=reason), self.of)


def measured(metric: Metric) -> Quantity:
    """A metric of a record."""
    return Quantity(metric, lambda run: value(run.record, metric.name))


def corrupted(name: str) -> Quantity:
    """The accuracy that is lost under a corruption, as a mean over its levels."""

    def lost(run: Run) -> float | None:
        curve = sorted((p.level or 0.0, p.value) for p in _latest(run, name) if p.metric == "accuracy")
        return curve[0][1] - relative_robustness(*zip(*curve, strict=True)) if len(curve) > 1 else None

    title = f"accuracy lost under {name}"
    metric = Metric(name=title, title=title, margin=0.01, reason="as for accuracy", higher_is_better=False)
    return Quantity(metric, lost)


def probed(title: str, probe: str, margin: float, reason: str, layer: str | None = None) -> Quantity:
    """The mean of a probe over its levels and layers, or over those of one layer; higher is better."""

    def mean(run: Run) -> float | None:
        values = [probe.value for probe in _latest(run, probe) if layer in (None, probe.layer)]
        return fmean(values) if values else None

    return Quantity(Metric(name=title, title=title, margin=margin, reason=reason, higher_is_better=True), mean)


def _latest(run: Run, name: str) -> list[ProbeRecord]:
    """The values of a probe; a later record replaces an earlier one of the same value."""
    probes = (probe for probe in run.probes if probe.probe == name)
    return list({(p.level, p.metric, p.layer, p.other_seed): p for p in probes}.values())


def _mean_loss(run: Run) -> float | None:
    losses = [loss for loss in run.record.valid_losses if loss is not None]
    return fmean(losses) if losses else None


_METRICS = declarations()
LOSS = measured(_METRICS[name_on("loss", REPORTED)])
ACCURACY = measured(_METRICS[name_on("accuracy", REPORTED)])
EPOCH_TIME = measured(_METRICS["epoch_seconds"])
MEMORY = measured(_METRICS["peak_memory_bytes"])
# Neither more nor fewer parameters are better, but published claims call fewer an advantage.
PARAMETERS = measured(replace(_METRICS["parameters"], higher_is_better=False))
_BY_EPOCH = replace(_METRICS[name_on("loss", CHOSEN)], part="")
MEAN_LOSS = Quantity(replace(_BY_EPOCH, name="mean_valid_loss", title="mean valid loss"), _mean_loss)
ALL_ACCURACY = Quantity(
    replace(
        ACCURACY.metric,
        name="overall_accuracy",
        part="",
        title="accuracy over all pairs",
        reason="as for accuracy; the published one is over training and validation pairs together",
    ),
    lambda run: overall_accuracy(run.record),
)
_ONE_IN_TWENTY = "one gradient in twenty, mean over the convolutions"
ZERO_GRADIENTS = probed("zero gradients", "zero-gradients", 0.05, _ONE_IN_TWENTY)
SHIFT_CONSISTENCY = probed("shift consistency", "shift-consistency", 0.01, "as for accuracy")
_A_TWENTIETH = "a twentieth of the scale, which runs from 0 to 1"
SHIFT_SIMILARITY = probed("CKA under shifts", "shift-similarity", 0.05, _A_TWENTIETH, layer="trunk")
