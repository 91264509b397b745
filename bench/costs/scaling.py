"""How the cost of training grows with the pairs, with the batch and with the images.

Where cost = a * size ** exponent, logarithms lie on a line whose slope is the exponent. Less than the work grows
by says that small sizes pay for something that does not grow with them.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd
import torch
from scipy import stats

from bench.analysis.statistics import CONFIDENCE, Interval
from bench.config import FIRST_SEED, STANDARD, Protocol
from bench.costs.inference import random_batch
from bench.tables import TextTable
from bench.training.runs import silent
from bench.training.seeding import seeded
from bench.training.trainer import Trainer
from data_utils import DatasetInfo
from fusion_models import MODELS, FusionNet, ModelSpec, build_model

ROWS = tuple(spec for spec in MODELS.values() if (spec.stage, spec.operator) == ("intermediate", "concat"))
"""One of each family and embedder: the same strategy, so that they differ in widths and downsampling alone."""


@dataclass(frozen=True)
class Epoch:
    """An epoch whose cost is measured.

    Attributes:
        pairs: it trains on.
        batch_size: pairs a step.
        image_size: height and width of all inputs, in pixels.
    """

    pairs: int
    batch_size: int
    image_size: int


BASE = Epoch(pairs=32, batch_size=32, image_size=64)
"""What holds for everything that does not grow: a single step, on images as the simulator makes them."""


@dataclass(frozen=True)
class Axis:
    """Something that grows while the rest stays as in BASE.

    Attributes:
        name: in ids and files.
        title: of the size.
        grows: the fields of an epoch that take the size.
        work: the exponent of the pixels that an epoch passes through, which is what proportional cost would have.
        sizes: smallest first.
    """

    name: str
    title: str
    grows: tuple[str, ...]
    work: int
    sizes: tuple[int, ...]

    def epoch(self, size: int) -> Epoch:
        """The epoch of that size."""
        return replace(BASE, **dict.fromkeys(self.grows, size))


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
    """Trainings of one row at sizes of an axis; a call trains an epoch of each, one after the other.

    Each call passes through all sizes, so whatever else slows the machine down for a while touches all of them.

    Args:
        spec: the row.
        axis: what grows.
        sizes: of the axis.
        info: whose channels and classes the row is built for.
        device: "cpu", "cuda" or "cuda:N".

    Attributes:
        seconds: of the epochs so far, by size, device synchronized.
    """

    def __init__(self, spec: ModelSpec, axis: Axis, sizes: Sequence[int], info: DatasetInfo, device: str) -> None:
        self._trainers = {size: _trainer(spec, axis.epoch(size), info, device) for size in sizes}
        self.seconds: dict[int, list[float]] = {size: [] for size in sizes}

    def __call__(self) -> None:
        """Train an epoch of each size."""
        for size, trainer in self._trainers.items():
            start = time.perf_counter()
            trainer.train_epoch()
            self.seconds[size].append(time.perf_counter() - start)


def _trainer(spec: ModelSpec, epoch: Epoch, info: DatasetInfo, device: str) -> Trainer:
    info = replace(info, image_size=(epoch.image_size, epoch.image_size))
    train = random_batch(info, epoch.pairs, device)
    # Nothing is validated; a trainer is given its training pairs in place of others.
    return Trainer(_network(spec, info, device), train, train, _protocol(epoch), FIRST_SEED, silent)


def _protocol(epoch: Epoch) -> Protocol:
    return replace(STANDARD, epochs=1, batch_size=epoch.batch_size, schedule="constant")


def _network(spec: ModelSpec, info: DatasetInfo, device: str) -> FusionNet:
    with seeded(FIRST_SEED, "initialization"):
        network = build_model(spec, channels=info.channels, image_size=info.image_size, classes=len(info.classes))
    network.to(memory_format=torch.channels_last)
    return network.to(device)


@dataclass(frozen=True)
class Growth:
    """What one row's epochs took along one axis.

    Attributes:
        model: the row's name.
        axis: what grew.
        seconds: of each epoch, by size; as many for each.
    """

    model: str
    axis: Axis
    seconds: Mapping[int, Sequence[float]]

    @property
    def medians(self) -> dict[int, float]:
        """Seconds of the median epoch, by size."""
        return {size: float(np.median(taken)) for size, taken in self.seconds.items()}

    @property
    def exponent(self) -> Interval:
        """The slope of log seconds against log size over all epochs, by least squares, with its t interval.

        The interval is nan for two epochs, which lie on a line whatever they are. It holds the noise of the epochs
        and how far the medians are from a line.
        """
        sizes, seconds = zip(*((size, s) for size, taken in self.seconds.items() for s in taken), strict=True)
        fit = stats.linregress(np.log(sizes), np.log(seconds))
        freedom = len(seconds) - 2
        reach = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * fit.stderr if freedom else np.nan
        return Interval(float(fit.slope), float(fit.slope - reach), float(fit.slope + reach), len(seconds))


def scaling_table(grown: Sequence[Growth], conditions: Sequence[str]) -> TextTable:
    """A line an axis and model: cost at both ends and the exponent between them.

    Args:
        grown: in the order of the lines.
        conditions: what they were measured under.
    """
    rows, data = [], []
    for each in grown:
        medians, exponent = each.medians, each.exponent
        (small, least), *_, (large, most) = medians.items()
        known = np.isfinite(exponent.low)
        rows.append(
            [
                each.axis.name,
                each.model,
                f"{small} to {large}",
                f"{least * 1e3:.1f}",
                f"{most * 1e3:.1f}",
                f"{exponent.mean:.2f}",
                f"{exponent.low:.2f} to {exponent.high:.2f}" if known else "-",
            ]
        )
        data += [
            {
                "axis": each.axis.name,
                "model": each.model,
                "size": size,
                "epoch_seconds": seconds,
                "epochs": len(each.seconds[size]),
                "exponent": exponent.mean,
                "exponent_low": exponent.low,
                "exponent_high": exponent.high,
            }
            for size, seconds in medians.items()
        ]
    return TextTable(
        name="scaling",
        title="How the cost of training grows",
        header=[
            "axis",
            "model",
            "size",
            "smallest (ms)",
            "largest (ms)",
            "exponent",
            f"{CONFIDENCE:.0%} interval",
        ],
        labels=2,
        rows=rows,
        notes=[
            *(
                f"{axis.name}: {axis.title}; in proportion to pixels the exponent is {axis.work}"
                for axis in dict.fromkeys(each.axis for each in grown)
            ),
            f"times are medians of an epoch; what does not grow: {BASE.pairs} pairs in one batch, images of "
            f"{BASE.image_size}x{BASE.image_size}",
            "exponent: of cost = a * size ** exponent, least squares of logarithms over all epochs",
        ],
        conditions=list(conditions),
        data=pd.DataFrame(data),
    )
