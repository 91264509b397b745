"""Recording scenes with both sensors: the pairs of some scenes, which depend on nothing but them and the seed.

Loads no torch, so that other processes start quickly (``processes``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, cycle, repeat

import numpy as np
import numpy.typing as npt

from data_utils.modality import MAX_RANGE_M
from data_utils.simulator.difficulty import Difficulty
from data_utils.simulator.raycasting import Floats
from data_utils.simulator.scenes import (
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
        shown = scenes.shown(self.index, self.labels)
        scenes.photograph(rgb[:, :3].transpose(0, 2, 3, 1), shown)
        scenes.scan(range_m, shown)


class _Scenes:
    """The scenes of a chunk.

    ``shown`` is (classes, scenes): which of the images shows that class in that scene, -1 for none.
    """

    def __init__(self, indices: range, seed: int, difficulty: Difficulty) -> None:
        self._indices, self._seed, self._difficulty = indices, seed, difficulty
        self._scenes = draw_scenes(indices, seed, difficulty)
        self._clutter = draw_clutter(indices, seed, self._scenes, difficulty)

    def shown(self, index: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> Indices:
        """Which pair shows which class in which scene."""
        shown = np.full((len(self._difficulty.classes), len(self._indices)), -1)
        shown[labels, index - self._indices.start] = np.arange(len(index))
        return shown

    def photograph(self, photos: npt.NDArray[np.uint8], shown: Indices) -> None:
        """The camera's images, (N, S, S, 3), which are black before."""
        for scenes, solid, images in self._objects(shown):
            photograph(scenes, solid, photos, images)
        if self._difficulty.image_noise:
            for pair, _, generator in self._noise(shown, "rgb"):
                noise = generator.standard_normal(photos.shape[1:], np.float32)
                noise *= self._difficulty.image_noise
                planes = photos[pair].transpose(2, 0, 1)  # as they are in memory
                noisy = noise.transpose(2, 0, 1) + planes
                noisy += 0.5
                planes[...] = np.clip(noisy, 0, 255, out=noisy)

    def scan(self, ranges: npt.NDArray[np.float32], shown: Indices) -> None:
        """The LiDAR's range images, (N, S, S), which have no returns before."""
        difficulty = self._difficulty
        conditions = draw_conditions(self._indices, self._seed, difficulty)
        misaligned = conditions.misalignment if difficulty.misalignment_deg else None
        for scenes, solid, images in self._objects(shown, misaligned):
            scan(scenes, solid, ranges, images)
        if difficulty.range_noise_m or difficulty.dropped_returns or difficulty.failures:
            deviations, shares = conditions.range_noise_m, conditions.dropped_returns
            for pair, scene, generator in self._noise(shown, "lidar"):
                _disturb(ranges[pair].reshape(-1), deviations[scene], shares[scene], generator)

    def _objects(self, shown: Indices, rotations: Floats | None = None) -> Iterator[tuple[Scenes, str, Indices]]:
        """The scenes with an object, rotated if wanted, its solid, and the images that show it (k, n).

        First the objects of the classes, then the pieces before them, further to nearer, which all images of a
        scene show.
        """
        classes = zip(repeat(self._scenes), self._difficulty.classes, shown[:, None], strict=False)
        pieces = zip(self._clutter, cycle(_CLUTTER), repeat(shown), strict=False)
        for scenes, solid, pairs in chain(classes, pieces):
            chosen = np.flatnonzero((pairs >= 0).any(axis=0))
            seen = scenes if rotations is None else scenes.rotated(rotations)
            yield seen[chosen], solid, pairs[:, chosen]

    def _noise(self, shown: Indices, modality: str) -> Iterator[tuple[int, int, np.random.Generator]]:
        """Each pair, which of the scenes it shows, and the generator of its noise."""
        for label, pairs in enumerate(shown):
            chosen = np.flatnonzero(pairs >= 0)
            generators = noise_generators(self._seed, chosen + self._indices.start, label, modality)
            yield from zip(pairs[chosen].tolist(), chosen.tolist(), generators, strict=True)


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
