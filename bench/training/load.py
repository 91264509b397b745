"""How busy other processes keep the machine while something is timed: times of a busy machine are rough."""

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE = (3, 4)  # columns of /proc/stat that are not work: idle, and waiting for a disk
_COLUMNS = 8  # guests, which follow, are counted as user time already


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


def _work() -> tuple[float, float, float] | None:
    """The time, and the seconds that all processors and this process have worked; None where they are unknown."""
    try:
        words = _STAT.read_text(encoding="ascii").partition("\n")[0].split()[1 : _COLUMNS + 1]
        ticks = sum(int(word) for column, word in enumerate(words) if column not in _IDLE)
    except (OSError, ValueError):
        return None
    return time.perf_counter(), ticks / os.sysconf("SC_CLK_TCK"), time.process_time()
