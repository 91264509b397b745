"""Names of files in data sets: which of them are data, and where a name that a data set states leads to."""

import os
import posixpath
import re
import unicodedata
from collections import defaultdict
from pathlib import Path

from data_utils.errors import DataError

_BY_SYSTEMS = ("__MACOSX", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN", "@eaDir")


def is_data(name: str) -> bool:
    """Whether a file or folder of this name can be data: systems and editors write others (``._0001.png``)."""
    return not name.startswith(".") and name not in _BY_SYSTEMS


def entries(folder: Path) -> list[Path]:
    """The files and folders that can be data, sorted."""
    return sorted(path for path in folder.iterdir() if is_data(path.name))


def folders(folder: Path) -> list[Path]:
    """The folders that can hold data, sorted."""
    return [path for path in entries(folder) if path.is_dir()]


class Inside:
    """The files that a data set names, all of them in its folder; links there are followed.

    Names written on Windows are understood: backslashes separate folders, and the case of letters does not count,
    where no file has the name as it stands.

    Args:
        root: The folder of the data set.
        place: Where the names stand, for messages.
    """

    def __init__(self, root: Path, place: str) -> None:
        self._root, self._place = root, place
        self._names: dict[Path, dict[str, list[str]]] = {}

    def path(self, name: str) -> Path:
        """The file of a name relative to the folder.

        Raises:
            DataError: The name leads out of the folder.
        """
        relative = name
        if "\\" in name and not os.path.lexists(self._root / name):
            relative = name.replace("\\", "/")
        normal = posixpath.normpath(relative)
        if normal.startswith("/") and Path(normal).is_relative_to(self._root.absolute()):
            normal = str(Path(normal).relative_to(self._root.absolute()))
        if normal.startswith(("/", "../")) or normal == ".." or re.match(r"[A-Za-z]:/", normal):
            raise DataError(
                f"{self._place} names {name!r}, which is outside of its folder; move the file into the folder and "
                "give the path relative to it."
            )
        path = self._root / normal
        return path if os.path.lexists(path) else self._alike(normal) or path

    def _alike(self, relative: str) -> Path | None:
        """The only file whose name differs in the case of letters or its encoding; None if there is none."""
        path = self._root
        for part in relative.split("/"):
            if path not in self._names:
                names = self._names[path] = defaultdict(list)
                for entry in path.iterdir() if path.is_dir() else ():
                    names[_key(entry.name)].append(entry.name)
            same = self._names[path].get(_key(part), [])
            if len(same) != 1:
                return None
            path /= same[0]
        return path


def _key(name: str) -> str:
    """What names have in common that were written under other systems: old archives hold them in Latin-1."""
    raw = os.fsencode(name)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return unicodedata.normalize("NFC", text).casefold()
