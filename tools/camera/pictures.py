"""Pictures of one object each, and the statistics in which originals and simulated pictures are compared.

A picture is an array (64, 64, 3) of the values 0 to 255 on black.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.spatial import ConvexHull

from data_utils.errors import DataError

Values: TypeAlias = npt.NDArray[np.floating]

SIZE = 64
LIT, BRIGHT = 20, 60  # of 255
CLASSES: Mapping[str, str] = MappingProxyType({"cube": "cubes", "sphere": "spheres"})
"""What the names of files begin with, and the solid that they show."""

SOFT_PIXELS = 0.5
"""Standard deviation of the blur of the published pictures, which were enlarged and reduced again."""

_CUT = 6  # they have no values below this


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of the original data: its file's name, the solid that it shows, its values (64, 64, 3)."""

    name: str
    solid: str
    values: Values


def read(folder: Path) -> list[Picture]:
    """The pictures ``cube_*.png`` and ``sphere_*.png`` of a folder, by name.

    Raises:
        DataError: The folder has none, or one has another size.
    """
    pictures = []
    for kind, solid in CLASSES.items():
        for path in sorted(folder.glob(f"{kind}_*.png")):
            values = np.asarray(Image.open(path).convert("RGB"), dtype=float)
            if values.shape != (SIZE, SIZE, 3):
                raise DataError(f"{path} has {values.shape[1]} x {values.shape[0]} pixels; give 64 x 64.")
            pictures.append(Picture(path.stem, solid, values))
    if not pictures:
        raise DataError(f"{folder} has no pictures cube_*.png or sphere_*.png.")
    return pictures


def softened(pictures: npt.NDArray[np.uint8]) -> Values:
    """Simulated pictures (N, 64, 64, 3), as soft as the published pictures of the original."""
    soft = gaussian_filter(pictures.astype(float), (0, SOFT_PIXELS, SOFT_PIXELS, 0))
    return np.asarray(np.where(soft < _CUT, 0, soft))


def statistics(picture: Values) -> dict[str, float]:
    """The ``STATISTICS`` of one picture (64, 64, 3) by name; without lit pixels some are NaN."""
    brightness = picture.max(axis=-1)
    lit = brightness > LIT
    rows, columns = np.nonzero(lit)
    values = {
        "lit": float(lit.sum()),
        "bright": float((brightness > BRIGHT).sum()),
        "mean": float(picture.mean() / 255),
        "brightest": float(brightness.max()),
        **dict.fromkeys(("inside", "spread", "elongation", "convexity"), float("nan")),
    }
    if len(rows):
        values["inside"] = float(brightness[lit].mean())
        values["spread"] = float(brightness[lit].std())
        # A pixel is a square with a variance of 1/12 along each axis.
        moments = np.linalg.eigvalsh(np.cov(rows, columns, bias=True) + np.eye(2) / 12)
        values["elongation"] = float(np.sqrt(moments[1] / moments[0]))
        corners = [(rows + down, columns + right) for down in (0, 1) for right in (0, 1)]
        values["convexity"] = len(rows) / float(ConvexHull(np.concatenate(corners, axis=1).T).volume)
    return values


STATISTICS: Mapping[str, str] = MappingProxyType(
    {
        "lit": "pixels above 20",
        "bright": "pixels above 60",
        "mean": "mean intensity, 0 to 1",
        "brightest": "brightest value",
        "inside": "mean of the pixels above 20",
        "spread": "their standard deviation",
        "elongation": "elongation",
        "convexity": "convexity",
    }
)
"""What each statistic is. The brightness of a pixel is the largest of its three values; elongation is the ratio of
the standard deviations of the lit pixels along their two principal axes; convexity is the share of their convex
hull that they fill."""


def table(pictures: Sequence[Values] | Values) -> dict[str, Values]:
    """Each statistic of all pictures, (N,)."""
    rows = [statistics(picture) for picture in pictures]
    return {name: np.array([row[name] for row in rows]) for name in STATISTICS}
