"""``python -m bench baseline``: the committed records, and what is made from them."""

import argparse
from pathlib import Path

from bench import baseline
from bench.commands.runs import Commands, read_probes, read_run


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "baseline",
        help="make the committed tables, the ledger of claims and the README's tables from their records",
    )
    parser.add_argument(
        "--add",
        action="extend",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="add these runs' records first",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Add what was given, then write every generated file."""
    for path in options.add:
        print(f"{baseline.add(read_run(path), read_probes(path))} records added from {path}")
    for path in baseline.write():
        print(f"{'written' if path.is_file() else 'removed'}: {path.relative_to(baseline.ROOT)}")
    return 0
