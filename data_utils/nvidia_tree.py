"""The files of NVIDIA's cubes-and-spheres data: a folder a class, images and range images paired by their stem.

    <root>/cubes/rgb/0000.png       RGBA, 8 bits
    <root>/cubes/lidar/0000.npy     floats (R, C), ranges in meters, 50.0 where nothing was met
    <root>/cubes/azimuth.npy        floats (R,), radians, one for each row
    <root>/cubes/zenith.npy         floats (C,), radians, one for each column
    <root>/spheres/...              the same again

Every folder with an ``rgb`` or a ``lidar`` in it is a class, so a third class is a third folder.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data_utils.dataset import DataError, DatasetInfo, PairedDataset
from data_utils.geometry import range_to_xyza
from data_utils.media import read_angles, read_plane, read_rgba, stack
from data_utils.shapes import CLASSES, Simulation

_SHOWN = 3  # unpaired files that a note calls by name


class _Pair(NamedTuple):
    """A pair of files; sorts by scene, stem and label."""

    scene: tuple[float, str]
    stem: str
    label: int
    image: Path
    scan: Path


def is_nvidia_tree(path: Path) -> bool:
    """Whether the path is a folder with at least one class folder in it."""
    return path.is_dir() and bool(_class_folders(path))


def read_nvidia_tree(root: Path) -> PairedDataset:
    """Reads a tree into memory.

    Pairs of the same number (``0053`` in two classes, ``0053-2``) form a group, since they may show the same
    scene. The range images stay turned as they are in the files: ``lidar.T[:, ::-1]`` would align them with
    the images. Files without a partner are left out and counted in the notes.

    Args:
        root: The folder of the class folders.

    Returns:
        Modalities "rgb" (uint8 RGBA) and "lidar" (float32 XYZA); classes sorted by name; pairs sorted by
        number, then name, then class.

    Raises:
        DataError: The tree has fewer than two classes, a class without pairs or angles, angles that differ
            between the classes, or a file that cannot be used.
    """
    folders = _class_folders(root)
    if len(folders) < 2:
        raise DataError(
            f"{root} has {len(folders)} class folder(s); a classifier needs at least two, each a folder with rgb "
            "and lidar in it."
        )
    azimuth, zenith = _common_angles(folders)
    pairs: list[_Pair] = []
    alone: list[Path] = []
    for label, folder in enumerate(folders):
        of_class, left_out = _pair_up(folder, label)
        pairs += of_class
        alone += left_out
    pairs.sort()

    rgb = stack("rgb", read_rgba, [pair.image for pair in pairs])
    range_m = stack("lidar", read_plane, [pair.scan for pair in pairs])
    if range_m.shape[1:] != (len(azimuth), len(zenith)):
        raise DataError(
            f"{pairs[0].scan} has {range_m.shape[1]} rows and {range_m.shape[2]} columns, but there are "
            f"{len(azimuth)} azimuths and {len(zenith)} zeniths; store one azimuth a row and one zenith a column."
        )
    height, width = rgb.shape[2:]
    if (height, width) != range_m.shape[1:]:
        raise DataError(
            f"{pairs[0].image} has {height} x {width} pixels and {pairs[0].scan} {range_m.shape[1]} x "
            f"{range_m.shape[2]}; scale the images to the size of the range images."
        )
    scenes = {scene: number for number, scene in enumerate(dict.fromkeys(pair.scene for pair in pairs))}
    return PairedDataset(
        info=DatasetInfo(
            name=root.resolve().name,
            classes=tuple(folder.name for folder in folders),
            channels={"rgb": 4, "lidar": 4},
            image_size=(height, width),
        ),
        inputs={"rgb": rgb, "lidar": range_to_xyza(range_m, azimuth, zenith)},
        labels=torch.tensor([pair.label for pair in pairs]),
        groups=torch.tensor([scenes[pair.scene] for pair in pairs]),
        names=tuple(f"{folders[pair.label].name}/{pair.stem}" for pair in pairs),
        notes=_notes([str(path.relative_to(root)) for path in alone]),
    )


def write_nvidia_tree(root: Path, simulation: Simulation) -> None:
    """Writes a simulation as a tree, which ``read_nvidia_tree`` reads back to the same tensors.

    Args:
        root: Made if it does not exist. Files of the same names are replaced, others stay.
        simulation: What to write.
    """
    for label, name in enumerate(CLASSES):
        folder = root / name
        for part in ("rgb", "lidar"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        np.save(folder / "azimuth.npy", simulation.azimuth_rad)
        np.save(folder / "zenith.npy", simulation.zenith_rad)
        for pair in np.flatnonzero(simulation.labels == label):
            stem = f"{simulation.index[pair]:04d}"
            np.save(folder / "lidar" / f"{stem}.npy", simulation.range_m[pair])
            Image.fromarray(simulation.rgb[pair]).save(folder / "rgb" / f"{stem}.png")


def _class_folders(root: Path) -> list[Path]:
    return sorted(f for f in root.iterdir() if (f / "rgb").is_dir() or (f / "lidar").is_dir())


def _pair_up(folder: Path, label: int) -> tuple[list[_Pair], list[Path]]:
    """The pairs of a class folder, and the files without a partner."""
    images, scans = _files(folder / "rgb", ".png"), _files(folder / "lidar", ".npy")
    pairs = [
        _Pair(_scene(stem), stem, label, image, scans[stem]) for stem, image in images.items() if stem in scans
    ]
    if not pairs:
        raise DataError(
            f"{folder} has {len(images)} PNG in rgb and {len(scans)} npy in lidar, and no two of the same stem; "
            "name the files of a pair alike (rgb/0000.png, lidar/0000.npy)."
        )
    alone = [image for stem, image in images.items() if stem not in scans]
    alone += [scan for stem, scan in scans.items() if stem not in images]
    return pairs, alone


def _files(folder: Path, suffix: str) -> dict[str, Path]:
    """The files of that suffix by their stem, sorted."""
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist; a class folder needs both an rgb and a lidar folder.")
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() == suffix}


def _scene(stem: str) -> tuple[float, str]:
    """What the stems of one scene have in common: the number they begin with, or else all of the stem."""
    number = re.match(r"\d+", stem, re.ASCII)
    return (int(number[0]), "") if number else (math.inf, stem)


def _notes(alone: Sequence[str]) -> tuple[str, ...]:
    if not alone:
        return ()
    more = f" and {len(alone) - _SHOWN} more" if len(alone) > _SHOWN else ""
    return (f"{len(alone)} file(s) without a partner were left out: {', '.join(alone[:_SHOWN])}{more}.",)


def _common_angles(folders: Sequence[Path]) -> tuple[Tensor, Tensor]:
    """Azimuths and zeniths, which all classes have to share."""
    first, *others = [
        [read_angles(folder / f"{name}.npy") for name in ("azimuth", "zenith")] for folder in folders
    ]
    for folder, angles in zip(folders[1:], others, strict=True):
        if not all(torch.equal(one, other) for one, other in zip(first, angles, strict=True)):
            raise DataError(
                f"The angles in {folder} differ from those in {folders[0]}, which would tell a model the class; "
                "measure all classes with one sensor and store the same azimuth.npy and zenith.npy for each."
            )
    return first[0], first[1]
