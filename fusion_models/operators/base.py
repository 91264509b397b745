"""The base of all operators, and what several of them are made of."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

Shape = tuple[int, ...]


class Operator(nn.Module):
    """Base of all operators.

    An operator combines the modalities' features after the last stage of their stems. One that also rewrites them
    after every stage names the module that does so in ``exchange``.

    Args:
        shapes: Of the features, one per modality.

    Attributes:
        out_shape: Of the fused features.
        exchange: A module that is called with the shapes of the features after a stage, and maps the list of
            feature tensors to a list of the same shapes. None for an operator that acts at the end alone.
        decides: Whether the operator combines logits, so that what it returns needs no further layer.
        fewest: Of modalities that it can combine.

    Raises:
        ValueError: Features of these shapes cannot be combined.
    """

    out_shape: Shape
    exchange: ClassVar[type[nn.Module] | None] = None
    decides: ClassVar[bool] = False
    fewest: ClassVar[int] = 1

    def __init__(self, shapes: Sequence[Shape]) -> None:
        super().__init__()
        if len(shapes) < self.fewest:
            least = "one modality" if self.fewest == 1 else f"{self.fewest} modalities"
            raise ValueError(f"{type(self).__name__} needs at least {least}, not {len(shapes)}")
        self.out_shape = self._fuse_shapes([tuple(shape) for shape in shapes])

    def _fuse_shapes(self, shapes: list[Shape]) -> Shape:
        """Element-wise operators keep the common shape; the others override this."""
        return common_shape(self, shapes)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Fuse (B, *shape) tensors, one per modality, into (B, *out_shape)."""
        raise NotImplementedError


def common_shape(part: nn.Module, shapes: Sequence[Shape]) -> Shape:
    """The shape that all modalities have.

    Raises:
        ValueError: They differ; the message names the part that needs them equal.
    """
    if len(set(shapes)) > 1:
        raise ValueError(f"{type(part).__name__} needs equal shapes of all modalities, not {shapes}")
    return shapes[0]


def common_size(part: nn.Module, shapes: Sequence[Shape]) -> Shape:
    """The height and width that all modalities have, () for vectors; their channels may differ.

    Raises:
        ValueError: They differ; the message names the part that needs them equal.
    """
    if len({shape[1:] for shape in shapes}) > 1:
        raise ValueError(f"{type(part).__name__} needs equal sizes after the channels, not {shapes}")
    return shapes[0][1:]


def pointwise(shape: Shape, outputs: int) -> nn.Module:
    """A linear map of the channels, the same at every position: a 1x1 convolution of maps, a layer of vectors."""
    return nn.Conv2d(shape[0], outputs, kernel_size=1) if len(shape) == 3 else nn.Linear(shape[0], outputs)


def averaged(features: Tensor) -> Tensor:
    """Maps (B, C, H, W) to their means (B, C); vectors (B, D) stay as they are.

    A mean, not AdaptiveAvgPool2d, which has no deterministic backward pass on CUDA.
    """
    return features.mean(dim=(2, 3)) if features.dim() == 4 else features


def per_channel(weights: Tensor, features: Tensor) -> Tensor:
    """Weights (B, C), shaped to be multiplied with maps (B, C, H, W) or vectors (B, C)."""
    return weights[:, :, None, None] if features.dim() == 4 else weights
