"""Joint augmentation of the modalities of a pair: mirrored, moved, and images with other colors.

What is done to a pair is done to all of its modalities, so they stay aligned. Nothing is resampled: distances and
points stay measured ones. The result for a pair does not depend on the others in its batch, on any device.

Shapes: B pairs, C channels, H rows, W columns.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from data_utils.modality import Modality

_LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601, as in torchvision
_STEPS = float(1 << 24)  # a sum of whole numbers does not depend on the order of its terms


class Orientation(NamedTuple):
    """How what a sensor sees lies in a tensor (H, W): images, and points of a camera, as they are looked at.

    Attributes:
        transposed: Whether columns go down and rows to the side, as in the range images of NVIDIA's scanner.
        right: 1 if the index of what is further to the right is larger, -1 if it is smaller.
        down: The same for what is further down.
    """

    transposed: bool = False
    right: int = 1
    down: int = 1


def orientation(values: Tensor, modality: Modality) -> Orientation:
    """The orientation of a modality: of points as their directions tell, of others that of images.

    Args:
        values: Measurements of some pairs, (B, C, H, W).
        modality: What they are. Points have x to the right, and y down (depth) or z up (range).
    """
    if not modality.points:
        return Orientation()
    x, y, z, measured = values.double().cpu().unbind(dim=1)
    forward, down = (y, -z) if modality.kind == "range" else (z, y)
    aside, below = torch.atan2(x, forward), torch.atan2(down, torch.hypot(x, forward))
    rows, columns = (torch.arange(size, dtype=torch.float64) for size in x.shape[1:])
    of_rows, of_columns = (
        [_trend(angle, index, measured) for angle in (aside, below)]
        for index in (rows[:, None].expand(x.shape), columns.expand(x.shape))
    )
    transposed = abs(of_rows[0]) > abs(of_columns[0])
    along, across = (of_rows[0], of_columns[1]) if transposed else (of_columns[0], of_rows[1])
    return Orientation(transposed, -1 if along < 0 else 1, -1 if across < 0 else 1)


def moved(
    values: Tensor, modality: Modality, lies: Orientation, mirrored: Tensor, right: Tensor, down: Tensor
) -> Tensor:
    """The part of each pair that begins some pixels further right and down, as large as before, then mirrored.

    Mirroring exchanges left and right; the x of points changes its sign. Moving changes no point: the sensor looks
    elsewhere. What lies outside is black and transparent in images, not measured (0) in distances and points, and
    as the nearest pixel in other values.

    Args:
        values: Measurements (B, C, H, W).
        modality: What they are.
        lies: Their orientation.
        mirrored: Which pairs are mirrored, bool (B,).
        right: Pixels, int64 (B,); negative to the left.
        down: Pixels, int64 (B,); negative for up.

    Returns:
        (B, C, H, W), channels last.
    """
    count, channels, height, width = values.shape
    aside, below = lies.right * right, lies.down * down
    none = torch.zeros_like(mirrored)
    if lies.transposed:
        rows, columns = _sources(height, aside, mirrored), _sources(width, below, none)
    else:
        rows, columns = _sources(height, below, none), _sources(width, aside, mirrored)
    # Each pixel is copied as one block, which is faster than by three indices.
    pairs = torch.arange(count, device=values.device)[:, None, None]
    places = (pairs * height + rows.clamp(0, height - 1)[:, :, None]) * width
    places = places + columns.clamp(0, width - 1)[:, None, :]
    pixels = values.permute(0, 2, 3, 1).reshape(-1, channels)
    picked = pixels.index_select(0, places.flatten()).view(count, height, width, channels)
    if modality.zero_is_nothing:
        outside = _outside(rows, height)[:, :, None] | _outside(columns, width)[:, None, :]
        picked.masked_fill_(outside[..., None], 0.0)
    if modality.points:
        picked[..., 0] *= (1 - 2 * mirrored.to(picked.dtype))[:, None, None]
    return picked.permute(0, 3, 1, 2)


def recolored(images: Tensor, factors: Tensor) -> Tensor:
    """Images with other brightness, contrast and saturation, one after the other; an alpha channel stays.

    Each is as torchvision's ``adjust_brightness``, ``adjust_contrast`` and ``adjust_saturation``: factor * image +
    (1 - factor) * other, cut to [0, 1], where the other is black, the image's mean gray, or its gray. Gray images
    have no saturation.

    Args:
        images: (B, C, H, W) in [0, 1].
        factors: Of brightness, contrast and saturation, (B, 3), at least 0; 1 changes nothing.
    """
    channels = images.shape[1]
    colors = {2: 1, 4: 3}.get(channels, channels)
    brightness, contrast, saturation = (factor.view(-1, 1, 1, 1) for factor in factors.unbind(dim=1))
    result = (images[:, :colors] * brightness).clamp(0, 1)
    steps = (_gray(result) * _STEPS).round().long().sum(dim=(1, 2, 3), keepdim=True)
    mean = (steps.double() / (_STEPS * images[0, 0].numel())).to(images.dtype)
    result = _blended(result, mean, contrast)
    if colors == len(_LUMA):
        result = _blended(result, _gray(result), saturation)
    return torch.cat([result, images[:, colors:]], dim=1)


def _trend(angle: Tensor, index: Tensor, measured: Tensor) -> float:
    """How an angle grows with an index over the measured pixels of each pair; all are (B, H, W)."""
    count = measured.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    centered = [(x - (x * measured).sum(dim=(1, 2), keepdim=True) / count) * measured for x in (angle, index)]
    spread = centered[1].square().sum().sqrt().item()
    return (centered[0] * centered[1]).sum().item() / spread if spread else 0.0


def _sources(size: int, shift: Tensor, mirrored: Tensor) -> Tensor:
    """The index that each pixel along an axis comes from, int64 (B, size); outside of the image it is too."""
    index = torch.arange(size, device=shift.device)
    return torch.where(mirrored[:, None], size - 1 - index, index) + shift[:, None]


def _outside(index: Tensor, size: int) -> Tensor:
    return (index < 0) | (index >= size)


def _gray(colors: Tensor) -> Tensor:
    """(B, 1, H, W)."""
    if colors.shape[1] != len(_LUMA):
        return colors.mean(dim=1, keepdim=True)
    red, green, blue = (share * colors[:, i : i + 1] for i, share in enumerate(_LUMA))
    return red + green + blue


def _blended(one: Tensor, other: Tensor, share: Tensor) -> Tensor:
    return (share * one + (1 - share) * other).clamp(0, 1)
