"""The training step, and the steps of an epoch one after the other. graphs.py has the same steps for CUDA."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from bench.training.evaluation import classification_loss
from data_utils import Batch

T = TypeVar("T")


def adam(model: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """The optimizer of every training: fused Adam over the parameters that are not frozen."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    device = trainable[0].device
    if device.type == "cuda":
        # A recorded step cannot be told a number, so the rate lies on the device, where it can be overwritten.
        rate = torch.tensor(learning_rate, device=device)
        return torch.optim.Adam(trainable, lr=rate, fused=True, capturable=True)
    return torch.optim.Adam(trainable, lr=learning_rate, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float | Tensor) -> None:
    """Let the next step be taken with this rate; the host waits for nothing."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def training_step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch) -> Tensor:
    """One update of the weights; returns the detached mean loss of the batch, still on its device."""
    optimizer.zero_grad(set_to_none=True)
    loss = classification_loss(model(batch.inputs), batch.labels)
    loss.backward()
    optimizer.step()
    return loss.detach()


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all work that was queued; nothing to do on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(steps: Iterator[T], device: torch.device) -> tuple[T, float]:
    """Train an epoch of at least two steps.

    The first step is not timed: it pays for what others have left behind, in caches and in freed memory.

    Args:
        steps: takes one step a turn.
        device: where they are taken.

    Returns:
        What the last step yielded, and the seconds of all steps but the first.
    """
    next(steps)
    synchronize(device)
    start = time.perf_counter()
    *_, last = steps
    synchronize(device)
    return last, time.perf_counter() - start


class Steps(Protocol):
    """Takes the steps of an epoch."""

    def epoch(self, order: Tensor, rates: Sequence[float]) -> Iterator[Tensor]:
        """Take one step a turn.

        Args:
            order: the training pairs in the order of the epoch, int64 (pairs,) on the device.
            rates: the learning rate of each step.

        Yields:
            After each step the sum of all pairs' losses so far in nats, float64 (). It stays on the device and
            is overwritten by the next step: to read it earlier than after the last one makes the host wait.
        """


@dataclass(frozen=True, eq=False)
class EagerSteps:
    """Steps that are launched operation by operation: all a CPU needs, and on CUDA the check of the graphs.

    Attributes:
        model: in training mode, on the device of the data.
        optimizer: of its parameters.
        train: all training pairs, on the device.
        batch_size: pairs a step; the last step of an epoch takes what is left.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    train: Batch
    batch_size: int

    def step(self, indices: Tensor) -> Tensor:
        """One step with these training pairs; returns the sum of their losses, float32 () on the device."""
        return training_step(self.model, self.optimizer, self.train[indices]) * len(indices)

    def epoch(self, order: Tensor, rates: Sequence[float]) -> Iterator[Tensor]:
        """See ``Steps``."""
        # Summed on the device: reading each step's loss would make the host wait for every step.
        loss_sum = torch.zeros((), dtype=torch.float64, device=order.device)
        for indices, rate in zip(order.split(self.batch_size), rates, strict=True):
            set_learning_rate(self.optimizer, rate)
            loss_sum += self.step(indices)
            yield loss_sum
