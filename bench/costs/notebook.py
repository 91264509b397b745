"""The process of a notebook, as far as it decides what memory costs the reference loop.

What memory costs is a matter of the whole process. Ours keeps what it has freed (``bench.training.allocator``) and
leaves new tensors as they are (``bench.training.seeding``); a notebook does neither. So the reference runs beside our
loop with these settings changed for its turn (``notebook_memory``), and in another process (``reference_process``)
as a check of the former.
"""

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.config import Protocol
from bench.costs.reference import ReferenceLoop, Sample
from bench.training.allocator import HIGHEST_MMAP_THRESHOLD, give_back_freed_memory, keep_freed_memory
from bench.training.evaluation import classification_loss
from bench.training.processes import fresh_process
from bench.training.seeding import deterministic, new_tensors_filled
from bench.training.steps import timed
from data_utils import Batch


def largest_block_of(model: nn.Module, batch: Batch) -> int:
    """Bytes of the largest tensor that a training step makes, of those that glibc learns from.

    Args:
        model: any; it is not run, a copy without data is.
        batch: a training batch.
    """
    shapes_alone, batch = copy.deepcopy(model).to("meta"), batch.to("meta")
    made = _Blocks()
    with made:
        classification_loss(shapes_alone(batch.inputs), batch.labels).backward()
    return max(size for size in made.sizes if size <= HIGHEST_MMAP_THRESHOLD)


class _Blocks(TorchDispatchMode):
    """Notes the bytes of every tensor that an operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: set[int] = set()

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        made = func(*args, **(kwargs or {}))
        self.sizes.update(
            leaf.untyped_storage().nbytes() for leaf in tree_leaves(made) if isinstance(leaf, Tensor)
        )
        return made


@contextmanager
def notebook_memory(largest_block: int) -> Iterator[None]:
    """Run the body with memory as a notebook in deterministic mode has it, then as our loop has it.

    PyTorch fills each new tensor in that mode unless told otherwise, and the C library gives freed memory back.

    Args:
        largest_block: see ``allocator.give_back_freed_memory``.
    """
    give_back_freed_memory(largest_block)
    try:
        with new_tensors_filled(True):
            yield
    finally:
        keep_freed_memory()


@contextmanager
def reference_process(
    model: nn.Module, train: Sequence[Sample], protocol: Protocol, seed: int, device: str
) -> Iterator[Callable[[], tuple[float, float]]]:
    """The reference loop in a process of its own, as a notebook's kernel is that trains this model alone.

    Nothing is assumed of the C library here: it learns by itself. The process idles while it is not asked for
    anything.

    Args:
        model: copied.
        train: all training pairs, see ``samples``; copied.
        protocol: epochs, batch size and learning rates.
        seed: decides the order of each epoch.
        device: to train on.

    Yields:
        What trains an epoch, and returns what ``steps.timed`` does.
    """
    with fresh_process() as process:
        # Sample by sample, as a notebook reads them: the C library would learn from one large block. Pickled here,
        # as multiprocessing would move tensors through shared memory, of which containers have little.
        list(process.map(_take, map(pickle.dumps, train)))
        on_host = copy.deepcopy(model).cpu()  # a module moves itself
        process.submit(_start, pickle.dumps(on_host), protocol, seed, device).result()
        yield lambda: process.submit(_train_epoch, device).result()


# Of the process that trains, and there alone.
_taken: list[Sample] = []
_running: list[ReferenceLoop] = []


def _take(sample: bytes) -> None:
    _taken.append(pickle.loads(sample))  # noqa: S301 - from our own other process


def _start(model: bytes, protocol: Protocol, seed: int, device: str) -> None:
    copied = pickle.loads(model)  # noqa: S301
    _running.append(ReferenceLoop(copied.to(device), _taken, protocol, seed, device))


def _train_epoch(device: str) -> tuple[float, float]:
    (loop,) = _running
    with deterministic(), new_tensors_filled(True):
        return timed(loop.steps(), torch.device(device))
