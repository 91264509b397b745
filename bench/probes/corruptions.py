"""What can go wrong with a sensor: the corruptions, each at declared levels, from none to severe.

A corruption acts on what the sensor measured, before inputs are scaled. Its draws come from a stream of the seed
and its own name, so all models of a seed meet the same corrupted pairs, and a higher level is more of the same
draw. Level 0 changes no bit.

Images are RGB or RGBA in [0, 1] in steps of 1/255; alpha is never touched. Points are XYZA in meters. To add a
corruption, write the function and an entry in CORRUPTIONS.

Shapes: N pairs, C channels, H rows, W columns.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Generator, Tensor

from bench.training.seeding import stream
from data_utils import Batch, ChannelStatistics, DataError
from data_utils.geometry import MAX_RANGE_M, is_scanner

NEAREST_M = 0.1
"""Noise brings no return nearer than this, as in the simulator."""

_COLORS = 3  # of an RGBA image; alpha stands behind them
_DIRECTIONS = torch.tensor([(0, 1), (1, 0), (0, -1), (-1, 0)])  # (rows, columns) of one pixel


@dataclass(frozen=True, eq=False)
class Measured:
    """What one sensor measured.

    Attributes:
        values: float32 (N, C, H, W); of images the colors alone.
        mean: float32 (C,), of the training pairs; ``std``: their standard deviation.
    """

    values: Tensor
    mean: Tensor
    std: Tensor


Corrupt = Callable[[Measured, float, Generator], Tensor]
"""(what was measured, level, source of all draws) -> corrupted values (N, C, H, W)."""

Move = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(values (N, C, H, W), rows (N, H, W), columns (N, H, W)) -> values, each pixel from that row and column."""


@dataclass(frozen=True)
class Corruption:
    """One thing that goes wrong with one modality.

    Attributes:
        name: in records, tables and plots.
        modality: whose.
        corrupt: does it.
        levels: rising from 0; robustness is the area over them.
        unit: of the levels.
    """

    name: str
    modality: str
    corrupt: Corrupt
    levels: tuple[float, ...]
    unit: str

    def apply(self, measured: Batch, level: float, seed: int, statistics: ChannelStatistics) -> Tensor:
        """The modality's values (N, C, H, W), corrupted.

        Args:
            measured: as the sensors measured them, on the CPU.
            level: how much; not only those of ``levels``.
            seed: of the draws.
            statistics: of the training pairs.

        Raises:
            DataError: the data lack the modality, or it holds neither images nor points.
        """
        values = measured.inputs.get(self.modality)
        if values is None or values.shape[1] not in ((3, 4) if self.modality == "rgb" else (4,)):
            held = {modality: found.shape[1] for modality, found in measured.inputs.items()}
            raise DataError(
                f"{self.name} corrupts RGB or RGBA images and XYZA points; the data have the channels {held}. "
                "Leave studies that ask for robustness out for these data."
            )
        draw = Generator().manual_seed(stream(seed, f"corruption/{self.name}"))
        touched = _COLORS if self.modality == "rgb" else values.shape[1]
        mean, std = (moment[self.modality][:touched] for moment in (statistics.mean, statistics.std))
        corrupted = self.corrupt(Measured(values[:, :touched], mean, std), level, draw)
        return torch.cat([corrupted, values[:, touched:]], dim=1)


def range_noise(measured: Measured, level: float, draw: Generator) -> Tensor:
    """Each return moves along its ray by a normal deviate of ``level`` meters; it stays a return."""
    points = measured.values
    ranges = _ranges(points)
    noisy = ranges + level * torch.randn(ranges.shape, generator=draw, dtype=torch.float64)
    noisy = noisy.maximum(ranges.clamp(max=NEAREST_M))
    if is_scanner(points):
        noisy = noisy.minimum(ranges.clamp(min=math.nextafter(MAX_RANGE_M, 0)))
    factor = torch.where(points[:, 3:] > 0, noisy / ranges, 1.0)
    return torch.cat([(points[:, :3] * factor).float(), points[:, 3:]], dim=1)


