"""Pictures of pairs to look at: every modality, and the measured points drawn over the image.

Nothing is measured on them. Shapes: N pairs, C channels, H rows and W columns; h and w after enlargement.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from data_utils.dataset import PairedDataset
from data_utils.geometry import xyza_to_range
from data_utils.modality import METRIC, Modality
from data_utils.simulator.sensors import FOCAL_LENGTH

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""Red, green and blue of one image or of several, (H, W, 3) or (N, H, W, 3)."""

_SIDE = 128  # images are enlarged by an integer factor to about this size
_MARGIN, _LINE = 8, 18
_BACKGROUND, _INK, _FAINT = (24, 24, 27), (228, 228, 231), (140, 140, 150)
_NOTHING = (40, 42, 60)  # no measurement; not a color of the scale
_SCALE = np.array([[254, 240, 180], [253, 150, 100], [200, 60, 120], [90, 24, 130]])  # from low to high values
_BRIGHTER = 3.0  # for images under a scanner's points: those of the original are nearly black


def _font() -> ImageFont.FreeTypeFont:
    """Matplotlib's font: Pillow's own lacks letters such as umlauts, which names of files have."""
    import matplotlib as mpl

    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), 11)


def contact_sheet(dataset: PairedDataset, pairs: Sequence[int], scale_of: int | None = None) -> Image.Image:
    """Some pairs side by side: one tile per modality, then the measured points over the image.

    The scales of colors are those of the first ``scale_of`` pairs, or of all.

    Range images of a scanner are rotated to the orientation of the images (``lidar.T[:, ::-1]``), and its points
    are drawn where the simulator's camera sees them. A depth camera measures one point per pixel of the image.
    """
    height, width = dataset.info.image_size
    factor = max(1, round(_SIDE / max(height, width)))
    height, width = factor * height, factor * width
    inputs = {name: dataset.measured(name, torch.tensor(pairs)) for name in dataset.inputs}
    modalities = {name: dataset.modality(name) for name in inputs}
    tiles = [_tile(name, values, modalities[name], scale_of) for name, values in inputs.items()]
    photos = next((inputs[name] for name, modality in modalities.items() if _is_photo(modality)), None)
    points = next((name for name, modality in modalities.items() if modality.points), None)
    if photos is not None and points is not None:
        tiles.append(_overlay(photos, inputs[points], modalities[points], factor, scale_of))

    columns = math.ceil(math.sqrt(len(pairs) / 2))
    rows = math.ceil(len(pairs) / columns)
    cell = len(tiles) * width + (len(tiles) + 1) * _MARGIN, height + _LINE + _MARGIN
    sheet = Image.new("RGB", (columns * cell[0] + _MARGIN, rows * cell[1] + 2 * _LINE + _MARGIN), _BACKGROUND)
    pen, font = ImageDraw.Draw(sheet), _font()
    pen.text((_MARGIN, _MARGIN), f"{dataset.info.name}, {len(dataset)} pairs", _INK, font)
    pen.text((_MARGIN, _MARGIN + _LINE), " | ".join(tile.legend for tile in tiles), _FAINT, font)
    for number, pair in enumerate(pairs):
        left = _MARGIN + number % columns * cell[0]
        top = _MARGIN + 2 * _LINE + number // columns * cell[1]
        for place, tile in enumerate(tiles):
            image = Image.fromarray(np.ascontiguousarray(tile.images[number]))
            image = image.resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(image, (left + place * (width + _MARGIN), top + _LINE))
        label, name = dataset.info.classes[int(dataset.labels[pair])], dataset.names[pair]
        pen.text(
            (left, top),
            _caption("" if name.startswith(label) else label, name, cell[0] - _MARGIN, font),
            _INK,
            font,
        )
    return sheet


def _caption(label: str, name: str, width: int, font: ImageFont.FreeTypeFont) -> str:
    """The class and the name of a pair, the first of them cut where both are wider than some pixels."""
    text, shown = f"{label}: {name}" if label else name, label
    while shown and font.getlength(text) > width:
        shown = shown[:-1]
        text = f"{shown}...: {name}" if shown else name
    while font.getlength(text) > width:
        text = f"{text.removesuffix('...')[:-1]}..."
    return text


