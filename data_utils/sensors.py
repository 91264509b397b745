"""The two sensors of the cubes-and-spheres data: a LiDAR that scans a scene, a camera that photographs it.

Both stand at the origin of the scenes' frame and look along y. Of the image that a whole sensor would make,
only the window that can hold the object is computed; around it is nothing to be seen.
n scenes, S rows and columns of a whole image, h rows and w columns of a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_utils.geometry import MAX_RANGE_M
from data_utils.raycasting import Directions, Floats, ray_cube, ray_sphere
from data_utils.scenes import CUBE_EDGE_M, SPHERE_RADIUS_M, Scenes

LIDAR_VIEW_DEG = 32.0
"""Field of view of the LiDAR, from -16 up to 16 degrees both ways."""
FOCAL_LENGTH = 73.3 / 64
"""Focal length of the camera in image widths: 24 mm behind an aperture of 20.955 mm."""

_SAMPLES = 4  # rays a pixel and direction, for smooth edges

# The light is fitted to the mean, the deviation and the lit pixels of the original's images.
_LIGHT_PHASE_RAD = np.deg2rad(107.0)  # at the object, between the ways to the light and to the camera
_LIGHT = 15.0  # radiance of a white face turned to the light; the tone curve makes it 239 of 255
_AMBIENT = 0.001  # what reaches the other faces, as a part of the light


@dataclass(frozen=True, eq=False)
class Windows:
    """Parts of images: values (n, h, w, ...), and the rows (n, h) and columns (n, w) where they belong."""

    values: npt.NDArray[np.generic]
    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]

    def paste(self, images: npt.NDArray[np.generic]) -> None:
        """Writes the values into whole images (n, S, S, ...), which may be a view."""
        image = np.arange(len(self.values))[:, None, None]
        images[image, self.rows[:, :, None], self.columns[:, None, :]] = self.values


def lidar_angles(size: int) -> npt.NDArray[np.float64]:
    """Azimuths (positive to the left) or zeniths (positive downwards) of a scan, radians (S,)."""
    return np.deg2rad((np.arange(size) - size / 2) * LIDAR_VIEW_DEG / size)


def scan(scenes: Scenes, shape: str, size: int) -> Windows:
    """Ranges in meters, 50.0 where a ray meets nothing; rows are azimuths and columns are zeniths.

    Args:
        scenes: n scenes.
        shape: "cube" or "sphere".
        size: Rays a row and column of the whole scan.
    """
    angles = lidar_angles(size)
    x, y, z = scenes.centers.T
    distance = np.sqrt(x * x + y * y + z * z)
    # Azimuths are positive to the left and zeniths downwards, hence the signs.
    rows = _window(-np.arctan2(x, y), np.arcsin(_reach(shape) / np.hypot(x, y)), angles)
    columns = _window(-np.arcsin(z / distance), np.arcsin(_reach(shape) / distance), angles)
    azimuth, zenith = angles[rows][:, :, None], angles[columns][:, None, :]
    directions = (np.sin(-azimuth) * np.cos(-zenith), np.cos(-azimuth) * np.cos(-zenith), np.sin(-zenith))
    if shape == "cube":
        ranges, _ = ray_cube(directions, scenes.centers, scenes.rotations, CUBE_EDGE_M)
    else:
        ranges = ray_sphere(directions, scenes.centers, SPHERE_RADIUS_M)
    return Windows(np.minimum(ranges, MAX_RANGE_M), rows, columns)


def photograph(scenes: Scenes, shape: str, size: int) -> Windows:
    """Colors, uint8 with red, green and blue last; rows run down and columns to the right.

    A pinhole camera: x / y and -z / y grow with the column and the row. Matte faces (Lambert), one directional
    light, each pixel the mean of its rays and then the tone curve x / (1 + x), which makes highlights pastel.

    Args:
        scenes: n scenes.
        shape: "cube" or "sphere".
        size: Pixels a row and column of the whole image.
    """
    slopes = (np.arange(size * _SAMPLES) + 0.5 - size * _SAMPLES / 2) / (size * _SAMPLES * FOCAL_LENGTH)
    slopes = slopes.reshape(size, _SAMPLES)
    x, y, z = scenes.centers.T
    pixels = np.arctan(slopes.mean(axis=1))
    columns = _window(np.arctan2(x, y), np.arcsin(_reach(shape) / np.hypot(x, y)), pixels)
    rows = _window(-np.arctan2(z, y), np.arcsin(_reach(shape) / np.hypot(z, y)), pixels)

    slopes = slopes.astype(np.float32)  # half the time, and still far finer than the 256 levels of an image
    right = slopes[columns].reshape(len(scenes), 1, -1)
    down = slopes[rows].reshape(len(scenes), -1, 1)
    lit = (_lit_cube if shape == "cube" else _lit_sphere)((right, np.ones_like(right), -down), scenes)
    lit = lit.reshape(len(scenes), rows.shape[1], _SAMPLES, columns.shape[1], _SAMPLES).mean(axis=(2, 4))
    radiance = np.float32(_LIGHT) * lit[..., None] * scenes.albedos.astype(np.float32)[:, None, None, :]
    exposed = radiance / (1 + radiance)
    return Windows((255 * exposed + 0.5).astype(np.uint8), rows, columns)


def _to_light() -> Floats:
    """Unit vector (3,) from every object to the light: to the upper left and partly behind the object."""
    to_camera, up_left = np.array([0.0, -1.0, 0.0]), np.array([-1.0, 0.0, 1.0]) / np.sqrt(2)
    to_light: Floats = np.cos(_LIGHT_PHASE_RAD) * to_camera + np.sin(_LIGHT_PHASE_RAD) * up_left
    return to_light


def _lit_cube(directions: Directions, scenes: Scenes) -> Floats:
    """How much light each ray sees: 0 where it meets nothing, about 1 on a face turned to the light."""
    centers, rotations = scenes.centers.astype(np.float32), scenes.rotations.astype(np.float32)
    distance, face = ray_cube(directions, centers, rotations, CUBE_EDGE_M)
    # Per axis of the cube: which of its two ends is turned to the sensors, and how that end faces the light.
    end = -np.sign(_dot(scenes.centers.T[:, :, None], scenes.rotations.transpose(1, 0, 2)))
    light = _lambert(end * _dot(_to_light(), scenes.rotations.transpose(1, 0, 2)))
    one, two, three = light.astype(np.float32).T[:, :, None, None]
    seen = np.where(face == 0, one, np.where(face == 1, two, three))
    return np.where(np.isfinite(distance), seen, np.float32(0))


def _lit_sphere(directions: Directions, scenes: Scenes) -> Floats:
    """As ``_lit_cube``."""
    centers = scenes.centers.astype(np.float32)
    distance = ray_sphere(directions, centers, SPHERE_RADIUS_M)
    hit = np.isfinite(distance)
    distance = np.where(hit, distance, np.float32(0))
    normals = [
        (part * distance - center[:, None, None]) / np.float32(SPHERE_RADIUS_M)
        for part, center in zip(directions, centers.T, strict=True)
    ]
    return np.where(hit, _lambert(_dot(_to_light().astype(np.float32), normals)), np.float32(0))


def _dot(one: Sequence[Floats] | Floats, other: Sequence[Floats] | Floats) -> Floats:
    """The sum over three components, in a fixed order; a matrix product may choose its own."""
    product: Floats = one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
    return product


def _lambert(facing: Floats) -> Floats:
    """What a matte face gives back; ``facing`` is the cosine between its normal and the light."""
    return np.maximum(facing, 0) + facing.dtype.type(_AMBIENT)


def _reach(shape: str) -> float:
    """Radius of a ball that holds the object, however it is turned."""
    return float(CUBE_EDGE_M * np.sqrt(3) / 2) if shape == "cube" else SPHERE_RADIUS_M


def _window(middle: Floats, half: Floats, grid: Floats) -> npt.NDArray[np.intp]:
    """Grid points in middle +- half and one more on each side; equally many (n, w) for all of the scenes."""
    first = np.maximum(np.searchsorted(grid, middle - half) - 1, 0)
    last = np.minimum(np.searchsorted(grid, middle + half), len(grid) - 1)
    count = int((last - first).max()) + 1
    return np.minimum(first, len(grid) - count)[:, None] + np.arange(count)
