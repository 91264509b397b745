"""How modalities meet: an operator turns one feature tensor per modality into one.

An operator is built from the shapes of its inputs and declares the shape of its output in ``out_shape``, so no
other code has to know that concatenation widens. To add one, write the class and register it. The models that ship
are listed in ``zoo.py``, so the operators here join no further families.

Shapes are without the batch: maps (C, H, W) or vectors (D,). Features come in the model's order of modalities.
"""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from fusion_models.registry import register_operator

Shape = tuple[int, ...]


class Operator(nn.Module):
    """Base of all operators.

    Args:
        shapes: Of the features, one per modality.

    Attributes:
        out_shape: Of the fused features.

    Raises:
        ValueError: Features of these shapes cannot be combined.
    """

    out_shape: Shape

    def __init__(self, shapes: Sequence[Shape]) -> None:
        super().__init__()
        if not shapes:
            raise ValueError(f"{type(self).__name__} needs at least one modality")
        self.out_shape = self._fuse_shapes([tuple(shape) for shape in shapes])

    def _fuse_shapes(self, shapes: list[Shape]) -> Shape:
        """Element-wise operators keep the common shape; the others override this."""
        if len(set(shapes)) > 1:
            raise ValueError(f"{type(self).__name__} needs equal shapes of all modalities, not {shapes}")
        return shapes[0]

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Fuse (B, *shape) tensors, one per modality, into (B, *out_shape)."""
        raise NotImplementedError


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


@register_operator("concat", families=())
@register_operator("logits", families=())  # its published name where decisions meet instead of features
class Concat(Operator):
    """Stacks channels: as wide as all modalities together; their other dimensions must agree."""

    def _fuse_shapes(self, shapes: list[Shape]) -> Shape:
        if len({shape[1:] for shape in shapes}) > 1:
            raise ValueError(f"Concat needs equal sizes after the channels, not {shapes}")
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Concatenate along the channels."""
        return torch.cat(list(features), dim=1)


@register_operator("add", families=())
class Add(Operator):
    """Element-wise sum."""

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Add all modalities, first to last."""
        return reduce(torch.add, features)


@register_operator("hadamard", families=())
class Hadamard(Operator):
    """Element-wise product."""

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Multiply all modalities, first to last."""
        return reduce(torch.mul, features)


@register_operator("matmul", families=())
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
