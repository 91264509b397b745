"""Predictions of a model, and every registered metric of them, each computed once over all samples.

Shapes: N samples, L logits (1 for binary cross-entropy, otherwise one per class).
"""

import math
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


@torch.no_grad()
def predict(model: nn.Module, pairs: Pairs, precision: Precision = FP32) -> Tensor:
    """Logits (N, L) of all samples, on the CPU, the model in evaluation mode.

    The precision is that of the model's training: others have other predictions.
    """
    model.eval()
    parts = [
        forward(model, pairs[start : start + EVALUATION_BATCH_SIZE].inputs, precision)
        for start in range(0, len(pairs), EVALUATION_BATCH_SIZE)
    ]
    return torch.cat(parts).cpu()


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
    try:
        value = METRICS[name].compute(logits, labels)
    except Exception as error:
        if not logits.isfinite().all():  # the loss reports that; a metric need not be defined here
            return math.nan
        raise PluginError(
            f"{METRICS.file(name)}: the metric {name!r} raises {type(error).__name__}: {error}"
        ) from error
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if not isinstance(value, Real):
        raise PluginError(
            f"{METRICS.file(name)}: the metric {name!r} returns a {type(value).__name__}; it must return a number"
        )
    return float(value)
