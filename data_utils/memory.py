"""What data need, which is known before they are read, and what happens when memory runs out. Loads no torch."""

import ctypes
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import disk_usage

from data_utils.cache import Cache
from data_utils.errors import DataError

try:
    import resource
except ImportError:  # Windows lacks these limits
    resource = None  # type: ignore[assignment]

_MESSAGES = ("allocate memory", "not enough memory", "out of memory")

_FEWER_DRAWN = "fewer pairs (--set pairs=N, or a smaller profile of a run) or smaller images (--image-size)"
_FEWER_FILES = "smaller images (--image-size) or fewer classes (classes in dataset.toml)"


@dataclass(frozen=True)
class Need:
    """What the pairs of a data set take, as they are stored.

    Attributes:
        name: Of the data set.
        pairs: Their number.
        stored_bytes: Of all of them.
        cache: The folder that they are mapped from; None if they are in memory.
        limit_bytes: Of the cache.
        drawn: Whether each seed draws pairs of its own, of which a run can have fewer.
    """

    name: str
    pairs: int
    stored_bytes: int
    cache: Path | None = None
    limit_bytes: int = 0
    drawn: bool = False

    def mapped_from(self, cache: Cache) -> "Need":
        """The same with pairs that are mapped."""
        return replace(self, cache=cache.folder, limit_bytes=cache.limit_bytes)

    @property
    def sentence(self) -> str:
        """What is needed, and what there is."""
        seed = " per seed" if self.drawn else ""
        needed = f"{self.pairs:,} pairs of {self.name} take {as_size(self.stored_bytes)}"
        if self.cache is not None:
            return f"{needed}{seed} in {self.cache} and are mapped from there, so they need not fit into memory"
        there = available_bytes()
        return f"{needed} of memory{seed}" + (f"; {as_size(there)} are available" if there is not None else "")

    @property
    def warning(self) -> str:
        """What there is too little of, with the remedy; "" if there is enough, as far as that is known."""
        fewer = _FEWER_DRAWN if self.drawn else _FEWER_FILES
        if self.cache is None:
            there = available_bytes()
            if there is None or self.stored_bytes <= there:
                return ""
            return (
                f"{self.name} needs {as_size(self.stored_bytes)} of memory, but {as_size(there)} are available; "
                f"use {fewer}, or have the pairs mapped from the cache (--cache-size 4GB)"
            )
        free = _free_bytes(self.cache)
        if free is not None and self.stored_bytes > free:
            return (
                f"{self.name} needs {as_size(self.stored_bytes)} in {self.cache}, where {as_size(free)} are free; "
                f"make room there, or use {fewer}"
            )
        if self.stored_bytes > self.limit_bytes:
            return (
                f"{self.name} alone is larger than the limit of the cache, {as_size(self.limit_bytes)}: it stays "
                "there until another run needs room; with a larger --cache-size it is kept"
            )
        return ""


Announce = Callable[[Need], None]
"""Called with what data need, before they are read or made."""


def usable_cores() -> int:
    """The cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def no_announcement(need: Need) -> None:
    """Announce nothing."""


def as_size(count: int) -> str:
    """A number of bytes in words, such as "1.6 GB" (powers of ten)."""
    size, unit = (1e9, "GB") if count >= 1e8 else (1e6, "MB") if count >= 1e5 else (1e3, "kB")
    return f"{count / size:,.1f} {unit}"


def available_bytes() -> int | None:
    """The memory that this process can still take, of the machine, container and shell; None if unknown."""
    limits = [limit for limit in (_of_machine(), _of_container(), _of_shell()) if limit is not None]
    return max(0, min(limits)) if limits else None


@contextmanager
def enough_memory(what: str, needed_bytes: int = 0, fewer: str = _FEWER_FILES) -> Iterator[None]:
    """Turn failed allocations of numpy and torch into a DataError.

    Args:
        what: What was being done, such as "reading kitchen".
        needed_bytes: That it takes at least; 0 if that is not known.
        fewer: How it would take less, for the message.

    Raises:
        DataError: Memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(part in str(error) for part in _MESSAGES):
            raise
        needed = f" ({needed_bytes / 1e6:,.0f} MB for the pairs as stored, and more to work on them)"
        raise DataError(
            f"There is not enough memory for {what}{needed if needed_bytes else ''}; use {fewer}, "
            "or a machine with more memory."
        ) from None


def release_freed_memory() -> None:
    """Return freed memory to the system, as far as the C library can.

    glibc keeps what files of many sizes leave behind when they are decoded in several threads; without this the
    peak of reading is hundreds of megabytes above what is kept.
    """
    with suppress(OSError, AttributeError, TypeError):  # another C library (macOS, musl, Windows)
        ctypes.CDLL(None).malloc_trim(0)


def _of_machine() -> int | None:
    """What Linux can free; all that there is on other systems that tell."""
    with suppress(OSError):
        if told := re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE):
            return int(told[1]) * 1024
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _of_container(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """What the control groups (version 2) of this process leave, the smallest of them; None without limits."""
    left: list[int] = []
    with suppress(OSError, ValueError):
        inner = next(line for line in own.read_text().splitlines() if line.startswith("0::"))[3:].strip("/")
        for folder in (root / inner, *(root / inner).parents):
            with suppress(OSError, ValueError):
                limit = int((folder / "memory.max").read_text())  # "max" is no number
                cached = re.search(r"^file (\d+)", (folder / "memory.stat").read_text(), re.MULTILINE)
                used = int((folder / "memory.current").read_text()) - (int(cached[1]) if cached else 0)
                left.append(limit - used)
            if folder == root:
                break
    return min(left, default=None)


def _of_shell() -> int | None:
    """What ``ulimit -v`` leaves; None without."""
    if resource is None:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    with suppress(OSError, ValueError, IndexError):
        return limit - int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    return limit


def _free_bytes(folder: Path) -> int | None:
    """Of the disk that a folder is on, or will be."""
    for place in (folder, *folder.absolute().parents):
        with suppress(OSError):
            return disk_usage(place).free
    return None
