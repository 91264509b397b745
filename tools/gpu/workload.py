"""What all measurements train on: pairs, batches, learning rates, and the steps of any model and protocol."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from bench.config import FIRST_SEED, FP32, Precision, Protocol
from bench.costs.race import PROTOCOL
from bench.costs.reference import Sample, samples
from bench.training.augmentation import AugmentedPairs, is_augmented
from bench.training.device import check_precision
from bench.training.graphs import GraphSteps
from bench.training.layout import LAYOUTS, layout_of
from bench.training.methods import Methods, make_methods
from bench.training.pairs import Pairs, StoredPairs
from bench.training.preparation import prepare
from bench.training.runs import build_seeded
from bench.training.seeding import deterministic, epoch_order, seeded
from bench.training.steps import EagerSteps, make_optimizer, synchronize, trained_with
from bench.training.trainer import learning_rates
from data_utils import DatasetInfo, load
from fusion_models import ModelSpec

Steps = EagerSteps | GraphSteps


@dataclass(frozen=True, eq=False)
class Training:
    """The steps of a model, wired as ``bench.training.trainer`` does, launched operation by operation.

    Attributes:
        eager: The steps.
        drawn: What is drawn anew before each epoch.
    """

    eager: EagerSteps
    drawn: tuple[Methods | AugmentedPairs, ...]


@dataclass(frozen=True, eq=False)
class Workload:
    """Simulated pairs on a device, in whole batches of ``PROTOCOL.batch_size``.

    Attributes:
        device: "cpu" or "cuda".
        info: Of the data.
        train: The training pairs, stored as a run stores them.
        orders: The pairs of two epochs, int64 (pairs,) each, on the device.
        rates: The learning rate of each step of the first epoch, used for both.
    """

    device: str
    info: DatasetInfo
    train: StoredPairs
    orders: tuple[Tensor, Tensor]
    rates: list[float]

    @classmethod
    def make(cls, device: str, pairs: int) -> "Workload":
        """The same for the same device and number of pairs, which are training and validation pairs together."""
        dataset = load("shapes", pairs=pairs)
        train = prepare(dataset, PROTOCOL, FIRST_SEED, device).train
        steps = len(train) // PROTOCOL.batch_size
        first, second = (
            epoch_order(FIRST_SEED, epoch, len(train))[: steps * PROTOCOL.batch_size] for epoch in (1, 2)
        )
        rates = learning_rates(PROTOCOL, steps)[:steps]
        return cls(device, dataset.info, train, (first.to(device), second.to(device)), rates)

    @cached_property
    def samples(self) -> list[Sample]:
        """The pairs one by one in the host's memory, as the reference loop takes them."""
        return samples(self.train)

    @property
    def on_cuda(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.startswith("cuda")

    def network(self, spec: ModelSpec, seed: int = FIRST_SEED) -> nn.Module:
        """A model with the initial weights of a seed, on the device."""
        return build_seeded(spec, self.info, seed, self.device)

    def training(
        self,
        spec: ModelSpec,
        precision: Precision,
        *,
        seed: int = FIRST_SEED,
        prepared: bool = False,
        **changes: Any,
    ) -> Training:
        """A new training of a model from the weights of a seed.

        Args:
            spec: The model.
            precision: Of the steps.
            seed: Of the weights, and of what is drawn.
            prepared: Whether inputs are made before the training, not batch by batch.
            changes: Fields of the protocol that differ from ``PROTOCOL``.
        """
        protocol: Protocol = replace(PROTOCOL, precision=precision, **changes)
        model = self.network(spec, seed)
        stored = self.train.seen_by(model)
        pairs: Pairs = stored[:] if prepared else stored
        methods = make_methods(model, protocol, pairs, seed)
        augmented = AugmentedPairs(stored, protocol, seed) if is_augmented(protocol) else None
        optimizer = make_optimizer(trained_with(model, methods), protocol)
        eager = EagerSteps(model, optimizer, augmented or pairs, protocol, methods)
        return Training(eager, tuple(drawn for drawn in (methods, augmented) if drawn is not None))

    def losses(self, training: Training, steps: Steps) -> Tensor:
        """The sums of losses after each step of both epochs, float64 (steps,) on the device.

        Args:
            training: What is trained.
            steps: Its steps, launched one by one or recorded.
        """
        sums = []
        with seeded(FIRST_SEED, "training", self.device):
            for epoch, order in enumerate(self.orders, 1):
                for drawn in training.drawn:
                    drawn.begin(epoch)
                sums += [loss_sum.clone() for loss_sum in steps.epoch(order, self.rates)]
        return torch.stack(sums)

    def ms_per_step(self, steps: Steps, epochs: int) -> float:
        """The time of a step, as the mean over some epochs after one to warm up."""

        def epoch() -> None:
            for _ in steps.epoch(self.orders[0], self.rates):
                pass

        return self.milliseconds(epoch, epochs) / len(self.rates)

    def milliseconds(self, work: Callable[[], object], repeats: int) -> float:
        """The mean time of some work, after one call to warm up."""
        device = torch.device(self.device)
        work()
        synchronize(device)
        start = time.perf_counter()
        for _ in range(repeats):
            work()
        synchronize(device)
        return 1e3 * (time.perf_counter() - start) / repeats

    @contextmanager
    def settings(
        self,
        precision: Precision = FP32,
        *,
        timed_algorithms: bool = False,
        layout: torch.memory_format | None = None,
    ) -> Iterator[None]:
        """Run the body with the settings of trainings, then restore what was set before.

        Args:
            precision: The protocol's.
            timed_algorithms: Whether cuDNN chooses its algorithms by timing them, which trainings leave off.
            layout: Of weights and inputs; None for that of trainings.

        Raises:
            OptionError: The GPU does not compute in the precision.
        """
        if self.on_cuda:
            check_precision(self.device, precision)
        kind = torch.device(self.device).type
        usual = layout_of(kind)
        LAYOUTS[kind] = layout or usual
        try:
            with deterministic(precision):
                torch.backends.cudnn.benchmark = timed_algorithms
                yield
        finally:
            LAYOUTS[kind] = usual
