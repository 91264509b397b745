"""``python -m bench history``: a run as points of a history."""

import argparse
import json
from pathlib import Path

from bench.analysis.history import history
from bench.commands.runs import Commands, read_run, records_path


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "history",
        help="write a run's figures as JSON for github-action-benchmark (customSmallerIsBetter)",
    )
    parser.add_argument("run", type=Path, help="folder of a run, or a records file")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="where to write it; default: history.json beside the records"
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Write the figures."""
    path = options.out or records_path(options.run).parent / "history.json"
    entries = history(read_run(options.run))
    path.write_text(json.dumps(entries, indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(entries)} figures written to {path}")
    return 0
