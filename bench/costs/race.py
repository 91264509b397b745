"""Our training loop timed against the reference loop, in two processes, an epoch of each in turn.

Whatever else the machine does affects both, so the ratio of their times is more reliable than either time.
"""

from dataclasses import replace

import torch

from bench.config import STANDARD, OptionError, RunConfig
from bench.costs import measured_on
from bench.costs.loops import our_process, reference_process
from bench.costs.reference import ReferenceLoop, as_published, samples
from bench.records import RaceRecord
from bench.training.preparation import prepare
from bench.training.runs import build_seeded, drive, silent
from bench.training.seeding import deterministic
from bench.training.trainer import Trainer, steps_per_epoch
from data_utils import Batch, Source
from fusion_models import MODELS, ModelSpec
from fusion_models.zoo import SINGLE

FAMILIES = ("compact", "deep", "wide")
"""The published families whose networks are trained in a single stage."""

PROTOCOL = replace(STANDARD, pairs=600, test_pairs=0, epochs=6)
"""15 steps per epoch; the first epoch of each loop warms up, and so does the first step of each epoch."""

EXACT_TOLERANCE = 1e-6
"""Largest relative difference of the losses in double precision.

Far above its rounding, as the learning rate of a recorded step is a float32; far below the effect of another order
of pairs, another schedule or another loss.
"""

ROUNDING_TOLERANCE = 1e-2
"""Largest relative difference of the first epoch's mean loss in float32, the precision of all trainings.

Different layouts sum in a different order, and Adam divides small gradients by their own size, so each step
enlarges the rounding of the last one: to the seventh digit at first, to the third after some tens of steps.
"""


def models() -> list[ModelSpec]:
    """The models of FAMILIES that fuse modalities."""
    return [spec for spec in MODELS.values() if spec.family in FAMILIES and spec.stage != SINGLE]


def target(device: torch.device) -> float | None:
    """The geometric mean of the ratios that is aimed at; None for devices without a target."""
    if device.type == "cpu":
        return 1.7
    is_h100_or_newer = torch.cuda.get_device_capability(device) >= (9, 0)
    return 10.0 if is_h100_or_newer else None


def race(spec: ModelSpec, dataset: Source, seed: int, config: RunConfig) -> RaceRecord:
    """Train a model of a single stage with both loops: the same data, weights and order, at least two epochs.

    Raises:
        OptionError: An epoch has fewer than two steps.
    """
    protocol, device = config.protocol, config.device
    prepared = prepare(dataset, protocol, seed, "cpu")
    train = prepared.train
    steps = steps_per_epoch(len(train), protocol)
    if steps < 2:
        raise OptionError(
            f"a race takes at least two steps per epoch; {len(train)} training pairs in batches of "
            f"{protocol.batch_size} are {steps}"
        )
    ours, published = (build_seeded(spec, dataset.info, seed, "cpu") for _ in range(2))
    reference_epochs, our_epochs = [], []
    with (
        reference_process(as_published(published), samples(train), protocol, seed, device) as train_reference,
        our_process(ours, train, protocol, seed, device) as train_ours,
    ):
        for _ in range(protocol.epochs):
            reference_epochs.append(train_reference())
            our_epochs.append(train_ours())
    pairs = len(train) + len(prepared.valid)
    data = f"data: {pairs} pairs of {dataset.info.name} in batches of {protocol.batch_size}"
    return RaceRecord(
        model=spec.name,
        steps=steps - 1,
        reference_seconds=[seconds for _, seconds in reference_epochs[1:]],
        engine_seconds=[seconds for _, seconds in our_epochs[1:]],
        reference_losses=[loss for loss, _ in reference_epochs],
        engine_losses=[loss for loss, _ in our_epochs],
        exact_difference=exact_difference(spec, dataset, seed, config),
        target=target(torch.device(device)),
        **measured_on(config.profile, device, data),
    )


def exact_difference(spec: ModelSpec, dataset: Source, seed: int, config: RunConfig) -> float:
    """The largest relative difference of the two loops' losses in double precision: whether both compute the same.

    Over two epochs of 20 training pairs in batches of 8, 8 and 4.
    """
    with deterministic():
        few = prepare(dataset, config.protocol, seed, config.device).train[:20]
        doubles = Batch({modality: values.double() for modality, values in few.inputs.items()}, few.labels)
        protocol = replace(config.protocol, batch_size=8, epochs=2, drop_last=False)
        ours, published = (
            build_seeded(spec, dataset.info, seed, config.device).to(torch.float64) for _ in range(2)
        )
        reference = ReferenceLoop(as_published(published), samples(doubles), protocol, seed, config.device)
        trainer = Trainer(ours, doubles, doubles[: protocol.batch_size], protocol, seed, silent)
        losses = [reference.train_epoch() for _ in range(protocol.epochs)]
        drive(trainer.train_epoch, trainer.finish_epoch, protocol.epochs)
    return max(abs(b - a) / abs(a) for a, b in zip(losses, trainer.history.train_losses, strict=True))
