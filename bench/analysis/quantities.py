"""What runs are compared in: a metric, and how its value is read from a run and its probes.

``measured`` makes one of any metric of ``bench.metrics``. ``estimand`` finds those that claims name: the three
questions that a loss hides (how often does a model learn, how good is it when it has, what does a user get on
average), accuracies, costs, and values of probes. The smallest difference that matters is declared with its reason
before anybody looks at results; none was fitted.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf, log
from statistics import fmean

from msgspec.structs import replace

from bench.analysis.published import overall_accuracy
from bench.metrics import REPORTED, declarations, name_on, reported, reported_part, value
from bench.records import COMPLETED, DIVERGED, Metric, ProbeRecord, RunRecord
from bench.records.load import disturbed

LEARNED_SHARE = 0.05
"""A run has learned where its loss is below that of chance by this share: a model that knows nothing but the
classes' proportions in its training pairs is off by less than 1% of it on a few hundred others."""

LEARNED_ACCURACY = 0.05
"""And where its balanced accuracy is above that of chance by this much: twice the standard error of a half over
400 pairs."""

_SMALLEST_LOSS = 1e-12  # nats; smaller ones are rounding, and have no ratio
_CLEAN = 0.0  # the level of no corruption


@dataclass(frozen=True)
class Run:
    """A run that ended.

    Attributes:
        record: Its record.
        probes: Of its weights.
        rejected: The runs of other variants that it was chosen from.
    """

    record: RunRecord
    probes: tuple[ProbeRecord, ...] = ()
    rejected: tuple[RunRecord, ...] = ()


@dataclass(frozen=True)
class Quantity:
    """What two models can be compared in.

    Attributes:
        metric: How it is written and judged.
        of: Its value in a run, None where the run lacks it.
        if_learned: Whether only pairs of runs count that both learned.
        of_diverged: Whether a run whose training diverged has a value.
        most: No difference is larger: 1 for shares.
        yes_or_no: Whether values are 1 and 0 alone, so that a few alike say little about rare ones.
    """

    metric: Metric
    of: Callable[[Run], float | None] = field(repr=False)
    if_learned: bool = False
    of_diverged: bool = False
    most: float = inf
    yes_or_no: bool = False

    def with_margin(self, margin: float, reason: str) -> "Quantity":
        """The same with another smallest difference that matters."""
        return dataclasses.replace(self, metric=replace(self.metric, margin=margin, reason=reason))


def measured(metric: Metric, *, of_diverged: bool = False) -> Quantity:
    """A metric of a record; ``of_diverged``: also of one whose training diverged."""
    return Quantity(metric, lambda run: value(run.record, metric.name), of_diverged=of_diverged)


def chance_loss(record: RunRecord, part: str = "") -> float:
    """The loss of a model that knows nothing but the classes' proportions among a part of the pairs, in nats.

    It is their entropy: 0.693 for two classes of the same size, and for those of records that do not tell. The
    part is the reported one if left out.
    """
    return -sum(share * log(share) for share in _class_shares(record, part) if share)


def chance_accuracy(record: RunRecord) -> float:
    """The accuracy on the reported pairs of a model that always predicts their largest class."""
    return max(_class_shares(record))


def _class_shares(record: RunRecord, part: str = "") -> list[float]:
    """The classes' proportions among a part of the pairs; even ones if the record does not tell."""
    counts = (record.class_counts or {}).get(part or reported_part([record])) or [1] * record.classes
    return [count / sum(counts) for count in counts]


def learned(record: RunRecord) -> bool | None:
    """Whether a run ended clearly better than chance; None if it did not end.

    One that diverged has not learned, and neither has one whose loss on the reported pairs is not finite.
    """
    if record.status not in (COMPLETED, DIVERGED):
        return None
    loss, balanced = reported(record, "loss"), reported(record, "balanced_accuracy")
    if record.status == DIVERGED or loss is None:
        return False
    accurate = balanced is None or balanced >= 1 / record.classes + LEARNED_ACCURACY
    return accurate and loss <= (1 - LEARNED_SHARE) * chance_loss(record)


def count_learned(runs: Iterable[Run]) -> tuple[int, int]:
    """How many of some runs learned, and the number of runs that tell."""
    told = [verdict for run in runs if (verdict := learned(run.record)) is not None]
    return sum(told), len(told)


def accuracy_under(run: Run, corruption: str, level: float) -> float | None:
    """The accuracy under a corruption at one level, 0 for none; None where it was not probed."""
    found = [p.value for p in run.probes if (p.probe, p.metric, p.level) == (corruption, "accuracy", level)]
    return found[-1] if found else None


def lost_under(corruption: str, levels: Sequence[float]) -> Quantity:
    """The accuracy that is lost under a corruption, as a mean over some of its levels."""

    def lost(run: Run) -> float | None:
        clean = accuracy_under(run, corruption, _CLEAN)
        kept = [accuracy_under(run, corruption, level) for level in levels]
        found = [accuracy for accuracy in kept if accuracy is not None]
        return clean - fmean(found) if clean is not None and found and len(found) == len(kept) else None

    title = f"accuracy lost under {corruption}"
    metric = Metric(name=title, title=title, margin=0.01, reason="as for accuracy", higher_is_better=False)
    return Quantity(metric, lost, most=1.0)


def probed(title: str, probe: str, margin: float, reason: str, layer: str | None = None) -> Quantity:
    """The mean of a probe over its levels and layers, or over those of one layer; higher is better."""

    def mean(run: Run) -> float | None:
        latest = {(p.level, p.metric, p.layer, p.other_seed): p for p in run.probes if p.probe == probe}
        values = [probe.value for probe in latest.values() if layer in (None, probe.layer)]
        return fmean(values) if values else None

    metric = Metric(name=title, title=title, margin=margin, reason=reason, higher_is_better=True)
    return Quantity(metric, mean, most=1.0)


