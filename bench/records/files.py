"""Files of records: strict JSON, one line a record, on the disk before the writer goes on. Knows no record."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class RecordError(ValueError):
    """A records file that cannot be used; the message names the file, the line and the remedy."""


def append(path: Path, values: dict[str, Any]) -> None:
    """Add one line to a file and have it on the disk before returning; a file that is missing is made.

    Raises:
        ValueError: a number that JSON lacks; the file is left as it was.
    """
    line = json.dumps(values, allow_nan=False, ensure_ascii=False)
    with path.open("ab") as file:
        # A line that was cut off would spoil the one behind it.
        file.truncate(path.read_bytes().rfind(b"\n") + 1)
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def read(path: Path, parse: Callable[[dict[str, Any]], T]) -> list[T]:
    """The records of a file; see ``parse_lines``.

    Raises:
        RecordError: the file is missing, or a line cannot be read.
    """
    if not path.is_file():
        raise RecordError(f"{path}: no such file; give the folder of a run, or its {path.name}")
    return parse_lines(path.read_bytes(), str(path), parse)


def parse_lines(content: bytes, source: str, parse: Callable[[dict[str, Any]], T]) -> list[T]:
    """What ``parse`` makes of each line of a file, in the order they were written.

    A last line that was cut off (a power failure, a full disk) is left out.

    Args:
        content: of the file.
        source: what to call it in messages.
        parse: JSON object -> record; raises RecordError for one that is no such record.

    Raises:
        RecordError: a line cannot be read.
    """
    *lines, _ = content.split(b"\n")  # what stands behind the last line end was cut off
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            values = json.loads(line, parse_constant=_refuse_constant)
            if not isinstance(values, dict):
                raise RecordError("is not a record but another kind of JSON")
            found.append(parse(values))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RecordError(
                f"{source}, line {number}: not JSON ({error}); remove the line or rerun the benchmark"
            ) from error
        except RecordError as error:
            raise RecordError(f"{source}, line {number}: {error}") from error
    return found


def _refuse_constant(name: str) -> float:
    raise RecordError(f"holds {name}, which is no JSON; remove the line or rerun the benchmark")
