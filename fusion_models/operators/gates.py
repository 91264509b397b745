"""Operators that weight one modality's channels by what the others contain."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fusion_models.operators.base import (
    Operator,
    Shape,
    averaged,
    common_size,
    per_channel,
    pointwise,
)
from fusion_models.operators.elementary import Add
from fusion_models.registry import register_operator


@register_operator("gmu", families=("field",))
class GatedUnit(Operator):
    """Gated multimodal unit: h_i = tanh(W_i x_i), y = z * h_1 + (1 - z) * h_2 with z = sigmoid(W_z [x_1; x_2]).

    More than two modalities have a gate each, z_i = sigmoid(W_zi [x_1; ...; x_n]), and y is the sum of z_i * h_i.
    On maps, the weights W are 1x1 convolutions. The output is as wide as the first modality.

    Arevalo et al. 2017, arXiv 1702.01992.
    """

    fewest = 2

    def __init__(self, shapes: Sequence[Shape]) -> None:
        super().__init__(shapes)
        size, width = self.out_shape[1:], self.out_shape[0]
        self.values = nn.ModuleList(pointwise(shape, width) for shape in shapes)
        gates = 1 if len(shapes) == 2 else len(shapes)
        self.gate = pointwise((sum(shape[0] for shape in shapes), *size), gates * width)

    def _fuse_shapes(self, shapes: list[Shape]) -> Shape:
        return (shapes[0][0], *common_size(self, shapes))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Mix the values of all modalities, at each channel and position, as the gates say."""
        values = [torch.tanh(layer(x)) for layer, x in zip(self.values, features, strict=True)]
        gates = torch.sigmoid(self.gate(torch.cat(list(features), dim=1)))
        if len(values) == 2:
            return torch.lerp(values[1], values[0], gates)
        return torch.stack(values, dim=1).mul(gates.unflatten(1, (len(values), -1))).sum(dim=1)


@register_operator("film", families=("field",))
class FiLM(Operator):
    """Feature-wise linear modulation: y = (1 + g) * x_1 + b, with g and b linear in the mean of x_2's maps.

    The first modality is modulated. Of more than two, the means of all others are concatenated.

    Perez et al. 2018, arXiv 1709.07871; with 1 + g, so that a layer of zeros changes nothing.
    """

    fewest = 2

    def __init__(self, shapes: Sequence[Shape]) -> None:
        super().__init__(shapes)
        self.modulation = nn.Linear(sum(shape[0] for shape in shapes[1:]), 2 * shapes[0][0])

    def _fuse_shapes(self, shapes: list[Shape]) -> Shape:
        return shapes[0]

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Scale and shift each channel of the first modality."""
        modulated, *others = features
        scale, shift = self.modulation(torch.cat([averaged(x) for x in others], dim=1)).chunk(2, dim=1)
        return (1 + per_channel(scale, modulated)) * modulated + per_channel(shift, modulated)


class SqueezeExcite(nn.Module):
    """x * sigmoid(W_2 relu(W_1 mean(x))): weights each channel by all channels' means.

    Hu et al. 2018, arXiv 1709.01507.

    Args:
        width: Channels.
        reduction: How many times narrower the hidden layer is; it has 4 units at least, as one or two of them can
            be zero for all samples.
    """

    def __init__(self, width: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(4, width // reduction)
        self.squeeze, self.excite = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, features: Tensor) -> Tensor:
        """Maps (B, C, H, W) or vectors (B, C) of the same shape."""
        weights = torch.sigmoid(self.excite(torch.relu(self.squeeze(averaged(features)))))
        return features * per_channel(weights, features)


@register_operator("seadd", families=("field",))
class SqueezeExciteAdd(Add):
    """Sum of the modalities, each after its own squeeze and excitation.

    Seichter et al. 2021 (ESANet), arXiv 2011.06961.
    """

    def __init__(self, shapes: Sequence[Shape]) -> None:
        super().__init__(shapes)
        self.weigh = nn.ModuleList(SqueezeExcite(shape[0]) for shape in shapes)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Weight the channels of each modality, then add."""
        return super().forward([weigh(x) for weigh, x in zip(self.weigh, features, strict=True)])


class JointExcitation(nn.Module):
    """Weights the channels of every modality by the means of all: x_i * 2 sigmoid(W_i relu(W [means])).

    Args:
        shapes: Of the streams; their sizes and channels may differ.
        ratio: The joint layer has 2 / ratio of all channels.
    """

    def __init__(self, shapes: Sequence[Shape], ratio: int = 4) -> None:
        super().__init__()
        channels = [shape[0] for shape in shapes]
        joint = max(1, 2 * sum(channels) // ratio)
        self.squeeze = nn.Linear(sum(channels), joint)
        self.excite = nn.ModuleList(nn.Linear(joint, width) for width in channels)

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """Streams of the same shapes; weights of zero leave them as they are."""
        joint = torch.relu(self.squeeze(torch.cat([averaged(x) for x in streams], dim=1)))
        weights = [2 * torch.sigmoid(layer(joint)) for layer in self.excite]
        return [x * per_channel(weight, x) for weight, x in zip(weights, streams, strict=True)]


@register_operator("mmtm", families=("field",))
class MMTM(Add):
    """Multimodal transfer module: joint excitation of all modalities after every stage; their sum at the end.

    Joze et al. 2020, arXiv 1911.08670.
    """

    fewest = 2
    exchange = JointExcitation
