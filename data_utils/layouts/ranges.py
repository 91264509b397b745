"""Geometry of a scanner, scenes and files without a partner: what several layouts share."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from data_utils.dataset import part_of
from data_utils.errors import DataError
from data_utils.layouts.declared import FILE_NAME, Declaration
from data_utils.layouts.listing import Angles, Listing, Source
from data_utils.layouts.media import read_angles
from data_utils.layouts.paths import Inside, composed
from fusiongauge import some

_EQUAL_RAD = 1e-6  # above float32 rounding of an angle, and far below any sensor's resolution


class RangePair(NamedTuple):
    """A pair of files: an index into the classes, an image, a file of ranges, and the part it is assigned to."""

    label: int
    image: Path
    scan: Path
    part: str = ""


def scene_of(stem: str) -> tuple[float, str]:
    """The key of a file's scene: the number that its stem begins with, otherwise the whole stem."""
    number = re.match(r"\d+", stem, re.ASCII)
    return (int(number[0]), "") if number else (math.inf, stem)


def declared_source(root: Path, declaration: Declaration, files: Sequence[Path]) -> Source:
    """The files of a modality with the geometry that its declaration states, if any.

    Args:
        root: The folder of the ``dataset.toml``.
        declaration: Of the modality.
        files: One per pair.

    Raises:
        DataError: Angles cannot be read.
    """
    intrinsics, angles = None, None
    if declaration.intrinsics is not None:
        intrinsics = np.tile(np.array(declaration.intrinsics), (len(files), 1))
    if declaration.azimuth:
        path = Inside(root, str(root / FILE_NAME)).path
        angles = Angles(read_angles(path(declaration.azimuth)), read_angles(path(declaration.zenith)))
    return Source(declaration, files, intrinsics=intrinsics, angles=angles)


def list_range_pairs(
    name: str,
    classes: tuple[str, ...],
    pairs: Sequence[RangePair],
    angles: Angles,
    notes: Sequence[str],
    problems: Sequence[str],
) -> Listing:
    """The listing of pairs, at least one per class, sorted by scene, stem and label; each scene is a group.

    Its modalities are "rgb" and "lidar"; the range images keep their orientation.
    """
    pairs = sorted(pairs, key=lambda pair: (scene_of(pair.image.stem), pair.image.stem, pair))
    scenes: dict[tuple[float, str], int] = {}
    return Listing(
        name=name,
        classes=classes,
        labels=[pair.label for pair in pairs],
        groups=[scenes.setdefault(scene_of(pair.image.stem), len(scenes)) for pair in pairs],
        names=[f"{classes[pair.label]}/{pair.image.stem}" for pair in pairs],
        sources={
            "rgb": Source(Declaration("rgb", "image"), [pair.image for pair in pairs]),
            "lidar": Source(Declaration("lidar", "range"), [pair.scan for pair in pairs], angles=angles),
        },
        notes=notes,
        problems=problems,
        assigned=[pair.part for pair in pairs] if any(pair.part for pair in pairs) else (),
    )


def common_angles(place: str, angles: Mapping[str, Angles], angles_of: str, problems: list[str]) -> Angles:
    """The angles that all classes have in common; those of the first class if they differ, which is a problem.

    Angles that depend on the class would reveal it: the same range image would give other points in each class.

    Args:
        place: Where the angles come from, for messages.
        angles: By class, at least one.
        angles_of: The class whose angles are used for all classes; "" to require equal angles.
        problems: A sentence is added if the angles differ between the classes.

    Raises:
        DataError: ``angles_of`` is not a class.
    """
    if angles_of:
        spelled = {composed(name): each for name, each in angles.items()}
        if composed(angles_of) not in spelled:
            raise DataError(
                f"{place} has no angles of a class {angles_of!r}; the classes are {', '.join(angles)}."
            )
        return spelled[composed(angles_of)]
    (first, common), *others = angles.items()
    for name, other in others:
        for what, one, two in zip(("azimuth", "zenith"), common, other, strict=True):
            if one.shape != two.shape or not torch.allclose(one, two, rtol=0, atol=_EQUAL_RAD):
                problems.append(
                    f"The {what}s of {name!r} in {place} differ from those of {first!r}, which would reveal the "
                    "class to a model; if one sensor measured all classes, use the angles of one class for all: "
                    f"copy those of {first!r} to the other classes, or name it ({angles_option(first)})."
                )
                return common
    return common


def angles_option(label: str) -> str:
    """How the class whose angles are used for all is named; benchmarks have no option for it."""
    return f"for check, show and stats --angles-of {label}, in Python load(..., angles_of={label!r})"


def refuse_parts(root: Path, names: Sequence[str]) -> None:
    """Refuse folders of a split in place of classes: a model would learn to tell training from validation.

    Raises:
        DataError: All of these names of class folders are words for parts.
    """
    if names and all(map(part_of, names)):
        raise DataError(
            f"{root} has the folders {', '.join(names)} in place of classes; list the pairs in a manifest.csv, "
            "whose columns label and split name the class and the part of each pair."
        )


def without_partner(files: Sequence[str]) -> tuple[str, ...]:
    """The note on files that were left out because they have no partner; no note without such files."""
    if not files:
        return ()
    return (f"{len(files)} file(s) without a partner were left out: {some(files)}.",)
