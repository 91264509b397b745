"""SUN RGB-D as it is unpacked from ``SUNRGBD.zip``: scenes in folders of four cameras.

    <root>/kv2/kinect2data/000065_..._rgbf000026-resize/image/0000065.jpg
                                                        depth/0000065.png     16 bits, rotated by three
                                                        intrinsics.txt        the camera's matrix, 3 x 3
                                                        scene.txt             the class, such as bedroom

The classes are scenes. Frames of one video form a group; the cameras have different resolutions, so an image size
is needed. Addresses and terms are in ``docs/data.md``.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from data_utils.errors import DataError
from data_utils.layouts.declared import SUN_RGBD, Declaration, read_declaration
from data_utils.layouts.listing import Listing, Source
from data_utils.layouts.media import is_media
from data_utils.layouts.paths import entries
from data_utils.layouts.ranges import without_partner

CAMERAS = ("kv1", "kv2", "realsense", "xtion")
"""The folders of the cameras."""

FREQUENT = 80
"""Scenes with more images than this are the classes if none are declared, as in the data set's own experiments."""


def is_sun_rgbd(path: Path) -> bool:
    """Whether the path has folders of at least two of the cameras."""
    return sum((path / camera).is_dir() for camera in CAMERAS) >= 2


def list_sun_rgbd(root: Path, angles_of: str = "") -> Listing:
    """The frames that have an image, depth, intrinsics and a scene.

    Args:
        root: The folder of the cameras. A ``dataset.toml`` in it declares the ``classes``; without one these are
            the scenes with more than FREQUENT images, or all if that leaves fewer than two.
        angles_of: "".

    Returns:
        Modalities "rgb" and "lidar" (points), of different sizes.

    Raises:
        DataError: Intrinsics cannot be read, or there are fewer than two scenes.
    """
    if angles_of:
        raise DataError(f"{root} has no angles of classes; leave angles_of out.")
    frames: list[tuple[Path, Path, Path, str]] = []
    alone: list[str] = []
    for camera in CAMERAS:
        for file in sorted((root / camera).rglob("intrinsics.txt")):
            frame = file.parent
            images, depths = (
                [path for path in entries(frame / part) if is_media(path)] if (frame / part).is_dir() else []
                for part in ("image", "depth")
            )
            scene = frame / "scene.txt"
            if len(images) != 1 or len(depths) != 1 or not scene.is_file():
                alone.append(str(frame.relative_to(root)))
                continue
            frames.append((frame, images[0], depths[0], scene.read_text(encoding="utf-8").strip()))
    counts = Counter(scene for *_, scene in frames)
    declared = read_declaration(root)
    frequent = sorted(scene for scene, count in counts.items() if count > FREQUENT)
    classes = frequent if len(frequent) > 1 else sorted(counts)
    notes: list[str] = []
    if declared and declared.classes:
        classes = sorted(set(declared.classes) & set(counts))
    elif len(classes) < len(counts):
        notes = [
            f"Of {len(counts)} scenes the {len(classes)} with more than {FREQUENT} images are the classes; choose "
            "others in dataset.toml: classes = [...]."
        ]
    if len(classes) < 2:
        raise DataError(f"{root} has frames of the scenes {sorted(counts)}; at least two of them must be classes.")
    frames = [frame for frame in frames if frame[3] in classes]
    groups = {name: number for number, name in enumerate(dict.fromkeys(_video(frame) for frame, *_ in frames))}
    return Listing(
        name="sun-rgbd",
        classes=tuple(classes),
        labels=[classes.index(scene) for *_, scene in frames],
        groups=[groups[_video(frame)] for frame, *_ in frames],
        names=[str(frame.relative_to(root).as_posix()) for frame, *_ in frames],
        sources={
            "rgb": Source(Declaration("rgb", "image"), [image for _, image, *_ in frames]),
            "lidar": Source(
                Declaration("lidar", "depth", scale=SUN_RGBD, invalid=(0,)),
                [depth for _, _, depth, _ in frames],
                intrinsics=np.array([_intrinsics(frame / "intrinsics.txt") for frame, *_ in frames]),
            ),
        },
        notes=[*without_partner(alone), *notes],
        assumptions=notes,
    )


def _video(frame: Path) -> str:
    """What frames of one video have in common: in sun3ddata their folder, elsewhere the name before the frame."""
    if "sun3ddata" in frame.parts:
        return str(frame.parent)
    return str(frame.parent / frame.name.partition("_rgbf")[0])


def _intrinsics(file: Path) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy of the matrix in a file, with pixels that count from 0."""
    try:
        matrix = np.array(file.read_text(encoding="ascii").split(), dtype=np.float64).reshape(3, 3)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} holds no matrix of 3 x 3 ({error}); unpack the archive again.") from None
    return matrix[0, 0], matrix[1, 1], matrix[0, 2] - 1, matrix[1, 2] - 1
