"""``python -m bench keep``: make a run the last good one of its device."""

import argparse
from pathlib import Path

from bench.analysis.nightly import keep
from bench.commands.nightly import add_last_good
from bench.commands.runs import Commands, read_run


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("keep", help="make a run the last good one, which later ones are compared with")
    parser.add_argument("run", type=Path, help="folder of a run, or a records file")
    add_last_good(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Keep the run's records."""
    print(f"kept in {keep(options.last_good, read_run(options.run))}")
    return 0
