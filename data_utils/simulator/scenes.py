"""The scenes of the cubes-and-spheres data: random positions, rotations, colors and light.

Frame: x right, y forward, z up, origin at the sensors, meters. In the original's world the sensors are at
(0, 25, 0) and look at the origin, so this frame is that world rotated by 180 degrees about the vertical:
world = (-x, 25 - y, z). It is the frame of ``geometry.range_to_xyza``; the world is not mirrored.

Each quantity has its own random stream, so adding a setting changes no other draw.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from data_utils.simulator.difficulty import Difficulty
from data_utils.simulator.raycasting import Floats
from data_utils.simulator.streams import streams

DISTANCE_M = 25.0
"""From the sensors to the middle of the cube in which the objects' centers lie."""
HALF_SPACE_M = 5.0
"""Half the edge of that cube."""

# Further streams of a scene. Not 0: a seed sequence does not distinguish a trailing 0 from no number.
_CONDITIONS, _CLUTTER = 1, 2
_NOISE = {"rgb": 3, "lidar": 4}

_CLUTTER_SIZE = 0.4  # relative to the object's full size; nearer pieces are smaller and look equally large
_CLUTTER_SPREAD_M = 2.0


@dataclass(frozen=True, eq=False)
class Scenes:
    """n scenes; each is recorded with an object of every class in the same place and color.

    Attributes:
        centers: (n, 3) in meters, in the sensors' frame.
        albedos: (n, 3), the share of red, green and blue light that the object reflects, 0 to 1.
        rotations: (n, 3, 3), the columns are the axes of the object.
        sizes: (n,), relative to the original's objects.
        light: (n,), relative to the original's light; 0 where the camera fails.
    """

    centers: Floats
    albedos: Floats
    rotations: Floats
    sizes: Floats
    light: Floats

    def __len__(self) -> int:
        return len(self.centers)

    def __getitem__(self, index: npt.NDArray[np.intp]) -> "Scenes":
        """The scenes of these indices."""
        return Scenes(*(getattr(self, field.name)[index] for field in fields(self)))

    def rotated(self, rotations: Floats) -> "Scenes":
        """The scenes rotated about the sensors by matrices (n, 3, 3)."""
        centers = np.einsum("nij,nj->ni", rotations, self.centers)
        return replace(self, centers=centers, rotations=rotations @ self.rotations)


@dataclass(frozen=True, eq=False)
class Conditions:
    """The sensors' disturbances in n scenes.

    Attributes:
        range_noise_m: (n,), standard deviation of a measured range.
        dropped_returns: (n,), share of returns that are lost; 1 where the LiDAR fails.
        misalignment: (n, 3, 3), rotation from the scene to what the misaligned LiDAR measures.
    """

    range_noise_m: Floats
    dropped_returns: Floats
    misalignment: Floats


def draw_scenes(indices: range, seed: int, difficulty: Difficulty) -> Scenes:
    """The scenes of these indices, each from its own generator: a scene depends only on (seed, index)."""
    uniform, conditions = _uniform(9, indices, seed), _uniform(6, indices, seed, _CONDITIONS)
    world = HALF_SPACE_M * (2 * uniform[:, :3] - 1)
    return Scenes(
        centers=np.stack([-world[:, 0], DISTANCE_M - world[:, 1], world[:, 2]], axis=1),
        albedos=uniform[:, 3:6],
        rotations=_rotations(uniform[:, 6:]),
        sizes=1 - (1 - difficulty.smallest) * conditions[:, 0],
        light=np.where(conditions[:, 5] < difficulty.failures, 0.0, difficulty.dimmest ** conditions[:, 1]),
    )


def draw_conditions(indices: range, seed: int, difficulty: Difficulty) -> Conditions:
    """The sensors' disturbances in the scenes of these indices."""
    conditions = _uniform(6, indices, seed, _CONDITIONS)
    weather, fails = conditions[:, 2], conditions[:, 5] >= 1 - difficulty.failures
    right, down = np.deg2rad(difficulty.misalignment_deg) * (2 * conditions[:, 3:5].T - 1)
    zero, one = np.zeros_like(right), np.ones_like(right)
    about_vertical = [
        [np.cos(right), np.sin(right), zero],
        [-np.sin(right), np.cos(right), zero],
        [zero, zero, one],
    ]
    about_across = [[one, zero, zero], [zero, np.cos(down), np.sin(down)], [zero, -np.sin(down), np.cos(down)]]
    return Conditions(
        range_noise_m=difficulty.range_noise_m * weather,
        dropped_returns=np.where(fails, 1.0, difficulty.dropped_returns * weather),
        misalignment=_matrices(about_vertical) @ _matrices(about_across),
    )


def draw_clutter(indices: range, seed: int, scenes: Scenes, difficulty: Difficulty) -> list[Scenes]:
    """The pieces between the sensors and the objects, each nearer than the previous; n scenes per piece."""
    pieces = []
    for piece in range(difficulty.clutter):
        uniform = _uniform(9, indices, seed, _CLUTTER, piece)
        # Every piece has its own range of depths, so none is both in front of another and behind it.
        way = 0.85 - 0.25 * (piece + uniform[:, 0]) / difficulty.clutter
        aside = _CLUTTER_SPREAD_M * (2 * uniform[:, 1:3] - 1)
        aside = np.stack([aside[:, 0], np.zeros(len(indices)), aside[:, 1]], axis=1)
        pieces.append(
            Scenes(
                centers=way[:, None] * (scenes.centers + aside),
                albedos=uniform[:, 3:6],
                rotations=_rotations(uniform[:, 6:]),
                sizes=_CLUTTER_SIZE * way * scenes.sizes,
                light=scenes.light,
            )
        )
    return pieces


def noise_generators(
    seed: int, indices: Sequence[int] | npt.NDArray[np.int64], label: int, modality: str
) -> Iterator[np.random.Generator]:
    """The generators of the noise in the images ("rgb") or range images ("lidar") of a class, as ``streams``."""
    return streams(seed, indices, _NOISE[modality], label)


def _uniform(count: int, indices: range, seed: int, *stream: int) -> Floats:
    """Uniform numbers (n, count) of one stream."""
    return np.stack([generator.random(count) for generator in streams(seed, indices, *stream)])


def _rotations(uniform: Floats) -> Floats:
    """Rotation matrices (n, 3, 3), uniform over all rotations, from three uniform numbers each (n, 3).

    Source: Shoemake, "Uniform random rotations", Graphics Gems III, 1992 (through a unit quaternion).
    """
    one, two = np.sqrt(1 - uniform[:, 0]), np.sqrt(uniform[:, 0])
    alpha, beta = 2 * np.pi * uniform[:, 1], 2 * np.pi * uniform[:, 2]
    x, y, z, w = one * np.sin(alpha), one * np.cos(alpha), two * np.sin(beta), two * np.cos(beta)
    return _matrices(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _matrices(rows: list[list[Floats]]) -> Floats:
    """Matrices (n, 3, 3) from their nine entries (n,)."""
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
