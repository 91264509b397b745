"""The simulator of the default data: simple solids, recorded by a LiDAR and a camera.

It imitates NVIDIA's synthetic cubes-and-spheres data: the geometry, the file formats, the published statistics and
the look of published pictures (docs/simulated.md compares them). A scene is one object in an empty black world.
Both sensors are 25 m from the middle of a cube with an edge of 10 m, in which the objects' centers lie. One hard
light from the upper left leaves most of the object dark. ``difficulty`` has the settings that make it harder than
the original.

Every scene has its own random generators, so a pair depends only on the seed and its index.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from data_utils.dataset import DatasetInfo, PairedDataset
from data_utils.decoding import ScannerPoints
from data_utils.errors import DataError
from data_utils.geometry import ray_directions
from data_utils.simulator.difficulty import Difficulty
from data_utils.simulator.processes import record_all
from data_utils.simulator.recording import Chunk
from data_utils.simulator.sensors import lidar_angles
from data_utils.simulator.solids import find_solid

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of finished pairs and the number of all pairs."""


Empty: TypeAlias = Callable[[str, tuple[int, int, int, int], "np.dtype[Any]"], npt.NDArray[Any]]
"""An array to fill: of a modality, a shape (N, C, H, W) and a type."""


def in_memory(
    name: str,  # noqa: ARG001 - see ``Empty``
    shape: tuple[int, int, int, int],
    dtype: "np.dtype[Any]",
) -> npt.NDArray[Any]:
    """An array in memory."""
    return np.empty(shape, dtype)


def no_progress(done: int, total: int) -> None:
    """Show no progress."""


_CHUNK = 128  # scenes drawn at a time; bounds the memory, does not change the values


BYTES_PER_PIXEL = 8
"""Of a simulated pair: RGBA and a range in float32."""


@dataclass(frozen=True, eq=False)
class Simulation:
    """The raw measurements, as in the original's files. N pairs, S rows and columns.

    Attributes:
        classes: Class names; a label is an index into them.
        rgb: uint8 (N, S, S, 4), RGBA with alpha 255.
        range_m: float32 (N, S, S), rows are azimuths and columns zeniths; 50.0 where a ray meets nothing.
            ``range_m[i].T[:, ::-1]`` has the orientation of the image; objects appear 1 / 0.64 times as large.
        labels: int64 (N,), indices into ``classes``.
        index: int64 (N,), the scene. Its objects are twins: same place, same color.
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


def as_dataset(name: str, raw: Simulation) -> PairedDataset:
    """A simulation as a data set: RGBA images, and XYZA points in the orientation of the original's range images.

    The pairs of a scene form a group.
    """
    range_m, azimuth, zenith = map(torch.from_numpy, (raw.range_m, raw.azimuth_rad, raw.zenith_rad))
    return PairedDataset(
        info=DatasetInfo(name, raw.classes, {"rgb": 4, "lidar": 4}, raw.range_m.shape[1:]),
        inputs={
            "rgb": torch.from_numpy(raw.rgb).permute(0, 3, 1, 2).contiguous(),  # no copy of simulated ones
            "lidar": range_m[:, None],
        },
        labels=torch.from_numpy(raw.labels),
        groups=torch.from_numpy(raw.index),
        names=tuple(f"{raw.classes[c]}/{i:04d}" for c, i in zip(raw.labels, raw.index, strict=True)),
        decoders={"lidar": ScannerPoints(ray_directions(azimuth, zenith))},
    )


def simulate(
    pairs: int,
    seed: int,
    image_size: int = 64,
    difficulty: Difficulty = Difficulty(),  # noqa: B008 (frozen)
    progress: Progress = no_progress,
    empty: Empty = in_memory,
) -> Simulation:
    """Draw scenes and record each once per class, with an object of that class.

    Args:
        pairs: A multiple of the number of classes, in the order cube 0, sphere 0, cube 1, ... If the first class
            is rarer: any number that is large enough for one pair of it. A larger simulation begins with the pairs
            of a smaller one whose number is a multiple of ``difficulty.cycle``.
        seed: Not negative.
        image_size: Rows and columns of both modalities; the fields of view stay the same.
        difficulty: Objects, light and disturbances.
        progress: See ``Progress``.
        empty: Makes the arrays of the measurements.

    Raises:
        DataError: This number of pairs is impossible, ``image_size`` is less than 1, or a class is unknown.
    """
    for solid in difficulty.classes:
        find_solid(solid)
    if image_size < 1:
        raise DataError(f"Images cannot have {image_size} x {image_size} pixels; the smallest size is 1.")
    index, labels = _plan(min(pairs, difficulty.most_pairs or pairs), difficulty)
    rgb = empty("rgb", (len(labels), 4, image_size, image_size), np.dtype(np.uint8))
    range_m = empty("lidar", (len(labels), 1, image_size, image_size), np.dtype(np.float32))[:, 0]
    places = np.searchsorted(index, range(0, int(index[-1]) + 1 + _CHUNK, _CHUNK))
    record_all(
        [
            Chunk(start, index[start:stop], labels[start:stop], seed, difficulty)
            for start, stop in pairwise(places.tolist())
        ],
        rgb,
        range_m,
        lambda done: progress(done, len(labels)),
    )
    return Simulation(
        classes=difficulty.classes,
        rgb=rgb.transpose(0, 2, 3, 1),
        range_m=range_m,
        labels=labels,
        index=index,
        azimuth_rad=lidar_angles(image_size),
        zenith_rad=lidar_angles(image_size),
    )


def _plan(pairs: int, difficulty: Difficulty) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The scene and the label of every pair, both (N,)."""
    classes, every, cycle = len(difficulty.classes), difficulty.first_class_every, difficulty.cycle
    if pairs < cycle or (every == 1 and pairs % classes):
        numbers = f"a multiple of {classes}" if every == 1 else f"at least {cycle}"
        raise DataError(f"{pairs} pairs of {', '.join(difficulty.classes)} are impossible; request {numbers}.")
    rare = pairs // cycle
    scene = np.arange(-(-(pairs - rare) // (classes - 1)), dtype=np.int64)
    index, labels = np.repeat(scene, classes), np.tile(np.arange(classes, dtype=np.int64), len(scene))
    # An incomplete cycle at the end has no pair of the first class.
    recorded = (labels > 0) | ((index % every == 0) & (index < every * rare))
    return index[recorded][:pairs], labels[recorded][:pairs]
