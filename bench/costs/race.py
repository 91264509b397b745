"""Our training loop timed against others, each in a process of its own, an epoch of each in turn.

Whatever else the machine does affects all of them, so the ratio of their times is more reliable than any time.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import nn

from bench.config import FP32, STANDARD, OptionError, Precision, Protocol, RunConfig
from bench.costs import measured_on
from bench.costs.loops import LIGHTNING, OURS, REFERENCE, Racer, lightning_version, racers
from bench.records import RaceRecord
from bench.training.augmentation import is_augmented
from bench.training.preparation import prepare
from bench.training.runs import build_seeded
from bench.training.trainer import steps_per_epoch
from data_utils import Batch, Source
from fusion_models import MODELS, ModelSpec
from fusion_models.zoo import SINGLE

FAMILIES = ("compact", "deep", "wide")
"""The published families whose networks are trained in a single stage."""

PROTOCOL = replace(STANDARD, pairs=600, test_pairs=0, epochs=6)
"""15 steps per epoch; the first epoch of each loop warms up, and so does the first step of each epoch."""


def models() -> list[ModelSpec]:
    """The models of FAMILIES that fuse modalities."""
    return [spec for spec in MODELS.values() if spec.family in FAMILIES and spec.stage != SINGLE]


def target(device: torch.device, precision: Precision) -> float | None:
    """The geometric mean of the ratios to the reference that has to be reached; None where nothing is asserted."""
    return 1.7 if device.type == "cpu" and precision == FP32 else None


Losses = Callable[[nn.Module, Batch, Protocol], list[float]]
"""Trains a model on the CPU's pairs under a protocol; returns the mean training loss of each epoch."""

Race = Callable[[ModelSpec], RaceRecord]
"""Trains a model of a single stage with every loop: the same data, weights, order and precision."""


@contextmanager
def race_on(dataset: Source, seed: int, config: RunConfig) -> Iterator[Race]:
    """A race for each model, in the same processes one after the other.

    Raises:
        OptionError: There are fewer than two epochs, or two steps per epoch; or the protocol augments.
    """
    protocol, device = config.protocol, config.device
    if is_augmented(protocol):
        raise OptionError(
            "a race is of loops on the same pairs: leave horizontal_flip, random_crop and color_jitter out"
        )
    prepared = prepare(dataset, protocol, seed, "cpu")
    train = prepared.train
    steps = steps_per_epoch(len(train), protocol)
    if min(steps, protocol.epochs) < 2:
        raise OptionError(
            f"a race takes at least two epochs of two steps, the first of each to warm up; {len(train)} training "
            f"pairs in batches of {protocol.batch_size} are {steps} per epoch, of {protocol.epochs}"
        )
    pairs = len(train) + len(prepared.valid)
    with racers(train, protocol, seed, device) as loops:
        yield lambda spec: _race(spec, loops, steps, pairs, dataset, seed, config)


def _race(
    spec: ModelSpec,
    loops: Mapping[str, Racer],
    steps: int,
    pairs: int,
    dataset: Source,
    seed: int,
    config: RunConfig,
) -> RaceRecord:
    protocol, device = config.protocol, config.device
    for racer in loops.values():
        racer.start(build_seeded(spec, dataset.info, seed, "cpu"))
    epochs: dict[str, list[tuple[float, float]]] = {name: [] for name in loops}
    for _ in range(protocol.epochs):
        for name, racer in loops.items():
            epochs[name].append(racer.train_epoch())
    losses = {name: [loss for loss, _ in of_loop] for name, of_loop in epochs.items()}
    seconds = {name: [seconds for _, seconds in of_loop[1:]] for name, of_loop in epochs.items()}
    exact = exact_differences({name: racer.losses for name, racer in loops.items()}, spec, dataset, seed, protocol)
    return RaceRecord(
        model=spec.name,
        precision=protocol.precision,
        steps=steps - 1,
        reference_seconds=seconds[REFERENCE],
        engine_seconds=seconds[OURS],
        lightning_seconds=seconds.get(LIGHTNING),
        reference_losses=losses[REFERENCE],
        engine_losses=losses[OURS],
        lightning_losses=losses.get(LIGHTNING),
        exact_difference=exact[OURS],
        lightning_exact_difference=exact.get(LIGHTNING),
        target=target(torch.device(device), protocol.precision),
        **measured_on(
            config.profile,
            device,
            f"data: {pairs} pairs of {dataset.info.name} in batches of {protocol.batch_size}",
            f"precision: {protocol.precision}",
            *([f"PyTorch Lightning {lightning_version()}"] if LIGHTNING in loops else []),
        ),
    )


def exact_differences(
    losses: Mapping[str, Losses], spec: ModelSpec, dataset: Source, seed: int, protocol: Protocol
) -> dict[str, float]:
    """How far the losses of loops are from the reference's in double precision: whether all compute the same.

    Over two epochs of 20 training pairs in batches of 8, 8 and 4.

    Args:
        losses: The losses of a training by each loop's name, the reference's among them.
        spec: The model.
        dataset: The pairs are of the training pairs that the protocol draws from it.
        seed: Of all random streams.
        protocol: Its learning rates are those of this training.

    Returns:
        The largest relative difference by the name of each other loop.
    """
    few = prepare(dataset, protocol, seed, "cpu").train[:20]
    doubles = Batch({modality: values.double() for modality, values in few.inputs.items()}, few.labels)
    short = replace(protocol, batch_size=8, epochs=2, drop_last=False, precision=FP32)
    model = build_seeded(spec, dataset.info, seed, "cpu").to(torch.float64)
    of_loops = {name: train(copy.deepcopy(model), doubles, short) for name, train in losses.items()}
    expected = of_loops.pop(REFERENCE)
    return {
        name: max(abs(b - a) / abs(a) for a, b in zip(expected, of_loop, strict=True))
        for name, of_loop in of_loops.items()
    }
