"""Bringing files of any size to one: images and other values antialiased, distances from the nearest pixel.

Shapes: H rows and W columns of a file; pixel centers are at whole numbers, so the image begins at -0.5.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from data_utils.errors import DataError

Fit = Literal["stretch", "crop", "pad"]

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class ImageSize:
    """The size that all images are brought to.

    Attributes:
        rows: Rows; ``columns``: columns.
        fit: "stretch" scales rows and columns independently. "crop" keeps the aspect, fills the size and cuts what
            protrudes on both sides; "pad" keeps the aspect and leaves a margin: black and transparent in images,
            no measurement in distances.
    """

    rows: int
    columns: int
    fit: Fit = "stretch"

    @classmethod
    def parse(cls, text: str) -> "ImageSize":
        """The size in a text: "64", "48x64" (rows x columns), or either with ":crop" or ":pad".

        Raises:
            DataError: The text is something else.
        """
        match = re.fullmatch(r"(\d+)(?:x(\d+))?(?::(\w+))?", text.strip().lower())
        fit = (match[3] or "stretch") if match else ""
        if not match or fit not in get_args(Fit) or not 0 < int(match[1]) <= 4096 >= int(match[2] or 1) > 0:
            raise DataError(
                f"{text!r} is not an image size; write rows or rows x columns, such as 64 or 48x64, and :crop or "
                ":pad to keep the aspect, such as 64:crop."
            )
        return cls(int(match[1]), int(match[2] or match[1]), fit)  # type: ignore[arg-type]

    def __str__(self) -> str:
        size = str(self.rows) if self.rows == self.columns else f"{self.rows}x{self.columns}"
        return size if self.fit == "stretch" else f"{size}:{self.fit}"

    def resampling(self, rows: int, columns: int) -> "Resampling":
        """How images of these rows and columns are brought to this size."""
        scales = self.rows / rows, self.columns / columns
        if self.fit != "stretch":
            scales = (max(scales) if self.fit == "crop" else min(scales),) * 2
        return Resampling(_along(rows, scales[0], self.rows), _along(columns, scales[1], self.columns))


class Axis(NamedTuple):
    """The resampling along one axis: first to ``scaled`` pixels, then ``size`` of them from ``start`` on.

    ``start`` is negative for a margin.
    """

    source: int
    scaled: int
    start: int
    size: int

    @property
    def nearest(self) -> Indices:
        """The source pixel of every pixel (size,); -1 in a margin."""
        scaled = np.arange(self.start, self.start + self.size)
        source = ((scaled + 0.5) * self.source / self.scaled).astype(np.intp)
        return np.where((scaled >= 0) & (scaled < self.scaled), source, -1)


class Resampling(NamedTuple):
    """The resampling of rows and of columns."""

    rows: Axis
    columns: Axis

    def intrinsics(self, before: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """fx, fy, cx, cy of a pinhole camera, in pixels of the result."""
        scales = np.array([axis.scaled / axis.source for axis in (self.columns, self.rows)])
        middle = (before[2:] + 0.5) * scales - 0.5 - [self.columns.start, self.rows.start]
        return np.concatenate([before[:2] * scales, middle])

    def nearest(self, values: npt.NDArray[Any], margin: float = 0) -> npt.NDArray[Any]:
        """Values (H, W, C) from the nearest pixels; ``margin`` is the value of the pixels in a margin."""
        rows, columns = self.rows.nearest, self.columns.nearest
        picked: npt.NDArray[Any] = values[np.ix_(rows.clip(0), columns.clip(0))]
        picked[rows < 0] = margin
        picked[:, columns < 0] = margin
        return picked

    def smooth(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values (H, W, C), antialiased and of the same type; 0 in a margin."""
        import torch  # here, as the command line needs sizes before anything is loaded
        from torch.nn import functional as F

        planes = torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1)[None]
        scaled = F.interpolate(
            planes, (self.rows.scaled, self.columns.scaled), mode="bilinear", antialias=True, align_corners=False
        )
        (top, bottom), (left, right) = map(_margins, self)
        resampled = F.pad(scaled, (left, right, top, bottom))[0].permute(1, 2, 0).numpy()
        if values.dtype.kind in "ui":
            resampled = np.rint(resampled).clip(0, np.iinfo(values.dtype).max)
        return resampled.astype(values.dtype)


def _along(source: int, scale: float, size: int) -> Axis:
    scaled = max(1, round(source * scale))
    return Axis(source, scaled, (scaled - size) // 2, size)


def _margins(axis: Axis) -> tuple[int, int]:
    """The pixels to add before and after the scaled ones; negative to cut."""
    return -axis.start, axis.start + axis.size - axis.scaled
