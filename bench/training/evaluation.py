"""Predictions of a model, and every registered metric of them, each computed once over all samples.

Shapes: N samples, L logits (1 for binary cross-entropy, otherwise one per class).
"""

import math
from collections.abc import Iterable
from numbers import Real

import torch
from torch import Tensor, nn

from bench.config import FP32, Precision
from bench.registry import METRICS
from bench.training.pairs import Pairs
from bench.training.precision import forward
from fusiongauge import PluginError

EVALUATION_BATCH_SIZE = 256
"""Large enough to be fast, small enough for the activations of the largest model to fit anywhere."""

_MOST_PIXELS = EVALUATION_BATCH_SIZE * 128 * 128


def evaluation_batch(image_size: tuple[int, int]) -> int:
    """How many pairs are evaluated at a time: fewer of images that have more than 128 x 128 pixels."""
    rows, columns = image_size
    return min(EVALUATION_BATCH_SIZE, max(1, _MOST_PIXELS // (rows * columns)))


@torch.no_grad()
def predict(model: nn.Module, pairs: Pairs, precision: Precision = FP32) -> Tensor:
    """Logits (N, L) of all samples, on the CPU, the model in evaluation mode.

    The precision is that of the model's training: others have other predictions.
    """
    model.eval()
    rows, columns = next(iter(pairs[:1].inputs.values())).shape[-2:]
    size = evaluation_batch((rows, columns))
    starts = range(0, len(pairs), size)
    return joined(
        (forward(model, pairs[start : start + size].inputs, precision) for start in starts), len(pairs)
    ).cpu()


def joined(parts: Iterable[Tensor], count: int) -> Tensor:
    """``torch.cat`` of parts with that number of rows together, which are made one after the other.

    A list of them would be small pieces between the large ones that each part takes while it is made; these then
    need new memory every time.
    """
    whole, filled = torch.empty(0), 0
    for part in parts:
        if not filled:
            whole = part.new_empty(count, *part.shape[1:])
        whole[filled : filled + len(part)] = part
        filled += len(part)
    return whole


def evaluate(
    model: nn.Module, pairs: Pairs, precision: Precision = FP32, *, every_epoch: bool = False
) -> dict[str, float]:
    """Every metric of ``bench.registry.METRICS`` by name, over all of the pairs; see ``predict``, ``metrics_of``.

    Raises:
        PluginError: A metric raises, or returns something other than a number.
    """
    return metrics_of(predict(model, pairs, precision), pairs.labels.cpu(), every_epoch=every_epoch)


def metrics_of(logits: Tensor, labels: Tensor, *, every_epoch: bool = False) -> dict[str, float]:
    """Every metric by name, over samples whose logits (N, L) and labels (N,) are on the CPU; see ``evaluate``.

    ``every_epoch`` leaves out those that are not computed after every epoch.
    """
    names = [name for name, metric in METRICS.items() if metric.every_epoch or not every_epoch]
    return {name: _value(name, logits, labels) for name in names}


def _value(name: str, logits: Tensor, labels: Tensor) -> float:
    if name in METRICS.added:  # copies, as a plug-in may write into what it is given
        logits, labels = logits.clone(), labels.clone()
    try:
        value = METRICS[name].compute(logits, labels)
        if isinstance(value, Tensor) and value.numel() == 1:
            value = value.item()
        if isinstance(value, Real):
            return float(value)
    except Exception as error:
        if not logits.isfinite().all():  # the loss reports that; a metric need not be defined here
            return math.nan
        raise PluginError(
            f"{METRICS.file(name)}: the metric {name!r} raises {type(error).__name__}: {error}"
        ) from error
    raise PluginError(
        f"{METRICS.file(name)}: the metric {name!r} returns a {type(value).__name__}; it must return a number"
    )
