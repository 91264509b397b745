"""From a name or a path to a data set: which simulations and which layouts of files there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from data_utils.cache import kept
from data_utils.dataset import DataError, PairedDataset
from data_utils.difficulty import LEVELS
from data_utils.fiftyone_export import is_fiftyone_export, read_fiftyone_export, write_fiftyone_export
from data_utils.manifest import DEPTH_COLUMNS, RANGE_COLUMNS, is_manifest, read_manifest, write_manifest
from data_utils.nvidia_tree import is_nvidia_tree, read_nvidia_tree, write_nvidia_tree
from data_utils.shapes import Progress, Simulation, as_dataset, simulate
from data_utils.splits import subsample

DEFAULT_PAIRS = 10_000
"""How many pairs are simulated when nobody says how many."""


@dataclass(frozen=True)
class Layout:
    """A way in which files can hold a data set.

    Attributes:
        description: What such files look like, for messages and help.
        recognizes: Whether the files at a path look like that; reads no content.
        read: All pairs in memory, with the angles of one class for all if that is named; raises DataError.
        write: A simulation as such files in a folder, which ``read`` reads back to the same tensors.
    """

    description: str
    recognizes: Callable[[Path], bool]
    read: Callable[[Path, str], PairedDataset]
    write: Callable[[Path, Simulation, Progress], None]


def load(
    name_or_path: str, *, pairs: int | None = None, seed: int = 0, angles_of: str = "", cache: Path | None = None
) -> PairedDataset:
    """The data set of that name or at that path.

    Args:
        name_or_path: A name in ``DATASETS``, or a path that one of ``LAYOUTS`` recognizes. A file or folder
            that is called like a data set can be given as ``./name``.
        pairs: How many pairs to simulate (None: 10,000), or about how many to keep of a path's (None: all).
        seed: Decides what is simulated or which pairs are kept. Not negative.
        cache: A folder to keep the simulated ``LEVELS`` in, so that the next call finds them; None to keep none.
        angles_of: For files whose scanner's angles differ between the classes: whose are used for all.

    Raises:
        DataError: Nothing has that name, or what is there cannot be used.
    """
    if name_or_path in DATASETS:
        if angles_of:
            raise DataError(
                f"{name_or_path!r} is simulated, with one sensor for all classes; leave angles_of out."
            )
        count = DEFAULT_PAIRS if pairs is None else pairs
        if cache is not None and name_or_path in LEVELS:
            return _simulated(name_or_path, count, seed, cache)
        return DATASETS[name_or_path](count, seed)
    try:
        dataset = _read(name_or_path, angles_of)
    except OSError as error:
        raise DataError(
            f"{name_or_path!r} cannot be read ({error.strerror}); check the path and its rights."
        ) from None
    return dataset if pairs is None else subsample(dataset, pairs, seed)


def _read(name: str, angles_of: str) -> PairedDataset:
    """The data set at a path, in whichever layout it is."""
    path = Path(name).expanduser()
    known = (
        f"known data sets: {', '.join(DATASETS)}; "
        f"accepted paths: {', '.join(layout.description for layout in LAYOUTS.values())}."
    )
    if not path.exists():
        raise DataError(f"{name!r} is no data set and no existing path; {known}")
    for layout in LAYOUTS.values():
        if layout.recognizes(path):
            return layout.read(path, angles_of)
    raise DataError(f"{name!r} exists but holds no data set of a known layout; {known}")


def _simulated(name: str, pairs: int, seed: int, cache: Path | None = None) -> PairedDataset:
    level = LEVELS[name]
    make = partial(simulate, pairs, seed, difficulty=level)
    raw, notes = (make(), ()) if cache is None else kept(cache, name, (pairs, seed, level), make)
    return replace(as_dataset(name, raw), notes=notes)


DATASETS: dict[str, Callable[[int, int], PairedDataset]] = {name: partial(_simulated, name) for name in LEVELS}
"""Data sets that are made and not read: name to a function of the number of pairs and the seed."""

LAYOUTS: dict[str, Layout] = {
    # The more specific one first: the folder of a manifest may well have class folders with an rgb in them.
    "manifest": Layout(
        f"a CSV (or a folder with a manifest.csv) with the columns {','.join(DEPTH_COLUMNS)} or "
        f"{','.join(RANGE_COLUMNS)}",
        is_manifest,
        read_manifest,
        write_manifest,
    ),
    "fiftyone": Layout(
        "a FiftyOne export or hub snapshot, a folder with metadata.json and samples.json",
        is_fiftyone_export,
        read_fiftyone_export,
        write_fiftyone_export,
    ),
    "nvidia-tree": Layout(
        "a folder with <class>/rgb/*.png, <class>/lidar/*.npy, <class>/azimuth.npy and <class>/zenith.npy",
        is_nvidia_tree,
        read_nvidia_tree,
        write_nvidia_tree,
    ),
}
"""Layouts of files, in the order in which they are tried."""
