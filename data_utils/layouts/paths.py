"""Names of files in data sets: which are data, which are missing, and where a stated name leads to."""

import os
import posixpath
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from data_utils.errors import DataError
from fusiongauge import quoted

_LONGEST_NAME = 255  # bytes, of a file or a folder
_BY_SYSTEMS = (
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
    *("@eadir", "#recycle", "lost+found"),
)


def is_data(name: str) -> bool:
    """Whether a file or folder of this name can be data: systems and editors write others (``._0001.png``)."""
    return not name.startswith(".") and name.lower() not in _BY_SYSTEMS


def entries(folder: Path) -> list[Path]:
    """The files and folders that can be data, sorted."""
    return sorted(path for path in folder.iterdir() if is_data(path.name))


def folders(folder: Path) -> list[Path]:
    """The folders that can hold data, sorted."""
    return [path for path in entries(folder) if path.is_dir()]


def by_name(paths: Iterable[Path]) -> dict[str, Path]:
    """Paths of one folder by their names; one name in two encodings is one name unless both are there."""
    paths = list(paths)
    counts = Counter(composed(path.name) for path in paths)
    return {name if counts[name := composed(path.name)] == 1 else path.name: path for path in paths}


def dvc_pointer(path: Path) -> Path:
    """The file of dvc that stands for a file or folder until it is fetched."""
    return path.with_name(f"{path.name}.dvc")


def is_missing(path: Path) -> bool:
    """Whether a file or folder is not there, only a link to it or a pointer of dvc."""
    return not path.exists() and (path.is_symlink() or dvc_pointer(path).is_file())


def missing_in(folder: Path) -> list[Path]:
    """The files and folders that are missing in a folder."""
    return list(filter(is_missing, _meant(folder)))


def missing(path: Path) -> str:
    """What is wrong with a path that does not exist, for a message."""
    if path.is_symlink():
        return f"{path} is a link to {path.readlink()}, which does not exist (fetch it: git annex get, dvc pull)"
    if is_missing(path):
        return f"{path} is not there, only its pointer {dvc_pointer(path).name} (fetch it: dvc pull)"
    return f"{path} does not exist"


def refuse_missing(root: Path, chosen: Collection[str] = ()) -> None:
    """Refuse folders that are not there, only links to them or pointers: their data would be left out silently.

    Args:
        root: Has folders of folders.
        chosen: Names of folders. On a level that has some of them, the others do not matter; () for all.

    Raises:
        DataError: A folder of one of the two levels is missing.
    """
    for folder in (root, *of_names(folders(root), chosen)):
        for path in of_names([*folders(folder), *missing_in(folder)], chosen):
            if is_missing(path) and not _stands_for_a_file(path):
                stand_in = "link" if path.is_symlink() else "pointer"
                raise DataError(f"{missing(path)}; mount or fetch the folder, or remove the {stand_in}.")


def of_names(paths: Sequence[Path], names: Collection[str]) -> Sequence[Path]:
    """The paths that have one of the names; all paths if none has."""
    return [path for path in paths if composed(path.name) in names] or paths


def _stands_for_a_file(path: Path) -> bool:
    """Whether what is missing has the name of a file, or is a link of git-annex, which links only files."""
    annexed = path.is_symlink() and "annex" in path.readlink().parts
    return annexed or re.search(r"\.[A-Za-z]\w*$", path.name) is not None


def _meant(folder: Path) -> list[Path]:
    """The entries of a folder, with what pointers of dvc stand for in place of the pointers."""
    return list(dict.fromkeys(path.with_suffix("") if path.suffix == ".dvc" else path for path in entries(folder)))


def file_named(folder: Path, *names: str) -> Path | None:
    """The file in a folder that has the first of these names, in any case of letters; None if there is none.

    It can be missing, so that reading it says so.
    """
    return _named(folder, names, lambda path: path.is_file() or is_missing(path))


def folder_named(folder: Path, *names: str) -> Path | None:
    """The same of a folder in a folder, which is there."""
    return _named(folder, names, Path.is_dir)


def _named(folder: Path, names: Collection[str], wanted: Callable[[Path], bool]) -> Path | None:
    with suppress(OSError):  # no folder, or one that cannot be read
        found = {path.name.lower(): path for path in _meant(folder) if path.name.lower() in names and wanted(path)}
        return next((found[name] for name in names if name in found), None)
    return None


