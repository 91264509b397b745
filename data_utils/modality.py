"""What a modality measures: its kind decides how files are decoded, scaled and drawn. Loads no torch."""

from dataclasses import dataclass
from typing import Literal, get_args

from data_utils.errors import DataError

Kind = Literal["image", "depth", "range", "thermal", "raw"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""The kinds of modalities.

image: colors, RGBA in [0, 1]. depth: distances along the optical axis, in meters. range: distances along each
pixel's ray, in meters. thermal: temperatures or what stands for them. raw: any other values.
"""

MAX_RANGE_M = 50.0
"""The range that NVIDIA's cubes-and-spheres data store where a ray met nothing."""

METRIC: tuple[Kind, ...] = ("depth", "range")
"""The kinds that are distances; with the sensor's geometry they become points."""


@dataclass(frozen=True)
class Modality:
    """The description of one modality.

    Attributes:
        kind: One of KINDS.
        channels: Of a network's input: 4 for images (RGBA) and points (XYZA), the file's own for other values.
        points: Whether the channels are XYZA, as distances are that come with the sensor's geometry.
        unit: Of the values, "m" for distances; "" if they have none.

    Raises:
        DataError: The kind is unknown, or it cannot have these channels.
    """

    kind: Kind
    channels: int
    points: bool = False
    unit: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"{self.kind!r} is not a kind of modality; use one of {', '.join(KINDS)}.")
        if self.points and (self.kind not in METRIC or self.channels != 4):
            raise DataError(
                f"A modality of kind {self.kind!r} with {self.channels} channels cannot hold points; points are "
                "XYZA of kind depth or range."
            )
        if self.kind in METRIC and not self.unit:
            object.__setattr__(self, "unit", "m")

    @property
    def zero_is_nothing(self) -> bool:
        """Whether 0 stands for nothing measured, black or no distance; elsewhere it is a value like others."""
        return self.kind == "image" or self.kind in METRIC


NAMES: dict[str, Kind] = {
    **dict.fromkeys(("rgb", "color", "colour", "image", "images", "img", "photo"), "image"),
    **dict.fromkeys(("depth", "depths", "depth_raw"), "depth"),
    **dict.fromkeys(("range", "ranges", "lidar"), "range"),
    **dict.fromkeys(("thermal", "lwir", "temperature"), "thermal"),
}
"""The usual names of folders and columns that need no declaration, and their kinds."""
