"""A data set before its files are read: what every layout makes, and the one reader of it.

A layout lists the pairs and their files; ``read_listing`` decodes them, brings them to one size and stores them as
decoded. All files are looked at before anything is reported, so that one pass finds every problem.

Shapes: N pairs, H rows, W columns and C channels of the files.
"""

import math
import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from data_utils.audits.findings import some
from data_utils.cache import Cache
from data_utils.dataset import DatasetInfo, PairedDataset
from data_utils.decoding import CameraPoints, Decoder, Scaled, ScannerPoints
from data_utils.errors import DataError, UnreadableError
from data_utils.geometry import ray_directions
from data_utils.layouts.declared import Declaration
from data_utils.layouts.kept import files_key
from data_utils.layouts.media import Values, as_rgba, read_image, read_values
from data_utils.layouts.paths import differing_little
from data_utils.layouts.planes import Plane, Survey, image_plane, plane
from data_utils.layouts.sizes import ImageSize, Resampling
from data_utils.mapped import SMALLEST_BYTES, Workspace, mapped_of
from data_utils.memory import Announce, Need, enough_memory, no_announcement, release_freed_memory
from data_utils.modality import MAX_RANGE_M, METRIC, Modality
from data_utils.simulator.shapes import Progress, no_progress

_FILES_UNTIL_RELEASE = 512

_NOT_TINY = 16  # pixels


class Angles(NamedTuple):
    """The angles of a scanner: one azimuth per row (R,) and one zenith per column (C,), float64, in radians."""

    azimuth_rad: Tensor
    zenith_rad: Tensor


@dataclass(frozen=True, eq=False)
class Source:
    """The files of one modality.

    Attributes:
        declaration: What is known of them.
        files: One per pair.
        read: Reads the values of a pair from somewhere else; the files are then only named in messages. None to
            read the files.
        scales: Units per meter of every pair, float64 (N,); None for those of the declaration.
        intrinsics: fx, fy, cx, cy of every pair, float64 (N, 4); None without a pinhole camera.
        angles: Of a scanner; None without.
    """

    declaration: Declaration
    files: Sequence[Path]
    read: Callable[[int], Values] | None = None
    scales: npt.NDArray[np.float64] | None = None
    intrinsics: npt.NDArray[np.float64] | None = None
    angles: Angles | None = None

    def take(self, pairs: Sequence[int]) -> "Source":
        """The files of these pairs, in their order."""
        whole = self.read
        return replace(
            self,
            files=[self.files[pair] for pair in pairs],
            read=None if whole is None else lambda pair: whole(pairs[pair]),
            scales=None if self.scales is None else self.scales[list(pairs)],
            intrinsics=None if self.intrinsics is None else self.intrinsics[list(pairs)],
        )

    @property
    def points(self) -> bool:
        """Whether the measurements become points."""
        return self.angles is not None or self.intrinsics is not None

    def plane(self, pair: int) -> Plane:
        """What is stored of a pair's file, before its size is changed."""
        if self.declaration.kind == "image":
            file = self.files[pair]
            return image_plane(read_image(file) if self.read is None else as_rgba(file, self.read(pair)))
        values = read_values(self.files[pair]) if self.read is None else self.read(pair)
        scale = None if self.scales is None else float(self.scales[pair])
        return plane(str(self.files[pair]), values, self.declaration, scale, points=self.angles is not None)

    @property
    def nearest(self) -> bool:
        """Whether another size takes the nearest pixels: nothing lies between a distance and none."""
        return self.declaration.kind in METRIC or bool(self.declaration.invalid)


