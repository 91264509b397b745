"""The labeled part of NYU Depth v2, as crops of its objects: ``nyu_depth_v2_labeled.mat`` (HDF5, 2.8 GB).

    images     (N, 3, 640, 480) uint8        rawDepths  (N, 640, 480) float, meters, 0 where nothing was measured
    labels     (N, 640, 480) uint16          instances  (N, 640, 480) uint8
    names      (1, L) references to text     scenes     (1, N) references to text, such as kitchen_0004

The arrays are described on the data set's page (section "Labeled Dataset"); those of MATLAB are transposed, so an
image has its columns first. Label 0 is unlabeled, label k is the k-th name, and an object is a pair of label and
instance (toolbox: ``get_instance_masks.m``). Depth is registered to the color camera, whose intrinsics make its
points (toolbox: ``rgb_plane2rgb_world.m``, ``camera_params.m``). Addresses and terms are in ``docs/data.md``.

Frames are read one by one, in their order. HDF5 decompresses whole chunks, which are larger than a crop and can
hold parts of several frames; it keeps as many as that takes, so that a chunk is decompressed once.
"""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data_utils.errors import DataError
from data_utils.layouts.declared import Declaration, chosen_classes, declared_in
from data_utils.layouts.listing import Listing, Source
from data_utils.layouts.media import Values
from data_utils.layouts.official_splits import official_parts
from data_utils.simulator.shapes import Progress, no_progress
from fusiongauge import some

FILE_NAME = "nyu_depth_v2_labeled.mat"
"""The official name of the file."""

SPLIT_NAME = "splits.mat"
"""The official split into training and test frames, from the data set's page; kept if it is beside the file."""

INTRINSICS = (518.8579011745019, 519.4696111212749, 325.58244941119034, 253.73616633400465)
"""fx, fy, cx, cy of the color camera at 640 x 480, from ``camera_params.m``; pixels count from 1."""

SMALLEST = 32
"""Rows and columns of the smallest crop."""

MOST_CLASSES = 10
"""How many classes are used if none are declared: the most frequent ones."""

MODALITIES = ("rgb", "lidar")
"""Images, and points of the depth as measured."""

_STRUCTURE = ("wall", "floor", "ceiling", "column", "floor mat")  # not objects
_DIMENSIONS = {"images": 4, "rawDepths": 3, "labels": 3, "instances": 3, "names": 2, "scenes": 2}
_CHUNK_BYTES, _CHUNK_SLOTS = 1 << 26, 100_003  # of the chunks that HDF5 keeps; it advises a prime number


class _Crop(NamedTuple):
    """One object: its frame, label and scene, and its box."""

    frame: int
    label: str
    scene: str
    rows: slice
    columns: slice


def is_nyu_depth_v2(path: Path) -> bool:
    """Whether the path is a file of MATLAB, or a folder with the data set's, also as browsers rename it."""
    return file_of(path).is_file()


def file_of(path: Path) -> Path:
    """The file at a path; one that does not exist if there is none."""
    if path.suffix == ".mat" and path.is_file():
        return path
    file = path / FILE_NAME
    return file if file.is_file() else next(iter(sorted(path.glob(f"{file.stem}*.mat"))), file)


def files_of(path: Path) -> list[Path]:
    """What is read of a path that is recognized: the file, and the split if there is one."""
    file = file_of(path)
    return [file, *file.parent.glob(SPLIT_NAME)]


def list_nyu_depth_v2(path: Path, angles_of: str = "", progress: Progress = no_progress) -> Listing:
    """The crops of objects; scenes are groups.

    Args:
        path: The file, or its folder. A ``dataset.toml`` beside it declares the ``classes``; without one the most
            frequent objects are used.
        angles_of: "".
        progress: Called with the number of frames that were searched for objects, and of all.

    Returns:
        Modalities "rgb" and "lidar" (points of the depth as measured). Crops have different sizes.

    Raises:
        DataError: h5py is not installed, the file is not as described, or fewer than two classes have crops.
    """
    if angles_of:
        raise DataError(f"{path} has no angles of classes; leave angles_of out.")
    file = file_of(path)
    content = _opened(file)
    crops = list(_crops(file, content, progress))
    images, raw_depths = content["images"], content["rawDepths"]
    counts = Counter(crop.label for crop in crops)
    if (declared := declared_in(file.parent)).classes:
        names = [name for name, _ in counts.most_common()]
        classes, notes = chosen_classes(declared.classes, names, file.with_name("dataset.toml")), []
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
        return _values(file, images, crop.frame, slice(None), crop.columns, crop.rows).transpose(2, 1, 0)

    def depth(pair: int) -> Values:
        crop = chosen[pair]
        return _values(file, raw_depths, crop.frame, crop.columns, crop.rows).T

    parts, unused = official_parts(
        file.with_name(SPLIT_NAME),
        ("trainNdxs", "testNdxs"),
        lambda frame: int(frame) - 1,  # they count from 1
        [crop.frame for crop in chosen],
        [crop.scene for crop in chosen],
    )
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
        notes=[*notes, *unused],
        assumptions=[*notes, *unused],
        assigned=parts,
    )


