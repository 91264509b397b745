"""The loop that notebooks train with, as a peer to time ours against; nothing is trained with it otherwise.

A DataLoader stacks single samples of memory into contiguous batches, every step moves its batch to the device and
asks for its loss, and Adam is the default one. The order of each epoch, the learning rates and the loss are those
of ``bench.engine.training``, so both loops compute the same up to rounding.
"""

import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from bench.config import Protocol
from bench.engine.training import schedule
from bench.evaluation import classification_loss
from bench.processes import fresh_process
from bench.seeding import deterministic, epoch_order
from data_utils import Batch

Sample = tuple[dict[str, Tensor], Tensor]


def samples(batch: Batch) -> list[Sample]:
    """The pairs of a batch one by one, contiguous (C, H, W), in the host's memory; none shares that of another."""
    on_host = batch.to("cpu")
    return [
        (
            {m: values[i].clone(memory_format=torch.contiguous_format) for m, values in on_host.inputs.items()},
            on_host.labels[i].clone(),
        )
        for i in range(len(batch))
    ]


class EpochOrder(Sampler[int]):
    """Each pass is the order of the next epoch."""

    def __init__(self, seed: int, samples: int) -> None:
        self._seed, self._samples, self._epoch = seed, samples, 0

    def __len__(self) -> int:
        return self._samples

    def __iter__(self) -> Iterator[int]:
        self._epoch += 1
        return iter(epoch_order(self._seed, self._epoch, self._samples).tolist())


class ReferenceLoop:
    """Trains a model as notebooks do.

    Args:
        model: on ``device``, its weights contiguous; shared with whoever gave it.
        train: all training pairs, see ``samples``.
        protocol: epochs, batch size and learning rates.
        seed: decides the order of each epoch.
        device: to train on.
    """

    def __init__(
        self, model: nn.Module, train: Sequence[Sample], protocol: Protocol, seed: int, device: str
    ) -> None:
        self._model, self._protocol, self._device = model, protocol, device
        self._loader = DataLoader(
            cast(Dataset[Sample], train),  # any sequence will do
            batch_size=protocol.batch_size,
            sampler=EpochOrder(seed, len(train)),
            drop_last=protocol.drop_last,
        )
        self._optimizer = torch.optim.Adam(model.parameters(), lr=protocol.learning_rate)
        self._schedule = schedule(self._optimizer, protocol, len(self._loader))

    def train_epoch(self) -> float:
        """Train one epoch; returns the mean training loss in nats, weighed as ``EpochResult.train_loss`` is."""
        self._model.train()
        loss_sum, pairs = 0.0, 0
        for inputs, labels in self._loader:
            moved = {modality: values.to(self._device) for modality, values in inputs.items()}
            targets = labels.to(self._device)
            self._optimizer.zero_grad()
            loss = classification_loss(self._model(moved), targets)
            loss.backward()
            self._optimizer.step()
            if self._protocol.schedule == "cosine-step":
                self._schedule.step()
            loss_sum += loss.item() * len(targets)
            pairs += len(targets)
        if self._protocol.schedule == "cosine-epoch":
            self._schedule.step()
        return loss_sum / pairs

    def timed_epoch(self) -> tuple[float, float]:
        """Train one epoch; returns its mean training loss in nats and its seconds."""
        start = time.perf_counter()
        loss = self.train_epoch()  # asks for its loss every step, so the device has done the work
        return loss, time.perf_counter() - start


@contextmanager
def reference_process(
    model: nn.Module, train: Sequence[Sample], protocol: Protocol, seed: int, device: str
) -> Iterator[Callable[[], tuple[float, float]]]:
    """The reference loop in a process of its own, as the kernel of a notebook is one.

    What memory costs is a matter of the whole process: the C library learns from the blocks a process has freed
    which ones to keep for it. Beside our loop, which keeps its memory (``bench.engine.allocator``), the reference
    would find what was kept; behind other models, what those have taught. The process idles while it is not asked
    for anything.

    Args:
        model: its weights contiguous; copied.
        train: all training pairs, see ``samples``; copied.
        protocol: epochs, batch size and learning rates.
        seed: decides the order of each epoch.
        device: to train on.

    Yields:
        What trains an epoch, and returns its mean training loss in nats and its seconds.
    """
    with fresh_process() as process:
        # Sample by sample, as a notebook reads them: the C library would learn from one large block. Pickled here,
        # as multiprocessing would move tensors through shared memory, of which containers have little.
        list(process.map(_take, map(pickle.dumps, train)))
        process.submit(_start, pickle.dumps(model.cpu()), protocol, seed, device).result()
        yield lambda: process.submit(_train_epoch).result()


# Of the process that trains, and there alone.
_taken: list[Sample] = []
_running: list[ReferenceLoop] = []


def _take(sample: bytes) -> None:
    _taken.append(pickle.loads(sample))  # noqa: S301 - from our own other process


def _start(model: bytes, protocol: Protocol, seed: int, device: str) -> None:
    copied = pickle.loads(model)  # noqa: S301
    _running.append(ReferenceLoop(copied.to(device), _taken, protocol, seed, device))


def _train_epoch() -> tuple[float, float]:
    (loop,) = _running
    with deterministic():
        return loop.timed_epoch()