def dropped_returns(measured: Measured, level: float, draw: Generator) -> Tensor:
    """Each return is lost with probability ``level``."""
    points = measured.values
    uniform = torch.rand((len(points), 1, *points.shape[2:]), generator=draw)
    return torch.where((uniform < level) & (points[:, 3:] > 0), unmeasured(points), points)


def image_noise(measured: Measured, level: float, draw: Generator) -> Tensor:
    """Each color gets a normal deviate of ``level`` steps of 1/255, rounded and clipped as a camera does."""
    colors = measured.values * 255
    return _rounded(colors + level * torch.randn(colors.shape, generator=draw))


def dimming(measured: Measured, level: float, _: Generator) -> Tensor:
    """Each color keeps the part 1 - ``level``, rounded to 8 bits: what is dark falls to black."""
    return _rounded(measured.values * 255 * (1 - level))


def shift(move: Move) -> Corrupt:
    """Each pair moves by ``level`` whole pixels up, down, left or right, drawn by pair."""

    def shifted(measured: Measured, level: float, draw: Generator) -> Tensor:
        chosen = torch.randint(len(_DIRECTIONS), (len(measured.values),), generator=draw)
        return moved_by(measured.values, _DIRECTIONS[chosen] * int(level), move)

    return shifted


def rotation(move: Move) -> Corrupt:
    """Each pair turns about the middle of the raster by ``level`` degrees, either way, drawn by pair."""

    def rotated(measured: Measured, level: float, draw: Generator) -> Tensor:
        sign = torch.randint(2, (len(measured.values),), generator=draw) * 2 - 1
        return turned_by(measured.values, sign * level, move)

    return rotated


def missing(fill: Corrupt) -> Corrupt:
    """The share ``level`` of the pairs lacks the modality; ``fill`` says what stands there instead."""

    def replaced(measured: Measured, level: float, draw: Generator) -> Tensor:
        absent = torch.rand(len(measured.values), generator=draw) < level
        return torch.where(absent[:, None, None, None], fill(measured, level, draw), measured.values)

    return replaced


def zeros(measured: Measured, _: float, __: Generator) -> Tensor:
    """Zero: a black image, points at the sensor."""
    return torch.zeros_like(measured.values)


def mean(measured: Measured, _: float, __: Generator) -> Tensor:
    """Each channel's mean over the training pairs: zero, where inputs are scaled."""
    return measured.mean[:, None, None].expand_as(measured.values)


def noise(measured: Measured, _: float, draw: Generator) -> Tensor:
    """Normal deviates with each channel's mean and standard deviation over the training pairs."""
    deviates = torch.randn(measured.values.shape, generator=draw)
    return measured.mean[:, None, None] + measured.std[:, None, None] * deviates


def unmeasured(points: Tensor) -> Tensor:
    """Points (N, 4, H, W) as they would be had the sensor met nothing.

    A scanner's are 50 m away on their rays, a depth camera's are zero; both have a = 0.
    """
    nothing = torch.zeros_like(points)
    if is_scanner(points):
        nothing[:, :3] = (points[:, :3] * (MAX_RANGE_M / _ranges(points))).float()
    return nothing


