"""Named random streams of one seed, and the switch for deterministic algorithms.

Every draw belongs to a stream: the split, the initial weights, the order of each epoch. A stream depends on the
seed and its own name alone, so a draw added to one leaves the others, and all earlier results, as they were.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import torch
import torch.utils.deterministic
from torch import Tensor

from bench.config import FP32, TF32, Precision

T = TypeVar("T")

# Each may compute float32 in another format, by a setting of its own; cuDNN's is that of its parts without one.
_ON_CUDA = (
    torch.backends.cuda.matmul,
    torch.backends.cudnn,
    *(getattr(torch.backends.cudnn, name) for name in ("conv", "rnn")),
)
_ON_CPU = tuple(getattr(torch.backends.mkldnn, name) for name in ("matmul", "conv", "rnn"))


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
def _switched(place: object, **settings: bool | str) -> Iterator[None]:
    """Run the body with other settings of a module of torch, then restore them."""
    before = {name: getattr(place, name) for name in settings}
    try:
        for name, value in settings.items():
            setattr(place, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(place, name, value)


@contextmanager
def _float32_in(precision: Precision) -> Iterator[None]:
    """Run the body with float32 in full, or in TF32 on CUDA alone, then restore the settings."""
    backends = (*_ON_CUDA, *_ON_CPU)
    before = [backend.fp32_precision for backend in backends]
    products = _older(torch.get_float32_matmul_precision, "highest")
    convolutions = _older(lambda: torch.backends.cudnn.allow_tf32, True)
    try:
        # The older settings too, and first, as they change some of the newer ones: reading one raises where it
        # contradicts these. PyTorch Lightning reads the first, ``torch.backends.cudnn.flags`` the second.
        torch.set_float32_matmul_precision("high" if precision == TF32 else "highest")
        torch.backends.cudnn.allow_tf32 = precision == TF32
        for backend in backends:
            backend.fp32_precision = TF32 if precision == TF32 and backend in _ON_CUDA else "ieee"
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions
        for backend, value in zip(backends, before, strict=True):
            backend.fp32_precision = value


def _older(read: Callable[[], T], default: T) -> T:
    """An older setting; torch's default where it contradicts the newer ones, so that only these were changed."""
    try:
        return read()
    except RuntimeError:
        return default


def new_tensors_filled(filled: bool) -> AbstractContextManager[None]:
    """Run the body with or without filling new tensors with NaN in deterministic mode, then restore that."""
    return _switched(torch.utils.deterministic, fill_uninitialized_memory=filled)


@contextmanager
def deterministic(precision: Precision = FP32) -> Iterator[None]:
    """Run the body with deterministic algorithms and float32 in a protocol's precision, then restore the settings.

    Whatever was set before, float32 is computed in TF32 on CUDA for "tf32", and otherwise in full. Mixed precision
    for "bf16" is up to ``bench.training.precision.forward``.

    New tensors are not filled with NaN first, as deterministic mode otherwise does: nothing here reads memory
    before writing it, and the filling costs time in every step.

    An operation without a deterministic version raises RuntimeError. The cost: on CUDA some convolutions and
    scatter operations are slower, and cuDNN does not choose its algorithms by timing them.
    """
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        torch.use_deterministic_algorithms(True)
        with (
            new_tensors_filled(False),
            _switched(torch.backends.cudnn, deterministic=True, benchmark=False),
            _float32_in(precision),
        ):
            yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
