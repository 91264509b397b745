"""Cells on several devices: which one gets which, and how long a study would take on a number of them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from heapq import heapify, heapreplace


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


@dataclass(frozen=True)
class Schedule:
    """A study on equal devices, the costliest cell first.

    Attributes:
        devices: Their number.
        seconds: From the start of the first cell to the end of the last one.
        idle: The share of all devices' time in which nothing is trained, in [0, 1).
    """

    devices: int
    seconds: float
    idle: float


def schedule(seconds: Collection[float], devices: int, *, beside: float = 0.0) -> Schedule:
    """Give the next cell to the first device that is free, the costliest first.

    Args:
        seconds: Of each cell; at least one, and all positive.
        devices: At least 1.
        beside: What a cell takes on its device beside that, in seconds.
    """
    cells = {str(number): cell + beside for number, cell in enumerate(seconds)}
    loads = [0.0] * devices
    for name, device in partition(cells, devices).items():
        loads[device - 1] += cells[name]
    return Schedule(devices, max(loads), 1 - sum(seconds) / (devices * max(loads)))
