"""What names decoded files in a cache: the files, what is declared of them, and the code that decodes."""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import PIL

from fusiongauge import tree_sha256

_CODE = (
    *("../dataset", "../decoding", "../geometry", "../mapped"),
    *("column", "content", "listing", "media", "planes", "reading", "sizes"),
)
"""The modules that decide what is stored, and the hashes of it."""


def files_key(files: Iterable[Path], declared: object) -> str:
    """The name in a cache of what these files hold, by their names, sizes and times of change.

    Raises:
        OSError: A file cannot be found.
    """
    known = (_code_sha256(), np.__version__, PIL.__version__, declared)
    digest = hashlib.sha256(repr(known).encode("utf-8", "replace"))
    for file in files:
        status = file.stat()
        digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return f"decoded-{digest.hexdigest()[:16]}"


@cache
def _code_sha256() -> str:
    folder = Path(__file__).parent
    return "".join(tree_sha256(folder / f"{name}.py") for name in _CODE)