def pictures(values: Tensor, modality: Modality) -> Pixels:
    """One modality of some pairs, not enlarged and with one color scale for all.

    Args:
        values: As measured, (N, C, H, W): color images stay as they are; the ranges of points, distances, or the
            means of other channels, become colors from low (light) to high (dark), thermal values the other way.
        modality: What they are.

    Returns:
        uint8 (N, H, W, 3); the range images of a scanner have the orientation of its images.
    """
    return _tile("", values, modality).images


class _Tile(NamedTuple):
    """One column of tiles: images of all pairs (N, H, W, 3), and their legend."""

    legend: str
    images: Pixels


def _tile(name: str, values: Tensor, modality: Modality, scale_of: int | None = None) -> _Tile:
    """One modality (N, C, H, W): photos, ranges as colors, or the mean of the channels as colors."""
    if _is_photo(modality):
        return _Tile(name, _pixels(values))
    if modality.points:
        colors, low, high = _colors(_ranges_m(values), scale_of)
        legend = f"{name}: range, {low:.1f} m (light) to {high:.1f} m (dark)"
        if modality.kind == "range":
            return _Tile(f"{legend}, rotated as the image", colors.transpose(0, 2, 1, 3)[:, :, ::-1])
        return _Tile(legend, colors)
    means = values.double().mean(dim=1)
    unit = f" {modality.unit}" if modality.unit else ""
    if modality.kind in METRIC:
        means = means.where(means > 0, torch.nan)
    if modality.kind == "thermal":  # warm is light, as thermal cameras show it
        colors, low, high = _colors(-means.numpy(), scale_of)
        return _Tile(f"{name}: {-high:.3g}{unit} (dark) to {-low:.3g}{unit} (light)", colors)
    colors, low, high = _colors(means.numpy(), scale_of)
    return _Tile(f"{name}: {low:.3g}{unit} (light) to {high:.3g}{unit} (dark)", colors)


def _overlay(photos: Tensor, points: Tensor, modality: Modality, factor: int, scale_of: int | None) -> _Tile:
    """Points over enlarged photos, colored by range."""
    images = _enlarged(_pixels(photos), factor)
    colors, _, _ = _colors(_ranges_m(points), scale_of)
    if modality.kind == "range":
        images = np.clip(images * _BRIGHTER, 0, 160).astype(np.uint8)
        return _Tile("points over the brightened image", np.stack([*map(_with_points, images, points, colors)]))
    measured = _enlarged((points[:, 3, :, :, None] > 0).numpy().astype(np.uint8), factor)
    blended = images // 2 + _enlarged(colors, factor) // 2
    return _Tile("points over the image", np.asarray(np.where(measured > 0, blended, images)))


def _with_points(photo: Pixels, xyza: Tensor, colors: Pixels) -> Pixels:
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


def _is_photo(modality: Modality) -> bool:
    return modality.kind == "image" and modality.channels in (3, 4)


def _pixels(photos: Tensor) -> Pixels:
    """The colors of images (N, C, H, W) of 8 or 16 bits."""
    if photos.dtype == torch.uint16:
        photos = (photos.float() / 257).round().byte()
    return np.asarray(photos[:, :3].permute(0, 2, 3, 1).numpy())


def _ranges_m(xyza: Tensor) -> npt.NDArray[np.float64]:
    """Ranges (N, H, W) in meters, NaN where nothing was measured."""
    return np.asarray(xyza_to_range(xyza, torch.nan).numpy())


def _colors(values: npt.NDArray[np.float64], scale_of: int | None) -> tuple[Pixels, float, float]:
    """Values (N, H, W) as colors (N, H, W, 3), and the ends of the color scale; NaN is no measurement."""
    finite = values[:scale_of][np.isfinite(values[:scale_of])]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    place = np.clip((values - low) / max(high - low, 1e-6), 0, 1) * (len(_SCALE) - 1)
    stops = np.arange(len(_SCALE))
    colors = np.stack([np.interp(place, stops, _SCALE[:, c]) for c in range(3)], axis=-1)
    colors[np.isnan(values)] = _NOTHING
    return colors.astype(np.uint8), low, high


def _enlarged(images: Pixels, factor: int) -> Pixels:
    """Images (N, H, W, ...), each pixel repeated."""
    return images.repeat(factor, axis=1).repeat(factor, axis=2)
