"""One modality while its files are read: brought to one size, stored as decoded, and what is wrong with them.

Shapes: N pairs, H rows, W columns and C channels of the files.
"""

import math
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from data_utils.decoding import CameraPoints, Decoder, Scaled, ScannerPoints
from data_utils.errors import DataError
from data_utils.geometry import ray_directions
from data_utils.layouts.listing import Angles, Source
from data_utils.layouts.media import Values
from data_utils.layouts.planes import Plane, Survey
from data_utils.layouts.sizes import ImageSize, Resampling
from data_utils.mapped import Workspace
from data_utils.memory import enough_memory
from data_utils.modality import MAX_RANGE_M, Modality
from fusiongauge import some

_NOT_TINY = 16  # pixels
_EDGE = 0.9  # of the columns and rows; the middle of images of twice the size is at 1


class File(NamedTuple):
    """What was read of a file: its plane, and that plane's values (H, W, C) at the size of the data set."""

    plane: Plane
    values: Values


class Column:
    """One modality while its files are read.

    Attributes:
        size: That files are brought to; if no size was requested, that of the first file.
        stored: (N, C, H, W), filled pair by pair.
        good: Which pairs are in ``stored``.
        survey: Of the values.
        sizes: Rows and columns of the files, each with the first file that has them.
        shapes: Rows and columns of every pair's file, (N, 2); 0 where none was read.
    """

    def __init__(self, name: str, source: Source, size: ImageSize | None, workspace: Workspace) -> None:
        self.size = size
        self.stored: npt.NDArray[Any] = np.empty(0)
        self.good = np.zeros(len(source.files), dtype=np.bool_)
        declared = source.declaration.scale is not None or source.scales is not None
        self.survey = Survey(source.declaration, scale_declared=declared)
        self._name, self._source, self._workspace = name, source, workspace
        self._errors: list[tuple[Path, DataError]] = []
        self.sizes: dict[tuple[int, int], Path] = {}
        self.shapes = np.zeros((len(source.files), 2), dtype=np.int64)
        self._per_unit = np.ones(len(source.files), dtype=np.float32)
        self._intrinsics = None if source.intrinsics is None else source.intrinsics.astype(np.float64, copy=True)
        self._rays: Resampling | None = None

    def read(self, pair: int) -> File | DataError:
        """A pair's file, at the size of the data set if that is known already; runs in any thread."""
        try:
            plane = self._source.plane(pair)
        except DataError as error:
            return error
        return File(plane, self._fitted(plane.values))

    def keep(self, pair: int, result: File | DataError) -> None:
        """Store what was read of a pair."""
        file = self._source.files[pair]
        if isinstance(result, DataError):
            self._errors.append((file, result))
            return
        rows, columns = result.plane.values.shape[:2]
        self.size = self.size or ImageSize(rows, columns)
        self.sizes.setdefault((rows, columns), file)
        self.shapes[pair] = rows, columns
        resampling = self.size.resampling(rows, columns)
        self._rays = self._rays or resampling
        if self._intrinsics is not None:
            self._intrinsics[pair] = resampling.intrinsics(self._intrinsics[pair])
        values = self._fitted(result.values).transpose(2, 0, 1)
        if not self.good.any():
            shape = (len(self.good), *values.shape)
            self.stored = self._empty(shape, values.dtype)
        try:
            self._store(pair, values)
        except DataError as error:
            self._errors.append((file, error))
            return
        self._per_unit[pair] = result.plane.per_unit
        self.survey.add(result.plane)
        self.good[pair] = True

    def _fitted(self, values: Values) -> Values:
        """The values (H, W, C) at the size of the data set; as they are if they have it or it is not known yet."""
        if self.size is None or values.shape[:2] == (self.size.rows, self.size.columns):
            return values
        resampling = self.size.resampling(*values.shape[:2])
        if not self._source.nearest:
            return resampling.smooth(values)
        no_return = self._source.declaration.max_range or MAX_RANGE_M
        return resampling.nearest(values, margin=no_return if self._source.angles is not None else 0)

    def _store(self, pair: int, values: Values) -> None:
        """Write values (C, H, W); of two types the one that holds both is kept."""
        if len(values) != self.stored.shape[1]:
            raise DataError(
                f"{self._source.files[pair]} has {len(values)} channel(s), but {self._source.files[0]} has "
                f"{self.stored.shape[1]}; store all {self._source.declaration.name} files alike."
            )
        if values.dtype != self.stored.dtype:
            deeper = 257 if self._source.declaration.kind == "image" else 1  # 255 becomes 65535
            dtype = np.result_type(values, self.stored)
            if self.stored.dtype != dtype:
                before, self.stored = self.stored, self._empty(self.stored.shape, dtype)
                for number, earlier in enumerate(before[:pair]):
                    self.stored[number] = earlier.astype(dtype) * dtype.type(deeper)
            values = values.astype(dtype) * dtype.type(deeper if values.dtype != dtype else 1)
        self.stored[pair] = values

    def _empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Values:
        with enough_memory(f"reading {self._name}", math.prod(shape) * dtype.itemsize):
            return self._workspace.empty(self._name, shape, dtype)

    def problems(self) -> list[str]:
        """What cannot be used: one sentence or two per kind of problem, the most frequent first."""
        name = self._source.declaration.name
        alike: dict[str, list[tuple[Path, DataError]]] = defaultdict(list)
        for file, error in self._errors:
            alike[str(error).replace(str(file), "")].append((file, error))
        problems = []
        for errors in sorted(alike.values(), key=len, reverse=True):
            others = [str(file) for file, _ in errors[1:]]
            more = f" {len(others)} more {name} file(s) cannot be used for this reason: {some(others)}."
            problems.append(f"{errors[0][1]}{more if others else ''}")
        if not self.has_angles:
            angles = self._source.angles or Angles(torch.empty(0), torch.empty(0))
            rows, columns = next(size for size in self.sizes if size != tuple(map(len, angles)))
            problems.append(
                f"{self.sizes[rows, columns]} has {rows} rows and {columns} columns, but there are "
                f"{len(angles.azimuth_rad)} azimuths and {len(angles.zenith_rad)} zeniths; store one azimuth per "
                "row and one zenith per column."
            )
        return problems

    def doubts(self) -> list[str]:
        """What is implausible; sentences."""
        if not (of_intrinsics := self._doubt_of_intrinsics):
            return self.survey.doubts()
        remedy = "give fx, fy, cx and cy in pixels of the depth files"
        return [
            *self.survey.doubts(),
            f"{self._source.declaration.name}: cx and cy are {of_intrinsics}; {remedy}.",
        ]

    @property
    def _doubt_of_intrinsics(self) -> str:
        """What is implausible of cx and cy; "" if nothing is. Crops have principal points on all sides."""
        if self._source.intrinsics is None or not self.sizes or min(map(min, self.sizes)) < _NOT_TINY:
            return ""
        focal, middle = np.split(self._source.intrinsics, 2, axis=1)
        if (focal < _NOT_TINY / 2).all() and (middle > 0).all() and (middle < 1).all():
            return "below 1 in all rows, as if the intrinsics were shares of the images' size"
        read = self.shapes.all(axis=1)
        if (middle[read] > _EDGE * self.shapes[read, ::-1]).all():
            return "at or beyond the last column and row of all files, as if they were in pixels of larger images"
        return ""

    @property
    def has_angles(self) -> bool:
        """Whether there is an angle for every row and column, if there are angles at all."""
        return self._source.angles is None or set(self.sizes) <= {tuple(map(len, self._source.angles))}

    @property
    def aspects(self) -> npt.NDArray[np.float64]:
        """Rows by columns of every pair's file, (N,); NaN where none was read."""
        rows, columns = self.shapes.T
        return np.where(columns > 0, rows / np.maximum(columns, 1), np.nan)

    def modality(self) -> Modality:
        """The description of the measurements."""
        declaration, points = self._source.declaration, self._source.points
        channels = 4 if points else self.stored.shape[1] if self.stored.ndim == 4 else 1
        return Modality(declaration.kind, channels, points=points, unit=declaration.unit)

    def decoder(self) -> Decoder | None:
        """What makes measurements of ``stored``; None if they are the measurements."""
        declaration = self._source.declaration
        if declaration.kind == "image":
            return None
        if (angles := self._source.angles) is not None and self._rays is not None:
            rows, columns = (torch.from_numpy(axis.nearest.clip(0)) for axis in self._rays)
            rays = ray_directions(angles.azimuth_rad[rows], angles.zenith_rad[columns])
            return ScannerPoints(rays, declaration.max_range or MAX_RANGE_M)
        per_unit = torch.from_numpy(self._per_unit)
        equal = bool((per_unit == per_unit[0]).all())
        scaled = Scaled(self.stored.shape[1], per_unit[0] if equal else per_unit)
        if self._intrinsics is not None:
            return CameraPoints(scaled, torch.from_numpy(self._intrinsics))
        as_stored = equal and per_unit[0] == 1 and self.stored.dtype.kind == "f"
        return None if as_stored else scaled
