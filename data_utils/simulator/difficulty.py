"""The settings that decide how hard simulated data are. ``levels`` holds the named sets of settings.

Where a setting is a worst case, every scene draws its own value between none and that. The two sensors draw
independently: in some scenes only the camera sees well, in others only the LiDAR.
"""

from dataclasses import dataclass

from data_utils.errors import DataError


@dataclass(frozen=True)
class Difficulty:
    """What is in the scenes, and the sensors' disturbances. The defaults are those of the original data.

    Attributes:
        classes: Names of ``solids.SOLIDS``; a label is an index into them. Every scene is recorded once per class.
        first_class_every: The first class is recorded only in every n-th scene; 1 for all scenes.
        most_pairs: Maximum number of pairs of the data set, whatever number is requested; 0 for no limit.
        smallest: Size of the smallest objects relative to the original's, above 0 and at most 1. Sizes are uniform
            between that and 1.
        dimmest: The weakest light relative to the original's, above 0 and at most 1. Its logarithm is uniform.
        image_noise: Standard deviation of each image value, in levels of 255.
        range_noise_m: The largest standard deviation of a measured range.
        dropped_returns: The largest share of returns that the LiDAR loses, from 0 to 1.
        clutter: Number of small objects that float between the sensors and the object.
        failures: The share of scenes in which the camera sees nothing, and of other scenes in which the LiDAR
            measures nothing, from 0 to 0.5.
        misalignment_deg: The largest angle between the LiDAR and its nominal direction, on each of two axes.

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
            raise DataError(f"The classes are {list(self.classes)}; give two or more different classes.")
        if self.first_class_every < 1 or not (0 < self.smallest <= 1 and 0 < self.dimmest <= 1):
            raise DataError(
                f"first_class_every must be 1 or more, smallest and dimmest above 0 and up to 1: {self}."
            )
        if self.dropped_returns > 1 or self.failures > 0.5 or self.misalignment_deg > 10:
            raise DataError(
                f"dropped_returns must be at most 1, failures at most 0.5, misalignment_deg at most 10: {self}."
            )
        noise = (self.image_noise, self.range_noise_m, self.dropped_returns, self.failures, self.misalignment_deg)
        if min(self.most_pairs, self.clutter, *noise) < 0:
            raise DataError(f"No setting may be negative: {self}.")

    @property
    def cycle(self) -> int:
        """Number of pairs after which the order of the classes repeats."""
        return self.first_class_every * (len(self.classes) - 1) + 1
