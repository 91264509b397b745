"""The bytes of a file of a data set, also where copies and checkouts hold something else in its place."""

from pathlib import Path

from data_utils.errors import DataError
from data_utils.layouts.paths import missing

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
