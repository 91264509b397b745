"""The bytes of a file of a data set, also where copies and checkouts hold something else in its place."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from data_utils.errors import DataError
from data_utils.layouts.paths import composed, dvc_pointer, folders, is_missing, missing_in

_STUB_BYTES = 1024  # a link's target or a pointer to large-file storage is shorter, an image hardly ever is
_STUBS = 8  # a chain of links that is longer is a loop
_POINTERS = {
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself; fetch it with git lfs pull",
    b"/annex/objects/": "a pointer of git-annex, not the file itself; fetch it with git annex get",
}


def content(path: Path, remedy: str) -> bytes:
    """The bytes of a file; those of another file if this one holds its name in place of a link.

    Args:
        path: The file.
        remedy: What to do if it cannot be read, for the message.

    Raises:
        DataError: The file is missing, cannot be read, or is a pointer to a file that was not fetched.
    """
    for _ in range(_STUBS):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise DataError(f"{missing(path)}; {remedy}.") from None
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); {remedy}.") from None
        target = _stub(path, data)
        if target is None:
            return data
        path = target
    raise DataError(f"{path} is the end of a chain of links; restore the file itself.")


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


def _stub(path: Path, data: bytes) -> Path | None:
    """The file that a small text file stands for, as copies and checkouts without symbolic links leave it."""
    if len(data) > _STUB_BYTES or b"\0" in data:
        return None
    for beginning, pointer in _POINTERS.items():
        if data.startswith(beginning):
            raise DataError(f"{path} is {pointer}.")
    try:
        name = data.decode("utf-8").strip()
        target = path.parent / name
        return target if name and "\n" not in name and target.is_file() else None
    except (UnicodeDecodeError, OSError, ValueError):
        return None
