"""From a name or a path to a data set: which simulations and which layouts of files there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data_utils.dataset import DataError, PairedDataset
from data_utils.manifest import is_manifest, read_manifest
from data_utils.nvidia_tree import is_nvidia_tree, read_nvidia_tree
from data_utils.shapes import shapes, shapes_rare, shapes_uneven
from data_utils.splits import subsample

DEFAULT_PAIRS = 10_000
"""How many pairs are simulated when nobody says how many."""


@dataclass(frozen=True)
class Layout:
    """A way in which files can hold a data set.

    Attributes:
        description: What such files look like, for messages and help.
        recognizes: Whether the files at a path look like that; reads no content.
        read: All of them in memory; raises DataError.
    """

    description: str
    recognizes: Callable[[Path], bool]
    read: Callable[[Path], PairedDataset]


def load(name_or_path: str, *, pairs: int | None = None, seed: int = 0) -> PairedDataset:
    """The data set of that name or at that path.

    Args:
        name_or_path: A name in ``DATASETS``, or a path that one of ``LAYOUTS`` recognizes. A file or folder
            that is called like a data set can be given as ``./name``.
        pairs: How many pairs to simulate (None: 10,000), or about how many to keep of a path's (None: all).
        seed: Decides what is simulated or which pairs are kept. Not negative.

    Raises:
        DataError: Nothing has that name, or what is there cannot be used.
    """
    if name_or_path in DATASETS:
        return DATASETS[name_or_path](DEFAULT_PAIRS if pairs is None else pairs, seed)
    path = Path(name_or_path).expanduser()
    known = (
        f"known data sets: {', '.join(DATASETS)}; "
        f"accepted paths: {', '.join(layout.description for layout in LAYOUTS.values())}."
    )
    if not path.exists():
        raise DataError(f"{name_or_path!r} is no data set and no existing path; {known}")
    for layout in LAYOUTS.values():
        if layout.recognizes(path):
            dataset = layout.read(path)
            return dataset if pairs is None else subsample(dataset, pairs, seed)
    raise DataError(f"{name_or_path!r} exists but holds no data set of a known layout; {known}")


DATASETS: dict[str, Callable[[int, int], PairedDataset]] = {
    "shapes": shapes,
    "shapes-uneven": shapes_uneven,
    "shapes-rare": shapes_rare,
}
"""Simulated data sets: name to a function of the number of pairs and the seed."""

LAYOUTS: dict[str, Layout] = {
    # The more specific one first: the folder of a manifest may well have class folders with an rgb in them.
    "manifest": Layout(
        "a CSV (or a folder with a manifest.csv) with the columns rgb,depth,label,group,fx,fy,cx,cy",
        is_manifest,
        read_manifest,
    ),
    "nvidia-tree": Layout(
        "a folder with <class>/rgb/*.png, <class>/lidar/*.npy, <class>/azimuth.npy and <class>/zenith.npy",
        is_nvidia_tree,
        read_nvidia_tree,
    ),
}
"""Layouts of files, in the order in which they are tried."""
