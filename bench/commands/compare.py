"""``python -m bench compare``: what changed from one run to another."""

import argparse
from pathlib import Path

from bench.commands.runs import Commands, print_tables, read_run
from bench.comparison import comparison_table, facts
from bench.records import RecordError


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("compare", help="print what changed from run A to run B")
    parser.add_argument("a", type=Path, help="folder of the earlier run, or a records file")
    parser.add_argument("b", type=Path, help="folder of the later run, or a records file")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Compare and print."""
    before, now = (read_run(path) for path in (options.a, options.b))
    table = comparison_table([facts(record) for record in before], [facts(record) for record in now])
    if table is None:
        raise RecordError(f"{options.a} and {options.b} have no completed cell in common")
    print_tables([table])
    return 0
