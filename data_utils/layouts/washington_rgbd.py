"""The Washington RGB-D Object data set, as it is unpacked from ``rgbd-dataset_eval`` or the cropped archives.

    <root>/apple/apple_1/apple_1_1_1_crop.png        color
    <root>/apple/apple_1/apple_1_1_1_depthcrop.png   depth, 16 bits, millimeters, 0 where nothing was measured
    <root>/apple/apple_1/apple_1_1_1_maskcrop.png    the object's pixels; not used
    <root>/apple/apple_1/apple_1_1_1_loc.txt         column and row of the crop's first pixel, counted from 1

An instance (``apple_1``) is one physical object, seen in hundreds of frames, so instances are the groups: a split
never shows an object of training in validation. Points are those of the data set's ``depthToCloud.m``, called with
the place. Addresses and terms are in ``docs/data.md``.
"""

from itertools import islice
from pathlib import Path

import numpy as np

from data_utils.errors import DataError, UnreadableError
from data_utils.layouts.declared import FILE_NAME, Declaration, chosen_classes, declared_in
from data_utils.layouts.listing import Listing, Source
from data_utils.layouts.paths import by_name, entries, folders, refuse_missing
from data_utils.layouts.ranges import without_partner

FOCAL_LENGTH, MIDDLE = 570.3, (320.0, 240.0)
"""Of the camera at 640 x 480, from ``depthToCloud.m``; pixels count from 1."""

_COLOR, _DEPTH, _PLACE = "_crop.png", "_depthcrop.png", "_loc.txt"


def is_washington_rgbd(path: Path) -> bool:
    """Whether the folders in the folders of the path hold crops."""
    if not path.is_dir():
        return False
    instances = (instance for category in folders(path) for instance in folders(category))
    return any(
        file.name.endswith((_COLOR, _DEPTH)) for instance in islice(instances, 3) for file in entries(instance)
    )


def list_washington_rgbd(root: Path, angles_of: str = "") -> Listing:
    """The crops; categories are classes and instances are groups.

    Args:
        root: The folder of the categories.
        angles_of: "".

    Returns:
        Modalities "rgb" and "lidar" (points). Crops have different sizes. Places that cannot be read are problems.

    Raises:
        DataError: There are fewer than two categories, or the folder of one is missing.
    """
    if angles_of:
        raise DataError(f"{root} has no angles of classes; leave angles_of out.")
    declared = declared_in(root)
    refuse_missing(root, declared.classes)
    categories = by_name(folders(root))
    chosen = chosen_classes(declared.classes, list(categories), root / FILE_NAME)
    images: list[Path] = []
    depths: list[Path] = []
    intrinsics: list[tuple[float, float, float, float]] = []
    groups: list[str] = []
    alone: list[str] = []
    problems: list[str] = []
    for instance in (instance for name in chosen for instance in folders(categories[name])):
        names = {file.name for file in entries(instance)}
        crops = {name.removesuffix(_DEPTH) + _COLOR for name in names if name.endswith(_DEPTH)}
        for crop in sorted(crops.union(name for name in names if name.endswith(_COLOR))):
            files = [crop.removesuffix(_COLOR) + ending for ending in (_COLOR, _DEPTH, _PLACE)]
            if not names.issuperset(files):
                alone.append(str((instance / next(file for file in files if file in names)).relative_to(root)))
                continue
            image, depth, place = (instance / file for file in files)
            try:
                column, row = _place(place)
            except DataError as error:
                problems.append(str(error))
                continue
            images.append(image)
            depths.append(depth)
            # The first pixel has the coordinate of its place, so the camera's middle moves to the left and up.
            intrinsics.append((FOCAL_LENGTH, FOCAL_LENGTH, MIDDLE[0] - column, MIDDLE[1] - row))
            groups.append(instance.name)
    classes = sorted({image.parent.parent.name for image in images})
    if len(classes) < 2:
        few = f"{root} has complete crops of the categories {classes}; a classifier needs at least two."
        raise UnreadableError([*problems, " ".join([few, *without_partner(alone)])])
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    return Listing(
        name="washington-rgbd",
        classes=tuple(classes),
        labels=[classes.index(image.parent.parent.name) for image in images],
        groups=[numbers[name] for name in groups],
        names=[image.name.removesuffix(_COLOR) for image in images],
        sources={
            "rgb": Source(Declaration("rgb", "image"), images),
            "lidar": Source(Declaration("lidar", "depth", scale=1000), depths, intrinsics=np.array(intrinsics)),
        },
        notes=without_partner(alone),
        problems=problems,
    )


def _place(file: Path) -> tuple[float, float]:
    """The column and row of the first pixel of a crop, counted from 1."""
    try:
        column, row = map(float, file.read_text(encoding="ascii").split(","))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} holds no column and row ({error}); unpack the archive again.") from None
    return column, row
