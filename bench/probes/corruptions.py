"""What can go wrong with a sensor: the corruptions, each at declared levels, from none to severe.

A corruption acts on what the sensor measured, before inputs are scaled. Its draws come from a stream of the seed
and its own name, so all models of a seed get the same corrupted pairs, and a higher level is more of the same
draw. Level 0 changes no bit.

Images are in [0, 1] in steps of 1/255; the alpha of RGBA is never changed. Points are XYZA in meters. To add a
corruption, register a function.

Shapes: N pairs, C channels, H rows, W columns.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations

import torch
from torch import Generator, Tensor

from bench.registry import CORRUPTIONS, Corruption, register_corruption
from bench.training.seeding import stream
from data_utils import Batch, ChannelStatistics, PairedDataset
from data_utils.geometry import is_scanner, is_xyza
from data_utils.modality import MAX_RANGE_M, Modality
from fusiongauge import PluginError, source_file

NEAREST_M = 0.1
"""Noise brings no return nearer than this, as in the simulator."""

_DIRECTIONS = torch.tensor([(0, 1), (1, 0), (0, -1), (-1, 0)])  # (rows, columns) of one pixel

_SHARES = (0.0, 0.5, 0.9, 1.0)

TOGETHER = "+"
"""Between the names of modalities that are taken away together; no modality has it in its name."""


def kind_of(modality: Modality) -> str:
    """What a modality holds: "points" (XYZA in meters), otherwise its kind, such as "image"."""
    return "points" if modality.points else modality.kind


def sensed_channels(modality: Modality) -> int:
    """The number of leading channels that a sensor measured: of RGBA images the colors, else all."""
    return 3 if modality.kind == "image" and modality.channels == 4 else modality.channels


def corruptions_of(dataset: PairedDataset) -> list[Corruption]:
    """The corruptions of a data set's modalities, in the order of records and tables.

    Those registered for one modality are left out where the data lack it, or hold something else by its name.
    Those registered for any are made for each modality in turn. A modality that nothing ships for has the
    corruptions of its kind, and is shifted, rotated and taken away too. Of three modalities and more, all subsets
    that leave one are taken away.
    """
    kinds = {modality: kind_of(dataset.modality(modality)) for modality in dataset.inputs}
    chosen = {}
    for corruption in CORRUPTIONS.values():
        for modality in [corruption.modality] if corruption.modality else kinds:
            if modality in kinds and corruption.kind in ("", kinds[modality]):
                name = corruption.name if corruption.modality else f"{corruption.name}-{modality}"
                chosen[name] = replace(corruption, name=name, modality=modality)
    for modality in kinds:
        own = {corruption.corrupt for corruption in chosen.values() if corruption.modality == modality}
        for corruption in (*_of_kind(modality, kinds[modality]), *_of_any_sensor(modality)):
            if corruption.statistics or corruption.corrupt not in own:
                chosen.setdefault(corruption.name, corruption)
    for size in range(2, len(kinds)):
        for modalities in combinations(kinds, size):
            chosen |= {corruption.name: corruption for corruption in _missing(TOGETHER.join(modalities))}
    return [_suited_to(dataset, corruption) for corruption in chosen.values()]


def _suited_to(dataset: PairedDataset, corruption: Corruption) -> Corruption:
    """Where 0 is a value like others, such as 0 K, the nearest pixel enters at the sides of a moved raster."""
    moves = corruption.corrupt in (shift, rotation)
    if not moves or dataset.modality(corruption.modality).zero_is_nothing:
        return corruption
    return replace(corruption, corrupt=partial(corruption.corrupt, nearest=True))


def corrupted(
    corruption: Corruption,
    dataset: PairedDataset,
    measured: Batch,
    level: float,
    seed: int,
    statistics: ChannelStatistics,
) -> Tensor:
    """The corrupted values (N, C, H, W) of one modality.

    Args:
        corruption: One of ``corruptions_of`` the data set.
        dataset: That the pairs are from.
        measured: Pairs as the sensors measured them, on the CPU.
        level: The severity; any, not only the corruption's ``levels``.
        seed: Of the draws.
        statistics: Of the training pairs.

    Raises:
        PluginError: The corruption raises, or changes the shape of the values.
    """
    modality = corruption.modality
    generator = Generator().manual_seed(stream(seed, f"corruption/{corruption.name}"))
    channels = sensed_channels(dataset.modality(modality))
    moments = [of_all[modality][:channels] for of_all in (statistics.mean, statistics.std)]
    which = f"{source_file(corruption.corrupt)}: the corruption {corruption.name!r}"

    def corrupt(values: Tensor) -> Tensor:
        further = moments if corruption.statistics else []
        try:
            # A copy, as a plug-in may write into what it is given.
            result = corruption.corrupt(values.clone(), level, generator, *further)
        except Exception as error:
            raise PluginError(f"{which} raises {type(error).__name__}: {error}") from error
        if not isinstance(result, Tensor) or result.shape != values.shape:
            returned = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise PluginError(f"{which} returns {returned} for values {tuple(values.shape)}")
        return result.to(values.dtype)

    return changed(measured.inputs[modality], channels, corrupt)


def corrupted_together(
    corruption: Corruption,
    dataset: PairedDataset,
    measured: Batch,
    level: float,
    seed: int,
    statistics: ChannelStatistics,
) -> dict[str, Tensor]:
    """The corrupted values of every modality that the corruption is of; see ``corrupted``.

    Modalities that are taken away together are missing in the same pairs.
    """
    parts = (replace(corruption, modality=modality) for modality in corruption.modality.split(TOGETHER))
    return {part.modality: corrupted(part, dataset, measured, level, seed, statistics) for part in parts}


def changed(values: Tensor, channels: int, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Values (N, C, H, W) of which the leading channels are changed, those that the sensor measured."""
    return torch.cat([change(values[:, :channels]), values[:, channels:]], dim=1)


