"""Pictures of pairs to look at: image, range image, and the measured points drawn over the image.

For eyes only; nothing is measured on them. N pairs, H rows and W columns of an image, h and w of an enlarged one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from data_utils.dataset import DataError, PairedDataset
from data_utils.geometry import is_scanner
from data_utils.sensors import FOCAL_LENGTH

_SIDE = 128  # images are enlarged by a whole number to about this
_MARGIN, _LINE = 8, 18
_BACKGROUND, _INK, _FAINT = (24, 24, 27), (228, 228, 231), (140, 140, 150)
_NOTHING = (40, 42, 60)  # no measurement: no color of the scale
_SCALE = np.array([[254, 240, 180], [253, 150, 100], [200, 60, 120], [90, 24, 130]])  # from near to far
_BRIGHTER = 3.0  # the image behind the points: the original's are nearly black


def contact_sheet(dataset: PairedDataset, pairs: Sequence[int]) -> Image.Image:
    """Some pairs side by side, each as image, range image and points over the image.

    Range images of a scanner are turned as its images are (``lidar.T[:, ::-1]``), and its points are drawn where
    the simulator's camera sees them. Those of a depth camera are pixel by pixel those of the image.

    Args:
        dataset: With the modalities "rgb" (RGBA) and "lidar" (XYZA).
        pairs: Which to show, at least one.

    Raises:
        DataError: The data set has other modalities.
    """
    photos, range_m = _measured(dataset, pairs)
    xyza = dataset.inputs["lidar"][torch.tensor(pairs)]
    low, high = _span(range_m)
    scanner = is_scanner(xyza)
    factor = max(1, round(_SIDE / max(dataset.info.image_size)))

    columns = math.ceil(math.sqrt(len(pairs) / 2))
    rows = math.ceil(len(pairs) / columns)
    height, width = (factor * side for side in dataset.info.image_size)
    cell = 3 * width + 4 * _MARGIN, height + _LINE + _MARGIN
    sheet = Image.new("RGB", (columns * cell[0] + _MARGIN, rows * cell[1] + 2 * _LINE + _MARGIN), _BACKGROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    pen.text((_MARGIN, _MARGIN), f"{dataset.info.name}, {len(dataset)} pairs", _INK, font)
    turned, behind = (", turned as the image", "brightened image") if scanner else ("", "image")
    legend = f"image | range, {low:.1f} m (light) to {high:.1f} m (dark){turned} | points over the {behind}"
    pen.text((_MARGIN, _MARGIN + _LINE), legend, _FAINT, font)
    for number, pair in enumerate(pairs):
        left = _MARGIN + number % columns * cell[0]
        top = _MARGIN + 2 * _LINE + number // columns * cell[1]
        colors = _colors(range_m[number], low, high)
        shown = _as_seen(colors, scanner=scanner)
        photo = _enlarged(photos[number], factor)
        backdrop = np.clip(photo * _BRIGHTER, 0, 160).astype(np.uint8) if scanner else photo
        known = _enlarged(np.isfinite(range_m[number]).astype(np.uint8), factor)
        over = (
            _with_points(backdrop, xyza[number], colors)
            if scanner
            else _blended(backdrop, _enlarged(colors, factor), known)
        )
        for place, tile in enumerate((photo, _fitted(shown, width, height), over)):
            sheet.paste(Image.fromarray(tile), (left + place * (width + _MARGIN), top + _LINE))
        label, name = dataset.info.classes[int(dataset.labels[pair])], dataset.names[pair]
        pen.text((left, top), name if name.startswith(label) else f"{label}: {name}", _INK, font)
    return sheet


@dataclass(frozen=True, eq=False)
class View:
    """What the two sensors saw of one pair.

    Attributes:
        photo: uint8 (H, W, 3).
        range_image: the range at each pixel as a color, from near (light) to far (dark), uint8 (h, w, 3); of a
            scanner turned as the photo is.
    """

    photo: npt.NDArray[np.uint8]
    range_image: npt.NDArray[np.uint8]


def views(dataset: PairedDataset, pairs: Sequence[int]) -> list[View]:
    """Image and range image of some pairs, pixel by pixel; all ranges on one scale of colors.

    Args:
        dataset: With the modalities "rgb" (RGBA) and "lidar" (XYZA).
        pairs: Which to show, at least one.

    Raises:
        DataError: The data set has other modalities.
    """
    photos, range_m = _measured(dataset, pairs)
    low, high = _span(range_m)
    scanner = is_scanner(dataset.inputs["lidar"][torch.tensor(pairs)])
    return [
        View(photo, _as_seen(_colors(of_pair, low, high), scanner=scanner))
        for photo, of_pair in zip(photos, range_m, strict=True)
    ]


def _measured(
    dataset: PairedDataset, pairs: Sequence[int]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Photos (N, H, W, 3) and ranges (N, H, W) in meters, NaN where nothing was measured."""
    if tuple(dataset.info.channels.items()) != (("rgb", 4), ("lidar", 4)):
        raise DataError(
            f"{dataset.info.name!r} has the channels {dict(dataset.info.channels)}; pictures are drawn of RGBA "
            "images and XYZA points."
        )
    rgb, xyza = (dataset.inputs[m][torch.tensor(pairs)] for m in ("rgb", "lidar"))
    photos = rgb[:, :3].permute(0, 2, 3, 1).numpy()
    range_m = xyza[:, :3].double().square().sum(dim=1).sqrt().where(xyza[:, 3] > 0, torch.nan).numpy()
    return photos, range_m


def _as_seen(colors: npt.NDArray[np.uint8], *, scanner: bool) -> npt.NDArray[np.uint8]:
    """Colors (H, W, 3) of a range image, those of a scanner turned as its images are."""
    return colors.transpose(1, 0, 2)[:, ::-1] if scanner else colors


def _span(range_m: npt.NDArray[np.float64]) -> tuple[float, float]:
    """From where to where the scale of colors goes."""
    known = range_m[np.isfinite(range_m)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)


def _colors(range_m: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Ranges (H, W) in meters as colors (H, W, 3); NaN as no measurement."""
    place = np.clip((range_m - low) / max(high - low, 1e-6), 0, 1) * (len(_SCALE) - 1)
    stops = np.arange(len(_SCALE))
    colors = np.stack([np.interp(place, stops, _SCALE[:, c]) for c in range(3)], axis=-1)
    colors[np.isnan(range_m)] = _NOTHING
    return colors.astype(np.uint8)


def _enlarged(image: npt.NDArray[np.uint8], factor: int) -> npt.NDArray[np.uint8]:
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def _fitted(image: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.uint8]:
    return np.asarray(
        Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.NEAREST)
    )


def _with_points(
    photo: npt.NDArray[np.uint8], xyza: Tensor, colors: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """The photo (h, w, 3) with a dot wherever the simulator's camera would see a measured point (4, H, W)."""
    x, y, z, valid = xyza.double().numpy()
    height, width = photo.shape[:2]
    seen = (valid > 0) & (y > 0)
    column = np.floor((x[seen] / y[seen] * FOCAL_LENGTH + 0.5) * width).astype(np.intp)
    row = np.floor((-z[seen] / y[seen] * FOCAL_LENGTH * width / height + 0.5) * height).astype(np.intp)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    drawn = photo.copy()
    drawn[row[inside], column[inside]] = colors[seen][inside]
    return drawn


def _blended(
    photo: npt.NDArray[np.uint8], colors: npt.NDArray[np.uint8], valid: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """The photo (h, w, 3) half covered by the colors where something was measured."""
    return np.where(valid[..., None] > 0, photo // 2 + colors // 2, photo)
