"""From the values of one file to what is stored of it: checked, freed from invalid values, in one of four types.

Distances of 0 are not measured. What is stored keeps the file's own units where it can; ``per_unit`` turns it into
meters. Shapes: H rows, W columns, C channels.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from data_utils.errors import DataError
from data_utils.layouts.declared import NEGATIVE, SUN_RGBD, Declaration
from data_utils.layouts.media import Values
from data_utils.modality import MAX_RANGE_M, METRIC

MILLIMETERS = 1000.0
"""The default scale of integer distances, as most depth cameras and data sets store them."""

FURTHEST_M = 12.0
"""Few depth cameras measure beyond this (NYU Depth v2 ends at 10.2 m); in an undeclared scale it is reported."""

NEAREST_M = 3.0
"""Nearly every data set has something nearer than this; in an undeclared scale it is reported if none is."""

FEW_BITS = 1 << 13
"""Images of 16 bits without any value from this on are nearly black: they come from cameras of 8 to 12 bits."""

IMPLAUSIBLE_M = 100.0
"""Beyond any depth camera, so a declared scale and floats in meters are doubted too."""

SUN_RGBD_FURTHEST = 8000
"""Millimeters, to which the toolbox of SUN RGB-D sets larger depths (``read3dPoints.m``)."""

PILED = 0.01
"""The share of pixels from which a largest value far from all others is reported: it may mean no measurement."""

_FAR = 2.0  # times the second largest value

_LARGEST = "hold {}, the largest value of {}, and count as not measured"
_NOT_FINITE = "are NaN or infinite and count as not measured"
_LIMITED = "are beyond 8 m and count as 8 m, as in the toolbox of SUN RGB-D"
_BEYOND = "are at the largest range or beyond it"


@dataclass(frozen=True, eq=False)
class Plane:
    """What is stored of one file.

    Attributes:
        values: uint8, uint16, float16 or float32 (H, W, C).
        per_unit: Stored units per unit of the modality, such as 1000 for millimeters.
        nearest: The smallest measured value in the unit; inf without any. ``furthest``: the largest, or -inf.
        left_out: Pixels that do not count as they are, by reason; only what was not declared.
        largest: The largest measured value as the file holds it; ``at_largest``: the number of its pixels.
        below: The largest of the others in the unit, or -inf.
        integer: Whether the file holds integers.
    """

    values: Values
    per_unit: float = 1.0
    nearest: float = np.inf
    furthest: float = -np.inf
    left_out: Counter[str] = field(default_factory=Counter)
    integer: bool = False
    largest: str = ""
    at_largest: int = 0
    below: float = -np.inf


def image_plane(values: Values) -> Plane:
    """What is stored of an image (H, W, 4); the largest color is only looked for in those of 16 bits."""
    return Plane(values, furthest=float(values[..., :3].max()) if values.itemsize > 1 else -np.inf, integer=True)


def plane(place: str, values: Values, declaration: Declaration, scale: float | None, *, points: bool) -> Plane:
    """What is stored of measurements.

    Args:
        place: The file, for messages.
        values: Of the file.
        declaration: Of the modality.
        scale: Units per unit that the row of a manifest declares; None if it declares none.
        points: Whether range images become points: a ray without return then has the largest range, not 0.

    Raises:
        DataError: The values cannot be such measurements.
    """
    values = values[..., None] if values.ndim == 2 else values
    if declaration.kind not in METRIC:
        return _other_plane(place, values, declaration, scale)
    if values.shape[2] != 1:
        raise DataError(
            f"{place} has {values.shape[2]} channels, but a distance is one value per pixel; save the distances "
            "themselves, not a colored picture of them."
        )
    if declaration.scale == SUN_RGBD:
        if values.dtype != np.uint16:
            raise DataError(
                f"{place} holds {values.dtype}, but the scale {SUN_RGBD!r} is of 16-bit files; remove it."
            )
        values = (values >> 3) | (values << 13)
    integer = values.dtype.kind in "ui"
    declared = scale or declaration.scale
    if integer and values.dtype.itemsize == 1 and declared is None:
        raise DataError(
            f"{place} holds distances of 8 bits, mostly a picture made for viewing; give the original files "
            "(16-bit PNG in millimeters, .npy in meters), or declare the scale of these in dataset.toml."
        )
    units = MILLIMETERS if declared == SUN_RGBD or (declared is None and integer) else float(declared or 1)
    missing, left_out = _missing(values, declaration, undeclared=declared is None)
    if (negative := (values < 0) & ~missing).any():
        raise DataError(
            f"{place} contains negative distances ({float(values[negative][0]):g}); store distances of 0 or more, "
            f'or declare them as missing in dataset.toml: invalid = ["{NEGATIVE}"].'
        )
    if declaration.scale == SUN_RGBD:
        left_out[_LIMITED] += int((~missing & (values > SUN_RGBD_FURTHEST)).sum())
        values = values.clip(max=SUN_RGBD_FURTHEST)
    if declaration.kind == "range":
        return _range_plane(values, missing, units, declaration, left_out, points=points)
    return _depth_plane(values, missing, units, declaration, left_out)


def _depth_plane(
    values: Values, missing: Values, units: float, declaration: Declaration, left_out: Counter[str]
) -> Plane:
    """Distances as the file holds them, 0 where nothing was measured."""
    stored, integer = _narrow(np.where(missing, 0, values)), values.dtype.kind in "ui"
    seen = values[~missing & (values > 0)]
    if not len(seen):
        return Plane(stored, units, left_out=left_out, integer=integer)
    largest = seen.max()
    others = seen[seen < largest]
    return Plane(
        stored,
        units,
        nearest=float(seen.min()) / units,
        furthest=float(largest) / units,
        left_out=left_out,
        integer=integer,
        largest=str(largest),
        at_largest=0 if declaration.scale == SUN_RGBD else len(seen) - len(others),  # that is a limit, not a value
        below=float(others.max()) / units if len(others) else -np.inf,
    )


def _range_plane(
    values: Values,
    missing: Values,
    units: float,
    declaration: Declaration,
    left_out: Counter[str],
    *,
    points: bool,
) -> Plane:
    """Ranges of points in meters, the largest where a ray met nothing; without points as depth, 0 there."""
    largest = declaration.max_range or MAX_RANGE_M
    integer = values.dtype.kind in "ui"
    if integer:
        # As depth cameras and KITTI store it; a scanner measures no distance of 0.
        missing = missing | (values == 0)
    meters = (values.astype(np.float64) / units if units != 1 else values).astype(np.float32)
    furthest = float(meters[~missing].max()) if (~missing).any() else -np.inf
    if declaration.max_range is None and furthest > largest:
        left_out[_BEYOND] += int((~missing & (meters > largest)).sum())
    met = ~missing & (meters < largest)
    if not points:
        of_depth = _depth_plane(values, ~met, units, declaration, left_out)
        return replace(of_depth, furthest=furthest) if left_out[_BEYOND] else of_depth
    seen = meters[met]
    return Plane(
        np.where(missing, np.float32(largest), meters),
        nearest=float(seen.min()) if len(seen) else np.inf,
        furthest=furthest,
        left_out=left_out,
        integer=integer,
    )


def _other_plane(place: str, values: Values, declaration: Declaration, scale: float | None) -> Plane:
    """Temperatures or any other values; invalid ones become 0."""
    missing = _equal(values, declaration.invalid or ())
    if values.dtype.kind == "f" and not np.isfinite(values[~missing]).all():
        raise DataError(
            f"{place} contains NaN or infinity; store finite values, or declare them as missing in dataset.toml: "
            "invalid = [nan, inf, -inf]."
        )
    stored, units = _narrow(np.where(missing, 0, values)), float(scale or declaration.scale or 1)
    return Plane(stored, units, integer=values.dtype.kind in "ui")


def _missing(values: Values, declaration: Declaration, *, undeclared: bool) -> tuple[Values, Counter[str]]:
    """Which pixels are not measured, and how many of them by a reason that nobody declared.

    Args:
        values: Of a file.
        declaration: Of the modality.
        undeclared: Whether nobody declared the scale, so that 65535 in wider types comes from 16 bits as well.
    """
    left_out: Counter[str] = Counter()
    missing = _equal(values, declaration.invalid or ())
    if values.dtype.kind == "f":
        infinite = ~(np.abs(values) <= np.finfo(np.float32).max) & ~missing  # float32 is what can be stored
        left_out[_NOT_FINITE] = int(infinite.sum())
        missing |= infinite
    elif values.dtype.itemsize > 1 and declaration.scale != SUN_RGBD:  # its toolbox limits all distances to 8 m
        largest = {int(np.iinfo(values.dtype).max): "their type"}
        if undeclared:
            largest.setdefault(65535, "16 bits")
        for value, of in largest.items():
            found = (values == value) & ~missing
            left_out[_LARGEST.format(value, of)] = int(found.sum())
            missing |= found
    return missing, +left_out


def _equal(values: Values, invalid: Iterable[float | str]) -> Values:
    """Which values are one of the invalid ones."""
    missing = np.zeros(values.shape, dtype=np.bool_)
    for value in invalid:
        if value == NEGATIVE:
            missing |= values < 0
        elif value != value:
            missing |= np.isnan(values)
        else:
            missing |= values == value
    return missing


def _narrow(values: Values) -> Values:
    """The same values in the narrowest of uint8, uint16, float16 and float32 that torch and the file agree on."""
    if values.dtype in (np.uint8, np.uint16, np.float16, np.float32):
        return values
    if values.dtype.kind in "ui" and values.size and values.min() >= 0 and values.max() <= 65535:
        return values.astype(np.uint16)
    return values.astype(np.float32)


@dataclass(eq=False)
class Survey:
    """What is known of all files of a modality after they were read.

    Attributes:
        declaration: Of the modality in ``dataset.toml``.
        pixels: Of all files together.
        nearest: The smallest measured value in the unit; ``furthest``: the largest.
        left_out: Pixels that do not count as they are, by reason.
        integers: Whether a file holds integers.
        scale_declared: Whether the scale is, in ``dataset.toml`` or in a column.
        per_unit: Stored units per unit of the modality, of the last file.
        largest: The largest measured value as its file holds it; ``at_largest``: the number of its pixels.
        below: The largest of the others in the unit.
    """

    declaration: Declaration
    pixels: int = 0
    nearest: float = np.inf
    furthest: float = -np.inf
    left_out: Counter[str] = field(default_factory=Counter)
    integers: bool = False
    scale_declared: bool = False
    per_unit: float = 1.0
    largest: str = ""
    at_largest: int = 0
    below: float = -np.inf

    def add(self, one: Plane) -> None:
        """Count one more file."""
        self.pixels += one.values.shape[0] * one.values.shape[1]
        if one.furthest > self.furthest:
            self.below, self.largest, self.at_largest = max(self.furthest, one.below), one.largest, one.at_largest
        elif one.furthest == self.furthest:
            self.below, self.at_largest = max(self.below, one.below), self.at_largest + one.at_largest
        else:
            self.below = max(self.below, one.furthest)
        self.nearest, self.furthest = min(self.nearest, one.nearest), max(self.furthest, one.furthest)
        self.left_out += one.left_out
        self.integers |= one.integer
        self.per_unit = one.per_unit

    def assumptions(self) -> list[str]:
        """What was taken for granted, with the result; sentences."""
        name, kind = self.declaration.name, self.declaration.kind
        if kind not in METRIC:
            return []
        sentences = []
        # Floats of a range image are meters by the definition of that file.
        if not self.scale_declared and self.furthest > 0 and (kind == "depth" or self.integers):
            scale = "integers are read as millimeters" if self.integers else "values are read as meters"
            sentences.append(
                f"{name}: no scale of the {kind} is declared, so {scale}: {self.nearest:.2f} to "
                f"{self.furthest:.2f} m."
            )
        sentences += [
            f"{name}: {count / self.pixels:.1%} of pixels {reason}."
            for reason, count in self.left_out.items()
            if reason != _BEYOND
        ]
        if self._piled and not self.scale_declared and self.furthest <= FURTHEST_M:
            sentences.append(f"{name}: {self._pile} and count as measured; if they are not, {self._remedy}.")
        return sentences

    def doubts(self) -> list[str]:
        """What is implausible, with the likely reason; sentences."""
        name, kind = self.declaration.name, self.declaration.kind
        sentences = []
        if beyond := self.left_out.get(_BEYOND):
            sentences.append(
                f"{name}: {beyond / self.pixels:.1%} of pixels are beyond {MAX_RANGE_M:g} m, up to "
                f"{self.furthest:.2f} m, and count as no return; declare how far the scanner measures as "
                "max_range in dataset.toml, or the scale if these are no meters."
            )
        elif kind == "image" and 0 < self.furthest < FEW_BITS:
            sentences.append(
                f"{name}: the images have 16 bits, but no value above {self.furthest:.0f}, so they are nearly "
                'black; if they come from a camera of fewer bits, declare kind = "raw" and scale = '
                f"{(1 << int(self.furthest).bit_length()) - 1} in dataset.toml."
            )
        elif kind in METRIC and self.pixels and not self.furthest > 0:
            sentences.append(
                f"{name}: no pixel of any file is measured; check what the files hold, and the scale and invalid "
                "values in dataset.toml if there are any."
            )
        elif kind in METRIC and self.pixels:
            furthest = self.furthest
            if self._piled and furthest > (MAX_RANGE_M if self.scale_declared else FURTHEST_M):
                furthest = self.below
                sentences.append(
                    f"{name}: {self._pile}, and the others end at {furthest:.2f} m, as if it stood for no "
                    f"measurement; {self._remedy}."
                )
            if likely := self._likely_unit(furthest):
                sentences.append(
                    f"{name}: the {kind} is {self.nearest:.2f} to {furthest:.2f} m, which is implausible for most "
                    f"sensors; {likely}."
                )
        return sentences

    @property
    def _piled(self) -> bool:
        """Whether many pixels have the largest value, and none one near it."""
        alone = 0 < self.below * _FAR < self.furthest
        return alone and self.at_largest >= PILED * self.pixels

    @property
    def _pile(self) -> str:
        return (
            f"{self.at_largest / self.pixels:.1%} of pixels hold one largest value, {self.largest} "
            f"({self.furthest:.6g} m)"
        )

    @property
    def _remedy(self) -> str:
        return f"declare invalid = [{self.largest}] in dataset.toml"

    def _likely_unit(self, furthest: float) -> str:
        """What the scale could be if the distances are implausible; "" if they are plausible."""
        if self.scale_declared:
            return "check the declared scale" if furthest > IMPLAUSIBLE_M else ""
        if self.integers and (furthest > FURTHEST_M or self.nearest > NEAREST_M or furthest < 0.1):
            raw = furthest * MILLIMETERS
            return (
                f"if the files hold 5000 units per meter (TUM RGB-D) it ends at {raw / 5000:.2f} m, with 256 "
                f"(KITTI) at {raw / 256:.2f} m; declare the scale in dataset.toml or in a column "
                f"{self.declaration.column}_scale (1000 if millimeters are right)"
            )
        if not self.integers and furthest > IMPLAUSIBLE_M:
            return (
                f"if the values are millimeters, declare scale = 1000 in dataset.toml ({self.nearest / 1000:.2f} "
                f"to {furthest / 1000:.2f} m)"
            )
        return ""
