"""How a modality's maps are downsampled: one block halves height and width and sets the number of channels.

An embedder is a class called with ``(in_channels, out_channels)``. To add one, write the class and register it;
the models of its families then exist with it.

Shapes: B batch, C channels, H height, W width.
"""

from torch import nn

from fusion_models.registry import register_embedder
from fusion_models.zoo import FAMILIES


@register_embedder("maxpool", families=FAMILIES)
class MaxPool(nn.Sequential):
    """3x3 convolution, then the maximum of each 2x2 window, then ReLU: (B, C, H, W) -> (B, C', H/2, W/2).

    The published models apply ReLU before the pool. The maximum commutes with ReLU, so values and gradients are
    the same to the bit; after the pool, ReLU has a quarter of the elements to process.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1), nn.MaxPool2d(2), nn.ReLU(inplace=True)
        )


@register_embedder("strided", families=FAMILIES)
class Strided(nn.Sequential):
    """3x3 convolution with stride 2, then ReLU: (B, C, H, W) -> (B, C', H/2, W/2).

    Has the parameters of MaxPool and a quarter of its multiply-adds: the convolution is evaluated only where
    its output is kept.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, stride=2), nn.ReLU(inplace=True)
        )