def move_image(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Moves the colors of an RGB or RGBA image; what comes from outside is black."""
    colors = image[:, :_COLORS]
    return torch.cat([_moved(colors, rows, columns, torch.zeros(())), image[:, _COLORS:]], dim=1)


def move_points(points: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Moves points to other pixels, where they keep their coordinates; outside the raster nothing was met.

    So the points stay right and their places in the raster become wrong, as when they are projected into an image
    with wrong extrinsics.
    """
    return _moved(points, rows, columns, unmeasured(points))


MOVES: Mapping[str, Move] = MappingProxyType({"rgb": move_image, "lidar": move_points})
"""How each modality's raster is moved."""


def moved_by(values: Tensor, offsets: Tensor, move: Move) -> Tensor:
    """Each pair (N, C, H, W) moved by its own offset.

    Args:
        values: to move.
        offsets: int64 (N, 2), pixels down and to the right.
        move: of the modality.
    """
    rows, columns = _grid(values)
    return move(values, rows - offsets[:, 0, None, None], columns - offsets[:, 1, None, None])


def turned_by(values: Tensor, degrees: Tensor, move: Move) -> Tensor:
    """Each pair (N, C, H, W) turned about the middle by its own angle, every pixel from the nearest one.

    Nothing is blended: between a return and none there is no point.

    Args:
        values: to turn.
        degrees: (N,), counterclockwise as the raster is looked at.
        move: of the modality.
    """
    rows, columns = _grid(values)
    middle_row, middle_column = (size / 2 - 0.5 for size in values.shape[2:])
    angle = degrees.double().deg2rad()[:, None, None]
    down, right = rows - middle_row, columns - middle_column
    source_rows = middle_row + down * angle.cos() + right * angle.sin()
    source_columns = middle_column + right * angle.cos() - down * angle.sin()
    return move(values, source_rows.round().long(), source_columns.round().long())


def _grid(values: Tensor) -> tuple[Tensor, Tensor]:
    """The row (1, H, 1) and the column (1, 1, W) of every pixel."""
    height, width = values.shape[2:]
    return torch.arange(height)[None, :, None], torch.arange(width)[None, None]


def _moved(values: Tensor, rows: Tensor, columns: Tensor, outside: Tensor) -> Tensor:
    count, channels, height, width = values.shape
    rows, columns = rows.expand(count, height, width), columns.expand(count, height, width)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    source = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    taken = values.flatten(2).gather(2, source.flatten(1)[:, None].expand(-1, channels, -1))
    return torch.where(inside[:, None], taken.view_as(values), outside)


def _ranges(points: Tensor) -> Tensor:
    """Distances from the sensor, float64 (N, 1, H, W), above 0 to be divided by."""
    return points[:, :3].double().square().sum(dim=1, keepdim=True).sqrt().clamp(min=1e-9)


def _rounded(colors: Tensor) -> Tensor:
    """Colors in steps of 1/255 as a camera of 8 bits gives them, in [0, 1]."""
    return colors.round().clamp(0, 255) / 255


_SHARES = (0.0, 0.5, 0.9, 1.0)
_PIXELS = (0.0, 2.0, 4.0, 8.0)
_DEGREES = (0.0, 5.0, 15.0, 45.0)
_ALL_OR_NOTHING = (0.0, 1.0)

CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        corruption.name: corruption
        for corruption in (
            Corruption("range-noise", "lidar", range_noise, (0.0, 0.25, 0.5, 1.0), "m"),
            Corruption("dropped-returns", "lidar", dropped_returns, _SHARES, "share of returns"),
            Corruption("rgb-noise", "rgb", image_noise, (0.0, 4.0, 16.0, 64.0), "levels of 255"),
            Corruption("rgb-dimming", "rgb", dimming, _SHARES, "share of light"),
            Corruption("lidar-shift", "lidar", shift(move_points), _PIXELS, "px"),
            Corruption("rgb-shift", "rgb", shift(move_image), _PIXELS, "px"),
            Corruption("lidar-rotation", "lidar", rotation(move_points), _DEGREES, "degrees"),
            Corruption("rgb-rotation", "rgb", rotation(move_image), _DEGREES, "degrees"),
            *(
                Corruption(
                    f"no-{modality}-{fill.__name__}", modality, missing(fill), _ALL_OR_NOTHING, "share of pairs"
                )
                for modality in MOVES
                for fill in (zeros, mean, noise)
            ),
        )
    }
)
"""All corruptions by name."""
