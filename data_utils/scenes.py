"""The scenes of the cubes-and-spheres data: what stands where, in what light, drawn at random.

Frame: x right, y forward, z up, origin at the sensors, meters. In the original's world the sensors stand at
(0, 25, 0) and look at the origin, so this frame is that world turned by half a turn about the vertical:
world = (-x, 25 - y, z). It is the frame of ``geometry.range_to_xyza`` and no mirror image of the world.

What is drawn for what has a stream of its own, so one setting more draws nothing else anew.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from data_utils.difficulty import Difficulty
from data_utils.raycasting import Floats

DISTANCE_M = 25.0
"""From the sensors to the middle of the space the objects' centers lie in."""
HALF_SPACE_M = 5.0
"""Half the edge of that space, a cube."""

# Streams of a scene beside its own; not 0, which a seed sequence does not tell from nothing.
_CONDITIONS, _CLUTTER = 1, 2
_NOISE = {"rgb": 3, "lidar": 4}

_CLUTTER_SIZE = 0.4  # as a part of the object's full size; what is nearer is smaller, and looks the same
_CLUTTER_SPREAD_M = 2.0


@dataclass(frozen=True, eq=False)
class Scenes:
    """n scenes; each one is seen with an object of every class in the same place and color.

    Attributes:
        centers: (n, 3) in meters, in the sensors' frame.
        albedos: (n, 3), the red, green and blue part of the light that the object gives back, 0 to 1.
        rotations: (n, 3, 3), the columns are the axes of the object.
        sizes: (n,), 1 for an object as large as the original's.
        light: (n,), 1 for light as strong as the original's, 0 where the camera fails.
    """

    centers: Floats
    albedos: Floats
    rotations: Floats
    sizes: Floats
    light: Floats

    def __len__(self) -> int:
        return len(self.centers)

    def __getitem__(self, index: npt.NDArray[np.intp]) -> Scenes:
        """The scenes of these numbers."""
        return Scenes(*(getattr(self, field.name)[index] for field in fields(self)))

    def turned(self, rotations: Floats) -> Scenes:
        """The scenes turned about the sensors by rotations (n, 3, 3)."""
        turned = (np.einsum("nij,nj->ni", rotations, self.centers), rotations @ self.rotations)
        return Scenes(turned[0], self.albedos, turned[1], self.sizes, self.light)


@dataclass(frozen=True, eq=False)
class Conditions:
    """What the sensors suffer from in n scenes.

    Attributes:
        range_noise_m: (n,), standard deviation of a measured range.
        dropped_returns: (n,), share of returns that are lost; 1 where the LiDAR fails.
        misalignment: (n, 3, 3), from the scene to how the LiDAR believes it to be.
    """

    range_noise_m: Floats
    dropped_returns: Floats
    misalignment: Floats


def draw_scenes(indices: range, seed: int, difficulty: Difficulty) -> Scenes:
    """The scenes of these indices, each from a generator of its own: a scene depends on (seed, index) alone."""
    uniform = np.stack([np.random.default_rng([seed, index]).random(9) for index in indices])
    conditions = _uniform(indices, seed, _CONDITIONS, 6)
    world = HALF_SPACE_M * (2 * uniform[:, :3] - 1)
    return Scenes(
        centers=np.stack([-world[:, 0], DISTANCE_M - world[:, 1], world[:, 2]], axis=1),
        albedos=uniform[:, 3:6],
        rotations=_rotations(uniform[:, 6:]),
        sizes=1 - (1 - difficulty.smallest) * conditions[:, 0],
        light=np.where(conditions[:, 5] < difficulty.failures, 0.0, difficulty.dimmest ** conditions[:, 1]),
    )


def draw_conditions(indices: range, seed: int, difficulty: Difficulty) -> Conditions:
    """What the sensors suffer from in the scenes of these indices."""
    conditions = _uniform(indices, seed, _CONDITIONS, 6)
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
    """The pieces between the sensors and the objects, each nearer than the one before it; (n,) of every piece."""
    pieces = []
    for piece in range(difficulty.clutter):
        uniform = np.stack([np.random.default_rng([seed, i, _CLUTTER, piece]).random(9) for i in indices])
        # Each has a layer of its own, so that none can stand both before and behind another.
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


def noise_generator(seed: int, index: int, label: int, modality: str) -> np.random.Generator:
    """For the noise in one pair's image ("rgb") or scan ("lidar")."""
    return np.random.default_rng([seed, index, _NOISE[modality], label])


def _uniform(indices: range, seed: int, stream: int, count: int) -> Floats:
    """Uniform numbers (n, count) of one stream."""
    return np.stack([np.random.default_rng([seed, index, stream]).random(count) for index in indices])


def _rotations(uniform: Floats) -> Floats:
    """Rotation matrices (n, 3, 3), uniform over all rotations, from three uniform numbers each (n, 3).

    Source: Shoemake, "Uniform random rotations", Graphics Gems III, 1992 (by way of a unit quaternion).
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