def _reported(name: str) -> Callable[[Run], float | None]:
    return lambda run: reported(run.record, name)


def _learned(run: Run) -> float | None:
    verdict = learned(run.record)
    return None if verdict is None else float(verdict)


def _loss_with_a_ratio(run: Run) -> float | None:
    loss = reported(run.record, "loss")
    return None if loss is None else max(loss, _SMALLEST_LOSS)


def _mean_loss(run: Run) -> float | None:
    losses = [loss for loss in run.record.valid_losses if loss is not None]
    return max(fmean(losses), _SMALLEST_LOSS) if losses else None


def _final_accuracy(run: Run) -> float | None:
    return run.record.valid_accuracies[-1] if run.record.valid_accuracies else None


def _gap(run: Run) -> float | None:
    if not (run.record.train_losses and run.record.valid_losses):
        return None
    train, valid = run.record.train_losses[-1], run.record.valid_losses[-1]
    return None if train is None or valid is None else valid - train


def _idle_epoch_seconds(run: Run) -> float | None:
    """The time of an epoch; None unless the machine is known to have been idle."""
    known = run.record.other_load is not None
    return value(run.record, "epoch_seconds") if known and not disturbed(run.record) else None


_FAST = 0.95  # a validation accuracy


def _epochs_to_target(run: Run) -> float | None:
    reached = [epoch for epoch, accuracy in enumerate(run.record.valid_accuracies, 1) if accuracy >= _FAST]
    return (
        float(next(iter(reached), len(run.record.valid_accuracies) + 1)) if run.record.valid_accuracies else None
    )


_METRICS = declarations()
# What claims call loss and accuracy is that on the reported pairs: of a test part, where a record has one.
_LOSS, _ACCURACY = (replace(_METRICS[name_on(name, REPORTED)], part="") for name in ("loss", "accuracy"))
_QUARTER = "losses within a quarter of each other are the same to one digit"

LOSS = Quantity(replace(_LOSS, name="loss", title="loss"), _reported("loss"))
"""What a user gets on average, runs that learned nothing included."""
LEARNED = Quantity(
    Metric(
        name="learned",
        title="learned",
        higher_is_better=True,
        margin=0.2,
        reason="one run in five: a user who trains three times then meets it every second time",
    ),
    _learned,
    of_diverged=True,
    most=1.0,
    yes_or_no=True,
)
LOSS_RATIO = Quantity(
    replace(_LOSS, name="loss ratio", title="loss", ratio=True, margin=0.25, reason=_QUARTER),
    _loss_with_a_ratio,
    if_learned=True,
)
ACCURACY = Quantity(replace(_ACCURACY, name="accuracy", title="accuracy"), _reported("accuracy"), most=1.0)
FINAL_ACCURACY = Quantity(
    replace(_ACCURACY, name="final accuracy", title="accuracy after the last epoch"), _final_accuracy, most=1.0
)
ALL_ACCURACY = Quantity(
    replace(
        _ACCURACY,
        name="accuracy over all pairs",
        title="accuracy over all pairs",
        reason="as for accuracy; the published one is over training and validation pairs together",
    ),
    lambda run: overall_accuracy(run.record),
    most=1.0,
)
MEAN_LOSS = Quantity(
    replace(
        _LOSS,
        name="mean loss ratio",
        title="mean validation loss of all epochs",
        ratio=True,
        margin=0.25,
        reason=_QUARTER,
    ),
    _mean_loss,
)
GAP = Quantity(
    replace(_LOSS, name="generalization gap", title="validation loss - training loss, last epoch"), _gap
)
EPOCHS = Quantity(
    Metric(
        name="epochs to 0.95",
        title="epochs to validation accuracy 0.95",
        higher_is_better=False,
        margin=1.0,
        reason="one epoch",
    ),
    _epochs_to_target,
)
EPOCH_TIME = Quantity(_METRICS["epoch_seconds"], _idle_epoch_seconds)
MEMORY = measured(_METRICS["peak_memory_bytes"], of_diverged=True)
# Neither more nor fewer parameters are better, but published claims call fewer an advantage.
PARAMETERS = measured(replace(_METRICS["parameters"], higher_is_better=False), of_diverged=True)
_ONE_IN_TWENTY = "one gradient in twenty, mean over the convolutions"
ZERO_GRADIENTS = probed("zero gradients", "zero-gradients", 0.05, _ONE_IN_TWENTY)
SHIFT_CONSISTENCY = probed("shift consistency", "shift-consistency", 0.01, "as for accuracy")
_A_TWENTIETH = "a twentieth of the scale, which runs from 0 to 1"
SHIFT_SIMILARITY = probed("CKA under shifts", "shift-similarity", 0.05, _A_TWENTIETH, layer="trunk")

ESTIMANDS = {
    "learned": LEARNED,
    "loss": LOSS,
    "loss ratio": LOSS_RATIO,
    "accuracy": ACCURACY,
    "final accuracy": FINAL_ACCURACY,
    "accuracy over all pairs": ALL_ACCURACY,
    "mean loss ratio": MEAN_LOSS,
    "generalization gap": GAP,
    "epochs to 0.95": EPOCHS,
    "epoch time": EPOCH_TIME,
    "memory": MEMORY,
    "parameters": PARAMETERS,
    "zero gradients": ZERO_GRADIENTS,
    "shift consistency": SHIFT_CONSISTENCY,
    "shift similarity": SHIFT_SIMILARITY,
}
"""What claims can compare, by the name in their files; besides these, the accuracy lost under a corruption."""
