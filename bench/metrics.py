"""The one table of metrics: everything that shows, compares or judges a quantity reads its declaration here.

Two kinds: metrics that an evaluation computes from predictions (``@register_metric``, as in a plug-in), and
quantities that a record holds beside them (``QUANTITIES``). ``declarations`` gives those of some records, with the
declarations that records of plug-ins carry. Loads torch only to compute.

Shapes: N samples, L logits (1 for binary cross-entropy, otherwise one per class).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import nan
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from bench.records.metric import Metric
from bench.records.run import COMPLETED, RunRecord
from bench.registry import METRICS, register_metric

if TYPE_CHECKING:
    from torch import Tensor

_ACCURACY_REASON = "one error more in a hundred pairs"


@register_metric(
    "loss",
    higher_is_better=False,
    unit="nats",
    decimals=None,
    margin=0.01,
    reason="a hundredth of a nat is 1% less probability of the right class",
    history="loss",
)
def loss(logits: Tensor, labels: Tensor) -> float:
    """Mean negative log-likelihood in nats, in double precision."""
    return classification_loss(logits.double(), labels).item()


@register_metric("accuracy", higher_is_better=True, margin=0.01, reason=_ACCURACY_REASON, history="error rate")
def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of samples whose most probable class is right, in [0, 1]."""
    return (predicted_classes(logits) == labels).double().mean().item()


@register_metric("balanced_accuracy", higher_is_better=True, margin=0.01, reason=_ACCURACY_REASON, shown=False)
def balanced_accuracy(logits: Tensor, labels: Tensor) -> float:
    """Mean over the classes present of the share of their samples that is right, in [0, 1]."""
    import torch

    right = (predicted_classes(logits) == labels).double()
    return torch.stack([right[labels == label].mean() for label in labels.unique()]).mean().item()


@register_metric(
    "macro_f1",
    higher_is_better=True,
    title="macro F1",
    margin=0.01,
    reason="as for accuracy, which it is close to where classes are even",
    shown=False,
    shown_if_uneven=True,
    every_epoch=False,
)
def macro_f1(logits: Tensor, labels: Tensor) -> float:
    """Mean over classes of the harmonic mean of precision and recall, in [0, 1].

    A class that no sample has is left out, unless it is predicted: then its F1 is 0.
    """
    from sklearn.metrics import f1_score

    return float(f1_score(labels.numpy(), predicted_classes(logits).numpy(), average="macro"))


@register_metric(
    "auroc",
    higher_is_better=True,
    title="AUROC",
    margin=0.01,
    reason="one pair in a hundred is ranked the other way round",
    shown=False,
    every_epoch=False,
)
def auroc(logits: Tensor, labels: Tensor) -> float:
    """Mean over classes of the area under the ROC curve of the class's probability, against all others; in [0, 1].

    Classes that no sample has are left out; NaN where all samples are of one class. Of two classes both have the
    same area.
    """
    import torch
    from sklearn.metrics import roc_auc_score

    scores = probabilities(logits)
    of_class = labels[:, None] == torch.arange(scores.shape[1])
    defined = of_class.any(dim=0) & ~of_class.all(dim=0)
    if not defined.any():
        return nan
    return float(roc_auc_score(of_class[:, defined].numpy(), scores[:, defined].numpy(), average="macro"))


BINS = 15
"""Of equal width, as in Guo et al. 2017."""


@register_metric(
    "calibration_error",
    higher_is_better=False,
    title="calibration error",
    margin=0.01,
    reason="a hundredth of a probability",
    shown=False,
    every_epoch=False,
)
def calibration_error(logits: Tensor, labels: Tensor) -> float:
    """Expected calibration error, in [0, 1] (Guo et al. 2017, arXiv 1706.04599, equation 3).

    Samples are put into BINS bins by the probability of the predicted class; in each the mean probability is
    compared with the accuracy. The mean of the differences, weighted by samples.
    """
    confidence, predicted = probabilities(logits).max(dim=1)
    difference = (predicted == labels).double() - confidence
    bins = (confidence * BINS).ceil().long().clamp(1, BINS) - 1  # each includes its upper end
    return difference.new_zeros(BINS).index_add(0, bins, difference).abs().sum().item() / len(labels)


def confusion(logits: Tensor, labels: Tensor, classes: int) -> list[list[int]]:
    """The number of samples of each class, in rows, that each class was predicted for, in columns."""
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(labels.numpy(), predicted_classes(logits).numpy(), labels=range(classes))
    return [[int(count) for count in row] for row in counts]


