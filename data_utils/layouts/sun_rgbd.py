"""SUN RGB-D as it is unpacked from ``SUNRGBD.zip``: scenes in folders of four cameras.

    <root>/kv2/kinect2data/000065_..._rgbf000026-resize/image/0000065.jpg
                                                        depth/0000065.png     16 bits, rotated by three
                                                        intrinsics.txt        the camera's matrix, 3 x 3
                                                        scene.txt             the class, such as bedroom
                                                        fullres/              the same before scaling; not used

The depth is the raw one, as the toolbox reads it (``readframeSUNRGBD.m``, ``read3dPoints.m``: rotated bits,
millimeters, at most 8 m); ``depth_bfx`` is a filtered copy. The classes are scenes. Frames of one video form a
group; the cameras have different resolutions, so an image size is needed. Addresses and terms are in
``docs/data.md``.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data_utils.errors import DataError, UnreadableError
from data_utils.layouts.declared import (
    FILE_NAME,
    SUN_RGBD,
    Declaration,
    chosen_classes,
    declared_in,
)
from data_utils.layouts.listing import Listing, Source
from data_utils.layouts.media import is_media
from data_utils.layouts.official_splits import official_parts
from data_utils.layouts.paths import composed, entries, is_data, refuse_missing
from data_utils.layouts.ranges import without_partner

CAMERAS = {
    "kv1": ("b3dodata", "NYUdata"),
    "kv2": ("align_kv2", "kinect2data"),
    "realsense": ("lg", "sa", "sh", "shr"),
    "xtion": ("sun3ddata", "xtion_align_data"),
}
"""The folders of the cameras, and what is in them."""

SPLIT_NAME = "allsplit.mat"
"""The official split, from ``traintestSUNRGBD`` of the toolbox; kept if it is beside the cameras' folders."""

UNKNOWN_SCENE = "idk"
"""The scene of frames whose annotators did not know it ("I don't know")."""

FREQUENT = 80
"""Scenes with more images than this are the classes if none are declared, as in the data set's own experiments."""

_INTRINSICS = "intrinsics.txt"


class _Frame(NamedTuple):
    """One frame: its folder, files, scene, and fx, fy, cx, cy of its camera."""

    folder: Path
    image: Path
    depth: Path
    scene: str
    intrinsics: tuple[float, float, float, float]


def is_sun_rgbd(path: Path) -> bool:
    """Whether the path has a folder of a camera, with one of its own."""
    return any((path / camera / part).is_dir() for camera, parts in CAMERAS.items() for part in parts)


