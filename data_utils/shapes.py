"""Cubes and spheres seen by a LiDAR and a camera: the default data, made and not downloaded.

A simulation of NVIDIA's synthetic cubes-and-spheres set: its geometry, its file formats and, as far as they are
known, its statistics (``tests/data_utils/test_shapes.py`` holds them against the original's). A scene is one
object in an empty black world. Both sensors stand 25 m from the middle of the cube of 10 m in which the
objects' centers lie; one hard light from the upper left and partly behind the object leaves most of it dark.

Every scene is drawn from a generator of its own, so pair i depends on the seed and i alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from data_utils.dataset import DataError, DatasetInfo, PairedDataset
from data_utils.geometry import MAX_RANGE_M, range_to_xyza
from data_utils.scenes import draw_scenes
from data_utils.sensors import lidar_angles, photograph, scan

CLASSES = ("cubes", "spheres")
"""Label 0 and 1, called as the folders of the original."""

_CHUNK = 64  # objects cast at a time; bounds the memory and changes no bit


@dataclass(frozen=True, eq=False)
class Simulation:
    """The raw measurements, as the original's files hold them. N pairs, S rows and columns.

    Attributes:
        rgb: uint8 (N, S, S, 4), RGBA with alpha 255.
        range_m: float32 (N, S, S), rows are azimuths and columns zeniths; 50.0 where nothing was met.
            ``range_m[i].T[:, ::-1]`` turns it as the image is turned, though 1 / 0.64 times as large.
        labels: int64 (N,), 0 for a cube and 1 for a sphere.
        index: int64 (N,), the scene. The cube and the sphere of a scene are twins in place and color.
        azimuth_rad: float64 (S,), positive to the left.
        zenith_rad: float64 (S,), positive downwards.
    """

    rgb: npt.NDArray[np.uint8]
    range_m: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]
    azimuth_rad: npt.NDArray[np.float64]
    zenith_rad: npt.NDArray[np.float64]


def shapes(pairs: int, seed: int, image_size: int = 64) -> PairedDataset:
    """The simulated data set: RGBA images, and XYZA points of range images left turned as the original's are.

    Args:
        pairs: An even number; a larger data set begins with the pairs of a smaller one.
        seed: Not negative.
        image_size: Rows and columns of both modalities; the fields of view stay.

    Raises:
        DataError: ``pairs`` is odd or less than 2, or ``image_size`` is less than 1.
    """
    raw = simulate(pairs, seed, image_size)
    angles = torch.from_numpy(raw.azimuth_rad), torch.from_numpy(raw.zenith_rad)
    return PairedDataset(
        info=DatasetInfo("shapes", CLASSES, {"rgb": 4, "lidar": 4}, (image_size, image_size)),
        inputs={
            "rgb": torch.from_numpy(raw.rgb).permute(0, 3, 1, 2).contiguous(),
            "lidar": range_to_xyza(torch.from_numpy(raw.range_m), *angles),
        },
        labels=torch.from_numpy(raw.labels),
        groups=torch.from_numpy(raw.index),
        names=tuple(f"{CLASSES[c]}/{i:04d}" for c, i in zip(raw.labels, raw.index, strict=True)),
    )


def shapes_uneven(pairs: int, seed: int, spheres_per_cube: int = 4) -> PairedDataset:
    """The same with fewer cubes than spheres.

    One to four is the proportion of the original's common copy (2,501 cubes, 9,999 spheres).

    Args:
        pairs: How many; cubes are ``pairs // (spheres_per_cube + 1)`` of them.
        seed: Not negative.
        spheres_per_cube: At least 1. Cubes are those of every ``spheres_per_cube``-th scene.

    Raises:
        DataError: Too few pairs for one cube.
    """
    cubes = pairs // (spheres_per_cube + 1)
    if cubes < 1:
        raise DataError(
            f"{pairs} pairs were asked for with one cube for {spheres_per_cube} spheres; "
            f"ask for at least {spheres_per_cube + 1}."
        )
    even = shapes(2 * (pairs - cubes), seed)
    with_cube = (even.groups % spheres_per_cube == 0) & (even.groups < spheres_per_cube * cubes)
    uneven = even.take(torch.nonzero((even.labels == 1) | with_cube).flatten())
    return replace(uneven, info=replace(uneven.info, name="shapes-uneven"))


def shapes_rare(pairs: int, seed: int) -> PairedDataset:
    """The same with one cube for 13 spheres.

    About the proportion that one published accuracy suggests of its data: 0.930168 over 1,074 pairs is 999 pairs,
    what a model gets that always names the class of the other 999.
    """
    rare = shapes_uneven(pairs, seed, spheres_per_cube=13)
    return replace(rare, info=replace(rare.info, name="shapes-rare"))


def simulate(
    pairs: int, seed: int, image_size: int = 64, progress: Callable[[int, int], None] | None = None
) -> Simulation:
    """Draws scenes and measures each one twice, with the cube and then with the sphere in it.

    Args:
        pairs: An even number of measurements, half of each class, in the order cube 0, sphere 0, cube 1, ...
        seed: Not negative.
        image_size: Rows and columns of both modalities; the fields of view stay.
        progress: Called with the pairs that are done and the pairs asked for.

    Raises:
        DataError: ``pairs`` is odd or less than 2, or ``image_size`` is less than 1.
    """
    if pairs < 2 or pairs % 2:
        raise DataError(
            f"{pairs} pairs of cubes and spheres were asked for; ask for an even number, half of each class."
        )
    if image_size < 1:
        raise DataError(f"Images of {image_size} x {image_size} pixels were asked for; ask for at least 1 x 1.")
    rgb = np.zeros((pairs, image_size, image_size, 4), dtype=np.uint8)
    rgb[..., 3] = 255
    range_m = np.full((pairs, image_size, image_size), MAX_RANGE_M, dtype=np.float32)
    for first in range(0, pairs // 2, _CHUNK):
        scenes = draw_scenes(range(first, min(first + _CHUNK, pairs // 2)), seed)
        stop = 2 * (first + len(scenes))
        for label, shape in enumerate(("cube", "sphere")):
            pair = slice(2 * first + label, stop, 2)
            scan(scenes, shape, image_size).paste(range_m[pair])
            photograph(scenes, shape, image_size).paste(rgb[pair, ..., :3])
        if progress is not None:
            progress(stop, pairs)
    return Simulation(
        rgb=rgb,
        range_m=range_m,
        labels=np.tile(np.arange(2, dtype=np.int64), pairs // 2),
        index=np.repeat(np.arange(pairs // 2, dtype=np.int64), 2),
        azimuth_rad=lidar_angles(image_size),
        zenith_rad=lidar_angles(image_size),
    )
