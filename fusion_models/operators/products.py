"""Operators that multiply every feature of one modality with every feature of the others."""

from collections.abc import Sequence
from functools import reduce
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_models.operators.base import Operator, Shape, common_size, pointwise
from fusion_models.registry import register_operator

MOST_PRODUCTS = 2**16
"""Products per position that ``TensorFusion`` makes at most: their number grows exponentially with modalities."""


@register_operator("lmf", families=("field",))
class LowRank(Operator):
    """Low-rank tensor fusion: y = sum over r of w_r (U_r [1; x_1] * V_r [1; x_2] * ...) + b.

    On maps, it is applied at every position. The output is as wide as the first modality.

    Liu et al. 2018, arXiv 1806.00064.

    Args:
        shapes: Of the features.
        rank: The number of terms.
    """

    def __init__(self, shapes: Sequence[Shape], rank: int = 4) -> None:
        super().__init__(shapes)
        width = self.out_shape[0]
        # The column of U that meets the 1 is the layer's bias.
        self.factors = nn.ModuleList(pointwise(shape, rank * width) for shape in shapes)
        self.weights = nn.Parameter(nn.init.xavier_normal_(torch.empty(1, rank)))
        self.bias = nn.Parameter(torch.zeros(width))

    def _fuse_shapes(self, shapes: list[Shape]) -> Shape:
        return (shapes[0][0], *common_size(self, shapes))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Multiply the modalities' projections of each rank, and add up the ranks."""
        terms = reduce(torch.mul, [factor(x) for factor, x in zip(self.factors, features, strict=True)])
        # Adding up the ranks of each channel, written as a layer: faster than weighting and summing maps.
        layer = torch.kron(self.weights, torch.eye(self.out_shape[0], device=terms.device))
        if terms.dim() == 4:
            return F.conv2d(terms, layer[:, :, None, None], self.bias)
        return F.linear(terms, layer, self.bias)


@register_operator("tensor", families=("field",))
class TensorFusion(Operator):
    """Tensor fusion: y = W vec([1; x_1] outer [1; x_2] outer ...) + b, at every position of maps.

    The output is as wide as the first modality.

    Zadeh et al. 2017, arXiv 1707.07250.
    """

    def __init__(self, shapes: Sequence[Shape]) -> None:
        super().__init__(shapes)
        products = prod(shape[0] + 1 for shape in shapes)
        self.weigh = pointwise((products, *self.out_shape[1:]), self.out_shape[0])

    def _fuse_shapes(self, shapes: list[Shape]) -> Shape:
        products = prod(shape[0] + 1 for shape in shapes)
        if products > MOST_PRODUCTS:
            raise ValueError(
                f"TensorFusion would multiply {len(shapes)} modalities to {products} features, more than "
                f"{MOST_PRODUCTS}; fuse fewer or narrower ones, or use lmf, its low-rank form"
            )
        return (shapes[0][0], *common_size(self, shapes))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Weigh all products."""
        outer = reduce(lambda a, b: (a.unsqueeze(2) * b.unsqueeze(1)).flatten(1, 2), map(_with_one, features))
        fused: Tensor = self.weigh(outer)
        return fused


def _with_one(features: Tensor) -> Tensor:
    """A channel of ones before the others."""
    return torch.cat([torch.ones_like(features[:, :1]), features], dim=1)
