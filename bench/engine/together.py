"""Several trainings side by side on one device: seeds of one model, each as if it were alone.

A small network leaves most of a GPU idle, and recorded steps on streams of their own can share it. Their epochs
have no time of their own then, so no training that is timed is done like this; ``compare`` measures from how many
seeds on it pays. On a CPU one step has all threads already, and there is nothing to gain.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median

import pandas as pd
import torch
from torch import Tensor

from bench.config import RunConfig
from bench.engine.race import relative_differences
from bench.engine.training import Trainer
from bench.runs import build_seeded, prepare, silent
from bench.seeding import deterministic
from bench.tables import TextTable
from data_utils import PairedDataset
from fusion_models import ModelSpec


def train_epoch_together(trainers: Sequence[Trainer]) -> None:
    """Train one epoch of each, a step of each in turn; returns when the device has done the work.

    Each comes to the weights and losses it comes to alone. Call ``finish_epoch`` of each afterwards.

    Args:
        trainers: on one device; they share no parameters.
    """
    lanes = [(trainer.steps(), _stream(trainer.device)) for trainer in trainers]
    while lanes:
        lanes = [(steps, stream) for steps, stream in lanes if _take_step(steps, stream)]


def _stream(device: torch.device) -> torch.cuda.Stream | None:
    """A stream that goes on behind what the device has been given so far; None on a CPU."""
    if device.type != "cuda":
        return None
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    return stream


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
            for trainer in alone:
                trainer.train_epoch()
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
