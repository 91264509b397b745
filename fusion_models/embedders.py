"""How a modality's maps are downsampled: one block halves height and width and sets the number of channels.

An embedder is a class called with ``(in_channels, out_channels)``. To add one, write the class and register it;
the models of its families then exist with it.

All convolutions are 3x3 with zero padding, unless a class says otherwise. Shapes: B batch, C channels, H height,
W width; every block maps (B, C, H, W) to (B, C', H/2, W/2), for even H and W.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_models.registry import register_embedder
from fusion_models.zoo import FAMILIES, FIELD


def _convolution(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, stride=stride)


@register_embedder("maxpool", families=FAMILIES)
class MaxPool(nn.Sequential):
    """Convolution, then the maximum of each 2x2 window, then ReLU.

    The published models apply ReLU before the pool. The maximum commutes with ReLU, so values and gradients are
    the same to the bit; after the pool, ReLU has a quarter of the elements to process.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(_convolution(in_channels, out_channels), nn.MaxPool2d(2), nn.ReLU(inplace=True))


@register_embedder("strided", families=FAMILIES)
class Strided(nn.Sequential):
    """Convolution with stride 2, then ReLU.

    Has the parameters of MaxPool and a quarter of its multiply-adds: the convolution is evaluated only where
    its output is kept.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(_convolution(in_channels, out_channels, stride=2), nn.ReLU(inplace=True))


@register_embedder("avgpool", families=(FIELD,))
class AveragePool(nn.Sequential):
    """Convolution, ReLU, then the mean of each 2x2 window: MaxPool with another statistic of the window.

    Unlike the maximum, the mean does not commute with ReLU.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(_convolution(in_channels, out_channels), nn.ReLU(inplace=True), nn.AvgPool2d(2))


class Blur(nn.Module):
    """Fixed binomial filter [1, 2, 1] x [1, 2, 1] / 16 at every second row and column of each channel.

    Zero padding: reflection has no deterministic backward pass on CUDA.
    """

    weight: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("weight", torch.outer(row, row).repeat(channels, 1, 1, 1), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W), also of odd height and width, to (B, C, ceil(H/2), ceil(W/2))."""
        return F.conv2d(maps, self.weight, stride=2, padding=1, groups=maps.shape[1])


@register_embedder("blurpool", families=(FIELD,))
class BlurPool(nn.Sequential):
    """MaxPool without aliasing: the maximum of every 2x2 window, then blurred before every second one is dropped.

    Zhang 2019, arXiv 1904.11486 ("MaxBlurPool").
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            _convolution(in_channels, out_channels),
            nn.MaxPool2d(2, stride=1),
            nn.ReLU(inplace=True),
            Blur(out_channels),
        )


@register_embedder("blurconv", families=(FIELD,))
class BlurConv(nn.Sequential):
    """A strided convolution without aliasing: computed everywhere, and blurred before every second one is dropped.

    Zhang 2019, arXiv 1904.11486 ("ConvBlurPool").
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(_convolution(in_channels, out_channels), nn.ReLU(inplace=True), Blur(out_channels))


@register_embedder("convpool", families=(FIELD,))
class ConvPool(nn.Sequential):
    """Convolution, ReLU, then a convolution with stride 2 in place of the pool, ReLU: downsampling is learned.

    It has more parameters and operations than MaxPool. Springenberg et al. 2014, arXiv 1412.6806.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            _convolution(in_channels, out_channels),
            nn.ReLU(inplace=True),
            _convolution(out_channels, out_channels, stride=2),
            nn.ReLU(inplace=True),
        )


@register_embedder("spd", families=(FIELD,))
class SpaceToDepth(nn.Sequential):
    """Each 2x2 window becomes four channels, then convolution and ReLU: downsampled, and no value is dropped.

    Sunkara and Luo 2022 (SPD-Conv), arXiv 2208.03641.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.PixelUnshuffle(2), _convolution(4 * in_channels, out_channels), nn.ReLU(inplace=True))


@register_embedder("patchify", families=(FIELD,))
class Patchify(nn.Sequential):
    """2x2 convolution with stride 2, then ReLU: windows do not overlap.

    As the downsampling of Liu et al. 2022 (ConvNeXt), arXiv 2201.03545, without its layer norm.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.Conv2d(in_channels, out_channels, kernel_size=2, stride=2), nn.ReLU(inplace=True))


class AdaptivePhase(nn.Module):
    """Of the four ways to keep every second row and column, the one with the largest L2 norm over all channels.

    Each sample has its own. A shift of the maps shifts what is kept, apart from the border.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H/2, W/2); the first of equal norms."""
        with torch.no_grad():
            energy = torch.linalg.vector_norm(maps, dim=1).square()  # (B, H, W)
            norms = energy.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).sum(dim=(1, 3)).flatten(1)  # (B, 4)
            kept = norms.argmax(dim=1, keepdim=True) == torch.arange(4, device=maps.device)
            mask = kept.to(maps.dtype).view(-1, 1, 2, 2).tile(maps.shape[2] // 2, maps.shape[3] // 2)
        # A sum with weights 0 and 1: picking by index scatters in its backward pass, which is slow on CUDA in
        # deterministic mode.
        return F.avg_pool2d(maps * mask, 2, divisor_override=1)


@register_embedder("aps", families=(FIELD,))
class AdaptivePolyphase(nn.Sequential):
    """A strided convolution whose rows and columns are chosen by their content: convolution, ReLU, AdaptivePhase.

    Chaman and Dokmanic 2020, arXiv 2011.14214.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(_convolution(in_channels, out_channels), nn.ReLU(inplace=True), AdaptivePhase())
