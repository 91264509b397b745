"""The one table of metrics: everything that shows, compares or judges a quantity reads its declaration here.

Two kinds: metrics that an evaluation computes from predictions (``@register_metric``, as in a plug-in), and
quantities that a record holds beside them (``QUANTITIES``). ``metrics_of`` gives those of some records, with the
declarations that records of plug-ins carry. Loads torch only to compute.

Shapes: N samples, L logits (1 for binary cross-entropy, otherwise one per class).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from bench.records.metric import Metric
from bench.records.run import COMPLETED, RunRecord
from bench.registry import METRICS, register_metric

if TYPE_CHECKING:
    from torch import Tensor

_ACCURACY_REASON = "one pair in a hundred: twice the standard error of a share of 0.99 over 400 validation pairs"


@register_metric(
    "loss",
    higher_is_better=False,
    unit="nats",
    decimals=None,
    margin=0.01,
    reason="a hundredth of a nat is 1% less probability of the right class; chance is 0.693 for two classes",
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


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean negative log-likelihood in nats: binary cross-entropy for (N, 1) logits, else cross-entropy."""
    from torch.nn import functional as F

    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype))
    return F.cross_entropy(logits, labels)


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
    A step's operations are proportional to its pairs, so a smaller last batch counts with the pairs it has.
    """
    batch_size, used = record.protocol.get("batch_size"), record.train_pairs
    if record.flops_per_step is None or used is None or batch_size is None or not record.epoch_seconds:
        return None
    if record.protocol.get("drop_last"):
        used -= used % batch_size
    return float(record.flops_per_step * used / batch_size / median(record.epoch_seconds))


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
