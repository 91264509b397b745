"""``python -m bench plots``: the figures of runs."""

import argparse
from pathlib import Path

from bench.commands.runs import Commands, read_probes, read_run, records_path
from bench.records.run import RecordError


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("plots", help="draw the figures of one or more runs from their records")
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="folder of a run, or a records file; several are drawn together",
    )
    parser.add_argument(
        "--out", type=Path, help="folder for the figures; default: plots/ beside the first records"
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Draw, and say what was written."""
    # Imported here: matplotlib takes its time to load, and no other command needs it.
    from bench.plots import write_figures

    found = [record for path in options.runs for record in read_run(path)]
    folder = options.out or records_path(options.runs[0]).parent / "plots"
    probes = [probe for path in options.runs for probe in read_probes(path)]
    written = write_figures(found, folder, probes)
    if not written:
        raise RecordError(
            f"{options.runs[0]}: no cell was completed, so there is nothing to draw; run the benchmark again"
        )
    print("\n".join(map(str, written)))
    return 0
