"""The two sensors of the cubes-and-spheres data: a LiDAR that scans a scene, a camera that photographs it.

Both are at the origin of the scenes' frame and look along y. Only the window of the image that can contain the
object is computed; outside of it there is nothing to see.
Shapes: n scenes, S rows and columns of a whole image, h rows and w columns of a window.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_utils.geometry import MAX_RANGE_M
from data_utils.simulator.light import LIGHT, Light
from data_utils.simulator.raycasting import Floats
from data_utils.simulator.scenes import Scenes
from data_utils.simulator.solids import find_solid

LIDAR_VIEW_DEG = 32.0
"""Field of view of the LiDAR, from -16 to 16 degrees horizontally and vertically."""
FOCAL_LENGTH = 73.3 / 64
"""Focal length of the camera in image widths: 24 mm behind an aperture of 20.955 mm."""

_SAMPLES = 4  # rays per pixel along each axis, for smooth edges


@dataclass(frozen=True, eq=False)
class Windows:
    """Parts of images: values (n, h, w, ...), and their rows (n, h) and columns (n, w) in the whole images."""

    values: npt.NDArray[np.generic]
    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]

    def paste_nearer(self, ranges: Floats) -> None:
        """Write ranges into whole range images (n, S, S) where they are smaller than the present ones."""
        ranges[self._places] = np.minimum(ranges[self._places], self.values)

    def paste_over(self, photos: npt.NDArray[np.uint8], opacity: Floats) -> None:
        """Blend colors into whole photos (n, S, S, 3) with an opacity (n, h, w) between 0 and 1."""
        background = photos[self._places] * (1 - opacity[..., None])
        photos[self._places] = np.minimum(background + self.values.astype(np.float32) + 0.5, 255).astype(np.uint8)

    @property
    def _places(self) -> tuple[npt.NDArray[np.intp], ...]:
        return np.arange(len(self.values))[:, None, None], self.rows[:, :, None], self.columns[:, None, :]


def lidar_angles(size: int) -> npt.NDArray[np.float64]:
    """Azimuths (positive to the left) or zeniths (positive downwards) of a range image, radians (S,)."""
    return np.deg2rad((np.arange(size) - size / 2) * LIDAR_VIEW_DEG / size)


def scan(scenes: Scenes, solid: str, size: int) -> Windows:
    """Ranges in meters, 50.0 where a ray meets nothing; rows are azimuths and columns are zeniths.

    Args:
        scenes: n scenes.
        solid: A name of ``solids.SOLIDS``.
        size: S, rows and columns of the whole image; ``photograph`` takes the same.
    """
    kind, angles = find_solid(solid), lidar_angles(size)
    x, y, z = scenes.centers.T
    distance, reach = np.sqrt(x * x + y * y + z * z), kind.reach_m * scenes.sizes
    # Azimuths are positive to the left and zeniths downwards, hence the signs.
    rows = _window(-np.arctan2(x, y), np.arcsin(reach / np.hypot(x, y)), angles)
    columns = _window(-np.arcsin(z / distance), np.arcsin(reach / distance), angles)
    azimuth, zenith = angles[rows][:, :, None], angles[columns][:, None, :]
    directions = (np.sin(-azimuth) * np.cos(-zenith), np.cos(-azimuth) * np.cos(-zenith), np.sin(-zenith))
    return Windows(np.minimum(kind.distance(directions, scenes), MAX_RANGE_M), rows, columns)


def photograph(scenes: Scenes, solid: str, size: int, light: Light = LIGHT) -> tuple[Windows, Floats]:
    """Colors, uint8 with red, green and blue last; rows run down and columns to the right.

    A pinhole camera: x / y and -z / y grow with the column and the row. Each pixel is the mean of its rays, mapped
    by the light's tone curve.

    Args:
        scenes: n scenes.
        solid: A name of ``solids.SOLIDS``.
        size: S, rows and columns of the whole image.
        light: Its strength is multiplied by that of each scene.

    Returns:
        The colors, and the share of each pixel that the object covers, (n, h, w).
    """
    kind = find_solid(solid)
    slopes = (np.arange(size * _SAMPLES) + 0.5 - size * _SAMPLES / 2) / (size * _SAMPLES * FOCAL_LENGTH)
    slopes = slopes.reshape(size, _SAMPLES)
    x, y, z = scenes.centers.T
    pixels, reach = np.arctan(slopes.mean(axis=1)), kind.reach_m * scenes.sizes
    columns = _window(np.arctan2(x, y), np.arcsin(reach / np.hypot(x, y)), pixels)
    rows = _window(-np.arctan2(z, y), np.arcsin(reach / np.hypot(z, y)), pixels)

    slopes = slopes.astype(np.float32)  # half the time, and still far finer than the 256 levels of an image
    right = slopes[columns].reshape(len(scenes), 1, -1)
    down = slopes[rows].reshape(len(scenes), -1, 1)
    parts = kind.lit((right, np.ones_like(right), -down), scenes, light)
    matte, coat = (
        part.reshape(len(scenes), rows.shape[1], _SAMPLES, columns.shape[1], _SAMPLES) for part in parts
    )
    strength = np.float32(light.strength) * scenes.light.astype(np.float32)[:, None, None, None]
    colored = matte.mean(axis=(2, 4))[..., None] * scenes.albedos.astype(np.float32)[:, None, None, :]
    values = light.exposed(strength * (colored + coat.mean(axis=(2, 4))[..., None]))
    return Windows((255 * values + 0.5).astype(np.uint8), rows, columns), (matte > 0).mean(
        axis=(2, 4), dtype=np.float32
    )


def _window(middle: Floats, half: Floats, grid: Floats) -> npt.NDArray[np.intp]:
    """Indices (n, w) of the grid points in middle +- half and of one more on each side."""
    first = np.maximum(np.searchsorted(grid, middle - half) - 1, 0)
    last = np.minimum(np.searchsorted(grid, middle + half), len(grid) - 1)
    count = int((last - first).max()) + 1
    return np.minimum(first, len(grid) - count)[:, None] + np.arange(count)
