"""Reading the table of a manifest: CSV with any separator and encoding, or parquet."""

import csv
import io
import re
from pathlib import Path

import pandas as pd

from data_utils.errors import DataError

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
"""The endings of tables."""

_SEPARATORS = ",;\t|"
_ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


def read_table(file: Path, expected: str) -> tuple[pd.DataFrame, list[str]]:
    """A table as stripped text; row numbers count from 1.

    The separator is the one that the header line has most of. A table that is neither UTF-8 nor begins with a byte
    order mark is read as Windows-1252, which leaves a note.

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
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError, csv.Error) as error:
        reason = " ".join(str(error).split())  # pandas' messages have several lines
        raise DataError(f"{file} is not a CSV ({reason}); write it with the columns {expected}.") from None
    table.columns = table.columns.str.strip()
    table = table.apply(lambda column: column.str.strip())
    table.index = pd.RangeIndex(1, len(table) + 1)
    return table, notes


def _text(file: Path) -> tuple[str, list[str]]:
    data = file.read_bytes()
    encoding = next((name for mark, name in _ENCODINGS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding), []
    except UnicodeDecodeError:
        if b"\0" in data or encoding != "utf-8":
            raise
        note = f"{file.name} is not UTF-8 and was read as Windows-1252; save it as UTF-8 if letters are wrong."
        return data.decode("cp1252", "replace"), [note]


def _csv(text: str) -> pd.DataFrame:
    declared = re.match(r"sep=(.)\r?\n", text)  # written by Excel
    if declared:
        text = text[declared.end() :]
    header = next((line for line in text.splitlines() if line.strip()), "")
    separator = declared[1] if declared else max(_SEPARATORS, key=header.count)
    return pd.read_csv(
        io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, skipinitialspace=True, index_col=False
    )


def _parquet(file: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(file)
    except ImportError:
        raise DataError(
            f"{file} needs the package pyarrow; install it with: pip install 'fusiongauge[parquet]', or save the "
            "table as CSV."
        ) from None
    except (ValueError, TypeError) as error:  # pyarrow's own errors derive from these
        reason = " ".join(str(error).split())
        raise DataError(f"{file} is not a parquet file ({reason}); save it again.") from None
    # repr() of a float has all its digits; an empty cell is no value.
    return table.map(lambda value: "" if value is None or value != value else str(value)).astype(str)
