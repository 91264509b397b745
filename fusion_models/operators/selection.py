"""Operators that take each channel from one modality or another."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_models.operators.base import Operator, Shape, common_shape, common_size, pointwise
from fusion_models.operators.elementary import Add
from fusion_models.registry import register_operator


class _WithL1Gradient(torch.autograd.Function):
    """Returns its input; its gradient is that of the loss plus that of ``strength`` times the L1 norm."""

    @staticmethod
    def forward(ctx: Any, scales: Tensor, strength: Tensor) -> Tensor:
        ctx.save_for_backward(scales, strength)
        return scales.view_as(scales)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        scales, strength = ctx.saved_tensors
        return gradients[0] + strength * scales.sign(), None


class SparseBatchNorm(nn.BatchNorm2d):
    """Batch normalization whose scales are drawn to zero by an L1 penalty on some of them.

    The penalty is in the gradient alone: losses stay those of the predictions, and comparable between operators.

    Args:
        width: Channels.
        penalized: The channels whose scales the penalty is on.
        strength: Of the penalty.
    """

    strength: Tensor

    def __init__(self, width: int, penalized: slice, strength: float) -> None:
        super().__init__(width)
        strengths = torch.zeros(width)
        strengths[penalized] = strength
        self.register_buffer("strength", strengths, persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        scales = _WithL1Gradient.apply(self.weight, self.strength)
        training, momentum = self.training, self.momentum or 0.0
        return F.batch_norm(
            maps, self.running_mean, self.running_var, scales, self.bias, training, momentum, self.eps
        )


class Exchange(nn.Module):
    """Batch normalization per modality; a channel of small scale is replaced by the mean of the other modalities'.

    Each modality's scales are penalized in its own share of the channels, the first half for the first of two.

    Args:
        shapes: Of the streams; maps of equal shapes.
        threshold: Scales of smaller absolute value are small.
        strength: Of the L1 penalty on the scales.
    """

    def __init__(self, shapes: Sequence[Shape], threshold: float = 0.02, strength: float = 2e-4) -> None:
        super().__init__()
        shape = common_shape(self, shapes)
        if len(shape) != 3:
            raise ValueError(f"channel exchange needs maps (C, H, W), not {shape}")
        self.threshold = threshold
        bounds = [shape[0] * i // len(shapes) for i in range(len(shapes) + 1)]
        parts = [slice(*bounds[i : i + 2]) for i in range(len(shapes))]
        self.norms = nn.ModuleList(SparseBatchNorm(shape[0], part, strength) for part in parts)

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """Streams of the same shapes."""
        normed = [norm(x) for norm, x in zip(self.norms, streams, strict=True)]
        exchanged = []
        for i, own in enumerate(normed):
            others = normed[:i] + normed[i + 1 :]
            small = self.norms[i].get_parameter("weight").abs() < self.threshold
            exchanged.append(torch.where(small[:, None, None], reduce(torch.add, others) / len(others), own))
        return exchanged


@register_operator("cen", families=("field",))
class ChannelExchange(Add):
    """Channel exchange after every stage; the sum of the modalities at the end.

    Scales begin at 1, so a training of a few hundred steps exchanges nothing: then it is batch normalization and a
    sum. The modalities' convolutions are their own, and batch normalization comes after ReLU, as stages end in it;
    in the paper, convolutions are shared, and the last features' weights are learned.

    Wang et al. 2020, arXiv 2011.05005.
    """

    fewest = 2
    exchange = Exchange


@register_operator("embracenet", families=("field",))
class EmbraceNet(Operator):
    """Every channel is taken from one modality: relu(W_i x_i), where i is drawn for each sample and channel.

    Modalities are drawn with equal probabilities. Evaluation, which draws nothing, takes the mean that the draws
    would have. On maps, the weights W are 1x1 convolutions. The output is as wide as the first modality.

    Choi and Lee 2019, arXiv 1904.09078; there evaluation draws too.
    """

    def __init__(self, shapes: Sequence[Shape]) -> None:
        super().__init__(shapes)
        self.dock = nn.ModuleList(pointwise(shape, self.out_shape[0]) for shape in shapes)

    def _fuse_shapes(self, shapes: list[Shape]) -> Shape:
        return (shapes[0][0], *common_size(self, shapes))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Combine the modalities, one tensor each."""
        docked = torch.stack([layer(x).relu() for layer, x in zip(self.dock, features, strict=True)], dim=-1)
        if self.training:
            # The first of exponential waiting times is any one with the same probability.
            waiting = torch.empty(*docked.shape[:2], len(features), device=docked.device).exponential_()
            first = waiting.argmin(dim=2, keepdim=True)
            weights = (first == torch.arange(len(features), device=docked.device)).to(docked.dtype)
        else:
            weights = torch.full((1, 1, len(features)), 1 / len(features), device=docked.device)
        return (docked * (weights[:, :, None, None] if docked.dim() == 5 else weights)).sum(dim=-1)
