"""From a source of data and a seed to a world: the pairs that one run trains, validates and tests on.

A source is opened once. Pairs that exist (files, a data set in memory) are split by the seed; pairs that a
registered function makes are drawn from the seed, the test pairs apart from the others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from torch import Tensor

from data_utils.dataset import PARTS, Batch, DatasetInfo, PairedDataset
from data_utils.splits import Shares, some_of, split


@dataclass(frozen=True, eq=False)
class Part:
    """The pairs of a data set that a world uses for one purpose.

    Attributes:
        dataset: The pairs are of it.
        indices: Which of them, int64 (B,).
    """

    dataset: PairedDataset
    indices: Tensor

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def labels(self) -> Tensor:
        """int64 (B,)."""
        return self.dataset.labels[self.indices]

    @property
    def names(self) -> list[str]:
        """Of the pairs."""
        return [self.dataset.names[pair] for pair in self.indices.tolist()]

    def batch(self) -> Batch:
        """All pairs, as the sensors measured them; see ``PairedDataset.batch``."""
        return self.dataset.batch(self.indices)

    def chunks(self, size: int) -> Iterator["Part"]:
        """The pairs in the same order, in parts of a size."""
        return (replace(self, indices=indices) for indices in self.indices.split(size) if len(self))

    def at_most(self, pairs: int, seed: int) -> "Part":
        """About that number of the pairs, drawn by a seed: whole groups, classes in proportion."""
        return replace(self, indices=some_of(self.dataset, self.indices, pairs, seed))

    @cached_property
    def sha256(self) -> str:
        """Hash of everything about the pairs (``PairedDataset.sha256``)."""
        return self.dataset.sha256_of(self.indices)


@dataclass(frozen=True, eq=False)
class World:
    """What one run trains on, chooses its best epoch on, and is tested on. No pair is in two parts.

    Attributes:
        train: The training pairs; ``valid`` and ``test`` likewise. There may be no test pairs.
        notes: What the reader left out or noticed, and classes without test pairs; one sentence each.
        drawn: Whether the pairs were made for this seed; otherwise each seed divides the same ones.
    """

    train: Part
    valid: Part
    test: Part
    notes: tuple[str, ...] = ()
    drawn: bool = False

    @property
    def info(self) -> DatasetInfo:
        """What models are built from."""
        return self.train.dataset.info

    @property
    def reported(self) -> Part:
        """The pairs that results are reported on: the test pairs, or the validation pairs if there are none."""
        return self.test if len(self.test) else self.valid

    @property
    def parts(self) -> dict[str, Part]:
        """The parts by name, in the order of PARTS."""
        return {part: getattr(self, part) for part in PARTS}

    def mapped(self, change: Callable[[str, Part], Part]) -> "World":
        """The world with each part, known by its name, changed by a function."""
        train, valid, test = (change(name, part) for name, part in self.parts.items())
        return replace(self, train=train, valid=valid, test=test)


class Source(Protocol):
    """Where worlds come from: a ``PairedDataset``, or ``loading.DrawnPairs``."""

    @property
    def info(self) -> DatasetInfo:
        """What models are built from, the same for every seed."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader left out or noticed."""

    @property
    def sha256(self) -> str:
        """Hash of what all worlds have in common: the content, or the code and the settings that make it."""

    def __hash__(self) -> int:
        """Worlds are kept by their source."""

    def world(self, shares: Shares, seed: int) -> World:
        """The world of a seed; the same arguments give the same bits, whatever was drawn before.

        Raises:
            DataError: The data do not allow such parts.
        """


def split_world(dataset: PairedDataset, shares: Shares, seed: int) -> World:
    """The world of a seed whose parts are parts of one data set; see ``splits.split``."""
    parts = split(dataset, shares, seed)
    train, valid, test = (Part(dataset, indices) for indices in (parts.train, parts.valid, parts.test))
    notes = [*_lacking("validation", valid, "valid"), *_lacking("test", test, "test")]
    if not len(test) and shares.test and shares.test_pairs != 0:
        notes.append("There are no test pairs, as no class has enough groups for them; validation pairs stand in.")
    return World(train, valid, test, (*dataset.notes, *notes))


def _lacking(word: str, part: Part, name: str) -> Iterator[str]:
    """A note on classes without pairs in a part, if the part has pairs at all."""
    there = set(part.labels.tolist())
    missing = [repr(label) for number, label in enumerate(part.dataset.info.classes) if number not in there]
    declared = name in part.dataset.assigned
    why = "in the split that comes with the data" if declared else "which has too few groups"
    if there and missing:
        yield f"There are no {word} pairs of class {', '.join(missing)}, {why}."
