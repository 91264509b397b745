"""Our training loop and the reference loop, each in a process of its own.

What memory costs depends on the whole process. Ours keeps what it has freed (``bench.training.allocator``) and
leaves new tensors unfilled (``bench.training.seeding``); that of a notebook does neither.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from bench.config import Protocol
from bench.costs.reference import ReferenceLoop, Sample
from bench.training.allocator import keep_freed_memory
from bench.training.processes import fresh_process
from bench.training.runs import silent
from bench.training.seeding import deterministic, new_tensors_filled
from bench.training.steps import timed
from bench.training.trainer import Trainer
from data_utils import Batch

TrainEpoch = Callable[[], tuple[float, float]]
"""Trains an epoch in the process; returns its mean training loss and the seconds of all steps but the first."""


@contextmanager
def our_process(
    model: nn.Module, train: Batch, protocol: Protocol, seed: int, device: str
) -> Iterator[TrainEpoch]:
    """Our loop in a process with the settings of all our trainings.

    Args:
        model: On the CPU; copied.
        train: All training pairs, on the CPU; copied.
        protocol: Epochs, batch size and learning rates.
        seed: Decides the order of each epoch.
        device: To train on.
    """
    with fresh_process() as process:
        # Pickled here: multiprocessing would use shared memory, of which containers have little.
        process.submit(_start_ours, pickle.dumps((model, train)), protocol, seed, device).result()
        yield lambda: process.submit(_our_epoch).result()


@contextmanager
def reference_process(
    model: nn.Module, train: Sequence[Sample], protocol: Protocol, seed: int, device: str
) -> Iterator[TrainEpoch]:
    """The reference loop in a process like the kernel of a notebook that trains this model alone.

    Its arguments are those of ``our_process``, but the training pairs come one by one (``reference.samples``).
    """
    with fresh_process() as process:
        # One sample at a time, as a notebook reads them: glibc adapts to the largest block that is freed.
        list(process.map(_take, map(pickle.dumps, train)))
        process.submit(_start_reference, pickle.dumps(model), protocol, seed, device).result()
        yield lambda: process.submit(_reference_epoch, device).result()


# Used in the processes that train, and there alone.
_samples: list[Sample] = []
_ours: list[Trainer] = []
_references: list[ReferenceLoop] = []


def _start_ours(content: bytes, protocol: Protocol, seed: int, device: str) -> None:
    keep_freed_memory()
    model, train = pickle.loads(content)  # noqa: S301 - written by our own other process
    train = train.to(device)
    with deterministic():
        _ours.append(Trainer(model.to(device), train, train[: protocol.batch_size], protocol, seed, silent))


def _our_epoch() -> tuple[float, float]:
    (trainer,) = _ours
    with deterministic():
        _, seconds = timed(trainer.steps(), trainer.device)
        trainer.finish_epoch()
    return trainer.history.train_losses[-1], seconds


def _take(sample: bytes) -> None:
    _samples.append(pickle.loads(sample))  # noqa: S301


def _start_reference(content: bytes, protocol: Protocol, seed: int, device: str) -> None:
    model = pickle.loads(content)  # noqa: S301
    _references.append(ReferenceLoop(model.to(device), _samples, protocol, seed, device))


def _reference_epoch(device: str) -> tuple[float, float]:
    (loop,) = _references
    with deterministic(), new_tensors_filled(True):
        return timed(loop.steps(), torch.device(device))
