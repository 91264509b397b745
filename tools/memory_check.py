"""Measures what large data sets take: memory, first and second start, epochs from the cache, the cost of a step.

    python -m tools.memory_check files --pairs 20000 --size 64            # writes a folder of pairs, and uses it
    python -m tools.memory_check files --pairs 100000 --size 128 --train-pairs 10000
    python -m tools.memory_check simulated --pairs 100000 --size 128 --train-pairs 10000
    python -m tools.memory_check steps                                    # against float tensors in memory

``files`` and ``simulated`` start two new processes, one after the other, as two runs would be. Each opens the data
with a cache, prepares a world, trains and validates MODEL for an epoch and tests it. Peaks are those of the whole
process: of its resident memory, of the part that is no page of a file (RssAnon), which alone must fit into memory,
and of the latter before torch is used. The second process then takes the training pairs into memory, and trains on
them and on the mapped ones in turns. ``steps`` compares in the same way with pairs that are kept as float tensors.
Memory is measured on Linux only. Times are of this machine as it is: other load is printed. For ``steps`` they are
CPU times, which other load changes less; use one thread (OMP_NUM_THREADS=1), as waiting threads count.
"""

import argparse
import csv
import io
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import geometric_mean, median

import numpy as np
import torch
from PIL import Image

from bench.config import FIRST_SEED, STANDARD, RunConfig
from bench.costs.resident import MODEL, STATUS
from bench.registry import STUDIES
from bench.training.allocator import keep_freed_memory
from bench.training.pairs import Pairs, StoredPairs
from bench.training.preparation import prepare
from bench.training.processes import fresh_process
from bench.training.runs import build_seeded, run_cell
from bench.training.seeding import deterministic
from bench.training.steps import EagerSteps, make_optimizer
from data_utils import DatasetInfo, Shares, Source, World, open_source
from data_utils.cache import Cache
from data_utils.memory import as_size
from data_utils.simulator.levels import LEVELS
from fusion_models import find_model

_FILES = 257
"""Different images of each modality: a prime and the next number, so that no two pairs are equal below 66,306."""


def main(words: Sequence[str]) -> None:
    """Measure what the command line says."""
    options = _parser().parse_args(words)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {torch.get_num_threads()} threads")
    if options.what == "steps":
        compare_steps(options)
        return
    with _folder(options.folder) as folder:
        name = options.level if options.what == "simulated" else str(folder / "data")
        if options.what == "files" and not (folder / "data").exists():
            with timed("written"):
                write_files(folder / "data", options.pairs, options.size)
        for start in ("first start", "second start"):
            print(f"{start}:")
            with fresh_process() as process:
                process.submit(measure, name, folder / "cache", options, compares=start == "second start").result()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["files", "simulated", "steps"])
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--size", type=_size, default=(64, 64), help="rows, or rows x columns; default: 64")
    parser.add_argument(
        "--train-pairs", type=int, default=0, help="pairs of an epoch, drawn from all; default: all"
    )
    parser.add_argument("--level", choices=LEVELS, default="shapes", help="for simulated pairs")
    parser.add_argument("--folder", type=Path, help="kept, and used again; default: a temporary one")
    parser.add_argument("--cache-size", type=float, default=4e9, help="bytes; default: %(default)g")
    parser.add_argument("--rounds", type=int, default=12, help="of comparisons; default: %(default)s")
    parser.add_argument("--steps", type=int, default=25, help="per round and side; default: %(default)s")
    parser.add_argument(
        "--models", default="", help="for steps: a regular expression; default: the standard study"
    )
    return parser