@register_corruption("range-noise", levels=(0.0, 0.25, 0.5, 1.0), modality="lidar", unit="m", kind="points")
def range_noise(points: Tensor, level: float, generator: Generator) -> Tensor:
    """Move each return along its ray by a normal deviate of ``level`` meters; it stays a return."""
    ranges = _ranges(points)
    noisy = ranges + level * torch.randn(ranges.shape, generator=generator, dtype=torch.float64)
    noisy = noisy.maximum(ranges.clamp(max=NEAREST_M))
    if is_scanner(points):
        noisy = noisy.minimum(ranges.clamp(min=math.nextafter(MAX_RANGE_M, 0)))
    factor = torch.where(points[:, 3:] > 0, noisy / ranges, 1.0)
    return torch.cat([(points[:, :3] * factor).float(), points[:, 3:]], dim=1)


@register_corruption("dropped-returns", levels=_SHARES, modality="lidar", unit="share of returns", kind="points")
def dropped_returns(points: Tensor, level: float, generator: Generator) -> Tensor:
    """Lose each return with probability ``level``."""
    uniform = torch.rand((len(points), 1, *points.shape[2:]), generator=generator)
    return torch.where((uniform < level) & (points[:, 3:] > 0), unmeasured(points), points)


@register_corruption(
    "rgb-noise", levels=(0.0, 1.0, 1.5, 4.0, 16.0), modality="rgb", unit="levels of 255", kind="image"
)
def image_noise(colors: Tensor, level: float, generator: Generator) -> Tensor:
    """Add a normal deviate of ``level`` steps of 1/255 to each color, rounded and clipped as a camera does."""
    steps = colors * 255
    return _rounded(steps + level * torch.randn(steps.shape, generator=generator))


@register_corruption("rgb-dimming", levels=_SHARES, modality="rgb", unit="share of light", kind="image")
def dimming(colors: Tensor, level: float, _: Generator) -> Tensor:
    """Keep the part 1 - ``level`` of each color, rounded to 8 bits: what is dark becomes black."""
    return _rounded(colors * 255 * (1 - level))