@dataclass(frozen=True, eq=False)
class Listing:
    """The pairs of a data set.

    Attributes:
        name: Of the data set.
        classes: Class names.
        labels: Index into ``classes`` of every pair; ``groups``: its group; ``names``: its name.
        sources: The files by modality, in the order of the modalities.
        assigned: The part of ``dataset.PARTS`` of every pair; empty where the files come without a split.
        notes: What was left out, one sentence each; ``problems``: what cannot be used.
        assumptions: Those of the notes that are no problem.
    """

    name: str
    classes: tuple[str, ...]
    labels: Sequence[int]
    groups: Sequence[int]
    names: Sequence[str]
    sources: Mapping[str, Source]
    notes: Sequence[str] = ()
    problems: Sequence[str] = ()
    assumptions: Sequence[str] = ()
    assigned: Sequence[str] = ()

    def of_classes(self, classes: Sequence[str], place: str) -> "Listing":
        """The pairs of these classes alone, in their order.

        Args:
            classes: At least two of those that there are.
            place: Where they are declared, for messages.

        Raises:
            DataError: A class does not exist.
        """
        unknown = [name for name in classes if name not in self.classes]
        if unknown:
            raise DataError(f"{place} declares a class {unknown[0]!r}; there are {', '.join(self.classes)}.")
        pairs = [pair for pair, label in enumerate(self.labels) if self.classes[label] in classes]
        kept = sorted(set(classes))
        return replace(
            self,
            classes=tuple(kept),
            labels=[kept.index(self.classes[self.labels[pair]]) for pair in pairs],
            groups=[self.groups[pair] for pair in pairs],
            names=[self.names[pair] for pair in pairs],
            assigned=[self.assigned[pair] for pair in pairs] if self.assigned else (),
            sources={name: source.take(pairs) for name, source in self.sources.items()},
        )


def read_listing(
    listing: Listing,
    size: ImageSize | None = None,
    progress: Progress = no_progress,
    cache: Cache | None = None,
    announce: Announce = no_announcement,
    kept_as: str = "",
) -> PairedDataset:
    """Read all files of a listing, as decoded.

    Args:
        listing: With at least one pair.
        size: The size of all images; None if the files have one size.
        progress: Called with the number of files that are read, and of all.
        cache: Where large data sets are kept decoded and mapped from, so that they need not fit into memory and
            the next call reads them at once; None to read them into memory.
        announce: Called with what the data need before they are decoded; not if no first pair can be read.
        kept_as: The name in the cache of data that are kept however small they are and are not there yet; "" to
            name them after their files.

    Returns:
        Images as RGBA, depth and ranges with the sensor's geometry as points (XYZA), other values in their own
        channels.

    Raises:
        UnreadableError: Files cannot be used, or have different sizes without ``size``.
    """
    smallest = 0 if kept_as else SMALLEST_BYTES
    name = kept_as or (_name_in_cache(listing, size) if cache is not None else "")
    kept = mapped_of(cache, name) if cache is not None and name else None
    workspace = Workspace(cache if name else None, name, "decoded files", smallest)
    of_modalities = [kept.stored_bytes] if kept is not None else _expected_bytes(listing, size)
    if of_modalities:
        need = Need(listing.name, len(listing.labels), sum(of_modalities))
        is_mapped = kept is not None or any(map(workspace.maps, of_modalities))
        announce(need if cache is None or not is_mapped else need.mapped_from(cache))
    if kept is not None:
        return kept
    try:
        dataset = _read(listing, size, progress, workspace)
        kept = workspace.keep(dataset)
    finally:
        workspace.discard()
    return kept.noting(*workspace.notes)


def _expected_bytes(listing: Listing, size: ImageSize | None) -> list[int]:
    """What each modality takes if all files are like the first; () if that cannot be read."""
    expected = []
    for source in listing.sources.values():
        try:
            values = source.plane(0).values
        except DataError:  # reading all reports it
            return []
        rows, columns = values.shape[:2] if size is None else (size.rows, size.columns)
        expected.append(len(source.files) * rows * columns * values.shape[2] * values.itemsize)
    return expected


