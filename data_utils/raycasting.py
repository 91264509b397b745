"""Where rays from the origin meet spheres and cubes; closed-form, vectorized over objects and rays.

Not for scenes: one object a ray, no shadows. n objects, (n, p, q) rays. Arithmetic is elementwise and made of
+, -, *, / and square roots, which are exact to the last bit on every machine and for any number of threads.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.floating]
Directions: TypeAlias = tuple[Floats, Floats, Floats]
"""The x, y and z of every ray, each an array that broadcasts to (n, p, q)."""


def ray_sphere(directions: Directions, centers: Floats, radius: float) -> Floats:
    """How far along each ray the sphere begins.

    Args:
        directions: Of any length but 0.
        centers: (n, 3), further from the origin than the radius.
        radius: Of every sphere.

    Returns:
        (n, p, q), in lengths of the direction (a distance if it is a unit vector); inf for a miss.
    """
    x, y, z = directions
    cx, cy, cz = (centers[:, k, None, None] for k in range(3))
    squared_length = x * x + y * y + z * z
    along = x * cx + y * cy + z * cz
    beyond = cx * cx + cy * cy + cz * cz - radius * radius
    discriminant = along * along - squared_length * beyond
    hit = (discriminant >= 0) & (along > 0)
    nearest = (along - np.sqrt(np.maximum(discriminant, 0))) / squared_length
    return np.where(hit, nearest, np.inf)


def ray_cube(
    directions: Directions, centers: Floats, rotations: Floats, edge: float
) -> tuple[Floats, npt.NDArray[np.intp]]:
    """How far along each ray the cube begins, and through which faces the ray enters (slab method).

    Args:
        directions: Of any length but 0.
        centers: (n, 3); the origin is outside of every cube.
        rotations: (n, 3, 3), from the cube's axes to the world's: the columns are the cube's axes.
        edge: Of every cube.

    Returns:
        The distance (n, p, q) as for ``ray_sphere``, and the axis of the cube, 0 to 2, that the entered face
        is perpendicular to (n, p, q). Of the two such faces only the one turned to the origin can be entered.
    """
    slabs = [_slab(directions, centers, rotations[:, :, axis], edge) for axis in range(3)]
    (enter, leave), face = slabs[0], np.zeros(slabs[0][0].shape, dtype=np.intp)
    for axis, (near, far) in enumerate(slabs[1:], start=1):
        face = np.where(near > enter, axis, face)
        enter, leave = np.maximum(enter, near), np.minimum(leave, far)
    return np.where((enter <= leave) & (enter > 0), enter, np.inf), face


def _slab(directions: Directions, centers: Floats, axes: Floats, edge: float) -> tuple[Floats, Floats]:
    """Where each ray enters and leaves the space between two opposite faces; ``axes`` (n, 3) is their normal."""
    x, y, z = directions
    ax, ay, az = (axes[:, k, None, None] for k in range(3))
    speed = ax * x + ay * y + az * z
    center = ax * centers[:, 0, None, None] + ay * centers[:, 1, None, None] + az * centers[:, 2, None, None]
    with np.errstate(divide="ignore", invalid="ignore"):  # a ray along the faces: +-inf is the right answer
        one, other = (center - edge / 2) / speed, (center + edge / 2) / speed
    return np.minimum(one, other), np.maximum(one, other)
