"""``python -m bench``: look at runs again, audit data and models. Trains nothing."""

import argparse
import sys
from collections.abc import Sequence

from bench.commands import COMMANDS
from bench.harness.options import OptionError
from bench.records.run import RecordError
from data_utils import DataError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 1 for findings, 2 for input it cannot use."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Look at runs again, audit data and models; trains nothing."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.register(commands)
    options = parser.parse_args(arguments)
    try:
        status: int = options.command(options)
    except (RecordError, OptionError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())
