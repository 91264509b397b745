"""Recording scenes with both sensors: the pairs of some scenes, which depend on nothing but them and the seed.

Loads no torch, so that other processes start quickly (``processes``).
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import cycle

import numpy as np
import numpy.typing as npt

from data_utils.modality import MAX_RANGE_M
from data_utils.simulator.difficulty import Difficulty
from data_utils.simulator.scenes import (
    Conditions,
    Scenes,
    draw_clutter,
    draw_conditions,
    draw_scenes,
    noise_generators,
)
from data_utils.simulator.sensors import Indices, photograph, scan

_CLUTTER = ("cubes", "spheres")  # the pieces alternate
_NEAREST_M = 0.1  # the smallest range that noise can produce


@dataclass(frozen=True, eq=False)
class Chunk:
    """Pairs of some scenes that follow each other.

    Attributes:
        start: Which of all pairs is the first of these.
        index: int64 (n,), the scene of each pair, ascending.
        labels: int64 (n,), indices into the classes of the difficulty.
        seed: Of all scenes.
        difficulty: Of all scenes.
    """

    start: int
    index: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    seed: int
    difficulty: Difficulty

    @property
    def pairs(self) -> slice:
        """The place of these pairs among all."""
        return slice(self.start, self.start + len(self.index))

    def record(self, rgb: npt.NDArray[np.uint8], range_m: npt.NDArray[np.float32]) -> None:
        """Fill images, (n, 4, S, S), and range images, (n, S, S), of these pairs."""
        rgb[:, :3] = 0
        rgb[:, 3] = 255
        range_m[...] = MAX_RANGE_M
        scenes = _Scenes(range(self.index[0], self.index[-1] + 1), self.seed, self.difficulty)
        for label in range(len(self.difficulty.classes)):
            pairs = np.flatnonzero(self.labels == label)
            if len(pairs):  # of a rare class, a chunk can have none
                scenes.photograph(rgb[:, :3].transpose(0, 2, 3, 1), pairs, self.index[pairs], label)
                scenes.scan(range_m, pairs, self.index[pairs], label)


class _Scenes:
    """The scenes of a chunk, recorded with one class at a time.

    Arguments of its methods: the images of all pairs, which of them to record (n,), the scenes of these (n,), and
    the class of the objects there.
    """

    def __init__(self, indices: range, seed: int, difficulty: Difficulty) -> None:
        self._indices, self._first, self._seed, self._difficulty = indices, indices.start, seed, difficulty
        self._scenes = draw_scenes(indices, seed, difficulty)
        self._clutter = draw_clutter(indices, seed, self._scenes, difficulty)

    @cached_property
    def _conditions(self) -> Conditions:
        return draw_conditions(self._indices, self._seed, self._difficulty)

    def _objects(self, label: int) -> list[tuple[Scenes, str]]:
        """The object of a class and the pieces before it, further to nearer, each with its solid."""
        pieces = zip(self._clutter, cycle(_CLUTTER), strict=False)
        return [(self._scenes, self._difficulty.classes[label]), *pieces]

    def photograph(self, photos: npt.NDArray[np.uint8], pairs: Indices, index: Indices, label: int) -> None:
        """The camera's images, (N, S, S, 3), which are black before."""
        for scenes, solid in self._objects(label):
            photograph(scenes[index - self._first], solid, photos, pairs)
        if self._difficulty.image_noise:
            generators = noise_generators(self._seed, index, label, "rgb")
            for pair, generator in zip(pairs, generators, strict=True):
                noise = generator.standard_normal(photos.shape[1:], np.float32)
                noise *= self._difficulty.image_noise
                planes = photos[pair].transpose(2, 0, 1)  # as they are in memory
                noisy = noise.transpose(2, 0, 1) + planes
                noisy += 0.5
                planes[...] = np.clip(noisy, 0, 255, out=noisy)

    def scan(self, ranges: npt.NDArray[np.float32], pairs: Indices, index: Indices, label: int) -> None:
        """The LiDAR's range images, (N, S, S), which have no returns before."""
        chosen, difficulty = index - self._first, self._difficulty
        for scenes, solid in self._objects(label):
            seen = scenes[chosen]
            if difficulty.misalignment_deg:
                seen = seen.rotated(self._conditions.misalignment[chosen])
            scan(seen, solid, ranges, pairs)
        if difficulty.range_noise_m or difficulty.dropped_returns or difficulty.failures:
            deviations, shares = self._conditions.range_noise_m[chosen], self._conditions.dropped_returns[chosen]
            generators = noise_generators(self._seed, index, label, "lidar")
            for pair, deviation, share, generator in zip(pairs, deviations, shares, generators, strict=True):
                _disturb(ranges[pair].reshape(-1), deviation, share, generator)


def _disturb(
    ranges: npt.NDArray[np.float32], deviation: float, share: float, generator: np.random.Generator
) -> None:
    """Add noise to the ranges (R,) that returned, and lose a share of them.

    Each ray has numbers of its own; those that decide nothing are not drawn.
    """
    hits = np.flatnonzero(ranges < MAX_RANGE_M)
    if share >= 1 or not len(hits):
        ranges[hits] = MAX_RANGE_M
        return
    if not (share or deviation):
        return
    kept = generator.random(len(ranges))[hits] >= share
    noisy = ranges[hits] + np.float32(deviation) * generator.standard_normal(hits[-1] + 1, np.float32)[hits]
    furthest = np.nextafter(np.float32(MAX_RANGE_M), np.float32(0))
    ranges[hits] = np.where(kept, np.clip(noisy, np.float32(_NEAREST_M), furthest), MAX_RANGE_M)
