"""``python -m bench nightly``: a run beside the last good one of its device."""

import argparse
from pathlib import Path

from bench.analysis import gate
from bench.analysis.nightly import last_good, last_good_path, shortcomings, summary
from bench.commands.runs import Commands, read_run, records_path


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "nightly",
        help="compare a run with the last good one of its device, and sum it up in Markdown",
        epilog="Exit status: 0; 1 where a cell was not completed or --fail-on does not hold; 2 for input that "
        "cannot be used. A first run has nothing to be compared with and passes.",
    )
    parser.add_argument("run", type=Path, help="folder of a run, or a records file")
    add_last_good(parser)
    parser.add_argument("--fail-on", default="", metavar="RULES", help=gate.FAIL_ON_HELP)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="where to write it; default: summary.md beside the records"
    )
    parser.set_defaults(command=run)


def add_last_good(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where good runs are kept."""
    parser.add_argument(
        "--last-good",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="where good runs are kept, a file for each profile and device",
    )


def run(options: argparse.Namespace) -> int:
    """Compare, write the summary, and print what is wrong."""
    rules = gate.parse(options.fail_on)
    now = read_run(options.run)
    before = last_good(options.last_good, now)
    path = options.out or records_path(options.run).parent / "summary.md"
    path.write_text(summary(rules, before, now), encoding="utf-8")
    if not before:
        print(f"no earlier good run in {last_good_path(options.last_good, now)}")
    found = shortcomings(rules, before, now)
    print("\n".join([*found, f"written to {path}"]))
    return 1 if found else 0
