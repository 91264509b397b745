"""Operators without parameters, and the ones that combine decisions."""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from fusion_models.operators.base import Operator, Shape, common_size
from fusion_models.registry import register_operator


@register_operator("none", families=())
class PassThrough(Operator):
    """Returns the features of a single modality unchanged: the operator of models that fuse nothing."""

    def _fuse_shapes(self, shapes: list[Shape]) -> Shape:
        if len(shapes) != 1:
            raise ValueError(f"PassThrough takes one modality, not {len(shapes)}")
        return shapes[0]

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return the only feature tensor."""
        return features[0]


@register_operator("concat", families=("field",))
@register_operator("logits", families=())  # its published name where decisions meet instead of features
class Concat(Operator):
    """Stacks channels: as wide as all modalities together; their other dimensions must agree."""

    def _fuse_shapes(self, shapes: list[Shape]) -> Shape:
        return (sum(shape[0] for shape in shapes), *common_size(self, shapes))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Concatenate along the channels."""
        return torch.cat(list(features), dim=1)


@register_operator("add", families=("field",))
class Add(Operator):
    """Element-wise sum."""

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Add all modalities, first to last."""
        return reduce(torch.add, features)


@register_operator("hadamard", families=("field",))
class Hadamard(Operator):
    """Element-wise product."""

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Multiply all modalities, first to last."""
        return reduce(torch.mul, features)


@register_operator("matmul", families=("field",))
class Matmul(Operator):
    """Matrix product of the maps, channel by channel: F_first @ F_second @ ..., so maps must be square."""

    def _fuse_shapes(self, shapes: list[Shape]) -> Shape:
        shape = super()._fuse_shapes(shapes)
        if len(shape) != 3 or shape[1] != shape[2]:
            raise ValueError(f"Matmul needs square maps (C, N, N), not {shape}")
        return shape

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Multiply (B, C, N, N) maps as matrices, first to last."""
        return reduce(torch.matmul, features)


@register_operator("mean", families=("field",))
class Mean(Add):
    """Mean of the logits of one classifier per modality: the normalized geometric mean of their probabilities."""

    decides = True

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Average all modalities."""
        return super().forward(features) / len(features)


@register_operator("product", families=("field",))
class ProductOfExperts(Add):
    """Sum of the logits: log p = sum of log p_i, up to a constant that softmax removes.

    Hinton 2002, "Training products of experts by minimizing contrastive divergence", without its prior. A single
    logit is the log odds, whose sum is the product of the odds.
    """

    decides = True
