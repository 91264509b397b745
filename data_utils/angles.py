"""One sensor for all classes: the angles of a scanner, which some data sets store once for every class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from data_utils.dataset import DataError

_EQUAL_RAD = 1e-6  # float32 rounding of an angle, and far below any resolution


class Angles(NamedTuple):
    """Of a scanner whose rows are azimuths and whose columns are zeniths; float64 (R,) and (C,), radians."""

    azimuth_rad: Tensor
    zenith_rad: Tensor


def common_angles(place: str, angles: Mapping[str, Angles], angles_of: str) -> Angles:
    """The angles that all classes have in common.

    Angles that depend on the class would give it away: points of the same range image would differ by label.

    Args:
        place: Where they come from, for messages.
        angles: By class, at least one.
        angles_of: "" to insist that they are equal, or the class whose angles are used for all.

    Raises:
        DataError: They differ between the classes, or ``angles_of`` is no class.
    """
    if angles_of:
        if angles_of not in angles:
            raise DataError(
                f"{place} has no class {angles_of!r} to take angles from; give one of {', '.join(angles)}."
            )
        return angles[angles_of]
    (first, common), *others = angles.items()
    for name, other in others:
        for what, one, two in zip(("azimuth", "zenith"), common, other, strict=True):
            if one.shape != two.shape or not torch.allclose(one, two, rtol=0, atol=_EQUAL_RAD):
                raise DataError(
                    f"The {what}s of {name!r} in {place} differ from those of {first!r}, which would tell a model "
                    "the class; if one sensor measured all classes, use one class's angles for all of them: "
                    f"load(..., angles_of={first!r}), --angles-of {first}, or copies of its angles."
                )
    return common
