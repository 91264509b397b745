"""Pictures of what sensors measured, for any modality; for viewing only, nothing is measured on them.

N pairs, C channels, H rows, W columns.
"""

import base64
import io

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from bench.training.modalities import COLORS, kind_of
from data_utils.geometry import is_scanner

_NO_RETURN = (40, 42, 60)
_NEAR_TO_FAR = np.array([[254, 240, 180], [253, 150, 100], [200, 60, 120], [90, 24, 130]])


def pictures(values: Tensor) -> npt.NDArray[np.uint8]:
    """One modality of some pairs as pictures, all on one scale.

    Args:
        values: As the data set stores them, (N, C, H, W). Colors (uint8, C of 3 or 4) stay as they are, without
            alpha; XYZA points become the colors of their ranges, light is near, those of a scanner turned as its
            images are; a single channel becomes gray; of anything else the first channels become red, green and
            blue.

    Returns:
        uint8 (N, H, W, 3); (N, W, H, 3) for the points of a scanner.
    """
    kind = kind_of(values)
    if kind == "image" and values.shape[1] in (COLORS, COLORS + 1):
        return _pixels(values[:, :COLORS])
    if kind == "points":
        ranges = values[:, :3].double().square().sum(dim=1).sqrt().where(values[:, 3] > 0, torch.nan)
        colors = _range_colors(ranges.numpy())
        return colors.transpose(0, 2, 1, 3)[:, :, ::-1] if is_scanner(values) else colors
    channels = values[:, :COLORS].double().nan_to_num()
    low, high = (channels.amin(dim=(0, 2, 3), keepdim=True), channels.amax(dim=(0, 2, 3), keepdim=True))
    scaled = (channels - low) / (high - low).clamp(min=1e-12) * 255
    missing = COLORS - scaled.shape[1]
    return _pixels(torch.cat([scaled, scaled[:, :1].expand(-1, missing, -1, -1)], dim=1).round())


def png(picture: npt.NDArray[np.uint8]) -> str:
    """A picture (H, W, 3) as a PNG image in base64."""
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def _pixels(colors: Tensor) -> npt.NDArray[np.uint8]:
    return colors.permute(0, 2, 3, 1).to(torch.uint8).numpy()


def _range_colors(ranges: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Ranges (N, H, W) in meters as colors (N, H, W, 3); NaN where nothing was measured."""
    measured = ranges[np.isfinite(ranges)]
    low, high = (measured.min(), measured.max()) if len(measured) else (0.0, 1.0)
    place = np.clip((ranges - low) / max(high - low, 1e-6), 0, 1) * (len(_NEAR_TO_FAR) - 1)
    stops = np.arange(len(_NEAR_TO_FAR))
    colors = np.stack([np.interp(place, stops, _NEAR_TO_FAR[:, c]) for c in range(3)], axis=-1)
    colors[np.isnan(ranges)] = _NO_RETURN
    return colors.astype(np.uint8)
