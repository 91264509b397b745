"""Where rays from the origin meet spheres, cubes and frustums; closed-form, vectorized over objects and rays.

One object per ray, without shadows; the origin is outside of every object. Directions have any length except 0;
distances are multiples of it. Shapes: n objects, (n, p, q) rays. All arithmetic is elementwise and uses only
+, -, *, / and square roots, which give the same bits on every machine and for any number of threads.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.floating]
Directions: TypeAlias = tuple[Floats, Floats, Floats]
"""The x, y and z of every ray; each array broadcasts to (n, p, q)."""


def ray_sphere(directions: Directions, centers: Floats, radii: Floats) -> Floats:
    """The distance (n, p, q) along each ray to the sphere; inf for a miss.

    Args:
        directions: Of the rays.
        centers: (n, 3).
        radii: (n,).
    """
    center = _components(centers)
    squared_length, along = dot(directions, directions), dot(directions, center)
    beyond = dot(center, center) - _per_object(radii * radii, like=centers)
    discriminant = along * along - squared_length * beyond
    hit = (discriminant >= 0) & (along > 0)
    nearest = (along - np.sqrt(np.maximum(discriminant, 0))) / squared_length
    return np.where(hit, nearest, np.inf)


def ray_cube(
    directions: Directions, centers: Floats, rotations: Floats, edges: Floats
) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """The distance along each ray to the cube, and the face through which the ray enters (slab method).

    Args:
        directions: Of the rays.
        centers: (n, 3).
        rotations: (n, 3, 3), from the cube's axes to the world's: the columns are the cube's axes.
        edges: (n,).

    Returns:
        The distance (n, p, q) as for ``ray_sphere``, and (n, p, q) the axis of the cube, 0 to 2, that is
        perpendicular to the entered face. Of these two faces, a ray can enter only the one that faces the origin.
    """
    enter, leave = _slab(directions, centers, rotations[:, :, 0], edges / 2)
    face = np.zeros(enter.shape, dtype=np.uint8)
    for axis in (1, 2):
        near, far = _slab(directions, centers, rotations[:, :, axis], edges / 2)
        np.maximum(face, axis * (near > enter).view(np.uint8), out=face)  # faster than np.where
        np.maximum(enter, near, out=enter)
        np.minimum(leave, far, out=leave)
    return np.where((enter <= leave) & (enter > 0), enter, np.inf), face


def ray_frustum(
    directions: Directions,
    centers: Floats,
    rotations: Floats,
    foot_radii: Floats,
    top_radii: Floats,
    heights: Floats,
) -> tuple[Floats, Directions]:
    """The distance along each ray to a truncated cone, and the normal of its surface there.

    With equal radii it is a cylinder, with a top radius of 0 a cone.

    Args:
        directions: Of the rays.
        centers: (n, 3), half-way up the axis.
        rotations: (n, 3, 3); the third column is the axis, from the foot to the top.
        foot_radii: (n,).
        top_radii: (n,).
        heights: (n,).

    Returns:
        The distance (n, p, q) as for ``ray_sphere``, and the outward unit normal in the world's axes, undefined
        for a miss.
    """
    axes = [_components(rotations[:, :, column]) for column in range(3)]
    # The ray in the frustum's own axes: it starts at o and runs along d.
    (dx, dy, dz), (ox, oy, oz) = ([dot(axis, v) for axis in axes] for v in (directions, _components(centers)))
    ox, oy, oz = -ox, -oy, -oz
    half, foot, top = (_per_object(v, like=ox) for v in (heights / 2, foot_radii, top_radii))
    slope, middle = (top - foot) / (2 * half), (top + foot) / 2  # radius = middle + slope * z
    start = middle + slope * oz
    a = dx * dx + dy * dy - slope * slope * dz * dz
    b = dx * ox + dy * oy - slope * dz * start
    c = ox * ox + oy * oy - start * start
    nearest = np.full(np.broadcast_shapes(a.shape, c.shape), np.inf, dtype=a.dtype)
    surface = np.zeros(nearest.shape, dtype=np.uint8)  # 0 the side, 1 the foot, 2 the top

    def keep(distance: Floats, valid: npt.NDArray[np.bool_], number: int) -> None:
        closer = valid & (distance > 0) & (distance < nearest)
        np.copyto(nearest, distance, where=closer)
        np.maximum(surface, number * closer.view(np.uint8), out=surface)

    with np.errstate(divide="ignore", invalid="ignore"):  # a ray along a face: NaN and inf never count as closer
        root = np.sqrt(b * b - a * c)
        for distance in ((-b - root) / a, (-b + root) / a):
            keep(distance, np.abs(oz + distance * dz) <= half, 0)
        for number, end, radius in ((1, -1, foot), (2, 1, top)):
            distance = (end * half - oz) / dz
            x, y = ox + distance * dx, oy + distance * dy
            keep(distance, x * x + y * y <= radius * radius, number)
        hit = np.isfinite(nearest)
        distance, side = np.where(hit, nearest, 0), hit & (surface == 0)
        steep = np.sqrt(1 + slope * slope)
        length = (middle + slope * (oz + distance * dz)) * steep
        normal = (
            np.where(side, (ox + distance * dx) / length, 0),
            np.where(side, (oy + distance * dy) / length, 0),
            np.where(side, -slope / steep, (surface == 2).astype(a.dtype) - (surface == 1)),
        )
    right, forward, up = (dot(normal, row) for row in zip(*axes, strict=True))
    return nearest, (right, forward, up)


def _slab(directions: Directions, centers: Floats, axes: Floats, halves: Floats) -> tuple[Floats, Floats]:
    """Where each ray enters and leaves the space between two opposite faces; ``axes`` (n, 3) is their normal."""
    axis, half = _components(axes), _per_object(halves, like=centers)
    speed, center = dot(axis, directions), dot(axis, _components(centers))
    with np.errstate(divide="ignore", invalid="ignore"):  # a ray along the faces: +-inf is correct
        one, other = (center - half) / speed, (center + half) / speed
    return np.minimum(one, other), np.maximum(one, other)


def _per_object(values: Floats, like: Floats) -> Floats:
    """Values (n,) as (n, 1, 1), in the precision of another array."""
    return values[:, None, None].astype(like.dtype)


def _components(vectors: Floats) -> Directions:
    """Vectors (n, 3) as their three components (n, 1, 1)."""
    return vectors[:, 0, None, None], vectors[:, 1, None, None], vectors[:, 2, None, None]


def dot(one: Sequence[Floats] | Floats, other: Sequence[Floats] | Floats) -> Floats:
    """The sum over three components in a fixed order, which a matrix product does not guarantee."""
    product: Floats = one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
    return product
