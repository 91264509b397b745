"""The labeled part of NYU Depth v2, as crops of its objects: ``nyu_depth_v2_labeled.mat`` (HDF5, 2.8 GB).

    images     (N, 3, 640, 480) uint8        rawDepths  (N, 640, 480) float, meters, 0 where nothing was measured
    labels     (N, 640, 480) uint16          instances  (N, 640, 480) uint8
    names      (1, L) references to text     scenes     (1, N) references to text, such as kitchen_0004

Arrays of MATLAB are transposed, so an image has its columns first. Depth is registered to the color camera, whose
intrinsics are those of the toolbox that comes with the data. Addresses and terms are in ``docs/data.md``.
"""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data_utils.audits.findings import some
from data_utils.errors import DataError
from data_utils.layouts.declared import Declaration, read_declaration
from data_utils.layouts.listing import Listing, Source
from data_utils.layouts.media import Values

FILE_NAME = "nyu_depth_v2_labeled.mat"
"""The official name of the file."""

INTRINSICS = (518.8579011745019, 519.4696111212749, 325.58244941119034, 253.73616633400465)
"""fx, fy, cx, cy of the color camera at 640 x 480, from ``camera_params.m``; pixels count from 1."""

SMALLEST = 32
"""Rows and columns of the smallest crop."""

MOST_CLASSES = 10
"""How many classes are used if none are declared: the most frequent ones."""

MODALITIES = ("rgb", "lidar")
"""Images, and points of the depth as measured."""

_STRUCTURE = ("wall", "floor", "ceiling", "column", "floor mat")  # not objects
_ARRAYS = ("images", "rawDepths", "labels", "instances", "names", "scenes")


class _Crop(NamedTuple):
    """One object: its frame, label and scene, and its box."""

    frame: int
    label: str
    scene: str
    rows: slice
    columns: slice


def is_nyu_depth_v2(path: Path) -> bool:
    """Whether the path is the file, or a folder with it."""
    return (path.name == FILE_NAME and path.is_file()) or (path / FILE_NAME).is_file()


def file_of(path: Path) -> Path:
    """The file at a path that is recognized."""
    return path if path.is_file() else path / FILE_NAME


def list_nyu_depth_v2(path: Path, angles_of: str = "") -> Listing:
    """The crops of objects; scenes are groups.

    Args:
        path: The file, or its folder. A ``dataset.toml`` beside it declares the ``classes``; without one the most
            frequent objects are used.
        angles_of: "".

    Returns:
        Modalities "rgb" and "lidar" (points of the depth as measured). Crops have different sizes.

    Raises:
        DataError: h5py is not installed, the file is not as described, or fewer than two classes have crops.
    """
    if angles_of:
        raise DataError(f"{path} has no angles of classes; leave angles_of out.")
    file = file_of(path)
    content = _opened(file)
    crops = _crops(file, file.stat().st_mtime_ns)
    counts = Counter(crop.label for crop in crops)
    declared = read_declaration(file.parent)
    if declared and declared.classes:
        classes, notes = sorted(set(declared.classes) & set(counts)), []
    else:
        objects = [name for name, _ in counts.most_common() if name not in _STRUCTURE]
        classes = sorted(objects[:MOST_CLASSES])
        notes = [
            f"Of {len(counts)} labels the most frequent objects are the classes: {', '.join(classes)}; choose "
            "others in dataset.toml beside the file: classes = [...]."
        ]
    if len(classes) < 2:
        raise DataError(
            f"{file} has objects of at least {SMALLEST} x {SMALLEST} pixels with the labels "
            f"{some([name for name, _ in counts.most_common()], 20)}; declare at least two of them as classes."
        )
    chosen = [crop for crop in crops if crop.label in classes]
    fx, fy, cx, cy = INTRINSICS
    intrinsics = [(fx, fy, cx - 1 - crop.columns.start, cy - 1 - crop.rows.start) for crop in chosen]
    scenes = {scene: number for number, scene in enumerate(dict.fromkeys(crop.scene for crop in chosen))}

    def image(pair: int) -> Values:
        crop = chosen[pair]
        return np.asarray(content["images"][crop.frame, :, crop.columns, crop.rows]).transpose(2, 1, 0)

    def depth(pair: int) -> Values:
        crop = chosen[pair]
        return np.asarray(content["rawDepths"][crop.frame, crop.columns, crop.rows]).T

    rgb, lidar = MODALITIES
    of_frames = [file / f"{crop.frame:04d}" for crop in chosen]
    return Listing(
        name="nyu-depth-v2",
        classes=tuple(classes),
        labels=[classes.index(crop.label) for crop in chosen],
        groups=[scenes[crop.scene] for crop in chosen],
        names=[f"{crop.label}/{crop.frame:04d}-{crop.rows.start}-{crop.columns.start}" for crop in chosen],
        sources={
            rgb: Source(Declaration(rgb, "image"), of_frames, read=image),
            lidar: Source(
                Declaration(lidar, "depth", scale=1), of_frames, read=depth, intrinsics=np.array(intrinsics)
            ),
        },
        notes=notes,
        assumptions=notes,
    )


def _opened(file: Path) -> Any:
    """The open HDF5 file; it has the arrays that are needed."""
    try:
        import h5py
    except ImportError:
        raise DataError(
            f"{file} needs the package h5py; install it with: pip install 'fusiongauge[hdf5]'."
        ) from None
    try:
        content = h5py.File(file, "r")
    except OSError as error:
        raise DataError(f"{file} cannot be read as HDF5 ({error}); download it again.") from None
    missing = [name for name in _ARRAYS if name not in content]
    if missing:
        raise DataError(f"{file} has no {', '.join(missing)}; give the labeled part of NYU Depth v2.")
    return content


@cache
def _crops(file: Path, _changed: int) -> list[_Crop]:
    """The objects of all frames that are large enough, in the order of the file."""
    from scipy.ndimage import find_objects

    content = _opened(file)
    names, scenes = (
        ["".join(map(chr, content[r][:].flatten())) for r in content[k][0]] for k in ("names", "scenes")
    )
    crops = []
    for frame in range(len(content["labels"])):
        labels, instances = (
            np.asarray(content[what][frame]).T.astype(np.int64) for what in ("labels", "instances")
        )
        objects = np.where(labels > 0, labels * 256 + instances, 0)
        numbers = np.zeros(objects.max() + 1, dtype=np.int64)
        numbers[objects] = 1
        numbers[0] = 0
        numbered = np.flatnonzero(numbers)
        numbers[numbered] = np.arange(1, len(numbered) + 1)
        for number, box in zip(numbered, find_objects(numbers[objects]), strict=True):
            rows, columns = box
            if min(rows.stop - rows.start, columns.stop - columns.start) >= SMALLEST:
                crops.append(_Crop(frame, names[number // 256 - 1], scenes[frame], rows, columns))
    return crops