def _opened(file: Path) -> dict[str, Any]:
    """The arrays of the open HDF5 file, which keep their last chunks."""
    try:
        import h5py
    except ImportError:
        raise DataError(
            f"{file} needs the package h5py; install it with: pip install 'fusiongauge[hdf5]'."
        ) from None
    remedy = (
        f"give the labeled part of NYU Depth v2, {FILE_NAME}, or save the pairs of another data set as files and "
        "list them in a manifest.csv"
    )
    try:
        content = h5py.File(file, "r")
    except OSError as error:
        with file.open("rb") as stream:
            old = stream.read(10) == b"MATLAB 5.0"
        if old:
            raise DataError(f"{file} is a MATLAB file of version 5, not HDF5; {remedy}.") from None
        raise DataError(f"{file} cannot be read as HDF5 ({error}); download it again.") from None
    missing = [name for name in _DIMENSIONS if name not in content]
    if missing:
        raise DataError(f"{file} has no {', '.join(missing)}; {remedy}.")
    arrays = {name: _array(content, name) for name in _DIMENSIONS}
    for name, dimensions in _DIMENSIONS.items():
        frames = arrays[name].shape[1 if name == "scenes" else 0]
        if arrays[name].ndim != dimensions or (name != "names" and frames != len(arrays["images"])):
            raise DataError(
                f"{file} has {name} of the shape {arrays[name].shape} and images of the shape "
                f"{arrays['images'].shape}; {remedy}."
            )
    return arrays


def _array(content: Any, name: str) -> Any:
    """An array of the open file that keeps the chunks of two frames: those of the next one are read beside it."""
    import h5py

    chunks, shape, size = content[name].chunks, content[name].shape, content[name].dtype.itemsize
    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    if chunks is not None:
        sides = (math.ceil(length / chunk) * chunk for length, chunk in zip(shape[1:], chunks[1:], strict=True))
        needed = max(2, chunks[0]) * math.prod(sides) * size
        access.set_chunk_cache(_CHUNK_SLOTS, min(needed, _CHUNK_BYTES), 0.75)
    return h5py.Dataset(h5py.h5d.open(content.id, name.encode(), access))


def _values(file: Path, array: Any, *selection: int | slice) -> Values:
    """A part of an array of the file."""
    try:
        return np.asarray(array[selection])
    except (OSError, RuntimeError) as error:
        raise DataError(f"{file} has damaged {array.name.strip('/')} ({error}); download it again.") from None


def _crops(file: Path, content: dict[str, Any], progress: Progress) -> Iterator[_Crop]:
    """The objects of all frames that are large enough, in the order of the file."""
    names, scenes = (
        ["".join(map(chr, content[name].file[text][:].flatten())) for text in _values(file, content[name], 0)]
        for name in ("names", "scenes")
    )
    for frame, scene in enumerate(scenes):
        labels, instances = (_values(file, content[name], frame) for name in ("labels", "instances"))
        for label, columns, rows in _objects(labels, instances):
            if min(rows.stop - rows.start, columns.stop - columns.start) >= SMALLEST:
                yield _Crop(frame, names[label - 1], scene, rows, columns)
        progress(frame + 1, len(scenes))


def _objects(labels: Values, instances: Values) -> Iterator[tuple[int, slice, slice]]:
    """The label and the box of every object of a frame, sorted by label and instance; its axes are the frame's."""
    from scipy.ndimage import find_objects

    keys = labels.astype(np.int32) * 256 + instances
    keys[labels == 0] = 0
    numbers = np.zeros(keys.max() + 1, dtype=np.int32)
    numbers[keys.ravel()] = 1
    numbers[0] = 0
    found = np.flatnonzero(numbers)
    numbers[found] = np.arange(1, len(found) + 1)  # find_objects needs consecutive numbers
    for key, box in zip(found.tolist(), find_objects(numbers[keys]), strict=True):
        yield key // 256, *box
