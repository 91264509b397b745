"""The files of NVIDIA's cubes-and-spheres data: one folder per class, pairs of files with the same stem.

    <root>/cubes/rgb/0000.png       RGBA, 8 bits, or any other image
    <root>/cubes/lidar/0000.npy     floats (R, C), ranges in meters, 50.0 where the ray met nothing
    <root>/cubes/azimuth.npy        floats (R,), radians, one per row
    <root>/cubes/zenith.npy         floats (C,), radians, one per column
    <root>/spheres/...              the same for the other class

Every folder that contains an ``rgb`` or a ``lidar`` folder is a class, so a third class is a third folder. Names
can have capitals. Without any angles these are class folders (``class_folders``).
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from data_utils.errors import DataError
from data_utils.layouts.declared import FILE_NAME, chosen_classes, declared_in
from data_utils.layouts.listing import Angles, Listing
from data_utils.layouts.media import SAVE_AS, by_stem, holds_media, not_read, of_other_types, read_angles
from data_utils.layouts.paths import (
    by_name,
    composed,
    file_named,
    folder_named,
    folders,
    of_names,
    partners,
    refuse_missing,
)
from data_utils.layouts.ranges import (
    RangePair,
    angles_option,
    common_angles,
    list_range_pairs,
    refuse_parts,
    without_partner,
)
from data_utils.simulator.shapes import Progress, Simulation, no_progress
from fusiongauge import some

_MODALITIES = ("rgb", "lidar")
_ANGLES = ("azimuth.npy", "zenith.npy")


def is_nvidia_tree(path: Path) -> bool:
    """Whether the path has a class folder with angles, and declares no modalities."""
    classes = _class_folders(path) if path.is_dir() else []
    if not any(file_named(folder, *_ANGLES) for folder in classes):
        return False
    return not declared_in(path).modalities


def list_nvidia_tree(root: Path, angles_of: str = "") -> Listing:
    """The pairs of a tree.

    Pairs with the same number (``0053`` in two classes, ``0053-2``) form a group, since they may show the same
    scene. The range images keep their orientation in the files: ``lidar.T[:, ::-1]`` would align them with the
    images. Files without a partner are left out and counted in a note; another one names folders that are not
    read.

    Args:
        root: The folder of the class folders.
        angles_of: The class whose angles are used for all classes; "" if they are equal.

    Returns:
        Modalities "rgb" (an image) and "lidar" (points); classes sorted by name; pairs sorted by number, then
        name, then class.

    Raises:
        DataError: There are fewer than two classes, a class without pairs or angles, a folder that is missing, or
            folders of a split.
    """
    declared = declared_in(root)
    refuse_missing(root, declared.classes)
    there = by_name(_class_folders(root))
    names = chosen_classes(declared.classes, list(there), root / FILE_NAME)
    classes = {name: there[name] for name in names}
    refuse_parts(root, names)
    if len(classes) < 2:
        raise DataError(
            f"{root} has {len(classes)} class folder(s); a classifier needs at least two, each with the folders "
            "rgb and lidar."
        )
    measuring = [name for name in classes if name == composed(angles_of)] or names
    by_class = {
        name: Angles(*(read_angles(_angles_file(classes[name], angles)) for angles in _ANGLES))
        for name in measuring
    }
    problems: list[str] = []
    angles = common_angles(str(root), by_class, angles_of, problems)
    pairs: list[RangePair] = []
    alone: list[Path] = []
    of_others: list[Path] = []
    for label, folder in enumerate(classes.values()):
        of_class, left_out = _pair_up(folder, label)
        pairs += of_class
        alone += left_out
        of_others += _of_other_types(folder)
    notes = [
        *without_partner([str(path.relative_to(root)) for path in alone]),
        *not_read([str(path.relative_to(root)) for path in of_others]),
        *_unread(root, classes.values(), of_names(folders(root), declared.classes)),
    ]
    return list_range_pairs(root.resolve().name, tuple(names), pairs, angles, notes, problems)


def write_nvidia_tree(root: Path, simulation: Simulation, progress: Progress = no_progress) -> None:
    """Write a simulation as a tree. Files of the same names are replaced, others stay."""
    for name in simulation.classes:
        folder = root / name
        for part in ("rgb", "lidar"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        np.save(folder / "azimuth.npy", simulation.azimuth_rad)
        np.save(folder / "zenith.npy", simulation.zenith_rad)
    for pair in range(len(simulation.labels)):
        folder, stem = root / simulation.classes[simulation.labels[pair]], f"{simulation.index[pair]:04d}"
        np.save(folder / "lidar" / f"{stem}.npy", simulation.range_m[pair])
        Image.fromarray(simulation.rgb[pair]).save(folder / "rgb" / f"{stem}.png")
        progress(pair + 1, len(simulation.labels))


def _class_folders(root: Path) -> list[Path]:
    return [folder for folder in folders(root) if folder_named(folder, *_MODALITIES)]


def _of_other_types(folder: Path) -> list[Path]:
    """The files in a class folder's folders of modalities whose type is not read."""
    read = [folder_named(folder, modality) for modality in _MODALITIES]
    return [path for inner in read if inner for path in of_other_types(inner)]


def _unread(root: Path, classes: Collection[Path], wanted: Sequence[Path]) -> list[str]:
    """The note on folders of media beside and in the class folders, if they are in one of the wanted folders."""
    read = [inner for folder in classes for name in _MODALITIES if (inner := folder_named(folder, name))]
    others = [folder for folder in wanted if folder not in classes]
    others += [inner for folder in classes for inner in folders(folder) if inner not in read]
    others += [inner for folder in read for inner in folders(folder)]
    unread = [str(folder.relative_to(root)) for folder in others if holds_media(folder) or of_other_types(folder)]
    if not unread:
        return []
    return [
        f"Folders of images or arrays are not read: {some(unread)}; a class has the folders rgb and lidar, and "
        "other modalities are read if dataset.toml declares all of them."
    ]


def _angles_file(folder: Path, name: str) -> Path:
    file = file_named(folder, name)
    if file is None:
        raise DataError(
            f"{folder / name} does not exist; restore it, or, if one sensor measured all classes, copy it from "
            f"another class or name that class ({angles_option('CLASS')})."
        )
    return file


def _pair_up(folder: Path, label: int) -> tuple[list[RangePair], list[Path]]:
    """The pairs of a class folder, and the files without a partner."""
    images, scans = _files(folder, "rgb", ".png"), _files(folder, "lidar", ".npy")
    pairs, alone = partners({"rgb": images, "lidar": scans})
    if not pairs and (others := _of_other_types(folder)):
        names = some([str(path.relative_to(folder)) for path in others])
        raise DataError(f"{folder} has no pairs, as files are of types that are not read ({names}); {SAVE_AS}.")
    if not pairs:
        raise DataError(
            f"{folder} has {len(images)} file(s) in rgb and {len(scans)} in lidar, but none with the same stem; "
            "give both files of a pair the same name (rgb/0000.png, lidar/0000.npy)."
        )
    return [RangePair(label, files["rgb"], files["lidar"]) for files in pairs.values()], alone


def _files(folder: Path, modality: str, preferred: str) -> dict[str, Path]:
    """The media files of a modality by their stems, sorted."""
    inner = folder_named(folder, modality)
    if inner is None:
        raise DataError(
            f"{folder / modality} does not exist; a class folder needs both an rgb and a lidar folder."
        )
    return by_stem(inner, preferred)
