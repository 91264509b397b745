"""How busy other processes keep the machine while something is timed: times of a busy machine are rough."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_STAT = _PROC / "stat"
_IDLE = (3, 4)  # columns of /proc/stat that are not work: idle, and waiting for a disk
_COLUMNS = 8  # guests, which follow, are counted as user time already
_NAMED, _LEAST = 5, 0.1


class OtherLoad:
    """The work of other processes, from the moment this is made."""

    def __init__(self) -> None:
        self._start = _work()

    @property
    def cores(self) -> float | None:
        """Cores that other processes, and other guests of the same host, kept busy on average; None if unknown."""
        now = _work()
        if now is None or self._start is None or now[0] <= self._start[0]:
            return None
        elapsed, everything, own = (b - a for a, b in zip(self._start, now, strict=True))
        return max(0.0, everything - own) / elapsed


@dataclass(frozen=True)
class Others:
    """What other processes did for a while.

    Attributes:
        cores: That they kept busy on average, other guests of the same host included.
        of: How many there are.
        busiest: Name, number and cores of those that kept a tenth of a core busy, the busiest first.
    """

    cores: float
    of: int
    busiest: tuple[tuple[str, int, float], ...]

    def __str__(self) -> str:
        named = ", ".join(f"{name} (pid {pid}) {cores:.1f}" for name, pid, cores in self.busiest[:_NAMED])
        return f"{self.cores:.1f} of {self.of} cores busy{f': {named}' if named else ''}"


def others(seconds: float = 1.0) -> Others | None:
    """What other processes do in the coming seconds; None where the system does not tell."""
    load, before, start = OtherLoad(), _by_process(), time.perf_counter()
    time.sleep(seconds)
    cores, after, elapsed = load.cores, _by_process(), time.perf_counter() - start
    if cores is None:
        return None
    shares = [
        (name, pid, (worked - before[pid][1]) / elapsed) for pid, (name, worked) in after.items() if pid in before
    ]
    busy = sorted((share for share in shares if share[2] >= _LEAST), key=lambda share: -share[2])
    return Others(cores, os.cpu_count() or 1, tuple(busy))


def _by_process() -> dict[int, tuple[str, float]]:
    """By number, the name of every other process that can be seen, and the seconds that it has worked."""
    found = {}
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError, ValueError):  # it has ended
            # "pid (name) state ...": a name may hold spaces and parentheses; proc(5) counts utime as field 14.
            start, _, rest = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
            ticks = sum(map(int, rest.split()[11:13]))
            found[int(folder.name)] = (start.partition("(")[2], ticks / os.sysconf("SC_CLK_TCK"))
    found.pop(os.getpid(), None)
    return found


def _work() -> tuple[float, float, float] | None:
    """The time, and the seconds that all processors and this process have worked; None where they are unknown."""
    try:
        words = _STAT.read_text(encoding="ascii").partition("\n")[0].split()[1 : _COLUMNS + 1]
        ticks = sum(int(word) for column, word in enumerate(words) if column not in _IDLE)
    except (OSError, ValueError):
        return None
    return time.perf_counter(), ticks / os.sysconf("SC_CLK_TCK"), time.process_time()
