"""The device's own limits, measured in the same session: the speed of a training is compared with them.

Two numbers bound any program: how fast the device multiplies and how fast it moves bytes. Both are measured with
the threads and the settings of the trainings, so that a model's share of them depends on the model alone.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import inf

import torch

from bench.training.seeding import deterministic
from bench.training.steps import synchronize

# Rows and columns of the square matrices, and elements of the copied tensor, by kind of device: so large that
# launching the work takes a negligible time and no cache holds the copy, so small that it is over at once.
_MATRIX_SIZE = {"cpu": 1024, "cuda": 8192}
_COPIED_ELEMENTS = {"cpu": 2**24, "cuda": 2**27}
_FLOAT_BYTES = 4

_SECONDS = 0.2
_LEAST_REPEATS = 3


@dataclass(frozen=True)
class Ceiling:
    """The limits of a device, in 32-bit floating point without TF32.

    Attributes:
        flops_per_second: Of a large matrix product, a multiply-add counted as two operations.
        bytes_per_second: Of a large copy, bytes read and bytes written together.
    """

    flops_per_second: float
    bytes_per_second: float


def ceiling(device: str) -> Ceiling:
    """The limits of a device with this process's number of threads; measured once, in about half a second.

    The best of several repeats counts, as other work on the machine can only make a repeat slower.

    Args:
        device: "cpu", "cuda" or "cuda:N".
    """
    return _measured(device, torch.get_num_threads())


@cache
def _measured(device: str, threads: int) -> Ceiling:  # noqa: ARG001 - the limits depend on the threads
    kind = torch.device(device).type
    size, elements = _MATRIX_SIZE[kind], _COPIED_ELEMENTS[kind]
    # Random, as multiplying zeros takes a GPU less power and therefore less time.
    generator = torch.Generator(device).manual_seed(0)
    with deterministic():
        matrix = torch.rand(size, size, device=device, generator=generator)
        product = torch.empty_like(matrix)
        product_seconds = _best_seconds(lambda: torch.mm(matrix, matrix, out=product), device)
        source = torch.zeros(elements, device=device)
        target = torch.zeros_like(source)
        copy_seconds = _best_seconds(lambda: target.copy_(source), device)
    return Ceiling(
        flops_per_second=2 * size**3 / product_seconds,
        bytes_per_second=2 * _FLOAT_BYTES * elements / copy_seconds,
    )


def _best_seconds(work: Callable[[], object], device: str) -> float:
    """The shortest of repeats that take about ``_SECONDS``, after one that warms up."""

    def seconds() -> float:
        start = time.perf_counter()
        work()
        synchronize(torch.device(device))
        return time.perf_counter() - start

    seconds()
    best, total, repeats = inf, 0.0, 0
    while repeats < _LEAST_REPEATS or total < _SECONDS:
        duration = seconds()
        best, total, repeats = min(best, duration), total + duration, repeats + 1
    return best