def _size(text: str) -> tuple[int, int]:
    rows, _, columns = text.partition("x")
    return int(rows), int(columns or rows)


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    folder = given or Path(tempfile.mkdtemp(prefix="memory-check-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        print(f"in {folder}, where {as_size(shutil.disk_usage(folder).free)} are free")
        yield folder
    finally:
        if given is None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long something took."""
    start = time.perf_counter()
    yield
    print(f"  {what}: {time.perf_counter() - start:.1f} s", flush=True)


def write_files(folder: Path, pairs: int, size: tuple[int, int]) -> None:
    """Pairs of images and depth in millimeters with a manifest, as a camera with intrinsics records them."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[: size[0], : size[1]]
    contents: dict[str, list[bytes]] = {"rgb": [], "depth": []}
    for number in range(_FILES + 1):
        center = generator.uniform(0.2, 0.8, 2) * size
        distance = np.hypot(rows - center[0], columns - center[1])
        depth = 1000 + 4 * distance + number + generator.integers(0, 8, size)
        smooth = 255 * np.exp(-distance / size[0])
        colors = np.stack([smooth, 255 - smooth, (smooth + number) % 256], axis=2) + generator.integers(
            0, 4, (*size, 3)
        )
        contents["rgb"].append(_png(colors.clip(0, 255).astype(np.uint8)))
        contents["depth"].append(_png(depth.astype(np.uint16)))
    for modality in contents:
        (folder / modality).mkdir(parents=True)
    with (folder / "manifest.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["rgb", "depth", "label", "group", "fx", "fy", "cx", "cy"])
        for pair in range(pairs):
            (folder / "rgb" / f"{pair}.png").write_bytes(contents["rgb"][pair % _FILES])
            (folder / "depth" / f"{pair}.png").write_bytes(contents["depth"][pair % (_FILES + 1)])
            label, focal = ("box", "mug")[pair % 2], max(size)
            table.writerow(
                [f"rgb/{pair}.png", f"depth/{pair}.png", label, pair, focal, focal, size[1] / 2, size[0] / 2]
            )


def _png(values: "np.ndarray[tuple[int, ...], np.dtype[np.uint8 | np.uint16]]") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


class Peak:
    """The largest anonymous memory of this process, sampled 20 times per second."""

    def __init__(self) -> None:
        self.anonymous = 0
        threading.Thread(target=self._sample, daemon=True).start()

    def _sample(self) -> None:
        while True:
            self.anonymous = max(self.anonymous, status("RssAnon"))
            time.sleep(0.05)

    def line(self) -> str:
        """What is known so far."""
        return f"peak {status('VmHWM') / 1e6:,.0f} MB, of which RssAnon at most {self.anonymous / 1e6:,.0f} MB"


def status(field: str) -> int:
    """A field of /proc/self/status in bytes; 0 where there is none."""
    text = STATUS.read_text() if STATUS.is_file() else ""
    told = re.search(rf"^{field}:\s*(\d+) kB", text, re.MULTILINE)
    return int(told[1]) * 1024 if told else 0


@dataclass(frozen=True, eq=False)
class Fixed:
    """A source that always returns the same world."""

    whole: Source
    drawn: World

    @property
    def info(self) -> DatasetInfo:
        """See ``Source``."""
        return self.whole.info

    @property
    def notes(self) -> tuple[str, ...]:
        """See ``Source``."""
        return self.whole.notes

    @property
    def sha256(self) -> str:
        """See ``Source``."""
        return self.whole.sha256

    def world(self, shares: Shares, seed: int) -> World:  # noqa: ARG002
        """See ``Source``."""
        return self.drawn


def measure(name: str, cache: Path, options: argparse.Namespace, *, compares: bool) -> None:
    """Open data, prepare a world, train and test on it, as one run; in a process of its own."""
    keep_freed_memory()
    peak = Peak()
    print(f"  started: {as_size(status('VmRSS'))}, RssAnon {as_size(status('RssAnon'))}")
    shares = Shares(valid=0.2, test=0.2, pairs=options.pairs, test_pairs=4000)
    with timed("opened, and a world drawn"):
        source = open_source(
            name,
            image_size=f"{options.size[0]}x{options.size[1]}" if options.what == "simulated" else None,
            cache=Cache(cache, int(options.cache_size)),
            announce=lambda need: print(f"  {need.sentence}\n  {need.warning}".rstrip(), flush=True),
        )
        world = source.world(shares, FIRST_SEED)
    print(f"  {peak.line()}")
    with timed("hashed"):
        _ = [part.sha256 for part in world.parts.values()]
    most = options.train_pairs or len(world.train)
    world = world.mapped(lambda name, part: part.at_most(most if name == "train" else most // 4, FIRST_SEED))
    fixed = Fixed(source, world)
    with timed(f"scaled by {len(world.train):,} training pairs"), deterministic():
        data = prepare(fixed, STANDARD, FIRST_SEED, "cpu")
    print(f"  {peak.line()}")
    seconds: list[float] = []
    config = RunConfig(replace(STANDARD, epochs=1), dataset=name)
    with timed("one epoch, validation, test and what a run measures beside them"):
        run_cell(
            find_model(MODEL), fixed, FIRST_SEED, config, observe=lambda result: seconds.append(result.seconds)
        )
    print(f"  the epoch: {seconds[0]:.1f} s; {peak.line()}", flush=True)
    if compares:
        dataset = data.train.dataset.take(data.train.pairs)
        in_memory = replace(data.train, dataset=dataset, pairs=torch.arange(len(dataset)))
        ratios = interleaved(MODEL, source, data.train, in_memory, options)
        print(f"  as stored / in memory: {shown(ratios)}")


def compare_steps(options: argparse.Namespace) -> None:
    """The cost of a step that makes its inputs, as a ratio to one whose inputs are float tensors in memory."""
    source = open_source(options.level)
    data = prepare(source, replace(STANDARD, pairs=2000, test_pairs=0), FIRST_SEED, "cpu")
    specs = {name: find_model(name) for name in STUDIES["standard"]().models}
    medians = []
    for name in (name for name in specs if re.search(options.models, name)):
        seen = data.train.seen_by(build_seeded(specs[name], source.info, FIRST_SEED, "cpu"))
        ratios = interleaved(name, source, seen, data.train[:], options, time.process_time)
        medians.append(median(ratios))
        print(f"{name:44} {shown(ratios)}", flush=True)
    print(f"{len(medians)} models: geometric mean {geometric_mean(medians):.3f}, largest {max(medians):.3f}")
    print(f"load {os.getloadavg()[0]:.1f}")


def interleaved(
    model: str,
    source: Source,
    one: StoredPairs,
    other: Pairs,
    options: argparse.Namespace,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """The ratio of the times of the same steps with one kind of pairs and with another, one per round.

    Both sides train a model of their own. Which of them begins changes from round to round.
    """
    networks = [build_seeded(find_model(model), source.info, FIRST_SEED, "cpu").train() for _ in range(2)]
    sides = [
        EagerSteps(network, make_optimizer(network, STANDARD), pairs, STANDARD)
        for network, pairs in zip(networks, (one, other), strict=True)
    ]
    order = torch.randperm(len(one), generator=torch.Generator().manual_seed(FIRST_SEED))
    batches = order.split(STANDARD.batch_size)
    batches = batches[: len(order) // STANDARD.batch_size]
    ratios = []
    for number in range(options.rounds + 1):
        chosen = [batches[(number * options.steps + step) % len(batches)] for step in range(options.steps)]
        seconds = [0.0, 0.0]
        for side in (0, 1) if number % 2 else (1, 0):
            start = clock()
            for indices in chosen:
                sides[side].step(indices)
            seconds[side] = clock() - start
        ratios.append(seconds[0] / seconds[1])
    return ratios[1:]  # the first round warms up


def shown(ratios: Sequence[float]) -> str:
    """The median of ratios, and how far they spread."""
    return f"median {median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f} in {len(ratios)} rounds"


if __name__ == "__main__":
    main(sys.argv[1:])