def distance_noise(distances: Tensor, level: float, generator: Generator) -> Tensor:
    """Add a normal deviate of ``level`` meters to each measured distance; 0 is none."""
    noisy = distances + level * torch.randn(distances.shape, generator=generator)
    return torch.where(distances > 0, noisy.maximum(distances.clamp(max=NEAREST_M)), distances)


def dropped_distances(distances: Tensor, level: float, generator: Generator) -> Tensor:
    """Lose each measured distance with probability ``level``; it becomes 0."""
    return torch.where(torch.rand(distances.shape, generator=generator) < level, 0.0, distances)


def scaled_noise(values: Tensor, level: float, generator: Generator, _: Tensor, std: Tensor) -> Tensor:
    """Add a normal deviate of ``level`` standard deviations of the channel to each value."""
    return values + level * std[:, None, None] * torch.randn(values.shape, generator=generator)


def shift(values: Tensor, level: float, generator: Generator, *, nearest: bool = False) -> Tensor:
    """Move each pair by ``level`` whole pixels up, down, left or right, drawn per pair; see ``moved_by``."""
    chosen = torch.randint(len(_DIRECTIONS), (len(values),), generator=generator)
    return moved_by(values, _DIRECTIONS[chosen] * int(level), nearest=nearest)


def rotation(values: Tensor, level: float, generator: Generator, *, nearest: bool = False) -> Tensor:
    """Rotate each pair about the middle of the raster by ``level`` degrees, either way; see ``turned_by``."""
    sign = torch.randint(2, (len(values),), generator=generator) * 2 - 1
    return turned_by(values, sign * level, nearest=nearest)


def missing(values: Tensor, level: float, generator: Generator, mean: Tensor, std: Tensor, *, fill: str) -> Tensor:
    """Take the modality away from the share ``level`` of the pairs, and fill in values.

    Args:
        values: (N, C, H, W).
        level: In [0, 1].
        generator: Of all draws.
        mean: Of each channel over the training pairs, (C,).
        std: The standard deviation, likewise.
        fill: "zeros" (a black image, points at the sensor), "mean" (of each channel: zero, where inputs are
            scaled), or "noise" (normal deviates with each channel's mean and standard deviation).
    """
    absent = torch.rand(len(values), generator=generator) < level
    filled = torch.zeros_like(values) if fill == "zeros" else mean[:, None, None]
    if fill == "noise":
        filled = filled + std[:, None, None] * torch.randn(values.shape, generator=generator)
    return torch.where(absent[:, None, None, None], filled, values)


def _of_any_sensor(modality: str) -> Iterator[Corruption]:
    yield Corruption(f"{modality}-shift", shift, (0.0, 8.0, 24.0, 48.0), modality, "px")
    yield Corruption(f"{modality}-rotation", rotation, (0.0, 15.0, 45.0, 90.0), modality, "degrees")
    yield from _missing(modality)


def _missing(modality: str) -> Iterator[Corruption]:
    for fill in ("zeros", "mean", "noise"):
        replace_by, unit = partial(missing, fill=fill), "share of pairs"
        yield Corruption(f"no-{modality}-{fill}", replace_by, (0.0, 1.0), modality, unit, statistics=True)


_OF_DISTANCES: dict[str, Callable[..., Tensor]] = {
    "range-noise": distance_noise,
    "dropped-returns": dropped_distances,
}

_REGISTERED: dict[str, dict[str, Callable[..., Tensor]]] = {
    "image": {"rgb-noise": image_noise, "rgb-dimming": dimming},
    "points": {"range-noise": range_noise, "dropped-returns": dropped_returns},
    "depth": _OF_DISTANCES,
    "range": _OF_DISTANCES,
}
"""By kind, the registered corruptions that its sensors have too, each with the function for this kind."""


def _of_kind(modality: str, kind: str) -> Iterator[Corruption]:
    """What can go wrong with a sensor of this kind, in the levels of those that are registered."""
    for registered, corrupt in _REGISTERED.get(kind, {}).items():
        name = f"{modality}-{registered.removeprefix('rgb-')}"
        yield replace(CORRUPTIONS[registered], name=name, corrupt=corrupt, modality=modality, kind="")
    if kind == "thermal":
        unit = "standard deviations"
        yield Corruption(f"{modality}-noise", scaled_noise, (0.0, 0.25, 0.5, 1.0), modality, unit, statistics=True)


