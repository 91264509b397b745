"""Pairs of an image and a range image, and one scanner's angles for all classes: what several layouts share."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from data_utils.audits.findings import some
from data_utils.dataset import DatasetInfo, PairedDataset
from data_utils.errors import DataError
from data_utils.geometry import range_to_xyza
from data_utils.layouts.media import read_plane, read_rgba, stack

_EQUAL_RAD = 1e-6  # above float32 rounding of an angle, and far below any sensor's resolution


class Angles(NamedTuple):
    """The angles of a scanner: one azimuth per row (R,) and one zenith per column (C,), float64, in radians."""

    azimuth_rad: Tensor
    zenith_rad: Tensor


class RangePair(NamedTuple):
    """A pair of files: an index into the classes, an 8-bit PNG, and a npy of ranges."""

    label: int
    image: Path
    scan: Path


def scene_of(stem: str) -> tuple[float, str]:
    """The key of a file's scene: the number that its stem begins with, otherwise the whole stem."""
    number = re.match(r"\d+", stem, re.ASCII)
    return (int(number[0]), "") if number else (math.inf, stem)


def read_range_pairs(
    name: str, classes: tuple[str, ...], pairs: Sequence[RangePair], angles: Angles, notes: tuple[str, ...]
) -> PairedDataset:
    """Read pairs, at least one per class, into memory, sorted by scene, stem and label; each scene is a group.

    Returns:
        Modalities "rgb" (uint8 RGBA) and "lidar" (float32 XYZA); the range images keep their orientation.

    Raises:
        DataError: A file cannot be used, or its size does not match the others or the angles.
    """
    pairs = sorted(pairs, key=lambda pair: (scene_of(pair.image.stem), pair.image.stem, pair))
    rgb = stack("rgb", read_rgba, [pair.image for pair in pairs])
    range_m = stack("lidar", read_plane, [pair.scan for pair in pairs])
    points = points_of_scans(range_m, angles, pairs[0].scan)
    height, width = rgb.shape[2:]
    if (height, width) != range_m.shape[1:]:
        raise DataError(
            f"{pairs[0].image} has {height} x {width} pixels, but {pairs[0].scan} has {range_m.shape[1]} x "
            f"{range_m.shape[2]}; scale the images to the size of the range images."
        )
    scenes: dict[tuple[float, str], int] = {}
    groups = [scenes.setdefault(scene_of(pair.image.stem), len(scenes)) for pair in pairs]
    return PairedDataset(
        info=DatasetInfo(name, classes, {"rgb": 4, "lidar": 4}, (height, width)),
        inputs={"rgb": rgb, "lidar": points},
        labels=torch.tensor([pair.label for pair in pairs]),
        groups=torch.tensor(groups),
        names=tuple(f"{classes[pair.label]}/{pair.image.stem}" for pair in pairs),
        notes=notes,
    )


def points_of_scans(range_m: Tensor, angles: Angles, example: Path) -> Tensor:
    """XYZA (N, 4, R, C) of range images (N, R, C) in meters; ``example`` is the file of one of them.

    Raises:
        DataError: The number of angles differs from that of rows or columns.
    """
    rows, columns = range_m.shape[1:]
    if (rows, columns) != tuple(map(len, angles)):
        raise DataError(
            f"{example} has {rows} rows and {columns} columns, but there are {len(angles.azimuth_rad)} "
            f"azimuths and {len(angles.zenith_rad)} zeniths; store one azimuth per row and one zenith per column."
        )
    return range_to_xyza(range_m, *angles)


def common_angles(place: str, angles: Mapping[str, Angles], angles_of: str) -> Angles:
    """The angles that all classes have in common.

    Angles that depend on the class would reveal it: the same range image would give other points in each class.

    Args:
        place: Where the angles come from, for messages.
        angles: By class, at least one.
        angles_of: The class whose angles are used for all classes; "" to require equal angles.

    Raises:
        DataError: The angles differ between the classes, or ``angles_of`` is not a class.
    """
    if angles_of:
        if angles_of not in angles:
            raise DataError(
                f"{place} has no angles of a class {angles_of!r}; the classes are {', '.join(angles)}."
            )
        return angles[angles_of]
    (first, common), *others = angles.items()
    for name, other in others:
        for what, one, two in zip(("azimuth", "zenith"), common, other, strict=True):
            if one.shape != two.shape or not torch.allclose(one, two, rtol=0, atol=_EQUAL_RAD):
                raise DataError(
                    f"The {what}s of {name!r} in {place} differ from those of {first!r}, which would reveal the "
                    "class to a model; if one sensor measured all classes, use the angles of one class for all: "
                    f"load(..., angles_of={first!r}), --angles-of {first}, or copies of its angles."
                )
    return common


def without_partner(files: Sequence[str]) -> tuple[str, ...]:
    """The note on files that were left out because they have no partner; no note without such files."""
    if not files:
        return ()
    return (f"{len(files)} file(s) without a partner were left out: {some(files)}.",)
