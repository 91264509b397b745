"""How hard the simulated data are: one set of settings, and the named levels made of it.

Each level changes one thing of ``shapes``, which is as easy as the original; ``shapes-hard`` changes several.
Where a setting names the worst case, every scene draws its own between none and that, and the two sensors
draw apart from each other: there are scenes in which only the camera sees well, and others for the LiDAR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from data_utils.dataset import DataError


@dataclass(frozen=True)
class Difficulty:
    """What is in the scenes, and what the sensors suffer from. The defaults are the original's.

    Attributes:
        classes: Names of ``solids.SOLIDS``; a label is an index into them. Every scene is seen once with each.
        first_class_every: The first class is seen only in every so many scenes; 1 for all of them.
        most_pairs: The data set has no more pairs, however many are asked for; 0 for no limit.
        smallest: Size of the smallest objects, as a part of the original's, above 0 and at most 1. Sizes are
            uniform between that and 1.
        dimmest: The weakest light, as a part of the original's, above 0 and at most 1. The logarithm is uniform.
        image_noise: Standard deviation of each value of an image, in levels of 255.
        range_noise_m: The largest standard deviation of a measured range.
        dropped_returns: The largest share of returns that the LiDAR loses, from 0 to 1.
        clutter: How many small pieces float between the sensors and the object.
        failures: The share of scenes in which the camera sees nothing, and of others in which the LiDAR meets
            nothing, from 0 to 0.5.
        misalignment_deg: Up to so far is the LiDAR turned off its nominal direction, both ways.

    Raises:
        DataError: A setting is out of its range.
    """

    classes: tuple[str, ...] = ("cubes", "spheres")
    first_class_every: int = 1
    most_pairs: int = 0
    smallest: float = 1.0
    dimmest: float = 1.0
    image_noise: float = 0.0
    range_noise_m: float = 0.0
    dropped_returns: float = 0.0
    clutter: int = 0
    failures: float = 0.0
    misalignment_deg: float = 0.0

    def __post_init__(self) -> None:
        if len(set(self.classes)) < max(2, len(self.classes)):
            raise DataError(f"The classes are {list(self.classes)}; give two or more different ones.")
        if self.first_class_every < 1 or not (0 < self.smallest <= 1 and 0 < self.dimmest <= 1):
            raise DataError(
                f"first_class_every must be 1 or more, smallest and dimmest above 0 and up to 1: {self}."
            )
        if self.dropped_returns > 1 or self.failures > 0.5 or self.misalignment_deg > 10:
            raise DataError(f"At most: dropped_returns 1, failures 0.5, misalignment_deg 10; not {self}.")
        noise = (self.image_noise, self.range_noise_m, self.dropped_returns, self.failures, self.misalignment_deg)
        if min(self.most_pairs, self.clutter, *noise) < 0:
            raise DataError(f"No setting may be negative: {self}.")

    @property
    def cycle(self) -> int:
        """How many pairs there are before the order of the classes repeats."""
        return self.first_class_every * (len(self.classes) - 1) + 1


LEVELS: Mapping[str, Difficulty] = MappingProxyType(
    {
        "shapes": Difficulty(),
        # The proportion of the original's common copy: 2,501 cubes and 9,999 spheres.
        "shapes-uneven": Difficulty(first_class_every=4),
        # About the proportion that one published accuracy suggests of its data: 0.930168 over 1,074 pairs is 999
        # pairs, what a model gets that always names the class of the other 999.
        "shapes-rare": Difficulty(first_class_every=13),
        "shapes-few": Difficulty(most_pairs=160),
        "shapes-four": Difficulty(classes=("cones", "cubes", "cylinders", "spheres")),
        "shapes-small": Difficulty(smallest=0.3),
        "shapes-dim": Difficulty(dimmest=0.003, image_noise=2.0),
        "shapes-noisy": Difficulty(range_noise_m=0.5, dropped_returns=0.9),
        "shapes-cluttered": Difficulty(clutter=6),
        "shapes-failing": Difficulty(failures=0.25),
        "shapes-misaligned": Difficulty(misalignment_deg=5.0),
        "shapes-hard": Difficulty(
            smallest=0.7, dimmest=0.005, image_noise=2.0, range_noise_m=0.1, dropped_returns=0.7, failures=0.2
        ),
    }
)
"""The simulated data sets by name."""
