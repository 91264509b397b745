"""A folder of data that take long to make, so that later runs start at once. Its size is limited. Loads no torch.

An entry is a file (a small simulation) or a folder (a data set that is mapped). What is being written has a name
that ends in ``.part``; it is renamed when it is complete. Several processes can share the folder.
"""

import shutil
import time
import weakref
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

DEFAULT_LIMIT_BYTES = 4_000_000_000
"""Room for some fifty worlds of 10,000 pairs and 4,000 test pairs, or fifteen of a level with image noise."""

SIMULATION = ".simulation"
"""The suffix of files with a simulation."""

CONTENTS = "dataset.json"
"""The file that a folder with a data set has when it is complete."""

PART = ".part"
"""The suffix of what is being written."""

_ABANDONED_SECONDS = 3600  # since the last write; what it belongs to was killed


@dataclass(frozen=True)
class Cache:
    """Where data are kept.

    Attributes:
        folder: Created if it does not exist.
        limit_bytes: Of all entries together, without those that this process maps, which are never deleted: a
            large one would otherwise leave no room for the others of the same run. 0 to write none.
    """

    folder: Path
    limit_bytes: int = DEFAULT_LIMIT_BYTES

    def shrink(self) -> None:
        """Delete the entries that were used least recently until the rest is within the limit.

        Other processes may read, write and delete entries meanwhile: one that is gone is no error, and one that is
        open or mapped stays readable where it is.
        """
        entries = []
        for path in self.folder.iterdir():
            with suppress(OSError):
                entry = _Entry.of(path)
                if path.suffix == SIMULATION or (path / CONTENTS).is_file():
                    entries += [] if _in_use[path] else [entry]
                elif path.suffix == PART and time.time() - entry.written > _ABANDONED_SECONDS:
                    delete(path)
        total = sum(entry.size for entry in entries)
        for entry in sorted(entries):
            if total <= self.limit_bytes:
                break
            delete(entry.path)
            total -= entry.size


def keep_while(path: Path, owner: object) -> None:
    """Never let this process delete an entry while an object exists that is mapped from it."""
    _in_use[path] += 1
    weakref.finalize(owner, _in_use.subtract, [path]).atexit = False


def delete(path: Path) -> None:
    """Delete a file or a folder, as far as possible."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


class _Entry(NamedTuple):
    """When it was used (ns) and where it is; its size in bytes, and when it was written (s)."""

    used: int
    path: Path
    size: int
    written: float

    @classmethod
    def of(cls, path: Path) -> "_Entry":
        status = path.stat()
        files = [file.stat() for file in path.iterdir()] if path.is_dir() else [status]
        written = max(s.st_mtime for s in (status, *files))
        return cls(status.st_mtime_ns, path, sum(s.st_size for s in files), written)


_in_use: Counter[Path] = Counter()
