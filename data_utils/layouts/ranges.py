"""Pairs of an image and a range image, measured with one scanner's angles: what several layouts share."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from data_utils.audits.findings import some
from data_utils.dataset import DatasetInfo, PairedDataset
from data_utils.errors import DataError
from data_utils.geometry import range_to_xyza
from data_utils.layouts.angles import Angles
from data_utils.layouts.media import read_plane, read_rgba, stack


class RangePair(NamedTuple):
    """A pair of files; sorts by scene, stem and label.

    Attributes:
        scene: The key of its scene, see ``scene_of``.
        stem: Of the image's file.
        label: An index into the classes.
        image: An 8-bit PNG file.
        scan: A npy file of ranges.
        name: Of the pair.
    """

    scene: tuple[float, str]
    stem: str
    label: int
    image: Path
    scan: Path
    name: str


def scene_of(stem: str) -> tuple[float, str]:
    """The key of a file's scene: the number that its stem begins with, otherwise the whole stem."""
    number = re.match(r"\d+", stem, re.ASCII)
    return (int(number[0]), "") if number else (math.inf, stem)


def read_range_pairs(
    name: str, classes: tuple[str, ...], pairs: Sequence[RangePair], angles: Angles, notes: tuple[str, ...]
) -> PairedDataset:
    """Read pairs into memory, sorted by scene, stem and label; each scene is a group.

    Args:
        name: Of the data set.
        classes: Class names; a label is an index into them.
        pairs: At least one per class.
        angles: Of the scanner.
        notes: Of the data set.

    Returns:
        Modalities "rgb" (uint8 RGBA) and "lidar" (float32 XYZA); the range images keep their orientation.

    Raises:
        DataError: A file cannot be used, or its size does not match the others or the angles.
    """
    pairs = sorted(pairs)
    rgb = stack("rgb", read_rgba, [pair.image for pair in pairs])
    range_m = stack("lidar", read_plane, [pair.scan for pair in pairs])
    points = points_of_scans(range_m, angles, pairs[0].scan)
    height, width = rgb.shape[2:]
    if (height, width) != range_m.shape[1:]:
        raise DataError(
            f"{pairs[0].image} has {height} x {width} pixels, but {pairs[0].scan} has {range_m.shape[1]} x "
            f"{range_m.shape[2]}; scale the images to the size of the range images."
        )
    scenes = {scene: number for number, scene in enumerate(dict.fromkeys(pair.scene for pair in pairs))}
    return PairedDataset(
        info=DatasetInfo(name, classes, {"rgb": 4, "lidar": 4}, (height, width)),
        inputs={"rgb": rgb, "lidar": points},
        labels=torch.tensor([pair.label for pair in pairs]),
        groups=torch.tensor([scenes[pair.scene] for pair in pairs]),
        names=tuple(pair.name for pair in pairs),
        notes=notes,
    )


def points_of_scans(range_m: Tensor, angles: Angles, example: Path) -> Tensor:
    """XYZA (N, 4, R, C) of range images (N, R, C).

    Args:
        range_m: In meters.
        angles: Of the scanner.
        example: The file of one of them, for the message.

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


def without_partner(files: Sequence[str]) -> tuple[str, ...]:
    """The note on files that were left out because they have no partner; no note without such files."""
    if not files:
        return ()
    return (f"{len(files)} file(s) without a partner were left out: {some(files)}.",)
