"""Simple bodies seen by a LiDAR and a camera: the default data, made and not downloaded.

A simulation of NVIDIA's synthetic cubes-and-spheres set: its geometry, its file formats and, as far as they are
known, its statistics (``tests/data_utils/test_shapes.py`` holds them against the original's). A scene is one
object in an empty black world. Both sensors stand 25 m from the middle of the cube of 10 m in which the
objects' centers lie; one hard light from the upper left and partly behind the object leaves most of it dark.
``difficulty`` says how to make it harder than the original.

Every scene is drawn from generators of its own, so a pair depends on the seed and its place alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from data_utils.dataset import DataError, DatasetInfo, PairedDataset
from data_utils.difficulty import Difficulty
from data_utils.geometry import MAX_RANGE_M, range_to_xyza
from data_utils.scenes import Conditions, Scenes, draw_clutter, draw_conditions, draw_scenes, noise_generator
from data_utils.sensors import lidar_angles, photograph, scan
from data_utils.solids import find_solid

Progress: TypeAlias = Callable[[int, int], None]
"""Is called with the pairs that are done and the pairs asked for."""


def unseen(done: int, asked: int) -> None:
    """Shows no progress."""


_CHUNK = 64  # scenes cast at a time; bounds the memory and changes no bit
_CLUTTER = ("cubes", "spheres")  # what its pieces are, in turn
_NEAREST_M = 0.1  # noise brings no return nearer


@dataclass(frozen=True, eq=False)
class Simulation:
    """The raw measurements, as the original's files hold them. N pairs, S rows and columns.

    Attributes:
        classes: What the labels mean.
        rgb: uint8 (N, S, S, 4), RGBA with alpha 255.
        range_m: float32 (N, S, S), rows are azimuths and columns zeniths; 50.0 where nothing was met.
            ``range_m[i].T[:, ::-1]`` turns it as the image is turned, though 1 / 0.64 times as large.
        labels: int64 (N,), indices into ``classes``.
        index: int64 (N,), the scene. The objects of a scene are twins in place and color.
        azimuth_rad: float64 (S,), positive to the left.
        zenith_rad: float64 (S,), positive downwards.
    """

    classes: tuple[str, ...]
    rgb: npt.NDArray[np.uint8]
    range_m: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]
    azimuth_rad: npt.NDArray[np.float64]
    zenith_rad: npt.NDArray[np.float64]

    @property
    def names(self) -> tuple[str, ...]:
        """What each pair is called: its class and its scene."""
        return tuple(f"{self.classes[c]}/{i:04d}" for c, i in zip(self.labels, self.index, strict=True))


def shapes(pairs: int, seed: int, image_size: int = 64) -> PairedDataset:
    """The default data set, as easy as the original; see ``simulate`` and ``as_dataset``."""
    return as_dataset("shapes", simulate(pairs, seed, image_size))


def as_dataset(name: str, raw: Simulation) -> PairedDataset:
    """A simulation as a data set: RGBA images, and XYZA points of range images left turned as the original's are.

    The objects of a scene form a group.
    """
    angles = torch.from_numpy(raw.azimuth_rad), torch.from_numpy(raw.zenith_rad)
    return PairedDataset(
        info=DatasetInfo(name, raw.classes, {"rgb": 4, "lidar": 4}, raw.range_m.shape[1:]),
        inputs={
            "rgb": torch.from_numpy(raw.rgb).permute(0, 3, 1, 2).contiguous(),
            "lidar": range_to_xyza(torch.from_numpy(raw.range_m), *angles),
        },
        labels=torch.from_numpy(raw.labels),
        groups=torch.from_numpy(raw.index),
        names=raw.names,
    )


def simulate(
    pairs: int,
    seed: int,
    image_size: int = 64,
    difficulty: Difficulty = Difficulty(),  # noqa: B008 (frozen)
    progress: Progress = unseen,
) -> Simulation:
    """Draws scenes and measures each one several times, with an object of each class in it.

    Args:
        pairs: A multiple of the number of classes, in the order cube 0, sphere 0, cube 1, ... Where the first
            class is rarer, any number that has room for one pair of it. A larger simulation begins with the pairs
            of a smaller one (one of whole ``difficulty.cycle``s).
        seed: Not negative.
        image_size: Rows and columns of both modalities; the fields of view stay.
        difficulty: What is in the scenes and what the sensors suffer from.
        progress: Called with the pairs that are done and the pairs asked for.

    Raises:
        DataError: No such number of pairs can be made, ``image_size`` is less than 1, or a class is unknown.
    """
    for solid in difficulty.classes:
        find_solid(solid)
    if image_size < 1:
        raise DataError(f"Images of {image_size} x {image_size} pixels were asked for; ask for at least 1 x 1.")
    index, labels = _plan(min(pairs, difficulty.most_pairs or pairs), difficulty)
    rgb = np.empty((len(labels), image_size, image_size, 4), dtype=np.uint8)
    rgb[..., 3] = 255
    range_m = np.empty((len(labels), image_size, image_size), dtype=np.float32)
    for first in range(0, int(index[-1]) + 1, _CHUNK):
        scenes = range(first, first + _CHUNK)
        start, stop = np.searchsorted(index, (scenes.start, scenes.stop))
        chunk = _Chunk(scenes, seed, image_size, difficulty)
        for label in range(len(difficulty.classes)):
            chosen = start + np.flatnonzero(labels[start:stop] == label)
            rgb[chosen, ..., :3] = chunk.photos(index[chosen], label)
            range_m[chosen] = chunk.ranges(index[chosen], label)
        progress(int(stop), len(labels))
    return Simulation(
        classes=difficulty.classes,
        rgb=rgb,
        range_m=range_m,
        labels=labels,
        index=index,
        azimuth_rad=lidar_angles(image_size),
        zenith_rad=lidar_angles(image_size),
    )


def _plan(pairs: int, difficulty: Difficulty) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The scene and the label of every pair, (N,) each."""
    classes, every, cycle = len(difficulty.classes), difficulty.first_class_every, difficulty.cycle
    if pairs < cycle or (every == 1 and pairs % classes):
        raise DataError(
            f"{pairs} pairs of {', '.join(difficulty.classes)} were asked for; "
            + (
                f"ask for a multiple of {classes}, as many of each class."
                if every == 1
                else f"ask for at least {cycle}, so that there is one of the first class."
            )
        )
    rare = pairs // cycle
    scene = np.arange(-(-(pairs - rare) // (classes - 1)), dtype=np.int64)
    index, labels = np.repeat(scene, classes), np.tile(np.arange(classes, dtype=np.int64), len(scene))
    # An incomplete cycle at the end has none of the first class.
    wanted = (labels > 0) | ((index % every == 0) & (index < every * rare))
    return index[wanted][:pairs], labels[wanted][:pairs]


class _Chunk:
    """Some scenes, measured with one class after the other; n of them at a time."""

    def __init__(self, indices: range, seed: int, image_size: int, difficulty: Difficulty) -> None:
        self._first, self._seed, self._size, self._difficulty = indices.start, seed, image_size, difficulty
        self._scenes = draw_scenes(indices, seed, difficulty)
        self._clutter = draw_clutter(indices, seed, self._scenes, difficulty)
        self._conditions: Conditions = draw_conditions(indices, seed, difficulty)

    def photos(self, index: npt.NDArray[np.int64], label: int) -> npt.NDArray[np.uint8]:
        """What the camera sees of these scenes, (n, S, S, 3)."""
        images = np.zeros((len(index), self._size, self._size, 3), dtype=np.uint8)
        colors, _ = photograph(self._scenes[index - self._first], self._difficulty.classes[label], self._size)
        colors.paste(images)
        for number, piece in enumerate(self._clutter):
            colors, opacity = photograph(piece[index - self._first], _CLUTTER[number % 2], self._size)
            colors.paste_over(images, opacity)
        if self._difficulty.image_noise:
            for image, scene in zip(images, index, strict=True):
                noise = noise_generator(self._seed, int(scene), label, "rgb").standard_normal(
                    image.shape, np.float32
                )
                image[...] = np.clip(image + self._difficulty.image_noise * noise + 0.5, 0, 255)
        return images

    def ranges(self, index: npt.NDArray[np.int64], label: int) -> npt.NDArray[np.float32]:
        """What the LiDAR measures in these scenes, (n, S, S)."""
        chosen = index - self._first
        ranges = np.full((len(index), self._size, self._size), MAX_RANGE_M, dtype=np.float32)
        scan(self._seen_by_lidar(self._scenes, chosen), self._difficulty.classes[label], self._size).paste(ranges)
        for number, piece in enumerate(self._clutter):
            scan(self._seen_by_lidar(piece, chosen), _CLUTTER[number % 2], self._size).paste_nearer(ranges)
        if self._difficulty.range_noise_m or self._difficulty.dropped_returns or self._difficulty.failures:
            deviations, shares = self._conditions.range_noise_m[chosen], self._conditions.dropped_returns[chosen]
            for image, scene, deviation, share in zip(ranges, index, deviations, shares, strict=True):
                generator = noise_generator(self._seed, int(scene), label, "lidar")
                kept = (image < MAX_RANGE_M) & (generator.random(image.shape) >= share)
                noisy = image + np.float32(deviation) * generator.standard_normal(image.shape, np.float32)
                beyond = np.nextafter(np.float32(MAX_RANGE_M), np.float32(0))
                image[...] = np.where(kept, np.clip(noisy, np.float32(_NEAREST_M), beyond), MAX_RANGE_M)
        return ranges

    def _seen_by_lidar(self, scenes: Scenes, chosen: npt.NDArray[np.intp]) -> Scenes:
        if not self._difficulty.misalignment_deg:
            return scenes[chosen]
        return scenes[chosen].turned(self._conditions.misalignment[chosen])
