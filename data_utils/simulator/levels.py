"""The simulated data sets: named levels of difficulty, registered as data sets. Loads no torch.

Each level changes one setting of ``shapes``, which imitates the original; ``shapes-hard`` changes several.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from data_utils.registry import register_dataset
from data_utils.simulator.difficulty import Difficulty

if TYPE_CHECKING:
    from data_utils.cache import Cache
    from data_utils.dataset import DatasetInfo, PairedDataset
    from data_utils.memory import Need
    from data_utils.simulator.shapes import Progress

LEVELS: Mapping[str, Difficulty] = MappingProxyType(
    {
        "shapes": Difficulty(),
        # The proportion of the original's common copy: 2,501 cubes and 9,999 spheres.
        "shapes-uneven": Difficulty(first_class_every=4),
        # Close to the proportion that one published accuracy suggests: 0.930168 over 1,074 pairs is 999 pairs, the
        # result of a model that always predicts a class of 999 pairs.
        "shapes-rare": Difficulty(first_class_every=13),
        "shapes-few": Difficulty(most_pairs=160),
        "shapes-four": Difficulty(classes=("cones", "cubes", "cylinders", "spheres")),
        "shapes-small": Difficulty(smallest=0.3),
        "shapes-dim": Difficulty(dimmest=0.01, image_noise=2.0),
        "shapes-noisy": Difficulty(range_noise_m=0.5, dropped_returns=0.9),
        "shapes-cluttered": Difficulty(clutter=6),
        "shapes-failing": Difficulty(failures=0.25),
        "shapes-misaligned": Difficulty(misalignment_deg=5.0),
        "shapes-hard": Difficulty(
            smallest=0.6, dimmest=0.007, image_noise=2.0, range_noise_m=0.2, dropped_returns=0.9, failures=0.25
        ),
    }
)
"""The levels by name."""


DEFAULT_SIZE = 64
"""Rows and columns of simulated images, as of the original's."""


@dataclass(frozen=True)
class SimulatedDataset:
    """The level of that name as a data set."""

    name: str

    def __call__(self, pairs: int, seed: int) -> "PairedDataset":
        """Simulate pairs; see ``draw``."""
        return self.draw(pairs, seed)

    def draw(
        self,
        pairs: int,
        seed: int,
        cache: "Cache | None" = None,
        image_size: int = DEFAULT_SIZE,
        *,
        test: bool = False,
        progress: "Progress | None" = None,
    ) -> "PairedDataset":
        """Simulate pairs, or read them from the cache; many of them are mapped from there.

        Args:
            pairs: How many.
            seed: Not negative.
            cache: Where simulated pairs are kept; None for no cache.
            image_size: Rows and columns.
            test: Whether they are for testing, of which even a level of few pairs has any number.
            progress: Called with the number of pairs that are simulated, and of all.

        Raises:
            DataError: The level cannot have this number of pairs.
        """
        from data_utils.simulator.cache import cached, mapped_simulation, maps
        from data_utils.simulator.shapes import as_dataset, in_memory, no_progress, simulate

        level = replace(LEVELS[self.name], most_pairs=0) if test else LEVELS[self.name]
        make = partial(simulate, pairs, seed, image_size, level, progress or no_progress)
        arguments = (pairs, seed, level, image_size)
        if cache is not None and maps(cache, self.pairs(pairs, test=test), image_size):
            return mapped_simulation(cache, self.name, arguments, make)
        raw, notes = (make(in_memory), ()) if cache is None else cached(cache, self.name, arguments, make)
        return replace(as_dataset(self.name, raw), notes=notes)

    def pairs(self, wanted: int, *, test: bool = False) -> int:
        """How many pairs there are of those wanted; a level of few pairs has any number for testing."""
        most = LEVELS[self.name].most_pairs
        return min(wanted, most) if most and not test else wanted

    def need(self, pairs: int, test_pairs: int, cache: "Cache | None", image_size: int = DEFAULT_SIZE) -> "Need":
        """What the pairs of one seed take."""
        from data_utils.memory import Need
        from data_utils.simulator.cache import maps, stored_bytes

        pairs = self.pairs(pairs)
        total, mapped = pairs + test_pairs, maps(cache, max(pairs, test_pairs), image_size)
        need = Need(self.name, total, stored_bytes(total, image_size), drawn=True)
        return need if cache is None or not mapped else need.mapped_from(cache)

    def info(self, image_size: int = DEFAULT_SIZE) -> "DatasetInfo":
        """The description of what it returns."""
        from data_utils.dataset import DatasetInfo

        return DatasetInfo(self.name, LEVELS[self.name].classes, {"rgb": 4, "lidar": 4}, (image_size, image_size))

    def sha256(self, image_size: int = DEFAULT_SIZE) -> str:
        """Hash of the settings and of the code that simulates."""
        from data_utils.simulator.cache import key

        return key((LEVELS[self.name], image_size))


for _name in LEVELS:
    register_dataset(_name)(SimulatedDataset(_name))
