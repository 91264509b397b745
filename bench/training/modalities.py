"""The kinds of values that modalities hold, recognized by the values themselves.

N pairs, C channels, H rows, W columns.
"""

from typing import Literal

import torch
from torch import Tensor

Kind = Literal["image", "points", "other"]
"""Values of 0 to 255 (uint8); XYZA points in meters; anything else."""

COLORS = 3
"""Channels of an RGBA image before alpha."""


def kind_of(stored: Tensor) -> Kind:
    """The kind of a modality, from its values (N, C, H, W) as a data set stores them."""
    if stored.dtype == torch.uint8:
        return "image"
    return "points" if is_points(stored) else "other"


def is_points(values: Tensor) -> bool:
    """Whether float values (N, C, H, W) without alpha are XYZA points: four channels, the last all 0 or 1."""
    return values.shape[1] == 4 and bool(((values[:, 3] == 0) | (values[:, 3] == 1)).all())


def sensed_channels(stored: Tensor) -> int:
    """The number of leading channels that a sensor measured: of RGBA images the colors, else all."""
    return COLORS if stored.dtype == torch.uint8 and stored.shape[1] == COLORS + 1 else stored.shape[1]
