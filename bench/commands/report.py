"""``python -m bench report``: runs as one page to look at."""

import argparse
from pathlib import Path

from bench import baseline
from bench.commands.runs import Commands, read_probes, read_run, records_path
from bench.report.gallery import Run


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("report", help="write one HTML page of runs, or of the committed records")
    parser.add_argument(
        "runs",
        type=Path,
        nargs="*",
        metavar="RUN",
        help="folder of a run, or a records file; default: the committed records",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where to write it; default: report.html beside the first run's records, "
        "results/runs/report.html for the committed records",
    )
    parser.add_argument(
        "--dataset",
        default="",
        metavar="PATH",
        help="where the files of the runs' data lie, for the sample predictions; simulated data need none",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Write the page."""
    # Imported here: matplotlib takes its time to load, and few commands need it.
    from bench.report.page import page

    if options.runs:
        runs = [_read(path) for path in options.runs]
        folder = records_path(options.runs[0]).parent
    else:
        runs = [Run("the committed records", baseline.read(), baseline.committed_probes(), None)]
        folder = baseline.ROOT / "results" / "runs"
    path = options.out or folder / "report.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(runs, dataset=options.dataset), encoding="utf-8")
    print(f"written to {path}")
    return 0


def _read(path: Path) -> Run:
    return Run(str(path), read_run(path), read_probes(path), records_path(path).parent)
