"""``python -m data_utils``: make simulated pairs as files, check data, look at them, compute their statistics."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from data_utils.checking import check
from data_utils.dataset import DataError, PairedDataset
from data_utils.difficulty import LEVELS
from data_utils.loading import LAYOUTS, load
from data_utils.normalization import ChannelStatistics, batchwise_statistics
from data_utils.pictures import contact_sheet
from data_utils.shapes import simulate


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 1 for problems of a data set, 2 for what cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m data_utils", description="Make, check and look at paired images and range measurements."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    make = commands.add_parser("make", help="write simulated pairs as files")
    make.add_argument("folder", type=Path, help="a new or an empty folder")
    make.add_argument(
        "--dataset",
        choices=list(LEVELS),
        default="shapes",
        metavar="NAME",
        help=f"{', '.join(LEVELS)}; %(default)s",
    )
    make.add_argument("--layout", choices=list(LAYOUTS), default="nvidia-tree", help="default: %(default)s")
    make.add_argument("--pairs", type=int, default=1000, help="how many; default: %(default)s")
    make.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    make.add_argument("--image-size", type=int, default=64, help="rows and columns; default: %(default)s")
    make.set_defaults(command=_make)

    checking = commands.add_parser(
        "check",
        help="look for what makes results wrong",
        description="Counts, shapes, ranges and the sensor of a data set, and what would make results on it "
        "wrong: files without a partner, pairs that are there twice or on both sides of a split, inputs that tell "
        "the class.",
        epilog="Exit status: 0 if all is well, 1 for problems, 2 for wrong usage.",
    )
    checking.add_argument("--json", action="store_true", help="print a JSON object")
    checking.set_defaults(command=_check)

    show = commands.add_parser("show", help="draw a contact sheet: image, range image, points over the image")
    show.add_argument("--out", type=Path, default=Path("contact-sheet.png"), help="default: %(default)s")
    show.add_argument(
        "--shown", type=int, default=12, metavar="N", help="pairs on the sheet; default: %(default)s"
    )
    show.set_defaults(command=_show)

    stats = commands.add_parser(
        "stats",
        help="mean and standard deviation of every channel",
        description='Prints JSON: "mean" and "std" of the images as the notebooks have them in train_stats.json '
        '(the deviation is the mean over batches of 64 images), and "channels" with those of all pixels.',
    )
    stats.add_argument("--out", type=Path, help="also write them there, as train_stats.json")
    stats.set_defaults(command=_stats)

    for reader in (checking, show, stats):
        reader.add_argument("data", help=f"a path, or a simulated data set ({', '.join(LEVELS)})")
        reader.add_argument("--angles-of", default="", metavar="CLASS", help="use this class's angles for all")
        reader.add_argument(
            "--pairs", type=int, help="how many to simulate or about how many to keep; default: all"
        )
        reader.add_argument("--seed", type=int, default=0, help="default: %(default)s")

    options = parser.parse_args(arguments)
    try:
        status: int = options.command(options)
    except (DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return status


def _load(options: argparse.Namespace) -> PairedDataset:
    return load(options.data, pairs=options.pairs, seed=options.seed, angles_of=options.angles_of)


def _make(options: argparse.Namespace) -> int:
    if options.folder.exists() and (not options.folder.is_dir() or any(options.folder.iterdir())):
        raise DataError(f"{options.folder} is not empty; give a new folder.")
    with Progress(console=Console(stderr=True)) as progress:
        level, bar = LEVELS[options.dataset], _Bar(progress, "simulating")
        raw = simulate(options.pairs, options.seed, options.image_size, level, bar)
        LAYOUTS[options.layout].write(options.folder, raw, _Bar(progress, "writing"))
    print(f"{len(raw.labels)} pairs of {options.dataset} written to {options.folder} ({options.layout})")
    return 0


class _Bar:
    """A line of progress."""

    def __init__(self, progress: Progress, what: str) -> None:
        self._progress, self._task = progress, progress.add_task(what, total=None)

    def __call__(self, done: int, asked: int) -> None:
        self._progress.update(self._task, completed=done, total=asked)


def _check(options: argparse.Namespace) -> int:
    try:
        report = check(_load(options), options.seed)
    except DataError as error:
        if options.json:
            print(json.dumps({"error": str(error), "problems": 1}))
        else:
            print(f"{options.data} cannot be read: {error}")
        return 1
    print(json.dumps(report.as_json(), indent=2) if options.json else report.text())
    return 1 if report.findings else 0


def _show(options: argparse.Namespace) -> int:
    dataset = _load(options)
    chosen = torch.linspace(0, len(dataset) - 1, min(options.shown, len(dataset))).round().long().tolist()
    contact_sheet(dataset, chosen).save(options.out, optimize=True)
    print(f"{len(chosen)} of {len(dataset)} pairs drawn in {options.out}")
    return 0


def _stats(options: argparse.Namespace) -> int:
    dataset = _load(options)
    statistics = ChannelStatistics.from_batch(dataset.batch())
    told = {m: {"mean": statistics.mean[m].tolist(), "std": statistics.std[m].tolist()} for m in statistics.mean}
    batchwise = batchwise_statistics(dataset.inputs["rgb"]) if "rgb" in dataset.inputs else {}
    content = json.dumps({**batchwise, "channels": told}, indent=2)
    print(content)
    if options.out:
        options.out.write_text(content + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
