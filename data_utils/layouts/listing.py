"""A data set before its files are read: what every layout makes.

Shapes: N pairs, R rows and C columns of a scanner.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from data_utils.layouts.declared import Declaration, chosen_classes
from data_utils.layouts.media import Values, as_rgba, read_image, read_values
from data_utils.layouts.planes import Plane, image_plane, plane
from data_utils.modality import METRIC


class Angles(NamedTuple):
    """The angles of a scanner: one azimuth per row (R,) and one zenith per column (C,), float64, in radians."""

    azimuth_rad: Tensor
    zenith_rad: Tensor


@dataclass(frozen=True, eq=False)
class Source:
    """The files of one modality.

    Attributes:
        declaration: What is known of them.
        files: One per pair.
        read: Reads the values of a pair from somewhere else; the files are then only named in messages. None to
            read the files.
        scales: Units per meter of every pair, float64 (N,); None for those of the declaration.
        intrinsics: fx, fy, cx, cy of every pair, float64 (N, 4); None without a pinhole camera.
        angles: Of a scanner; None without.
    """

    declaration: Declaration
    files: Sequence[Path]
    read: Callable[[int], Values] | None = None
    scales: npt.NDArray[np.float64] | None = None
    intrinsics: npt.NDArray[np.float64] | None = None
    angles: Angles | None = None

    def take(self, pairs: Sequence[int]) -> "Source":
        """The files of these pairs, in their order."""
        whole = self.read
        return replace(
            self,
            files=[self.files[pair] for pair in pairs],
            read=None if whole is None else lambda pair: whole(pairs[pair]),
            scales=None if self.scales is None else self.scales[list(pairs)],
            intrinsics=None if self.intrinsics is None else self.intrinsics[list(pairs)],
        )

    @property
    def points(self) -> bool:
        """Whether the measurements become points."""
        return self.angles is not None or self.intrinsics is not None

    def plane(self, pair: int) -> Plane:
        """What is stored of a pair's file, before its size is changed."""
        if self.declaration.kind == "image":
            file = self.files[pair]
            return image_plane(read_image(file) if self.read is None else as_rgba(file, self.read(pair)))
        values = read_values(self.files[pair]) if self.read is None else self.read(pair)
        scale = None if self.scales is None else float(self.scales[pair])
        return plane(str(self.files[pair]), values, self.declaration, scale, points=self.angles is not None)

    @property
    def nearest(self) -> bool:
        """Whether another size takes the nearest pixels: nothing lies between a distance and none."""
        return self.declaration.kind in METRIC or bool(self.declaration.invalid)


@dataclass(frozen=True, eq=False)
class Listing:
    """The pairs of a data set.

    Attributes:
        name: Of the data set.
        classes: Class names.
        labels: Index into ``classes`` of every pair; ``groups``: its group; ``names``: its name.
        sources: The files by modality, in the order of the modalities.
        assigned: The part of ``dataset.PARTS`` of every pair; empty where the files come without a split.
        notes: What was left out, one sentence each; ``problems``: what cannot be used.
        assumptions: Those of the notes that are no problem.
    """

    name: str
    classes: tuple[str, ...]
    labels: Sequence[int]
    groups: Sequence[int]
    names: Sequence[str]
    sources: Mapping[str, Source]
    notes: Sequence[str] = ()
    problems: Sequence[str] = ()
    assumptions: Sequence[str] = ()
    assigned: Sequence[str] = ()

    def of_classes(self, classes: Sequence[str], place: str) -> "Listing":
        """The pairs of these classes alone, in their order.

        Args:
            classes: At least two of those that there are.
            place: Where they are declared, for messages.

        Raises:
            DataError: A class does not exist.
        """
        kept = chosen_classes(classes, self.classes, place)
        pairs = [pair for pair, label in enumerate(self.labels) if self.classes[label] in kept]
        return replace(
            self,
            classes=tuple(kept),
            labels=[kept.index(self.classes[self.labels[pair]]) for pair in pairs],
            groups=[self.groups[pair] for pair in pairs],
            names=[self.names[pair] for pair in pairs],
            assigned=[self.assigned[pair] for pair in pairs] if self.assigned else (),
            sources={name: source.take(pairs) for name, source in self.sources.items()},
        )
