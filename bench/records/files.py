"""Files of records: strict JSON, one record per line, on the disk before the writer goes on.

Whole files of any kind are written by ``write_file``.
"""

import codecs
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from fusiongauge import FusionGaugeError, printable

Record = TypeVar("Record")


class RecordError(FusionGaugeError, ValueError):
    """Records that cannot be used; the message names the file, the line and the remedy."""


def append(path: Path, record: msgspec.Struct) -> None:
    """Add one line to a file and have it on the disk before returning; a missing file is created.

    Raises:
        OSError: The file cannot be written; what was written of the line is left out by ``read``.
        ValueError: The record holds a number that JSON lacks; the file is left as it was.
    """
    line = _line(record)
    with path.open("a+b") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # a line that was cut off would spoil this one
                file.seek(0)
                content = file.read()
                *_, last = content.split(b"\n")
                if _is_whole(last):
                    file.write(b"\n")
                else:
                    file.truncate(len(content) - len(last))
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def write_records(path: Path, records: Iterable[msgspec.Struct]) -> None:
    """Write a file of records in one step; without records there is no file.

    Raises:
        OSError: The file cannot be written; it is left as it was.
        ValueError: A record holds a number that JSON lacks; likewise.
    """
    if content := b"".join(map(_line, records)):
        write_file(path, content)
    else:
        path.unlink(missing_ok=True)


def write_file(path: Path, content: bytes | str) -> None:
    """Write a whole file in one step: whatever ends the writer, the file is the earlier one or the new one.

    Missing folders are made. Text is written in UTF-8. A link stays a link; a pipe or a terminal is written to.

    Raises:
        OSError: The file cannot be written; the error names it, and the earlier file is left as it was.
    """
    content = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    target = path.resolve()
    part = target.with_name(f".{os.getpid()}.part")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _line(record: msgspec.Struct) -> bytes:
    """A record as a line of its file.

    Raises:
        ValueError: It holds a number that JSON lacks.
    """
    record = escaped(record)
    line = msgspec.json.encode(record)
    if _decode(line, type(record)) != record:  # msgspec writes null for NaN and infinity
        raise ValueError(f"the record is not JSON compliant, it holds NaN, infinity or a tuple: {record}")
    return line + b"\n"


def escaped(record: Record) -> Record:
    """The record with ``fusiongauge.printable`` text; itself if all its text is."""
    content = msgspec.to_builtins(record)
    printed = _printable(content)
    return record if printed == content else msgspec.convert(printed, type(record))


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {_printable(key): _printable(each) for key, each in value.items()}
    return [_printable(each) for each in value] if isinstance(value, list) else value


class Outbox:
    """Records on their way to the disk.

    One that cannot be written, or whose writing is interrupted, waits and is written with a later one.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Path, msgspec.Struct]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, path: Path, record: msgspec.Struct) -> None:
        """Append a record to a file, after those that wait.

        Raises:
            OSError: A file cannot be written.
            ValueError: See ``append``; the record does not wait.
        """
        self._waiting.append((path, record))
        self.send()

    def send(self) -> None:
        """Append the records that wait.

        Raises:
            OSError: A file cannot be written.
        """
        while self._waiting:
            try:
                append(*self._waiting[0])
            except ValueError:  # will not be JSON later either
                del self._waiting[0]
                raise
            del self._waiting[0]

    def redirect(self, folder: Path) -> None:
        """Have the records that wait be written to files of the same names in another folder."""
        self._waiting = [(folder / path.name, record) for path, record in self._waiting]


def read(path: Path, kind: type[Record]) -> list[Record]:
    """The records of a file, in the order they were written; see ``parse``.

    Raises:
        RecordError: The file is missing, or a line cannot be read.
    """
    if not path.is_file():
        raise RecordError(f"{path}: this file does not exist; give the folder of a run, or its {path.name}")
    return parse(path.read_bytes(), str(path), kind)


def holds_records(path: Path) -> bool:
    """Whether a file has a line at all; a single one that was cut off does not count."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        line = file.readline()
    return line.endswith(b"\n") or _is_whole(line)


def parse(content: bytes, source: str, kind: type[Record]) -> list[Record]:
    """The records in a file's content, one per line.

    A last line that was cut off (a power failure, a full disk) is left out; one that lacks only its end, as some
    editors leave it, is read. Empty lines and a byte order mark are nothing. Fields that this version does not
    know are ignored, and fields that the writer did not know have their defaults.

    Args:
        content: Of the file.
        source: The file's name in messages.
        kind: The type of the records.

    Raises:
        RecordError: A line cannot be read, or the file is not text.
    """
    if b"\0" in content[:16]:  # as near the beginning of compressed files, and of text in UTF-16
        raise RecordError(f"{source}: not text in UTF-8; unpack the file if it is compressed, or give another one")
    *lines, last = content.removeprefix(codecs.BOM_UTF8).split(b"\n")
    lines += [last] if _is_whole(last) else []
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            records.append(_decode(line, kind))
        except (ValueError, UnicodeDecodeError) as error:
            raise RecordError(
                f"{source}, line {number}: not a {_name(kind)} ({error}); remove the line or rerun the benchmark"
            ) from error
    return records


def _is_whole(line: bytes) -> bool:
    """Whether a line is JSON, which no beginning of a record is."""
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def convert(values: dict[str, Any], kind: type[Record]) -> Record:
    """A record from plain JSON types, as ``msgspec.to_builtins`` makes them.

    Raises:
        RecordError: A field is missing or of another type.
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise RecordError(f"not a {_name(kind)}: {error}") from error


def _decode(line: bytes, kind: type[Record]) -> Record:
    return msgspec.json.decode(line, type=kind)


def _name(kind: object) -> str:
    return getattr(kind, "__name__", "record")  # a union of types has no name
