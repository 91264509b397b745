"""The two sensors of the cubes-and-spheres data: a LiDAR that scans a scene, a camera that photographs it.

Both are at the origin of the scenes' frame and look along y. Only the window of the image that can contain the
object is computed; outside of it there is nothing to see. Objects with windows of about one size are computed
together: how many does not change the values. An object that several images show is computed once.
Shapes: n scenes, N images, up to k of them of each scene, S rows and columns of an image, h rows and w columns of
a window.
"""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from data_utils.simulator.light import LIGHT, Light
from data_utils.simulator.raycasting import Floats
from data_utils.simulator.scenes import Scenes
from data_utils.simulator.solids import find_solid

LIDAR_VIEW_DEG = 32.0
"""Field of view of the LiDAR, from -16 to 16 degrees horizontally and vertically."""
FOCAL_LENGTH = 73.3 / 64
"""Focal length of the camera in image widths: 24 mm behind an aperture of 20.955 mm."""

_SAMPLES = 4  # rays per pixel along each axis, for smooth edges
_RAYS = 50_000  # computed together: the arrays fit into the cache of a core

Indices: TypeAlias = npt.NDArray[np.intp]


def lidar_angles(size: int) -> npt.NDArray[np.float64]:
    """Azimuths (positive to the left) or zeniths (positive downwards) of a range image, radians (S,)."""
    return np.deg2rad((np.arange(size) - size / 2) * LIDAR_VIEW_DEG / size)


def scan(scenes: Scenes, solid: str, ranges: Floats, images: Indices) -> None:
    """Write ranges in meters into range images where they are smaller than what is there.

    Args:
        scenes: n scenes.
        solid: A name of ``solids.SOLIDS``.
        ranges: (N, S, S); rows are azimuths and columns are zeniths.
        images: (k, n), in which of them each scene is; negative for none.
    """
    kind, angles = find_solid(solid), lidar_angles(ranges.shape[1])
    x, y, z = scenes.centers.T
    distance, reach = np.sqrt(x * x + y * y + z * z), kind.reach_m * scenes.sizes
    # Azimuths are positive to the left and zeniths downwards, hence the signs.
    rows = _window(-np.arctan2(x, y), np.arcsin(reach / np.hypot(x, y)), angles)
    columns = _window(-np.arcsin(z / distance), np.arcsin(reach / distance), angles)
    for some, row, column in _together(rows, columns, len(angles), 1):
        azimuth, zenith = angles[row][:, :, None], angles[column][:, None, :]
        directions = (np.sin(-azimuth) * np.cos(-zenith), np.cos(-azimuth) * np.cos(-zenith), np.sin(-zenith))
        distance = kind.distance(directions, scenes[some])
        for here, place in _places(images[:, some], row, column):
            ranges[place] = np.minimum(ranges[place], distance[here])


def photograph(
    scenes: Scenes, solid: str, photos: npt.NDArray[np.uint8], images: Indices, light: Light = LIGHT
) -> None:
    """Draw objects over what is in photos.

    A pinhole camera: x / y and -z / y grow with the column and the row. Each pixel is the mean of its rays, mapped
    by the light's tone curve; at the edge of the object, what is behind it shows through.

    Args:
        scenes: n scenes.
        solid: A name of ``solids.SOLIDS``.
        photos: (N, S, S, 3), red, green and blue; rows run down and columns to the right.
        images: (k, n), in which of them each scene is; negative for none.
        light: Its strength is multiplied by that of each scene.
    """
    kind, size = find_solid(solid), photos.shape[1]
    slopes = (np.arange(size * _SAMPLES) + 0.5 - size * _SAMPLES / 2) / (size * _SAMPLES * FOCAL_LENGTH)
    slopes = slopes.reshape(size, _SAMPLES)
    edges = (np.arange(size + 1) - size / 2) / (size * FOCAL_LENGTH)
    (left, up), (right, down) = kind.outline(scenes)
    columns, rows = _pixels(left, right, edges), _pixels(up, down, edges)

    slopes = slopes.T.astype(np.float32)  # half the time, and still far finer than the 256 levels of an image
    for some, row, column in _together(rows, columns, size, _SAMPLES**2):
        seen = scenes[some]
        # The samples of a pixel are the first two axes of the rays, so that their mean is one of whole arrays.
        x, z = slopes[:, column][None, :, :, None, :], -slopes[:, row][:, None, :, :, None]
        matte, coat = kind.lit((x, np.ones_like(x), z), seen, light)
        strength = np.float32(light.strength) * seen.light.astype(np.float32)[:, None, None, None]
        colored = _mean(matte)[..., None] * seen.albedos.astype(np.float32)[:, None, None, :]
        values = light.exposed(strength * (colored + _mean(coat)[..., None]))
        colors = (255 * values + 0.5).astype(np.uint8).astype(np.float32)
        covered = (matte > 0).view(np.uint8).sum(axis=(0, 1), dtype=np.uint8) / np.float32(_SAMPLES**2)
        uncovered = (1 - covered)[..., None]
        for here, place in _places(images[:, some], row, column):
            photos[place] = np.minimum(photos[place] * uncovered[here] + colors[here] + 0.5, 255).astype(np.uint8)


def _places(
    images: Indices, rows: Indices, columns: Indices
) -> Iterator[tuple[Indices, tuple[Indices, Indices, Indices]]]:
    """For each of the k: which of the n scenes have an image, (m,), and their pixels there, (m, h, w)."""
    for shown in images:
        here = np.flatnonzero(shown >= 0)
        yield here, (shown[here, None, None], rows[here, :, None], columns[here, None, :])


def _mean(samples: Floats) -> Floats:
    """The mean over the first two axes, summed in a fixed order."""
    mean: Floats = samples.sum(axis=1).sum(axis=0) / np.float32(_SAMPLES**2)
    return mean


def _window(middle: Floats, half: Floats, grid: Floats) -> Indices:
    """The first and the last (2, n) of the grid points in middle +- half, and one more on each side."""
    first = np.maximum(np.searchsorted(grid, middle - half) - 1, 0)
    last = np.minimum(np.searchsorted(grid, middle + half), len(grid) - 1)
    return np.stack([first, last])


def _pixels(low: Floats, high: Floats, edges: Floats) -> Indices:
    """The first and the last (2, n) of the pixels between these edges that are partly in an interval."""
    last = len(edges) - 2
    return np.clip([np.searchsorted(edges, low) - 1, np.searchsorted(edges, high) - 1], 0, last)


def _together(
    rows: Indices, columns: Indices, size: int, samples: int
) -> Iterator[tuple[Indices, Indices, Indices]]:
    """Scenes in groups of similar windows: their indices (g,), and the rows (g, h) and columns (g, w) of each.

    Args:
        rows: The first and the last of each scene, (2, n).
        columns: The same.
        size: S.
        samples: Rays per pixel.
    """
    heights, widths = (last - first + 1 for first, last in (rows, columns))
    largest_first = np.argsort(-heights * widths, kind="stable")
    while len(largest_first):
        largest = largest_first[0]
        count = max(1, _RAYS // int(heights[largest] * widths[largest] * samples))
        some, largest_first = largest_first[:count], largest_first[count:]
        height, width = heights[some].max(), widths[some].max()
        yield (
            some,
            np.minimum(rows[0, some], size - height)[:, None] + np.arange(height),
            np.minimum(columns[0, some], size - width)[:, None] + np.arange(width),
        )
