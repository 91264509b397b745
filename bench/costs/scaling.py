"""How the cost of training grows with the pairs, with the batch and with the images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from bench.config import FIRST_SEED, FP32, STANDARD, Precision
from bench.costs import measured_on
from bench.costs.inference import random_batch
from bench.records import GrowthRecord
from bench.training.runs import build_seeded, silent
from bench.training.steps import timed
from bench.training.trainer import Trainer
from data_utils import DatasetInfo
from fusion_models import ModelSpec

TIMED_STEPS = 14
"""Of an epoch whose steps grow, and of the shortest one: with fewer, the start of an epoch shows in its time."""

BATCH_SIZE, IMAGE_SIZE = 32, 64
"""What does not grow: pairs per step, and the height and width that the simulator makes."""


class Epoch(NamedTuple):
    """An epoch whose cost is measured: timed steps, pairs per step, height and width of all inputs in pixels."""

    steps: int
    batch_size: int
    image_size: int


@dataclass(frozen=True)
class Axis:
    """A size that grows while the others stay as they are.

    Attributes:
        name: In ids and files.
        title: Of the size.
        work: The exponent of the pixels that an epoch processes, which proportional cost would have.
        epochs: By size, ascending.
    """

    name: str
    title: str
    work: int
    epochs: Mapping[int, Epoch]


def axes(steps: int = TIMED_STEPS) -> dict[str, Axis]:
    """The axes by name, with this number of timed steps in the shortest epochs."""
    base = Epoch(steps, BATCH_SIZE, IMAGE_SIZE)
    longer = {many * steps * BATCH_SIZE: base._replace(steps=many * steps) for many in (1, 2, 4)}
    batches = {size: base._replace(batch_size=size) for size in (16, 32, 64, 128)}
    images = {size: base._replace(image_size=size) for size in (32, 64, 128)}
    return {
        "pairs": Axis("pairs", "training pairs of an epoch", 1, longer),
        "batch": Axis("batch", "pairs of a step", 1, batches),
        "image": Axis("image", "height and width of the images (pixels)", 2, images),
    }


class Series:
    """Trainings of one model at sizes of an axis; a call trains an epoch of each, one after the other.

    Each call passes through all sizes, so whatever else slows the machine down for a while affects all of them.
    The first step of each epoch warms up and is not timed.

    Attributes:
        seconds: Of the timed steps of the epochs so far, by size, device synchronized.
    """

    def __init__(
        self,
        spec: ModelSpec,
        axis: Axis,
        sizes: Sequence[int],
        info: DatasetInfo,
        device: str,
        precision: Precision = FP32,
    ) -> None:
        self._spec, self._axis, self._device, self._precision = spec, axis, device, precision
        self._trainers = {size: _trainer(spec, axis.epochs[size], info, device, precision) for size in sizes}
        self.seconds: dict[int, list[float]] = {size: [] for size in sizes}

    def __call__(self) -> None:
        """Train an epoch of each size."""
        for size, trainer in self._trainers.items():
            self.seconds[size].append(timed(trainer.steps(), torch.device(self._device))[1])

    def record(self, profile: str) -> GrowthRecord:
        """The record of the epochs so far under a profile."""
        steps = min(epoch.steps for epoch in self._axis.epochs.values())
        sizes = f"other sizes: {steps} timed steps of {BATCH_SIZE} pairs, images of {IMAGE_SIZE}x{IMAGE_SIZE}"
        return GrowthRecord(
            model=self._spec.name,
            family=self._spec.family,
            embedder=self._spec.embedder,
            axis=self._axis.name,
            axis_title=self._axis.title,
            work=self._axis.work,
            sizes=list(self.seconds),
            seconds=list(self.seconds.values()),
            **measured_on(profile, self._device, sizes, precision=self._precision),
        )


def _trainer(spec: ModelSpec, epoch: Epoch, info: DatasetInfo, device: str, precision: Precision) -> Trainer:
    info = replace(info, image_size=(epoch.image_size, epoch.image_size))
    train = random_batch(info, (1 + epoch.steps) * epoch.batch_size, device)
    protocol = replace(STANDARD, epochs=1, batch_size=epoch.batch_size, schedule="constant", precision=precision)
    # Nothing is validated; the training pairs stand in for validation pairs.
    network = build_seeded(spec, info, FIRST_SEED, device)
    return Trainer(network, train, train, protocol, FIRST_SEED, silent)
