"""The kinds of values that modalities hold, recognized by the values themselves.

N pairs, C channels, H rows, W columns.
"""

from typing import Literal

import torch
from torch import Tensor

from data_utils.geometry import is_xyza

Kind = Literal["image", "points", "other"]
"""Values of 0 to 255 (uint8); XYZA points in meters; anything else."""


def kind_of(stored: Tensor) -> Kind:
    """The kind of a modality, from its values (N, C, H, W) as a data set stores them."""
    if stored.dtype == torch.uint8:
        return "image"
    return "points" if is_xyza(stored) else "other"


def sensed_channels(stored: Tensor) -> int:
    """The number of leading channels that a sensor measured: of RGBA images the colors, else all."""
    channels = stored.shape[1]
    return 3 if kind_of(stored) == "image" and channels == 4 else channels
