"""Named random streams of one seed, and the switch for deterministic algorithms.

Every draw belongs to a stream: the split, the initial weights, the order of each epoch. A stream depends on the
seed and its own name alone, so a draw added to one leaves the others, and all earlier results, as they were.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
import torch.utils.deterministic
from torch import Tensor


def stream(seed: int, name: str) -> int:
    """The seed of a named stream: 0 <= value < 2**63, unrelated for different names and seeds."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@contextmanager
def seeded(seed: int, name: str, device: str = "cpu") -> Iterator[None]:
    """Run the body with torch's global generators at the start of a stream, then restore them.

    For code that draws from a global generator, such as the constructors of layers, and dropout. The device's
    generator is set too, where it has one of its own.
    """
    with_generator = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=with_generator):
        torch.default_generator.manual_seed(stream(seed, name))
        for cuda in with_generator:
            with torch.cuda.device(cuda):
                torch.cuda.manual_seed(stream(seed, name))
        yield


def epoch_order(seed: int, epoch: int, samples: int) -> Tensor:
    """The order of the training pairs in one epoch, a permutation (samples,) of int64.

    Depends on its arguments alone: not on the model, nor on what was trained before.
    """
    generator = torch.Generator().manual_seed(stream(seed, f"order/{epoch}"))
    return torch.randperm(samples, generator=generator)


@contextmanager
def _switched(place: object, **settings: bool) -> Iterator[None]:
    """Run the body with other settings of a module of torch, then restore them."""
    before = {name: getattr(place, name) for name in settings}
    try:
        for name, value in settings.items():
            setattr(place, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(place, name, value)


def new_tensors_filled(filled: bool) -> AbstractContextManager[None]:
    """Run the body with or without filling new tensors with NaN in deterministic mode, then restore that."""
    return _switched(torch.utils.deterministic, fill_uninitialized_memory=filled)


@contextmanager
def deterministic() -> Iterator[None]:
    """Run the body with deterministic algorithms and without TF32, then restore the settings.

    New tensors are not filled with NaN first, as deterministic mode otherwise does: nothing here reads memory
    before writing it, and the filling costs time in every step.

    An operation without a deterministic version raises RuntimeError. The cost: on CUDA some convolutions and
    scatter operations are slower, and cuDNN does not choose its algorithms by timing them.
    """
    # cuBLAS reads this once, before its first call; it cannot be set later, and need not be restored.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        torch.use_deterministic_algorithms(True)
        with (
            new_tensors_filled(False),
            _switched(torch.backends.cudnn, deterministic=True, benchmark=False, allow_tf32=False),
            _switched(torch.backends.cuda.matmul, allow_tf32=False),
        ):
            yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
