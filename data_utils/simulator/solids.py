"""The objects of scenes: their sizes, where rays meet them, and how they are lit there.

A new kind is two functions and an entry in SOLIDS. Shapes: n scenes, (n, p, q) rays.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from data_utils.errors import DataError
from data_utils.simulator.light import Light
from data_utils.simulator.raycasting import Directions, Floats, dot, ray_cube, ray_frustum, ray_sphere
from data_utils.simulator.scenes import Scenes

CUBE_EDGE_M = 3.0
SPHERE_RADIUS_M = 1.45
_CUBE_CORNERS_M = CUBE_EDGE_M / 2 * np.array(list(product((-1.0, 1.0), repeat=3)))
_HEIGHT_M, _CYLINDER_RADIUS_M, _CONE_RADIUS_M = 2.8, 1.35, 1.75  # about as visible as the other two


@dataclass(frozen=True)
class Solid:
    """One kind of object.

    Attributes:
        reach_m: Radius of a ball that contains an object of size 1 in any rotation.
        corners_m: (k, 3), points in its axes whose convex hull contains an object of size 1; none for a ball.
        distance: The distance along each ray to the object, (n, p, q); inf for a miss.
        lit: The light that each ray sees, matte and from the coat (``Light.reflected``), each (n, p, q): 0 for a
            miss, slightly more in the shade. In the precision of the rays.
    """

    reach_m: float
    corners_m: Floats
    distance: Callable[[Directions, Scenes], Floats]
    lit: Callable[[Directions, Scenes, Light], tuple[Floats, Floats]]

    def outline(self, scenes: Scenes) -> tuple[Floats, Floats]:
        """Bounds of the slopes x / y and -z / y (2, n) of all points of an object: the lowest and the highest."""
        if not len(self.corners_m):
            x, y, z = scenes.centers.T
            reach = self.reach_m * scenes.sizes
            middle = np.stack([np.arctan2(x, y), -np.arctan2(z, y)])
            half = np.arcsin(reach / np.stack([np.hypot(x, y), np.hypot(z, y)]))
            return np.tan(middle - half), np.tan(middle + half)
        corners = scenes.centers[:, None] + scenes.sizes[:, None, None] * (
            self.corners_m @ scenes.rotations.transpose(0, 2, 1)
        )
        slopes = np.stack([corners[..., 0], -corners[..., 2]]) / corners[..., 1]
        return slopes.min(axis=2), slopes.max(axis=2)


def find_solid(name: str) -> Solid:
    """The solid of this name.

    Raises:
        DataError: No solid has the name; the message lists all that exist.
    """
    if name not in SOLIDS:
        raise DataError(f"Unknown solid {name!r}; the solids are: {', '.join(SOLIDS)}.")
    return SOLIDS[name]


def _cube_distance(directions: Directions, scenes: Scenes) -> Floats:
    distance, _ = ray_cube(directions, scenes.centers, scenes.rotations, CUBE_EDGE_M * scenes.sizes)
    return distance


def _cube_lit(directions: Directions, scenes: Scenes, light: Light) -> tuple[Floats, Floats]:
    centers, rotations = scenes.centers.astype(np.float32), scenes.rotations.astype(np.float32)
    distance, face = ray_cube(directions, centers, rotations, CUBE_EDGE_M * scenes.sizes)
    axes = scenes.rotations.transpose(1, 0, 2)
    to_light, to_camera, to_half = (dot(axes, way) for way in _ways(scenes, light, 2))
    # Per axis of the cube: which of its two faces is visible from the sensors, and how that face is lit.
    end = np.sign(to_camera)
    hit = np.isfinite(distance)
    entered = [(hit & (face == axis)).astype(np.float32) for axis in range(3)]
    # At most one of the three is not 0, so a sum of products chooses, which is faster than np.where.
    matte, coat = (
        dot(entered, part.astype(np.float32).T[:, :, None, None])
        for part in light.reflected(end * to_light, end * to_camera, end * to_half)
    )
    return matte, coat


def _sphere_distance(directions: Directions, scenes: Scenes) -> Floats:
    return ray_sphere(directions, scenes.centers, SPHERE_RADIUS_M * scenes.sizes)


def _sphere_lit(directions: Directions, scenes: Scenes, light: Light) -> tuple[Floats, Floats]:
    centers = scenes.centers.astype(np.float32)
    radii = SPHERE_RADIUS_M * scenes.sizes
    distance = ray_sphere(directions, centers, radii)
    hit = np.isfinite(distance)
    distance = np.where(hit, distance, np.float32(0))
    normals = [
        (part * distance - center[:, None, None]) / radii.astype(np.float32)[:, None, None]
        for part, center in zip(directions, centers.T, strict=True)
    ]
    return _seen(hit, normals, scenes, light)


def _ways(scenes: Scenes, light: Light, dimensions: int) -> Iterator[Directions]:
    """The directions to the light, to the camera and half-way between them, of objects in these scenes.

    The camera's direction is taken at the object's center: an object is small compared with its distance.
    """
    to_camera = -scenes.centers / np.sqrt((scenes.centers**2).sum(axis=1, keepdims=True))
    to_light = np.broadcast_to(light.direction, to_camera.shape)
    half = to_light + to_camera
    half = half / np.sqrt((half**2).sum(axis=1, keepdims=True))
    for way in (to_light, to_camera, half):
        x, y, z = way.T.reshape(3, len(scenes), *(dimensions - 1) * (1,))
        yield x, y, z


def _seen(
    hit: npt.NDArray[np.bool_], normals: Sequence[Floats], scenes: Scenes, light: Light
) -> tuple[Floats, Floats]:
    """What rays see of a curved surface, as ``Solid.lit``, from its unit normals (n, p, q) where they hit it."""
    to_light, to_camera, to_half = (
        dot([part.astype(np.float32) for part in way], normals) for way in _ways(scenes, light, 3)
    )
    matte, coat = light.reflected(to_light, np.maximum(to_camera, np.float32(0)), to_half)
    return np.where(hit, matte, np.float32(0)), np.where(hit, coat, np.float32(0))


def _frustum(foot_radius_m: float, top_radius_m: float) -> Solid:
    """A truncated cone."""

    def meet(directions: Directions, scenes: Scenes) -> tuple[Floats, Directions]:
        foot, top, height = (length * scenes.sizes for length in (foot_radius_m, top_radius_m, _HEIGHT_M))
        return ray_frustum(directions, scenes.centers, scenes.rotations, foot, top, height)

    def distance(directions: Directions, scenes: Scenes) -> Floats:
        return meet(directions, scenes)[0]

    def lit(directions: Directions, scenes: Scenes, light: Light) -> tuple[Floats, Floats]:
        ranges, normals = meet(directions, scenes)
        return _seen(np.isfinite(ranges), [part.astype(np.float32) for part in normals], scenes, light)

    reach = float(np.hypot(_HEIGHT_M / 2, max(foot_radius_m, top_radius_m)))
    ends = [_around(foot_radius_m, -_HEIGHT_M / 2), _around(top_radius_m, _HEIGHT_M / 2)]
    return Solid(reach, np.concatenate(ends), distance, lit)


def _around(radius_m: float, height_m: float) -> Floats:
    """The corners (k, 3) of a polygon around a circle."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    across = radius_m / np.cos(np.pi / len(angles))
    corners: Floats = np.stack([across * np.cos(angles), across * np.sin(angles), np.full(12, height_m)], axis=1)
    return corners


SOLIDS: Mapping[str, Solid] = MappingProxyType(
    {
        "cubes": Solid(float(CUBE_EDGE_M * np.sqrt(3) / 2), _CUBE_CORNERS_M, _cube_distance, _cube_lit),
        "spheres": Solid(SPHERE_RADIUS_M, np.empty((0, 3)), _sphere_distance, _sphere_lit),
        "cylinders": _frustum(_CYLINDER_RADIUS_M, _CYLINDER_RADIUS_M),
        "cones": _frustum(_CONE_RADIUS_M, 0.0),
    }
)
"""All kinds by name, in the plural as the original's folders."""