def class_accuracies(confusion: list[list[int]]) -> list[float | None]:
    """The share of each class's samples that is right, in [0, 1]; None for a class that no sample has."""
    return [row[label] / sum(row) if sum(row) else None for label, row in enumerate(confusion)]


def probabilities(logits: Tensor) -> Tensor:
    """The probability of each class (N, classes) from logits (N, L), in double precision."""
    import torch

    if logits.shape[1] == 1:
        second = logits.double().sigmoid()
        return torch.cat([1 - second, second], dim=1)
    return logits.double().softmax(dim=1)


def classification_loss(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean negative log-likelihood in nats: binary cross-entropy for (N, 1) logits, else cross-entropy.

    Args:
        logits: (N, L).
        labels: int64 (N,).
        weights: Of each class, (classes,); each sample's loss is multiplied by that of its class, and the sum is
            divided by N. (``torch.nn.CrossEntropyLoss`` divides by the sum of the batch's weights, which would
            give a sample another weight in each batch.)
    """
    from torch.nn import functional as F

    reduction = "mean" if weights is None else "none"
    if logits.shape[1] == 1:
        losses = F.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype), reduction=reduction)
    else:
        losses = F.cross_entropy(logits, labels, reduction=reduction)
    return losses if weights is None else (weights.index_select(0, labels).to(losses.dtype) * losses).mean()


def predicted_classes(logits: Tensor) -> Tensor:
    """The most probable class of each sample, int64 (N,)."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).long()
    return logits.argmax(dim=1)


REPORTED, CHOSEN = "test", "valid"
"""The parts of the pairs that metrics are evaluated on: epochs are chosen on the second, reported on the first."""

IN_WORDS: Mapping[str, str] = MappingProxyType({REPORTED: "test", CHOSEN: "validation"})
"""The parts in sentences."""


def on_part(declaration: Metric, part: str) -> Metric:
    """The quantity of a record that an evaluated metric is on a part of the pairs, at the best epoch."""
    name, title = name_on(declaration.name, part), f"{part} {declaration.title}"
    alias, history = declaration.alias, declaration.history
    if name == "best_valid_loss":
        title, alias, history = "best valid loss", "valid_loss", "validation loss"
    elif part == REPORTED and history:
        history = f"test {history}"
    return msgspec.structs.replace(declaration, name=name, title=title, alias=alias, history=history, part=part)


def name_on(evaluated: str, part: str) -> str:
    """The name of an evaluated metric on a part of the pairs: "accuracy" -> "test_accuracy"."""
    return "best_valid_loss" if (evaluated, part) == ("loss", CHOSEN) else f"{part}_{evaluated}"


def reported(record: RunRecord, evaluated: str) -> float | None:
    """What a record reports of an evaluated metric: on the test pairs, or on validation pairs without these."""
    return value(record, name_on(evaluated, reported_part([record])))


def reported_pairs(record: RunRecord) -> int | None:
    """The number of pairs that ``reported`` values are over; None where the record does not tell."""
    return record.test_pairs if reported_part([record]) == REPORTED else record.valid_pairs


def reported_part(records: Iterable[RunRecord]) -> str:
    """The part whose metrics stand for these records: the test pairs, unless no completed record has any.

    Records of older versions, and of runs without test pairs, have validation metrics only.
    """
    done = [record for record in records if record.status == COMPLETED]
    return CHOSEN if done and all(record.test_metrics is None for record in done) else REPORTED


UNEVEN = 2
"""Classes are uneven where the largest has this many times the pairs of the smallest: accuracy is then mostly that
of the large classes, and a mean over classes tells something else."""


def uneven(records: Iterable[RunRecord]) -> bool:
    """Whether the pairs that any of some records report on are of uneven classes; see UNEVEN."""
    records = list(records)
    part = reported_part(records)
    counts = [of_parts[part] for record in records if part in (of_parts := record.class_counts or {})]
    return any(max(of_class) >= UNEVEN * min(of_class) for of_class in counts)


def is_shown(metric: Metric, records: Iterable[RunRecord]) -> bool:
    """Whether the main tables of some records have a column for a metric."""
    return metric.shown or (metric.shown_if_uneven and uneven(records))


def is_timed(metric: Metric) -> bool:
    """Whether a metric is a time or computed from one."""
    return metric.per_machine and metric.comparison != "exact"


_time = partial(Metric, unit="s", higher_is_better=False, per_machine=True)
_speed = partial(Metric, higher_is_better=True, per_machine=True, shown=False)

_QUANTITIES = (
    Metric(
        name="parameters",
        title="parameters",
        decimals=0,
        comparison="exact",
        ratio=True,
        reason="counts are exact",
    ),
    Metric(
        name="flops_per_step",
        title="GFLOP per step",
        unit="FLOP",
        decimals=2,
        scale=1e9,
        comparison="exact",
        shown=False,
    ),
    _time(
        name="epoch_seconds",
        title="epoch time (s)",
        decimals=2,
        comparison="epochs",
        margin=0.05,
        reason="the smallest published ratio that is called faster is 0.950",
        ratio=True,
        alias="epoch_time",
        history="epoch time",
    ),
    _time(
        name="train_seconds",
        title="train time (s)",
        decimals=1,
        comparison="epochs",
        margin=0.05,
        ratio=True,
        alias="train_time",
    ),
    _time(name="seconds_to_target", title="time to target (s)", decimals=1, shown=False),
    _speed(name="achieved_flops", title="GFLOP/s", unit="FLOP/s", decimals=1, scale=1e9),
    _speed(name="efficiency", title="% of ceiling", decimals=0, scale=0.01),
    Metric(
        name="peak_memory_bytes",
        title="peak memory (MB)",
        unit="bytes",
        higher_is_better=False,
        decimals=0,
        scale=1e6,
        comparison="exact",
        margin=0.01,
        reason="allocators round to blocks; a hundredth is beyond that",
        ratio=True,
        per_machine=True,
        alias="peak_memory",
        history="peak memory",
    ),
)

QUANTITIES: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _QUANTITIES})
"""What a record holds beside the evaluated metrics."""