def _name_in_cache(listing: Listing, size: ImageSize | None) -> str:
    """The name of the decoded files in a cache; "" if they are no files or have problems."""
    sources = listing.sources.values()
    if listing.problems or any(source.read is not None for source in sources):
        return ""
    declared = [
        [getattr(listing, name) for name in ("name", "classes", "labels", "groups", "names", "notes", "assigned")],
        str(size),
    ]
    for source in sources:
        arrays = [source.scales, source.intrinsics, *(source.angles or ())]
        declared.append([source.declaration, *(None if array is None else array.tolist() for array in arrays)])
    try:
        return files_key((file for source in sources for file in source.files), declared)
    except OSError:
        return ""  # reading reports it


def _read(listing: Listing, size: ImageSize | None, progress: Progress, workspace: Workspace) -> PairedDataset:
    problems = list(listing.problems)
    total, done = len(listing.labels) * len(listing.sources), 0
    columns: dict[str, _Column] = {}
    target = size
    for modality, source in listing.sources.items():
        column = _Column(source, target, workspace)
        for pair, result in enumerate(_in_parallel(column.read, len(source.files))):
            column.keep(pair, result)
            done += 1
            progress(done, total)
            if done % _FILES_UNTIL_RELEASE == 0:
                release_freed_memory()
        problems += column.problems()
        columns[modality] = column
        if target is None and column.size is not None:
            target = column.size
    if size is None and (different := _different_sizes(columns)):
        problems.append(different)
    notes = [*listing.notes, *(note for column in columns.values() for note in column.doubts())]
    if similar := differing_little(listing.classes):
        notes.append(
            f"The classes {', '.join(map(repr, similar))} differ only in the case or the encoding of letters, or "
            "in spaces; if they are one class, give it one name."
        )
    assumptions = [
        *listing.assumptions,
        *(note for column in columns.values() for note in column.survey.assumptions()),
    ]
    usable = np.logical_and.reduce([column.good & column.has_angles for column in columns.values()])
    if not problems:
        return _dataset(listing, columns, notes, assumptions)
    partial = None
    if usable.any():
        try:
            partial = _dataset(listing, columns, notes, assumptions, np.flatnonzero(usable))
        except DataError as error:
            problems.append(f"Without the pairs that cannot be used: {error}")
    raise UnreadableError(problems, partial)


def _dataset(
    listing: Listing,
    columns: "Mapping[str, _Column]",
    notes: Sequence[str],
    assumptions: Sequence[str],
    pairs: npt.NDArray[np.intp] | None = None,
) -> PairedDataset:
    """The data set of these pairs, of all if None."""
    modalities = {name: column.modality() for name, column in columns.items()}
    decoders = {name: decoder for name, column in columns.items() if (decoder := column.decoder())}
    size = next(iter(columns.values())).size
    if size is None:
        raise DataError(f"No file of {listing.name} can be read; correct the files.")
    chosen = range(len(listing.labels)) if pairs is None else pairs.tolist()
    inputs = {
        name: torch.from_numpy(column.stored if pairs is None else column.stored[pairs])
        for name, column in columns.items()
    }
    if pairs is not None:
        decoders = {name: decoder.take(torch.from_numpy(pairs)) for name, decoder in decoders.items()}
    return PairedDataset(
        info=DatasetInfo(
            listing.name,
            listing.classes,
            {name: modality.channels for name, modality in modalities.items()},
            (size.rows, size.columns),
            modalities,
        ),
        inputs=inputs,
        labels=torch.tensor([listing.labels[pair] for pair in chosen]),
        groups=torch.tensor([listing.groups[pair] for pair in chosen]),
        names=tuple(listing.names[pair] for pair in chosen),
        notes=tuple(dict.fromkeys((*notes, *assumptions))),
        decoders=decoders,
        assumptions=tuple(assumptions),
        assigned=tuple(listing.assigned[pair] for pair in chosen) if listing.assigned else (),
    )


class _File(NamedTuple):
    """What was read of a file: its plane, and that plane's values (H, W, C) at the size of the data set."""

    plane: Plane
    values: Values


