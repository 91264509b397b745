"""What commands share: reading a run that is named on the command line, and printing tables."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from bench.records import probe as probes
from bench.records import run as records
from bench.records.probe import ProbeRecord
from bench.records.run import RecordError, RunRecord
from bench.tables import TextTable, as_text

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def records_path(run: Path) -> Path:
    """The records file of a run's folder; a records file stands for itself."""
    return run / "records.jsonl" if run.is_dir() else run


def read_run(run: Path) -> list[RunRecord]:
    """The records of a run, the last one of each cell.

    Raises:
        RecordError: there are none, or they cannot be read.
    """
    path = records_path(run)
    found = records.read(path)
    if not found:
        raise RecordError(f"{path}: holds no record; give the folder of a run in which a cell has ended")
    return records.latest(found)


def read_probes(run: Path) -> list[ProbeRecord]:
    """What probes found of the models of a run, or of committed records; nothing where none has run.

    Raises:
        RecordError: the file beside the records cannot be read.
    """
    path = records_path(run)
    name = probes.FILE_NAME if path.name == "records.jsonl" else f"{path.stem}.{probes.FILE_NAME}"
    return probes.read(path.with_name(name))


def print_tables(made: Sequence[TextTable]) -> None:
    """Draw tables on standard output, in color where it is a terminal."""
    for table in made:
        print(as_text(table, color=sys.stdout.isatty()))
