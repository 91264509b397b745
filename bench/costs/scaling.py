"""How the cost of training grows with the pairs, with the batch and with the images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from bench.config import FIRST_SEED, STANDARD
from bench.costs import measured_on
from bench.costs.inference import random_batch
from bench.records import GrowthRecord
from bench.training.runs import build_seeded, silent
from bench.training.steps import seconds_of
from bench.training.trainer import Trainer
from data_utils import DatasetInfo
from fusion_models import ModelSpec


class Epoch(NamedTuple):
    """An epoch whose cost is measured: pairs in all and per step, height and width of all inputs in pixels."""

    pairs: int
    batch_size: int
    image_size: int


BASE = Epoch(pairs=32, batch_size=32, image_size=64)
"""The sizes that do not grow: a single step, on images as the simulator makes them."""


@dataclass(frozen=True)
class Axis:
    """A size that grows while the others stay as in BASE.

    Attributes:
        name: In ids and files.
        title: Of the size.
        grows: The fields of an epoch that have the size.
        work: The exponent of the pixels that an epoch processes, which proportional cost would have.
        sizes: Ascending.
    """

    name: str
    title: str
    grows: tuple[str, ...]
    work: int
    sizes: tuple[int, ...]

    def epoch(self, size: int) -> Epoch:
        """The epoch of that size."""
        return BASE._replace(**dict.fromkeys(self.grows, size))


AXES: Mapping[str, Axis] = MappingProxyType(
    {
        axis.name: axis
        for axis in (
            Axis("pairs", "training pairs of an epoch", ("pairs",), 1, (32, 64, 128, 256)),
            # An epoch of one batch: its time is that of a step.
            Axis("batch", "pairs of a step", ("pairs", "batch_size"), 1, (16, 32, 64, 128, 256)),
            Axis("image", "height and width of the images (pixels)", ("image_size",), 2, (32, 64, 128)),
        )
    }
)


class Series:
    """Trainings of one model at sizes of an axis; a call trains an epoch of each, one after the other.

    Each call passes through all sizes, so whatever else slows the machine down for a while affects all of them.

    Attributes:
        seconds: Of the epochs so far, by size, device synchronized.
    """

    def __init__(self, spec: ModelSpec, axis: Axis, sizes: Sequence[int], info: DatasetInfo, device: str) -> None:
        self._spec, self._axis, self._device = spec, axis, device
        self._trainers = {size: _trainer(spec, axis.epoch(size), info, device) for size in sizes}
        self.seconds: dict[int, list[float]] = {size: [] for size in sizes}

    def __call__(self) -> None:
        """Train an epoch of each size."""
        for size, trainer in self._trainers.items():
            self.seconds[size].append(seconds_of(trainer.train_epoch))

    def record(self, profile: str) -> GrowthRecord:
        """The record of the epochs so far under a profile, without the first of each size, which warms up."""
        sizes = f"other sizes: {BASE.pairs} pairs in one batch, images of {BASE.image_size}x{BASE.image_size}"
        return GrowthRecord(
            model=self._spec.name,
            family=self._spec.family,
            embedder=self._spec.embedder,
            axis=self._axis.name,
            axis_title=self._axis.title,
            work=self._axis.work,
            sizes=list(self.seconds),
            seconds=[epochs[1:] for epochs in self.seconds.values()],
            **measured_on(profile, self._device, sizes),
        )


def _trainer(spec: ModelSpec, epoch: Epoch, info: DatasetInfo, device: str) -> Trainer:
    info = replace(info, image_size=(epoch.image_size, epoch.image_size))
    train = random_batch(info, epoch.pairs, device)
    protocol = replace(STANDARD, epochs=1, batch_size=epoch.batch_size, schedule="constant")
    # Nothing is validated; the training pairs stand in for validation pairs.
    network = build_seeded(spec, info, FIRST_SEED, device)
    return Trainer(network, train, train, protocol, FIRST_SEED, silent)
