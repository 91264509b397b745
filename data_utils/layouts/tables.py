"""Reading the table of a manifest: CSV with any separator and encoding, or parquet."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from data_utils.errors import DataError
from data_utils.layouts.content import content
from fusiongauge import quoted, some

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
"""The endings of tables."""

NO_TEXT = "\0"
"""The cell of a value that is neither text nor a number, such as an embedded image; no cell of a CSV holds it."""

_TABLE = re.compile(r"\.(csv|tsv|xls[xmb]?|ods|parquet)(\.\w+)?$", re.IGNORECASE)  # packed ones too
_SEPARATORS = ",;\t|"
_INVISIBLE = "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff"  # copied from pages and dialogs


class Table(NamedTuple):
    """A table as it was read.

    Attributes:
        rows: Of stripped text; numbered from 1.
        notes: On the reading, a sentence each.
        decimal_commas: Whether a comma can be a decimal point, as it does not separate columns.
    """

    rows: pd.DataFrame
    notes: list[str]
    decimal_commas: bool


def read_table(file: Path, expected: str) -> Table:
    """A table as stripped text.

    The separator is the one that the header line has most of. UTF-16 and UTF-32 are told by a byte order mark or
    by the zeros of the header line. A table that is not UTF-8 either is read as Windows-1252, which leaves a note.

    Args:
        file: A CSV or parquet file.
        expected: The columns that a manifest has, for messages.

    Raises:
        DataError: The file cannot be read as a table.
    """
    try:
        if file.suffix.lower() == ".parquet":
            table = Table(_parquet(file), [], decimal_commas=False)
        else:
            table = _csv(*_text(file))
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); check the path.") from None
    except (UnicodeError, csv.Error) as error:
        raise DataError(f"{file} is not a CSV ({error}); write it with the columns {expected}.") from None
    names = list(table.rows.columns)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{file} has two columns {quoted(twice)}; rename one of them.")
    table.rows.index = pd.RangeIndex(1, len(table.rows) + 1)
    return table


def header(file: Path) -> list[str]:
    """The names of the columns of a CSV; [] of a file that is none."""
    try:
        rows, _ = _rows(_text(file)[0])
        return next(rows, [])
    except (UnicodeError, csv.Error):
        return []


def unread_tables(names: Iterable[str]) -> list[str]:
    """The note on those of these files that are tables and were not read; no note without such files."""
    tables = [name for name in names if _TABLE.search(name)]
    if not tables:
        return []
    readable = any(name.lower().endswith(SUFFIXES) for name in tables)
    remedy = (
        "give its path if it lists the pairs"
        if readable
        else "if it lists the pairs, save it as CSV and give its path"
    )
    return [f"{some(tables)} is not read; {remedy}."]


def _text(file: Path) -> tuple[str, list[str]]:
    data, notes = content(file, "check the path"), []
    encoding = json.detect_encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        if b"\0" in data or encoding != "utf-8":
            raise
        text = data.decode("cp1252", "replace")
        notes = [f"{file.name} is not UTF-8 and was read as Windows-1252; save it as UTF-8 if letters are wrong."]
    if "\0" in text:
        raise csv.Error("it holds zeros, as damaged files do")
    return text, notes


def _csv(text: str, notes: list[str]) -> Table:
    cells, separator = _rows(text)
    names, *rows = [*cells] or [[]]
    if not names:
        raise csv.Error("it is empty")
    for number, row in enumerate(rows, start=1):
        if any(row[len(names) :]):
            raise csv.Error(
                f"row {number} has {len(row)} values for {len(names)} columns; write decimal points, not commas, "
                "or separate with semicolons"
            )
    padded = [row[: len(names)] + [""] * (len(names) - len(row)) for row in rows]
    table = pd.DataFrame(padded, columns=names, dtype=str)
    return Table(table.loc[:, [bool(name) for name in names]], notes, decimal_commas=separator != ",")


def _rows(text: str) -> tuple[Iterator[list[str]], str]:
    """The rows that hold anything, header first, as stripped text; and the separator."""
    text = io.StringIO(text, newline=None).read().lstrip(_INVISIBLE)  # any line ends
    declared = re.match(r"sep=(.)\n", text)  # written by Excel
    if declared:
        text = text[declared.end() :]
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = declared[1] if declared else max(_SEPARATORS, key=first.count)
    lines = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    rows = (list(map(_stripped, line)) for line in lines)
    return filter(any, rows), separator


def _parquet(file: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(file)
    except ImportError:
        raise DataError(
            f"{file} needs the package pyarrow; install it with: pip install 'fusiongauge[parquet]', or save the "
            "table as CSV."
        ) from None
    except (ValueError, TypeError, NotImplementedError, OSError) as error:  # pyarrow's own derive from these
        if isinstance(error, OSError) and error.strerror:
            raise
        reason = " ".join(str(error).split())
        raise DataError(f"{file} is not a parquet file ({reason}); save it again.") from None
    named = [name for name in table.index.names if name]
    table = table.reset_index(named) if named else table
    return table.map(_as_text).astype(str).rename(columns=lambda name: _stripped(str(name)))


def _as_text(value: Any) -> str:
    """A cell as stripped text: of a float all digits; "" of no value, ``NO_TEXT`` of a file or a list."""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return NO_TEXT
    if not pd.api.types.is_scalar(value):
        return NO_TEXT
    return "" if pd.isna(value) else _stripped(str(value))


def _stripped(text: str) -> str:
    """The text without spaces and invisible characters at its ends."""
    return text.strip().strip(_INVISIBLE).strip()
