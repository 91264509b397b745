"""Several trainings side by side on one device: seeds of one model, each as if it were alone.

A small network leaves most of a GPU idle, and recorded steps on streams of their own can share it. Their epochs
have no time of their own then, only shares, so it is done where that was asked for (``--seeds-together``).
``compare`` measures from how many seeds on it pays. On a CPU one step has all threads already, and there is
nothing to gain.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from statistics import median

import pandas as pd
import torch
from torch import Tensor

from bench.config import RunConfig
from bench.costs.race import relative_differences
from bench.records.run import RunRecord
from bench.tables import TextTable
from bench.training.preparation import prepare
from bench.training.runs import RunUnderWay, begin, build_seeded, drive, silent
from bench.training.seeding import deterministic
from bench.training.trainer import EpochResult, Trainer
from data_utils import PairedDataset
from fusion_models import ModelSpec

SeedObserver = Callable[[int, EpochResult], None]
"""Called after every epoch with its seed and what it came to."""


def run_together(
    spec: ModelSpec,
    dataset: PairedDataset,
    seeds: Sequence[int],
    config: RunConfig,
    observe: SeedObserver,
) -> list[RunRecord]:
    """Train a model from several seeds at a time; the records are those of ``runs.run`` but for their times.

    All data and models are on the device at once. Experts are trained before, one by one. A seed whose loss is not
    finite ends, and the others go on.

    Args:
        spec: a row of the zoo.
        dataset: each seed draws its own pairs from it.
        seeds: each of its own split, weights and order.
        config: as for one seed.
        observe: told of every epoch of every seed.

    Returns:
        A record a seed.
    """
    with deterministic():
        runs = [begin(spec, dataset, seed, config, partial(observe, seed)) for seed in seeds]
        lanes = Lanes(runs)
        drive(lanes.train_epoch, lanes.finish_epoch, config.protocol.epochs)
        return [replace(run.record(), seeds_together=len(runs)) for run in runs]


class Lanes:
    """Runs that have begun, whose epochs are trained in whichever way is faster here.

    The first epoch is trained run by run, the second side by side, those behind it in the way that took less time:
    from how many seeds on a GPU gains depends on the model and on the GPU.
    """

    def __init__(self, runs: Sequence[RunUnderWay]) -> None:
        self._runs = runs
        self._seconds: dict[Callable[[Sequence[Trainer]], None], float] = {}
        self._share = 0.0

    def train_epoch(self) -> None:
        """Train an epoch of each that is still going."""
        trainers = [trainer for _, trainer in self._going()]
        if not trainers:
            return
        untried = [way for way in (train_epoch_one_by_one, train_epoch_together) if way not in self._seconds]
        way = untried[0] if untried else min(self._seconds, key=self._seconds.__getitem__)
        start = time.perf_counter()
        way(trainers)
        seconds = time.perf_counter() - start
        self._seconds.setdefault(way, seconds)
        self._share = seconds / len(trainers)

    def finish_epoch(self) -> None:
        """Validate and report it, each with an equal share of the time."""
        for run, trainer in self._going():
            with run.ended_by_divergence():
                trainer.finish_epoch(self._share)

    def _going(self) -> list[tuple[RunUnderWay, Trainer]]:
        return [(run, run.trainer) for run in self._runs if run.trainer is not None and run.divergence is None]


def train_epoch_one_by_one(trainers: Sequence[Trainer]) -> None:
    """Train one epoch of each, one after the other."""
    for trainer in trainers:
        trainer.train_epoch()


def train_epoch_together(trainers: Sequence[Trainer]) -> None:
    """Train one epoch of each, a step of each in turn; returns when the device has done the work.

    Each comes to the weights and losses it comes to alone. Call ``finish_epoch`` of each afterwards.

    Args:
        trainers: on one device; they share no parameters.
    """
    for trainer in trainers:
        if trainer.stream is not None:  # it goes on behind what the device has been given so far
            trainer.stream.wait_stream(torch.cuda.current_stream(trainer.device))
    lanes = [(trainer.steps(), trainer.stream) for trainer in trainers]
    while lanes:
        lanes = [(steps, stream) for steps, stream in lanes if _take_step(steps, stream)]


def _take_step(steps: Iterator[Tensor], stream: torch.cuda.Stream | None) -> bool:
    """Launch the next step on the stream; False if there was none left."""
    with torch.cuda.stream(stream):  # None is allowed, and changes nothing
        return next(steps, None) is not None


@dataclass(frozen=True)
class SideBySide:
    """Several seeds of one model, trained one after the other and together.

    Attributes:
        model: the row's name.
        seeds: how many.
        alone_seconds: of each epoch of all of them behind the first, one after the other; ``together_seconds``
            together.
        loss_difference: the largest relative difference between a training loss alone and together.
    """

    model: str
    seeds: int
    alone_seconds: list[float]
    together_seconds: list[float]
    loss_difference: float

    @property
    def gain(self) -> float:
        """How many times longer it takes one after the other."""
        return median(self.alone_seconds) / median(self.together_seconds)


def compare(spec: ModelSpec, dataset: PairedDataset, seeds: Sequence[int], config: RunConfig) -> SideBySide:
    """Train a model from each seed in both ways, an epoch of the one and an epoch of the other in turn.

    Args:
        spec: a row whose networks are trained in one go.
        dataset: to draw the protocol's pairs from.
        seeds: each of its own split, weights and order.
        config: device and protocol, of at least two epochs; the first one warms up.
    """
    with deterministic():
        alone, together = ([_trainer(spec, dataset, seed, config) for seed in seeds] for _ in range(2))
        alone_seconds, together_seconds = [], []
        for _ in range(config.protocol.epochs):
            start = time.perf_counter()
            train_epoch_one_by_one(alone)
            alone_seconds.append(time.perf_counter() - start)
            start = time.perf_counter()
            train_epoch_together(together)
            together_seconds.append(time.perf_counter() - start)
            for trainer in (*alone, *together):
                trainer.finish_epoch()
    differences = [
        difference
        for one, other in zip(alone, together, strict=True)
        for difference in relative_differences(one.history.train_losses, other.history.train_losses)
    ]
    return SideBySide(spec.name, len(seeds), alone_seconds[1:], together_seconds[1:], max(differences))


def seeds_table(compared: Sequence[SideBySide], conditions: Sequence[str]) -> TextTable:
    """A line a model and number of seeds."""
    return TextTable(
        name="seeds-together",
        title="Seeds of a model one after the other and together",
        header=["model", "seeds", "one after the other (ms)", "together (ms)", "gain"],
        labels=1,
        rows=[
            [
                each.model,
                str(each.seeds),
                f"{1e3 * median(each.alone_seconds):.1f}",
                f"{1e3 * median(each.together_seconds):.1f}",
                f"{each.gain:.2f}",
            ]
            for each in compared
        ],
        notes=["an epoch of all seeds, medians"],
        conditions=list(conditions),
        data=pd.DataFrame([asdict(each) | {"gain": each.gain} for each in compared]),
    )


def _trainer(spec: ModelSpec, dataset: PairedDataset, seed: int, config: RunConfig) -> Trainer:
    data = prepare(dataset, config.protocol, seed, config.device)
    network = build_seeded(spec, dataset, seed, config.device)
    return Trainer(network, data.train, data.valid[: config.protocol.batch_size], config.protocol, seed, silent)
