"""Reading the table of a manifest: CSV with any separator and encoding, or parquet."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from data_utils.errors import DataError
from data_utils.layouts.content import content

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
"""The endings of tables."""

_SEPARATORS = ",;\t|"


def read_table(file: Path, expected: str) -> tuple[pd.DataFrame, list[str]]:
    """A table as stripped text; row numbers count from 1.

    The separator is the one that the header line has most of. UTF-16 and UTF-32 are told by a byte order mark or
    by the zeros of the header line. A table that is not UTF-8 either is read as Windows-1252, which leaves a note.

    Args:
        file: A CSV or parquet file.
        expected: The columns that a manifest has, for messages.

    Returns:
        The table, and the notes.

    Raises:
        DataError: The file cannot be read as a table.
    """
    notes: list[str] = []
    try:
        if file.suffix.lower() == ".parquet":
            table = _parquet(file)
        else:
            text, notes = _text(file)
            table = _csv(text)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); check the path.") from None
    except (UnicodeError, csv.Error) as error:
        raise DataError(f"{file} is not a CSV ({error}); write it with the columns {expected}.") from None
    table.index = pd.RangeIndex(1, len(table) + 1)
    return table, notes


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


def _csv(text: str) -> pd.DataFrame:
    text = io.StringIO(text, newline=None).read()  # any line ends
    declared = re.match(r"sep=(.)\n", text)  # written by Excel
    if declared:
        text = text[declared.end() :]
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = declared[1] if declared else max(_SEPARATORS, key=first.count)
    lines = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    rows = [[cell.strip() for cell in line] for line in lines if any(map(str.strip, line))]
    if not rows:
        raise csv.Error("it is empty")
    header, *rows = rows
    names = [name for name in header if name]
    if len(set(names)) < len(names):
        raise csv.Error("a column is named twice")
    for number, row in enumerate(rows, start=1):
        if any(row[len(header) :]):
            raise csv.Error(
                f"row {number} has {len(row)} values for {len(header)} columns; write decimal points, not commas, "
                "or separate with semicolons"
            )
    padded = [row[: len(header)] + [""] * (len(header) - len(row)) for row in rows]
    table = pd.DataFrame(padded, columns=header, dtype=str)
    return table[names]


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
    return (table.reset_index(named) if named else table).map(_as_text).astype(str).rename(columns=str)


def _as_text(value: Any) -> str:
    """A cell as stripped text: of a float all digits; an empty one is no value. Columns of anything are text."""
    if isinstance(value, bytes):
        return value.decode(errors="replace").strip()
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    return str(value).strip()
