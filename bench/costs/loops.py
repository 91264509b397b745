"""Training loops that are timed against each other, each in a process of its own.

What memory costs depends on the whole process. Ours keeps what it has freed (``bench.training.allocator``) and
leaves new tensors unfilled (``bench.training.seeding``); that of a notebook does neither.
"""

import importlib
import importlib.util
import logging
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from types import MappingProxyType
from typing import Any
from typing import Protocol as Interface

import torch
from torch import nn

from bench.config import Protocol
from bench.costs.lightning_loop import LightningLoop
from bench.costs.reference import ReferenceLoop, Sample, as_published, samples
from bench.training.allocator import keep_freed_memory
from bench.training.layout import layout_of
from bench.training.pairs import Pairs, StoredPairs
from bench.training.processes import fresh_process
from bench.training.runs import silent
from bench.training.seeding import deterministic, new_tensors_filled
from bench.training.steps import timed
from bench.training.trainer import Trainer
from data_utils import Batch

OURS, REFERENCE, LIGHTNING = "ours", "reference", "lightning"


def lightning_version() -> str | None:
    """The version of PyTorch Lightning; None where it is not installed."""
    return None if importlib.util.find_spec("lightning") is None else version("lightning")


@dataclass(frozen=True)
class Racer:
    """A training loop in a process of its own, which trains one model after the other on the same pairs.

    Attributes:
        start: Begins with a model on the CPU, which is copied; the model before is dropped.
        train_epoch: Trains an epoch of it; returns its mean training loss in nats, and the seconds of all steps
            but the first.
        losses: As ``losses_of``, in that process.
    """

    start: Callable[[nn.Module], None]
    train_epoch: Callable[[], tuple[float, float]]
    losses: Callable[[nn.Module, Batch, Protocol], list[float]]


@contextmanager
def racers(train: Pairs, protocol: Protocol, seed: int, device: str) -> Iterator[dict[str, Racer]]:
    """Our loop, the reference and, where it is installed, PyTorch Lightning's, by name.

    Args:
        train: All training pairs, on the CPU; copied.
        protocol: Epochs, batch size, learning rates and precision.
        seed: Decides the order of each epoch.
        device: To train on.
    """
    names = [REFERENCE, LIGHTNING, OURS] if lightning_version() else [REFERENCE, OURS]
    with ExitStack() as stack:
        processes = {name: stack.enter_context(fresh_process()) for name in names}
        set_up = [process.submit(_set_up, name, protocol, seed, device) for name, process in processes.items()]
        for started in set_up:
            started.result()
        yield {name: _racer(name, process, train, seed, device) for name, process in processes.items()}


def losses_of(
    name: str, model: nn.Module, train: Batch, protocol: Protocol, seed: int, device: str
) -> list[float]:
    """The mean training loss of each epoch of a loop, in this process.

    Args:
        name: Of the loop.
        model: On the CPU; trained in place.
        train: All training pairs, on the CPU.
        protocol: Epochs, batch size, learning rates and precision.
        seed: Decides the order of each epoch.
        device: To train on.
    """
    loop = _LOOPS[name](protocol, seed, device)
    for part in _parts(name, train):
        loop.take(part)
    loop.start(model)
    return [loop.train_epoch()[0] for _ in range(protocol.epochs)]


def _racer(name: str, process: ProcessPoolExecutor, train: Pairs, seed: int, device: str) -> Racer:
    # Pickled here: multiprocessing would use shared memory, of which containers have little.
    list(process.map(_take, map(pickle.dumps, _parts(name, train))))

    def losses(model: nn.Module, train: Batch, protocol: Protocol) -> list[float]:
        return process.submit(_losses, name, pickle.dumps((model, train)), protocol, seed, device).result()

    return Racer(
        start=lambda model: process.submit(_start, pickle.dumps(model)).result(),
        train_epoch=lambda: process.submit(_train_epoch).result(),
        losses=losses,
    )


class _Loop(Interface):
    """What a process does."""

    def take(self, part: Any) -> None:
        """Keep some of the training pairs, see ``_parts``."""

    def start(self, model: nn.Module) -> None:
        """Begin to train a model, which is on the CPU."""

    def train_epoch(self) -> tuple[float, float]:
        """See ``Racer``."""


class _Ours:
    """Our loop, with the settings of all our trainings."""

    def __init__(self, protocol: Protocol, seed: int, device: str) -> None:
        self._settings = protocol, seed
        self._device = device

    def take(self, part: StoredPairs | Batch) -> None:
        self._train = part.to(self._device)

    def start(self, model: nn.Module) -> None:
        protocol, seed = self._settings
        valid = self._train[: protocol.batch_size]
        # It was built for a CPU, whose layout another device would keep.
        model = model.to(memory_format=layout_of(self._device)).to(self._device)
        with deterministic(protocol.precision):
            self._trainer = Trainer(model, self._train, valid, protocol, seed, silent)

    def train_epoch(self) -> tuple[float, float]:
        with deterministic(self._settings[0].precision):
            _, seconds = timed(self._trainer.steps(), self._trainer.device)
            self._trainer.finish_epoch()
        return self._trainer.history.train_losses[-1], seconds


class _Reference:
    """The reference loop, in a process like the kernel of a notebook that trains one model after the other."""

    def __init__(self, protocol: Protocol, seed: int, device: str) -> None:
        self._settings = protocol, seed, device
        self._train: list[Sample] = []

    def take(self, part: Sample) -> None:
        self._train.append(part)

    def start(self, model: nn.Module) -> None:
        protocol, seed, device = self._settings
        self._loop = ReferenceLoop(as_published(model).to(device), self._train, protocol, seed, device)

    def train_epoch(self) -> tuple[float, float]:
        protocol, _, device = self._settings
        with deterministic(protocol.precision), new_tensors_filled(True):
            return timed(self._loop.steps(), torch.device(device))


class _Lightning(_Reference):
    """Lightning's loop, in such a process."""

    def start(self, model: nn.Module) -> None:
        self._trainer = LightningLoop(as_published(model), self._train, *self._settings)

    def train_epoch(self) -> tuple[float, float]:
        return self._trainer.train_epoch()


_LOOPS: Mapping[str, Callable[[Protocol, int, str], _Loop]] = MappingProxyType(
    {OURS: _Ours, REFERENCE: _Reference, LIGHTNING: _Lightning}
)


def _parts(name: str, train: Pairs) -> Sequence[Pairs | Sample]:
    """The training pairs in the parts that a loop takes.

    Others than ours get one sample at a time, as notebooks read them: glibc adapts to the largest block freed.
    """
    return [train] if name == OURS else samples(train)


# Of the process, where it is one that trains.
_loop: list[_Loop] = []


def _set_up(name: str, protocol: Protocol, seed: int, device: str) -> None:
    if name == OURS:
        keep_freed_memory()
    if name == LIGHTNING:  # its hints are for its users
        warnings.simplefilter("ignore")
        importlib.import_module("lightning.pytorch")  # sets the level that is changed here
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    _loop.append(_LOOPS[name](protocol, seed, device))


def _take(part: bytes) -> None:
    _loop[0].take(pickle.loads(part))  # noqa: S301 - written by our own other process


def _start(model: bytes) -> None:
    _loop[0].start(pickle.loads(model))  # noqa: S301


def _train_epoch() -> tuple[float, float]:
    return _loop[0].train_epoch()


def _losses(name: str, content: bytes, protocol: Protocol, seed: int, device: str) -> list[float]:
    model, train = pickle.loads(content)  # noqa: S301
    return losses_of(name, model, train, protocol, seed, device)