def list_sun_rgbd(root: Path, angles_of: str = "") -> Listing:
    """The frames that have an image, depth, intrinsics and a scene.

    Args:
        root: The folder of the cameras. A ``dataset.toml`` in it declares the ``classes``; without one these are
            the scenes with more than FREQUENT images, or all if that leaves fewer than two.
        angles_of: "".

    Returns:
        Modalities "rgb" and "lidar" (points), of different sizes. Intrinsics that cannot be read are problems.

    Raises:
        DataError: There are fewer than two scenes, or a folder of frames is missing.
    """
    if angles_of:
        raise DataError(f"{root} has no angles of classes; leave angles_of out.")
    refuse_missing(root)
    declared = declared_in(root)
    frames: list[_Frame] = []
    others: set[str] = set()
    alone: list[str] = []
    problems: list[str] = []
    for camera in CAMERAS:
        for frame in sorted(_frame_folders(root / camera)):
            images, depths = (
                [path for path in entries(frame / part) if is_media(path)] if (frame / part).is_dir() else []
                for part in ("image", "depth")
            )
            scene, file = _scene(frame), frame / _INTRINSICS
            if scene and declared.classes and composed(scene) not in declared.classes:
                others.add(scene)
                continue
            if len(images) != 1 or len(depths) != 1 or not scene or not file.is_file():
                alone.append(str(frame.relative_to(root)))
                continue
            try:
                frames.append(_Frame(frame, images[0], depths[0], scene, _intrinsics(file)))
            except DataError as error:
                problems.append(str(error))
    counts = Counter(frame.scene for frame in frames)
    known = sorted(scene for scene in counts if scene != UNKNOWN_SCENE)
    frequent = [scene for scene in known if counts[scene] > FREQUENT]
    classes = frequent if len(frequent) > 1 else known
    notes: list[str] = []
    if declared.classes:
        classes = chosen_classes(declared.classes, sorted(others.union(counts)), root / FILE_NAME)
    elif classes == frequent and len(frequent) < len(counts):
        notes = [
            f"Of {len(counts)} scenes the {len(classes)} with more than {FREQUENT} images are the classes; choose "
            "others in dataset.toml: classes = [...]."
        ]
    elif UNKNOWN_SCENE in counts:
        notes = [f"{counts[UNKNOWN_SCENE]} frames of an unknown scene ({UNKNOWN_SCENE!r}) are not used."]
    if len(classes) < 2:
        few = f"{root} has frames of the scenes {sorted(counts)}; at least two of them must be classes."
        raise UnreadableError([*problems, " ".join([few, *without_partner(alone)])])
    frames = [frame for frame in frames if frame.scene in classes]
    videos = [_video(frame.folder) for frame in frames]
    groups = {name: number for number, name in enumerate(dict.fromkeys(videos))}
    names = [frame.folder.relative_to(root).as_posix() for frame in frames]
    parts, unused = official_parts(root / SPLIT_NAME, ("alltrain", "alltest"), _frame_of, names, videos)
    return Listing(
        name="sun-rgbd",
        classes=tuple(classes),
        labels=[classes.index(frame.scene) for frame in frames],
        groups=[groups[video] for video in videos],
        names=names,
        sources={
            "rgb": Source(Declaration("rgb", "image"), [frame.image for frame in frames]),
            "lidar": Source(
                Declaration("lidar", "depth", scale=SUN_RGBD),
                [frame.depth for frame in frames],
                intrinsics=np.array([frame.intrinsics for frame in frames]),
            ),
        },
        notes=[*without_partner(alone), *notes, *unused],
        problems=problems,
        assumptions=[*notes, *unused],
        assigned=parts,
    )


def _frame_folders(folder: Path) -> Iterator[Path]:
    """The folders of frames in a camera's folder, each once; nothing in them is looked at."""
    seen: set[str] = set()
    for place, inner, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:  # links can lead in a circle
            inner.clear()
            continue
        seen.add(real)
        inner[:] = sorted(filter(is_data, inner))
        if "image" in inner or _INTRINSICS in files:
            inner.clear()
            yield Path(place)


def _scene(frame: Path) -> str:
    """The scene of a frame; "" if it cannot be read."""
    try:
        return (frame / "scene.txt").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _video(frame: Path) -> str:
    """What frames of one video have in common.

    In sun3ddata it is their folder. In kinect2data a name has a number of its own, the time and the camera of the
    video, and the frame in it: 000251_2014-06-02_16-10-03_260595134347_rgbf000045-resize.
    """
    if "sun3ddata" in frame.parts:
        return str(frame.parent)
    return str(frame.parent / re.sub(r"^\d{6}_", "", frame.name.partition("_rgbf")[0]))


def _frame_of(entry: Any) -> str:
    """The name of a frame in an entry of the split, such as [/n/fs/sun3d/data/SUNRGBD/kv1/NYUdata/NYU0001/]."""
    return str(entry.item()).rstrip("/").partition("SUNRGBD/")[2]


def _intrinsics(file: Path) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy of the matrix in a file, with pixels that count from 0."""
    try:
        matrix = np.array(file.read_text(encoding="ascii").split(), dtype=np.float64).reshape(3, 3)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} holds no matrix of 3 x 3 ({error}); unpack the archive again.") from None
    return matrix[0, 0], matrix[1, 1], matrix[0, 2] - 1, matrix[1, 2] - 1
