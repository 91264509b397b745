"""``python -m bench``: look at runs again. Trains nothing."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import records
from bench.comparison import comparison_table, facts
from bench.records import RecordError, RunRecord
from bench.session import write_tables
from bench.tables import TextTable, as_text, conditions


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, or 2 where its input cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Look at runs again; trains nothing.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    tables = commands.add_parser("tables", help="write and print the tables of a run from its records")
    tables.add_argument("run", type=Path, help="folder of a run, or a records file")
    tables.add_argument("--out", type=Path, help="folder for the tables; default: tables/ beside the records")
    tables.set_defaults(command=_tables)

    compare = commands.add_parser("compare", help="print what changed from run A to run B")
    compare.add_argument("a", type=Path, help="folder of the earlier run, or a records file")
    compare.add_argument("b", type=Path, help="folder of the later run, or a records file")
    compare.set_defaults(command=_compare)

    options = parser.parse_args(arguments)
    try:
        options.command(options)
    except RecordError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _tables(options: argparse.Namespace) -> None:
    path = _records_path(options.run)
    found = _read(path)
    folder = options.out or path.parent / "tables"
    made = write_tables(found, folder)
    print("\n".join(conditions(found)))
    _print(made)
    print(f"written to {folder}")


def _compare(options: argparse.Namespace) -> None:
    before, now = (_read(_records_path(path)) for path in (options.a, options.b))
    table = comparison_table([facts(record) for record in before], [facts(record) for record in now])
    if table is None:
        raise RecordError(f"{options.a} and {options.b} have no completed cell in common")
    _print([table])


def _records_path(run: Path) -> Path:
    return run / "records.jsonl" if run.is_dir() else run


def _read(path: Path) -> list[RunRecord]:
    found = records.read(path)
    if not found:
        raise RecordError(f"{path}: holds no record; give the folder of a run in which a cell has ended")
    return found


def _print(made: Sequence[TextTable]) -> None:
    for table in made:
        print(as_text(table, color=sys.stdout.isatty()))


if __name__ == "__main__":
    sys.exit(main())
