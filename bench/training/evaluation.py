"""What logits are worth: the loss that is minimized, and the metrics, each computed once over all samples.

Shapes: N samples, L logits (1 for binary cross-entropy, otherwise one a class).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data_utils import Batch

# Large enough to be fast and small enough for the activations of the largest model to fit anywhere.
EVALUATION_BATCH_SIZE = 256


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean negative log-likelihood in nats: binary cross-entropy for (N, 1) logits, else cross-entropy."""
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype))
    return F.cross_entropy(logits, labels)


def predicted_classes(logits: Tensor) -> Tensor:
    """The most probable class of each sample, int64 (N,)."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).long()
    return logits.argmax(dim=1)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of samples whose most probable class is right, in [0, 1]."""
    return (predicted_classes(logits) == labels).double().mean().item()


def balanced_accuracy(logits: Tensor, labels: Tensor) -> float:
    """Mean over the classes present of the share of their samples that is right, in [0, 1]."""
    right = (predicted_classes(logits) == labels).double()
    return torch.stack([right[labels == label].mean() for label in labels.unique()]).mean().item()


@dataclass(frozen=True)
class Metric:
    """One figure of merit.

    Attributes:
        name: its key in records.
        function: (logits (N, L), labels (N,)) -> value.
        unit: "" for a share.
        higher_is_better: direction.
        decimals: shown in tables.
    """

    name: str
    function: Callable[[Tensor, Tensor], float]
    unit: str
    higher_is_better: bool
    decimals: int


METRICS = (
    Metric("loss", lambda z, y: classification_loss(z.double(), y).item(), "nats", False, 4),
    Metric("accuracy", accuracy, "", True, 3),
    Metric("balanced_accuracy", balanced_accuracy, "", True, 3),
)


@torch.no_grad()
def predict(model: nn.Module, batch: Batch) -> Tensor:
    """Logits (N, L) of all samples, on the CPU, the model in evaluation mode."""
    model.eval()
    parts = [
        model(batch[start : start + EVALUATION_BATCH_SIZE].inputs)
        for start in range(0, len(batch), EVALUATION_BATCH_SIZE)
    ]
    return torch.cat(parts).cpu()


def evaluate(model: nn.Module, batch: Batch) -> dict[str, float]:
    """Every metric of METRICS by name, over every sample of ``batch``."""
    logits, labels = predict(model, batch), batch.labels.cpu()
    return {metric.name: metric.function(logits, labels) for metric in METRICS}