class Inside:
    """The files that a data set names, all of them in its folder; links there are followed.

    Where no file has the name as it stands, names of other systems and programs are understood: backslashes
    separate folders, the case of letters does not count, "~" is the home folder, and addresses such as
    ``file:///data/a%20b.png`` are paths.

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
            DataError: The name leads out of the folder, or is not the name of a file.
        """
        self._require_name(name)
        normal = posixpath.normpath(name if os.path.lexists(self._root / name) else self._translated(name))
        for root in (self._root.absolute(), self._root.resolve()):
            if normal.startswith("/") and Path(normal).is_relative_to(root):
                normal = str(Path(normal).relative_to(root))
        if normal.startswith(("/", "../")) or normal == ".." or re.match(r"[A-Za-z]:/", normal):
            there = next((end for end in _ends(normal) if (self._root / end).is_file()), "")
            remedy = "move the file into the folder and give the path relative to it"
            raise DataError(
                f"{self._place} names {quoted(name)}, which is outside of its folder; "
                f"{f'write {there!r}, which is there' if there else remedy}."
            )
        path = self._root / normal
        return path if os.path.lexists(path) else self._alike(normal) or path

    def _require_name(self, name: str) -> None:
        """Refuse what no file can be called: addresses, contents, texts.

        Raises:
            DataError: The name is something else.
        """
        fault = ""
        if not _can_name_a_file(name):
            fault = "which cannot be the name of a file; save the file in the folder and give its path"
        elif re.match(r"(?!file:)[a-z][a-z0-9+.-]+://", name, re.IGNORECASE):
            fault = "an address on the network; download the file into the folder and give its path"
        if fault and not os.path.lexists(self._root / name):
            raise DataError(f"{self._place} names {quoted(name)}, {fault}.")

    def _translated(self, name: str) -> str:
        """The name as this system would write it."""
        path = re.sub(r"^file://(localhost)?(?=/)", "", name)
        if path.startswith("~/"):
            path = os.path.expanduser(path)  # noqa: PTH111 - the rest stays as it is
        readings = (path, path.replace("\\", "/"), unquote(path), unquote(path.replace("\\", "/")))
        return next((each for each in readings if os.path.lexists(self._root / each)), readings[1])

    def _alike(self, relative: str) -> Path | None:
        """The only file whose name differs in the case of letters or its encoding; None if there is none."""
        path = self._root
        for part in relative.split("/"):
            if path not in self._names:
                names = self._names[path] = defaultdict(list)
                for entry in path.iterdir() if path.is_dir() else ():
                    names[alike(entry.name)].append(entry.name)
            same = self._names[path].get(alike(part), [])
            if len(same) != 1:
                return None
            path /= same[0]
        return path


def _can_name_a_file(name: str) -> bool:
    """Whether a system can have a file of this name, with its folders."""
    try:
        parts = re.split(rb"[/\\]", os.fsencode(name))
    except UnicodeEncodeError:
        return False
    return "\0" not in name and max(map(len, parts)) <= _LONGEST_NAME


def alike(name: str) -> str:
    """What names have in common that differ in the case of letters or in their encoding.

    Old archives hold names in Latin-1, and macOS writes accents as letters of their own.
    """
    try:
        text = os.fsencode(name).decode("utf-8")
    except UnicodeDecodeError:
        text = os.fsencode(name).decode("latin-1")
    except UnicodeEncodeError:  # not the name of a file
        text = name
    return composed(text).casefold()


def composed(text: str) -> str:
    """The text with accents as parts of their letters (Unicode's form NFC), as most systems write them."""
    return unicodedata.normalize("NFC", text)


def partners(files: Mapping[str, Mapping[str, Path]]) -> tuple[dict[str, dict[str, Path]], list[Path]]:
    """The files of several modalities that belong together, as their stems are ``alike`` and no others are.

    Args:
        files: By modality and stem.

    Returns:
        By modality, for each stem of the first one that all have, in order; and the files without a partner.
    """
    counts = [Counter(map(alike, stems)) for stems in files.values()]
    ambiguous = {key for keys in counts for key, count in keys.items() if count > 1}
    keyed = {
        modality: {stem if (key := alike(stem)) in ambiguous else key: path for stem, path in stems.items()}
        for modality, stems in files.items()
    }
    common = set.intersection(*map(set, keyed.values()))
    first = next(iter(files))
    stems = {path: stem for stem, path in files[first].items()}
    ordered = sorted(common, key=lambda key: stems[keyed[first][key]])
    pairs = {
        stems[keyed[first][key]]: {modality: paths[key] for modality, paths in keyed.items()} for key in ordered
    }
    return pairs, [path for paths in keyed.values() for key, path in paths.items() if key not in common]


def _ends(path: str) -> Iterator[str]:
    """The path without its first folder, its first two, and so on."""
    parts = path.split("/")
    return ("/".join(parts[start:]) for start in range(1, len(parts)))


def differing_little(names: Iterable[str]) -> list[str]:
    """The names that are ``alike`` another one but for spaces."""
    names = list(names)
    keys = [re.sub(r"\s+", " ", alike(name)).strip() for name in names]
    return [name for name, key in zip(names, keys, strict=True) if keys.count(key) > 1]