class _Column:
    """One modality while its files are read.

    Attributes:
        size: That files are brought to; if no size was requested, that of the first file.
        stored: (N, C, H, W), filled pair by pair.
        good: Which pairs are in ``stored``.
        survey: Of the values.
        sizes: Rows and columns of the files, each with the first file that has them.
    """

    def __init__(self, source: Source, size: ImageSize | None, workspace: Workspace) -> None:
        self.size = size
        self.stored: npt.NDArray[Any] = np.empty(0)
        self.good = np.zeros(len(source.files), dtype=np.bool_)
        declared = source.declaration.scale is not None or source.scales is not None
        self.survey = Survey(source.declaration, scale_declared=declared)
        self._source, self._workspace = source, workspace
        self._errors: list[tuple[Path, DataError]] = []
        self.sizes: dict[tuple[int, int], Path] = {}
        self._per_unit = np.ones(len(source.files), dtype=np.float32)
        self._intrinsics = None if source.intrinsics is None else source.intrinsics.astype(np.float64, copy=True)
        self._rays: Resampling | None = None

    def read(self, pair: int) -> "_File | DataError":
        """A pair's file, at the size of the data set if that is known already; runs in any thread."""
        try:
            plane = self._source.plane(pair)
        except DataError as error:
            return error
        return _File(plane, self._fitted(plane.values))

    def keep(self, pair: int, result: "_File | DataError") -> None:
        """Store what was read of a pair."""
        file = self._source.files[pair]
        if isinstance(result, DataError):
            self._errors.append((file, result))
            return
        rows, columns = result.plane.values.shape[:2]
        self.size = self.size or ImageSize(rows, columns)
        self.sizes.setdefault((rows, columns), file)
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
        name = self._source.declaration.name
        with enough_memory(f"reading {name}", math.prod(shape) * dtype.itemsize):
            return self._workspace.empty(name, shape, dtype)

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
        shares = (
            f"{self._source.declaration.name}: cx and cy are below 1 in all rows, as if the intrinsics were "
            "shares of the images' size; give fx, fy, cx and cy in pixels of the depth files."
        )
        return [*self.survey.doubts(), *([shares] if self._normalized else [])]

    @property
    def _normalized(self) -> bool:
        """Whether the intrinsics seem to be shares of the images' size: no real camera has such pixels."""
        if self._source.intrinsics is None or not self.sizes or min(map(min, self.sizes)) < _NOT_TINY:
            return False
        focal, middle = np.split(self._source.intrinsics, 2, axis=1)
        return bool((focal < _NOT_TINY / 2).all() and (middle > 0).all() and (middle < 1).all())

    @property
    def has_angles(self) -> bool:
        """Whether there is an angle for every row and column, if there are angles at all."""
        return self._source.angles is None or set(self.sizes) <= {tuple(map(len, self._source.angles))}

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


def _different_sizes(modalities: Mapping[str, _Column]) -> str:
    """The problem of files of different sizes, with the option that is its remedy; "" if they have one."""
    sizes = {size: file for column in modalities.values() for size, file in column.sizes.items()}
    if len(sizes) < 2:
        return ""
    smallest, largest = min(sizes), max(sizes)
    own = [f"{size[0]} x {size[1]} pixels ({sizes[size]})" for size in (smallest, largest)]
    rows, columns = (8 * math.ceil(side / 8) for side in smallest)  # most models need multiples of 8
    option = ImageSize(rows, columns)
    several = [name for name, column in modalities.items() if len(column.sizes) > 1] or list(modalities)
    return (
        f"The {' and '.join(several)} files have different sizes, from {own[0]} to {own[1]}; bring all images to "
        f"one size with --image-size {option}, in Python with "
        f'load(..., image_size="{option}").'
    )


def _in_parallel(read: Callable[[int], _File | DataError], count: int) -> Iterator[_File | DataError]:
    """The results for 0, 1, ..., in this order, read by all cores; few are in memory at a time."""
    workers = min(16, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    waiting: deque[Future[_File | DataError]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for pair in range(count):
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
            waiting.append(pool.submit(read, pair))
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # when interrupted, read no further file
