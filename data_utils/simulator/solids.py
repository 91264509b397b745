"""The objects of scenes: their sizes, where rays meet them, and how they are lit there.

A new kind is two functions and an entry in SOLIDS. Shapes: n scenes, (n, p, q) rays.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from data_utils.errors import DataError
from data_utils.simulator.raycasting import Directions, Floats, dot, ray_cube, ray_frustum, ray_sphere
from data_utils.simulator.scenes import Scenes

CUBE_EDGE_M = 3.0
SPHERE_RADIUS_M = 1.45
_HEIGHT_M, _CYLINDER_RADIUS_M, _CONE_RADIUS_M = 2.8, 1.35, 1.75  # about as visible as the other two

# The light is fitted to the mean, the standard deviation and the lit pixels of the original's images.
_LIGHT_PHASE_RAD = np.deg2rad(107.0)  # at the object, between the directions to the light and to the camera
_AMBIENT = 0.001  # light on faces in the shade, as a share of the light


@dataclass(frozen=True)
class Solid:
    """One kind of object.

    Attributes:
        reach_m: Radius of a ball that contains an object of size 1 in any rotation.
        distance: The distance along each ray to the object, (n, p, q); inf for a miss.
        lit: The light that each ray sees, (n, p, q): 0 for a miss, slightly more in the shade, about 1 on a face
            that faces the light. In the precision of the rays.
    """

    reach_m: float
    distance: Callable[[Directions, Scenes], Floats]
    lit: Callable[[Directions, Scenes], Floats]


def find_solid(name: str) -> Solid:
    """The solid of this name.

    Raises:
        DataError: No solid has the name; the message lists all that exist.
    """
    if name not in SOLIDS:
        raise DataError(f"Unknown solid {name!r}; the solids are: {', '.join(SOLIDS)}.")
    return SOLIDS[name]


def to_light() -> Floats:
    """Unit vector (3,) from every object to the light: at the upper left and partly behind the object."""
    to_camera, up_left = np.array([0.0, -1.0, 0.0]), np.array([-1.0, 0.0, 1.0]) / np.sqrt(2)
    direction: Floats = np.cos(_LIGHT_PHASE_RAD) * to_camera + np.sin(_LIGHT_PHASE_RAD) * up_left
    return direction


def _cube_distance(directions: Directions, scenes: Scenes) -> Floats:
    distance, _ = ray_cube(directions, scenes.centers, scenes.rotations, CUBE_EDGE_M * scenes.sizes)
    return distance


def _cube_lit(directions: Directions, scenes: Scenes) -> Floats:
    centers, rotations = scenes.centers.astype(np.float32), scenes.rotations.astype(np.float32)
    distance, face = ray_cube(directions, centers, rotations, CUBE_EDGE_M * scenes.sizes)
    axes = scenes.rotations.transpose(1, 0, 2)
    # Per axis of the cube: which of its two faces is visible from the sensors, and how that face is lit.
    end = -np.sign(dot(scenes.centers.T[:, :, None], axes))
    light = _lambert(end * dot(to_light(), axes))
    one, two, three = light.astype(np.float32).T[:, :, None, None]
    seen = np.where(face == 0, one, np.where(face == 1, two, three))
    return np.where(np.isfinite(distance), seen, np.float32(0))


def _sphere_distance(directions: Directions, scenes: Scenes) -> Floats:
    return ray_sphere(directions, scenes.centers, SPHERE_RADIUS_M * scenes.sizes)


def _sphere_lit(directions: Directions, scenes: Scenes) -> Floats:
    centers = scenes.centers.astype(np.float32)
    radii = SPHERE_RADIUS_M * scenes.sizes
    distance = ray_sphere(directions, centers, radii)
    hit = np.isfinite(distance)
    distance = np.where(hit, distance, np.float32(0))
    normals = [
        (part * distance - center[:, None, None]) / radii.astype(np.float32)[:, None, None]
        for part, center in zip(directions, centers.T, strict=True)
    ]
    return np.where(hit, _lambert(dot(to_light().astype(np.float32), normals)), np.float32(0))


def _frustum(foot_radius_m: float, top_radius_m: float) -> Solid:
    """A truncated cone."""

    def meet(directions: Directions, scenes: Scenes) -> tuple[Floats, Directions]:
        foot, top, height = (length * scenes.sizes for length in (foot_radius_m, top_radius_m, _HEIGHT_M))
        return ray_frustum(directions, scenes.centers, scenes.rotations, foot, top, height)

    def distance(directions: Directions, scenes: Scenes) -> Floats:
        return meet(directions, scenes)[0]

    def lit(directions: Directions, scenes: Scenes) -> Floats:
        ranges, normals = meet(directions, scenes)
        return np.where(np.isfinite(ranges), _lambert(dot(to_light(), normals)), 0).astype(np.float32)

    return Solid(float(np.hypot(_HEIGHT_M / 2, max(foot_radius_m, top_radius_m))), distance, lit)


def _lambert(facing: Floats) -> Floats:
    """The light that a matte face reflects; ``facing`` is the cosine between its normal and the light."""
    return np.maximum(facing, 0) + facing.dtype.type(_AMBIENT)


SOLIDS: Mapping[str, Solid] = MappingProxyType(
    {
        "cubes": Solid(float(CUBE_EDGE_M * np.sqrt(3) / 2), _cube_distance, _cube_lit),
        "spheres": Solid(SPHERE_RADIUS_M, _sphere_distance, _sphere_lit),
        "cylinders": _frustum(_CYLINDER_RADIUS_M, _CYLINDER_RADIUS_M),
        "cones": _frustum(_CONE_RADIUS_M, 0.0),
    }
)
"""All kinds by name, in the plural as the original's folders."""
