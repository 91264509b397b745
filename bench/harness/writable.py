"""Whether files can be written, found out before anything is trained by writing one."""

import os
import tempfile
from pathlib import Path

_BYTES = 65_536  # more than the records of a cell


def why_no_folder(folder: Path) -> str:
    """Why a folder cannot be made or written to, "" if it can; the folder is made.

    Permissions tell too little: file systems can be read-only, full, or over a quota.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return ""


def why_no_file(path: Path) -> str:
    """Why a file cannot be written, "" if it can; its folder is made, an existing file is left as it is."""
    if path.is_dir():
        return "it is a folder"
    existed = path.exists()
    if reason := "" if existed else why_no_folder(path.parent):
        return reason
    try:
        path.open("ab").close()
        if not existed:
            path.unlink()
    except OSError as error:
        return error.strerror or str(error)
    return ""
