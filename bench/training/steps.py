"""The optimizer, the training step, and the steps of an epoch; ``graphs.py`` has the same steps for CUDA."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from bench.config import Protocol
from bench.metrics import classification_loss
from bench.training.methods import Methods
from bench.training.pairs import Pairs
from bench.training.precision import forward
from data_utils import Batch

T = TypeVar("T")


def make_optimizer(model: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
    """Fused Adam over the parameters that are not frozen, with the protocol's first learning rate."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    device = trainable[0].device
    if device.type == "cuda":
        # A CUDA graph reads the rate from a tensor on the device, which can be overwritten between replays.
        rate = torch.tensor(protocol.learning_rate, device=device)
        return torch.optim.Adam(trainable, lr=rate, fused=True, capturable=True)
    return torch.optim.Adam(trainable, lr=protocol.learning_rate, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float | Tensor) -> None:
    """Set the rate of the next step; the host waits for nothing."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def training_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    protocol: Protocol,
    methods: Methods | None = None,
) -> Tensor:
    """One update of the weights; returns the detached mean loss of the batch, still on its device."""
    optimizer.zero_grad(set_to_none=True)
    if methods is not None:
        loss = methods.backward(batch)
    else:
        loss = classification_loss(forward(model, batch.inputs, protocol.precision), batch.labels)
        loss.backward()
    optimizer.step()
    return loss.detach()


def trained_with(model: nn.Module, methods: Methods | None) -> nn.Module:
    """The model with what its training methods train beside it."""
    return model if methods is None else nn.ModuleList([model, methods.heads])


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all work that was queued; nothing to do on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], object]) -> float:
    """How long some work takes that synchronizes the device it uses."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def timed(steps: Iterator[T], device: torch.device) -> tuple[T, float]:
    """Take the steps of an epoch, at least two, on a device.

    The first step is not timed: it pays for what ran before, in caches and in freed memory.

    Returns:
        What the last step yielded, and the seconds of all steps but the first.
    """
    next(steps)
    synchronize(device)
    start = time.perf_counter()
    *_, last = steps
    synchronize(device)
    return last, time.perf_counter() - start


@dataclass(frozen=True, eq=False)
class EagerSteps:
    """Steps that are launched operation by operation: all a CPU needs, and on CUDA the check of the graphs.

    Attributes:
        model: On the device of the data.
        optimizer: Of its parameters.
        train: All training pairs, on the device.
        protocol: Its ``batch_size`` is that of all steps of an epoch but the last, which takes what is left.
        methods: The protocol's training methods.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    train: Pairs
    protocol: Protocol
    methods: Methods | None = None

    @property
    def trained(self) -> nn.Module:
        """All that the steps train."""
        return trained_with(self.model, self.methods)

    def step(self, indices: Tensor) -> Tensor:
        """One step with these training pairs; returns the sum of their losses, float32 () on the device."""
        batch = self.train[indices]
        if self.methods is not None:
            batch = self.methods.dropped(batch, indices)
        return training_step(self.model, self.optimizer, batch, self.protocol, self.methods) * len(indices)

    def epoch(self, order: Tensor, rates: Sequence[float]) -> Iterator[Tensor]:
        """Take one step per iteration.

        Args:
            order: The training pairs in the order of the epoch, int64 (pairs,) on the device.
            rates: The learning rate of each step.

        Yields:
            After each step the sum of all pairs' losses so far in nats, float64 (). It stays on the device and
            is overwritten by the next step: reading it before the last step makes the host wait.
        """
        # Summed on the device: reading each step's loss would make the host wait for every step.
        loss_sum = torch.zeros((), dtype=torch.float64, device=order.device)
        for indices, rate in zip(order.split(self.protocol.batch_size), rates, strict=True):
            set_learning_rate(self.optimizer, rate)
            loss_sum += self.step(indices)
            yield loss_sum
