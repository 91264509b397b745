"""``python -m bench tables``: the tables of a run, again."""

import argparse
from pathlib import Path

from bench.commands.runs import Commands, print_tables, read_probes, read_run, records_path
from bench.tables import conditions
from bench.tables.tabulation import write_tables


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("tables", help="write and print the tables of a run from its records")
    parser.add_argument("run", type=Path, help="folder of a run, or a records file")
    parser.add_argument("--out", type=Path, help="folder for the tables; default: tables/ beside the records")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Write and print."""
    found = read_run(options.run)
    folder = options.out or records_path(options.run).parent / "tables"
    made = write_tables(found, folder, read_probes(options.run))
    print("\n".join(conditions(found)))
    print_tables(made)
    print(f"written to {folder}")
    return 0
