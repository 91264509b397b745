"""Pairs of an image and a range image with one scanner's angles: what several layouts of files come down to."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from data_utils.angles import Angles
from data_utils.dataset import DataError, DatasetInfo, PairedDataset
from data_utils.geometry import range_to_xyza
from data_utils.media import read_plane, read_rgba, stack

_SHOWN = 3  # unpaired files that a note calls by name


class RangePair(NamedTuple):
    """A pair of files; sorts by scene, stem and label.

    Attributes:
        scene: What the stems of one scene have in common.
        stem: Of the image's file.
        label: An index into the classes.
        image: A PNG of 8 bits.
        scan: A npy of ranges.
        name: What the pair is called.
    """

    scene: tuple[float, str]
    stem: str
    label: int
    image: Path
    scan: Path
    name: str


def scene_of(stem: str) -> tuple[float, str]:
    """What the stems of one scene have in common: the number they begin with, or else all of the stem."""
    number = re.match(r"\d+", stem, re.ASCII)
    return (int(number[0]), "") if number else (math.inf, stem)


def read_range_pairs(
    name: str, classes: tuple[str, ...], pairs: Sequence[RangePair], angles: Angles, notes: tuple[str, ...]
) -> PairedDataset:
    """Reads pairs into memory, sorted by scene, stem and label; each scene is a group.

    Args:
        name: Of the data set.
        classes: What the labels mean.
        pairs: At least one of each class.
        angles: Of the scanner.
        notes: Of the data set.

    Returns:
        Modalities "rgb" (uint8 RGBA) and "lidar" (float32 XYZA); the range images stay turned as they are.

    Raises:
        DataError: A file cannot be used, or its size does not fit the others or the angles.
    """
    pairs = sorted(pairs)
    rgb = stack("rgb", read_rgba, [pair.image for pair in pairs])
    range_m = stack("lidar", read_plane, [pair.scan for pair in pairs])
    points = points_of_scans(range_m, angles, pairs[0].scan)
    height, width = rgb.shape[2:]
    if (height, width) != range_m.shape[1:]:
        raise DataError(
            f"{pairs[0].image} has {height} x {width} pixels and {pairs[0].scan} {range_m.shape[1]} x "
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
        DataError: There are more or fewer angles than rows and columns.
    """
    rows, columns = range_m.shape[1:]
    if (rows, columns) != tuple(map(len, angles)):
        raise DataError(
            f"{example} has {rows} rows and {columns} columns, but there are {len(angles.azimuth_rad)} "
            f"azimuths and {len(angles.zenith_rad)} zeniths; store one azimuth a row and one zenith a column."
        )
    return range_to_xyza(range_m, *angles)


def without_partner(files: Sequence[str]) -> tuple[str, ...]:
    """The note on files that were left out for want of a partner; none if there are none."""
    if not files:
        return ()
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return (f"{len(files)} file(s) without a partner were left out: {', '.join(files[:_SHOWN])}{more}.",)
