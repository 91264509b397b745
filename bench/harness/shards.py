"""One run in several parts without any process in common: which shard has which cells.

Shards are equal in expected time. They depend on the selection and the expectation alone, so that every process
with the same selection finds the same shards. ``merging.py`` puts them together again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heapify, heapreplace

import msgspec

from bench.config import OptionError


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of a run, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


class ShardPlan(msgspec.Struct, frozen=True):
    """Which shard has which cells; a file in the folder of each of them.

    Attributes:
        number: The shard that the folder is of, counted from 1.
        of: The number of shards.
        cells: The shard of every cell of the whole selection, by the cell's name.
        skipped: The cells of this shard whose model does not fit the data; they get no record.
    """

    number: int
    of: int
    cells: dict[str, int]
    skipped: list[str] = []

    @property
    def file_name(self) -> str:
        """Tells shards apart that share a folder."""
        return f"shard-{self.number}-of-{self.of}.json"


def parse_shard(text: str) -> Shard | None:
    """``"3/16"``, or None for "".

    Raises:
        OptionError: Not two whole numbers, or the first is not one of those from 1 to the second.
    """
    if not text:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    shard = Shard(int(match[1]), int(match[2])) if match else Shard(0, 0)
    if not 1 <= shard.number <= shard.of:
        raise OptionError(f"--shard {text}: give a number and how many there are, such as 3/16, counted from 1")
    return shard


def partition(seconds: Mapping[str, float], shards: int) -> dict[str, int]:
    """The shard of each part, counted from 1: the costliest part first, each to the shard with the least so far.

    The longest shard takes at most 4/3 of the shortest possible time (Graham 1969, "Bounds on multiprocessing
    timing anomalies"). Equal arguments give equal shards, in whatever order the parts are.
    """
    loads = [(0.0, number) for number in range(1, shards + 1)]
    heapify(loads)
    placed = {}
    for name in sorted(seconds, key=lambda name: (-seconds[name], name)):
        load, number = loads[0]
        placed[name] = number
        heapreplace(loads, (load + seconds[name], number))
    return placed