def declarations(records: Iterable[RunRecord] = ()) -> dict[str, Metric]:
    """The metrics of some records by name, evaluated ones first: those known here, and those the records declare.

    A metric that a record evaluated without a declaration has its name as its title and no direction.
    """
    evaluated = {name: metric.declaration for name, metric in METRICS.items()}
    for record in records:
        for declared in record.metrics:
            evaluated.setdefault(declared.name, declared)
        for name in {**(record.valid_metrics or {}), **(record.test_metrics or {})}:
            evaluated.setdefault(name, Metric(name=name, title=name.replace("_", " ")))
    quantities = [on_part(metric, part) for part in (REPORTED, CHOSEN) for metric in evaluated.values()]
    return {metric.name: metric for metric in (*quantities, *QUANTITIES.values())}


def value(record: RunRecord, name: str) -> float | None:
    """The value of a metric in a record; None where the record lacks it."""
    if name in _COMPUTED:
        return _COMPUTED[name](record)
    part, _, evaluated = name.partition("_")
    of_part: dict[str, float | None] = getattr(record, f"{part}_metrics", None) or {}
    found: float | None = getattr(record, name, of_part.get(evaluated))
    return found


def achieved_flops(record: RunRecord) -> float | None:
    """Floating-point operations per second of the training, in the epoch of median length; None where unknown.

    Of the last stage of training, as ``flops_per_step`` and ``epoch_seconds`` are: experts are trained before it.
    A step's operations are proportional to its pairs, so a smaller last batch counts with the pairs it has. They
    were counted on a whole batch, or on all training pairs if these are fewer.
    """
    batch_size, used = record.protocol.get("batch_size"), record.train_pairs
    if record.flops_per_step is None or used is None or batch_size is None or not record.epoch_seconds:
        return None
    counted = min(batch_size, used)
    if record.protocol.get("drop_last"):
        used -= used % counted
    return float(record.flops_per_step * used / counted / median(record.epoch_seconds))


def efficiency(record: RunRecord) -> float | None:
    """Achieved operations per second as a share of the device's own ceiling, at most 1; None where one is unknown.

    A training that is faster than what the ceiling was measured with is the ceiling itself.
    """
    achieved = achieved_flops(record)
    if achieved is None or record.ceiling is None:
        return None
    return achieved / max(achieved, record.ceiling["flops_per_second"])


def fastest_operation(record: RunRecord) -> str | None:
    """The name of the operation that the ceiling was reached with; None in records that do not tell."""
    reached = {name: speed for name, speed in (record.ceiling or {}).items() if name.endswith("_flops_per_second")}
    return max(reached, key=reached.__getitem__).removesuffix("_flops_per_second") if reached else None


_COMPUTED: Mapping[str, Callable[[RunRecord], float | None]] = MappingProxyType(
    {
        "epoch_seconds": lambda record: median(record.epoch_seconds) if record.epoch_seconds else None,
        "achieved_flops": achieved_flops,
        "efficiency": efficiency,
    }
)
