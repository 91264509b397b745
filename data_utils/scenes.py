"""The scenes of the cubes-and-spheres data: what stands where, drawn at random.

Frame: x right, y forward, z up, origin at the sensors, meters. In the original's world the sensors stand at
(0, 25, 0) and look at the origin, so this frame is that world turned by half a turn about the vertical:
world = (-x, 25 - y, z). It is the frame of ``geometry.range_to_xyza`` and no mirror image of the world.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_utils.raycasting import Floats

CUBE_EDGE_M = 3.0
SPHERE_RADIUS_M = 1.45
DISTANCE_M = 25.0
"""From the sensors to the middle of the space the objects' centers lie in."""
HALF_SPACE_M = 5.0
"""Half the edge of that space, a cube."""


@dataclass(frozen=True, eq=False)
class Scenes:
    """n scenes; each one is seen twice, with a cube and with a sphere in the same place and color.

    Attributes:
        centers: (n, 3) in meters, in the sensors' frame.
        albedos: (n, 3), the red, green and blue part of the light that the object gives back, 0 to 1.
        rotations: (n, 3, 3), the columns are the axes of the cube.
    """

    centers: Floats
    albedos: Floats
    rotations: Floats

    def __len__(self) -> int:
        return len(self.centers)


def draw_scenes(indices: range, seed: int) -> Scenes:
    """The scenes of these indices, each from a generator of its own: a scene depends on (seed, index) alone."""
    uniform = np.stack([np.random.default_rng([seed, index]).random(9) for index in indices])
    world = HALF_SPACE_M * (2 * uniform[:, :3] - 1)
    return Scenes(
        centers=np.stack([-world[:, 0], DISTANCE_M - world[:, 1], world[:, 2]], axis=1),
        albedos=uniform[:, 3:6],
        rotations=_rotations(uniform[:, 6:]),
    )


def _rotations(uniform: Floats) -> Floats:
    """Rotation matrices (n, 3, 3), uniform over all rotations, from three uniform numbers each (n, 3).

    Source: Shoemake, "Uniform random rotations", Graphics Gems III, 1992 (by way of a unit quaternion).
    """
    one, two = np.sqrt(1 - uniform[:, 0]), np.sqrt(uniform[:, 0])
    alpha, beta = 2 * np.pi * uniform[:, 1], 2 * np.pi * uniform[:, 2]
    x, y, z, w = one * np.sin(alpha), one * np.cos(alpha), two * np.sin(beta), two * np.cos(beta)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
