"""``python -m data_utils``: write simulated pairs as files, check data, draw them, compute their statistics.

torch is imported when a command runs, so that help needs none.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_utils.errors import DataError, UnreadableError
from data_utils.memory import enough_memory
from data_utils.registry import DATASETS, LAYOUTS
from data_utils.simulator.levels import DEFAULT_SIZE, LEVELS
from fusiongauge import (
    FusionGaugeError,
    escape_on_terminals,
    leaving_closed_pipes,
    load_installed_plugins,
    load_plugin,
    user_path,
)

if TYPE_CHECKING:
    from rich.progress import Progress

    from data_utils.dataset import PairedDataset

WRITABLE = ("manifest", "fiftyone", "nvidia-tree")
"""The layouts that ship with a writer; a constant, as asking them loads torch."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0; 1 for problems of a data set; 2 for usage errors; 130 after Ctrl-C.
    """
    escape_on_terminals()
    try:
        with leaving_closed_pipes():
            options = _parser().parse_args(arguments)
            load_installed_plugins()
            for path in options.plugin:
                load_plugin(path)
            status: int = options.command(options)
    except (FusionGaugeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what was being written may be incomplete", file=sys.stderr)
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m data_utils", description="Write, check and draw paired images and range measurements."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    make = commands.add_parser("make", help="write simulated pairs as files")
    make.add_argument("folder", type=user_path, help="a new or empty folder")
    make.add_argument(
        "--dataset",
        choices=list(LEVELS),
        default="shapes",
        metavar="NAME",
        help=f"{', '.join(LEVELS)}; default: %(default)s",
    )
    make.add_argument(
        "--layout",
        default="nvidia-tree",
        metavar="NAME",
        help=f"{', '.join(WRITABLE)}, or one of a plug-in; default: %(default)s",
    )
    make.add_argument(
        "--pairs", type=count, default=1000, metavar="N", help="number of pairs; default: %(default)s"
    )
    make.add_argument("--seed", type=seed, default=0, help="of the simulation; default: %(default)s")
    make.add_argument(
        "--image-size",
        type=count,
        default=DEFAULT_SIZE,
        metavar="PIXELS",
        help="height and width of images in pixels; default: %(default)s",
    )
    make.set_defaults(command=_make)

    checking = commands.add_parser(
        "check",
        help="find problems that make results wrong",
        description="Reports counts, shapes, ranges and the sensor of a data set, and problems that make results "
        "wrong: files without a partner, repeated pairs, leaks between training and validation, inputs that "
        "reveal the class.",
        epilog="Exit status: 0 without problems, 1 with problems, 2 for usage errors.",
    )
    checking.add_argument("--json", action="store_true", help="print a JSON object")
    checking.set_defaults(command=_check)

    show = commands.add_parser("show", help="draw a contact sheet: every modality, and points over the image")
    show.add_argument(
        "--out",
        type=user_path,
        default=Path("contact-sheet.png"),
        metavar="FILE",
        help="the PNG to write; default: %(default)s",
    )
    show.add_argument(
        "--shown", type=count, default=12, metavar="N", help="pairs on the sheet; default: %(default)s"
    )
    show.set_defaults(command=_show)

    stats = commands.add_parser(
        "stats",
        help="mean and standard deviation per channel",
        description='Prints JSON: "mean" and "std" of the images as in train_stats.json of the notebooks (the '
        'deviation is averaged over batches of 64 images), and "channels" with the values over all pixels.',
    )
    stats.add_argument("--out", type=user_path, metavar="FILE", help="also write the JSON to this file")
    stats.set_defaults(command=_stats)

    for reader in (checking, show, stats):
        reader.add_argument("data", help=f"a path, or a data set: {', '.join(DATASETS)}, or one of a plug-in")
        reader.add_argument(
            "--angles-of", default="", metavar="CLASS", help="use the angles of this class for all classes"
        )
        reader.add_argument(
            "--image-size",
            metavar="SIZE",
            help="resize all images to this size: rows, or rows x columns, such as 64 or 48x64; :crop or :pad "
            "keeps the aspect ratio; default: the size of the files",
        )
        reader.add_argument(
            "--pairs",
            type=count,
            metavar="N",
            help="number of pairs to simulate, or for a path the approximate number to keep; default: 10000, or "
            "all",
        )
        reader.add_argument(
            "--seed",
            type=seed,
            default=0,
            help="of simulated pairs, of the choice of --pairs, and of the split that check makes; default: "
            "%(default)s",
        )
    for command in commands.choices.values():
        command.add_argument(
            "--plugin", action="append", default=[], metavar="FILE", help="load this Python file first; repeatable"
        )
    return parser


def count(text: str) -> int:
    """A number of pairs or pixels; messages of argparse have the name of this function."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def seed(text: str) -> int:
    """A seed; likewise."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is negative; give 0 or more")
    return number


def _load(options: argparse.Namespace) -> "PairedDataset":
    from rich.console import Console
    from rich.progress import Progress

    from data_utils.loading import load

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        return load(
            options.data,
            pairs=options.pairs,
            seed=options.seed,
            angles_of=options.angles_of,
            image_size=options.image_size,
            progress=_bar(progress, "reading"),
        )


def _require_folder(file: Path) -> None:
    """Refuse a file in a folder that does not exist.

    Raises:
        DataError: The folder does not exist.
    """
    if not file.parent.is_dir():
        raise DataError(f"{file} cannot be written, as there is no folder {file.parent}; make it first.")


def _make(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import Progress

    from data_utils.simulator.shapes import simulate

    if options.folder.exists() and (not options.folder.is_dir() or any(options.folder.iterdir())):
        raise DataError(f"{options.folder} is not empty; give a new folder.")
    layouts = {name: write for name in LAYOUTS if (write := LAYOUTS[name]().write)}
    if options.layout not in layouts:
        raise DataError(f"The layout {options.layout!r} cannot be written; give one of {', '.join(layouts)}.")
    with Progress(console=Console(stderr=True)) as progress:
        level, bar = LEVELS[options.dataset], _bar(progress, "simulating")
        raw = simulate(options.pairs, options.seed, options.image_size, level, bar)
        layouts[options.layout](options.folder, raw, _bar(progress, "writing"))
    print(f"{len(raw.labels)} pairs of {options.dataset} written to {options.folder} ({options.layout})")
    return 0


def _bar(progress: "Progress", title: str) -> Callable[[int, int], None]:
    task = progress.add_task(title, total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)


def _check(options: argparse.Namespace) -> int:
    from data_utils.audits.checking import check

    problems: tuple[str, ...] = ()
    try:
        dataset: PairedDataset | None = _load(options)
    except UnreadableError as error:
        dataset, problems = error.usable, error.problems
    except DataError as error:
        dataset, problems = None, (str(error),)
    if dataset is None:
        if options.json:
            print(json.dumps({"error": problems[0], "errors": problems, "problems": len(problems)}))
        else:
            for problem in problems:
                print(f"{options.data} cannot be read: {problem}")
        return 1
    fewer = "fewer pairs (--pairs), smaller images (--image-size)"
    with enough_memory(f"checking {options.data}", dataset.stored_bytes, fewer):
        report = check(dataset, options.seed, problems)
    print(json.dumps(report.as_json(), indent=2) if options.json else report.text())
    return 1 if report.findings else 0


def _show(options: argparse.Namespace) -> int:
    import torch
    from PIL import Image

    from data_utils.audits.pictures import contact_sheet

    # Before all data are read.
    _require_folder(options.out)
    if Image.registered_extensions().get(options.out.suffix.lower()) not in Image.SAVE:
        raise DataError(f"{options.out} has no ending of a picture; name a PNG, such as contact-sheet.png.")
    dataset = _load(options)
    pairs = torch.linspace(0, len(dataset) - 1, min(options.shown, len(dataset))).round().long().tolist()
    contact_sheet(dataset, pairs).save(options.out, optimize=True)
    print(f"{len(pairs)} of {len(dataset)} pairs drawn in {options.out}")
    return 0


def _stats(options: argparse.Namespace) -> int:
    from data_utils.normalization import ChannelStatistics, batchwise_statistics

    if options.out:
        _require_folder(options.out)
    dataset = _load(options)
    statistics = ChannelStatistics.of(lambda: map(dataset.batch, dataset.parts()))
    channels = {
        m: {"mean": statistics.mean[m].tolist(), "std": statistics.std[m].tolist()} for m in statistics.mean
    }
    images = [name for name in dataset.inputs if dataset.modality(name).kind == "image"]
    batchwise = batchwise_statistics(dataset.inputs[images[0]]) if images else {}
    content = json.dumps({**batchwise, "channels": channels}, indent=2)
    print(content)
    if options.out:
        options.out.write_text(content + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