def _register() -> None:
    rgb_shift, rgb_rotation, *no_rgb = _of_any_sensor("rgb")
    lidar_shift, lidar_rotation, *no_lidar = _of_any_sensor("lidar")
    # In the order of the published tables.
    for corruption in (lidar_shift, rgb_shift, lidar_rotation, rgb_rotation, *no_rgb, *no_lidar):
        CORRUPTIONS.register(corruption.name, corruption, corruption.corrupt)


_register()


def unmeasured(points: Tensor) -> Tensor:
    """Points (N, 4, H, W) as they would be had the sensor met nothing.

    A scanner's are 50 m away on their rays, a depth camera's are zero; both have a = 0.
    """
    nothing = torch.zeros_like(points)
    if is_scanner(points):
        nothing[:, :3] = (points[:, :3] * (MAX_RANGE_M / _ranges(points))).float()
    return nothing


def moved_by(values: Tensor, offsets: Tensor, *, nearest: bool = False) -> Tensor:
    """Each pair (N, C, H, W) moved by its own offset; nothing is measured in what enters at the sides.

    Args:
        values: Of one modality, without alpha.
        offsets: int64 (N, 2), pixels down and to the right.
        nearest: Whether the nearest pixel enters instead.
    """
    rows, columns = _grid(values)
    return _moved(values, rows - offsets[:, 0, None, None], columns - offsets[:, 1, None, None], nearest)


def turned_by(values: Tensor, degrees: Tensor, *, nearest: bool = False) -> Tensor:
    """Each pair (N, C, H, W) rotated about the middle by its own angle, every pixel from the nearest one.

    Nothing is blended: between a return and none there is no point.

    Args:
        values: Of one modality, without alpha.
        degrees: (N,), counterclockwise as the raster is viewed.
        nearest: As for ``moved_by``.
    """
    rows, columns = _grid(values)
    middle_row, middle_column = (size / 2 - 0.5 for size in values.shape[2:])
    angle = degrees.double().deg2rad()[:, None, None]
    down, right = rows - middle_row, columns - middle_column
    source_rows = middle_row + down * angle.cos() + right * angle.sin()
    source_columns = middle_column + right * angle.cos() - down * angle.sin()
    return _moved(values, source_rows.round().long(), source_columns.round().long(), nearest)


def _grid(values: Tensor) -> tuple[Tensor, Tensor]:
    """The row (1, H, 1) and the column (1, 1, W) of every pixel."""
    height, width = values.shape[2:]
    return torch.arange(height)[None, :, None], torch.arange(width)[None, None]


def _moved(values: Tensor, rows: Tensor, columns: Tensor, nearest: bool) -> Tensor:
    """Each pixel from the given row and column, (N, H, W) each; outside the raster nothing, or the nearest pixel.

    For points that is no return, otherwise zero (black). Points keep their coordinates, so they stay right and
    their places in the raster become wrong, as when they are projected into an image with wrong extrinsics.
    """
    outside = unmeasured(values) if is_xyza(values) else torch.zeros(())
    count, channels, height, width = values.shape
    rows, columns = rows.expand(count, height, width), columns.expand(count, height, width)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    source = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    gathered = values.flatten(2).gather(2, source.flatten(1)[:, None].expand(-1, channels, -1))
    return gathered.view_as(values).where(inside[:, None] | nearest, outside)


def _ranges(points: Tensor) -> Tensor:
    """Distances from the sensor, float64 (N, 1, H, W), clamped above 0 so that they can be divided by."""
    return points[:, :3].double().square().sum(dim=1, keepdim=True).sqrt().clamp(min=1e-9)


def _rounded(steps: Tensor) -> Tensor:
    """Colors in steps of 1/255 as a camera of 8 bits gives them, in [0, 1]."""
    return steps.round().clamp(0, 255) / 255
