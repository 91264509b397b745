"""``python -m bench corruptions``: a picture of what the robustness benchmark does to inputs."""

import argparse
from pathlib import Path

from bench.commands.runs import Commands
from bench.config import FIRST_SEED
from bench.harness.options import DATASET_HELP, OptionError
from bench.probes.sheet import corrupted_sheet
from bench.studies import STUDIES
from data_utils import DATASETS, load

_PAIRS = 64
"""Of simulated data: enough for the statistics that stand in for a missing modality."""


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("corruptions", help="draw a pair under every corruption of the robustness study")
    parser.add_argument("file", type=Path, help="the PNG to write")
    parser.add_argument(
        "--dataset", default=STUDIES["robustness"].dataset, metavar="NAME-or-PATH", help=DATASET_HELP
    )
    parser.add_argument("--pair", type=int, default=0, help="number of the pair; default: %(default)s")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Draw and write."""
    dataset = load(options.dataset, pairs=_PAIRS if options.dataset in DATASETS else None)
    if not 0 <= options.pair < len(dataset):
        raise OptionError(f"--pair {options.pair}: give a number from 0 to {len(dataset) - 1}")
    sheet = corrupted_sheet(dataset, options.pair, FIRST_SEED)
    try:
        sheet.save(options.file, "PNG", optimize=True)
    except OSError as error:
        raise OptionError(f"{options.file}: cannot be written ({error.strerror}); give another file") from error
    print(f"written to {options.file}")
    return 0
