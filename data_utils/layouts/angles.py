"""One sensor for all classes: the angles of a scanner, which some data sets store once per class."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from data_utils.errors import DataError

_EQUAL_RAD = 1e-6  # above float32 rounding of an angle, and far below any sensor's resolution


class Angles(NamedTuple):
    """The angles of a scanner: one azimuth per row (R,) and one zenith per column (C,), float64, in radians."""

    azimuth_rad: Tensor
    zenith_rad: Tensor


def common_angles(place: str, angles: Mapping[str, Angles], angles_of: str) -> Angles:
    """The angles that all classes have in common.

    Angles that depend on the class would reveal it: the same range image would give other points in each class.

    Args:
        place: Where the angles come from, for messages.
        angles: By class, at least one.
        angles_of: The class whose angles are used for all classes; "" to require equal angles.

    Raises:
        DataError: The angles differ between the classes, or ``angles_of`` is not a class.
    """
    if angles_of:
        if angles_of not in angles:
            raise DataError(
                f"{place} has no angles of a class {angles_of!r}; the classes are {', '.join(angles)}."
            )
        return angles[angles_of]
    (first, common), *others = angles.items()
    for name, other in others:
        for what, one, two in zip(("azimuth", "zenith"), common, other, strict=True):
            if one.shape != two.shape or not torch.allclose(one, two, rtol=0, atol=_EQUAL_RAD):
                raise DataError(
                    f"The {what}s of {name!r} in {place} differ from those of {first!r}, which would reveal the "
                    "class to a model; if one sensor measured all classes, use the angles of one class for all: "
                    f"load(..., angles_of={first!r}), --angles-of {first}, or copies of its angles."
                )
    return common
