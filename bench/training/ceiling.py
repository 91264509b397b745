"""The device's own limits, measured in the same session: the speed of a training is compared with them.

Two numbers bound any program: how fast the device multiplies and how fast it moves bytes. Both are measured with
the threads and the settings of the trainings, so that a model's share of them depends on the model alone.
"""

from collections.abc import Callable
from functools import cache

import torch

from bench.training.seeding import deterministic
from bench.training.steps import seconds_of, synchronize

# Rows and columns of the square matrices, and elements of the copied tensor, by kind of device: so large that
# launching the work takes a negligible time and no cache holds the copy, so small that it is over at once.
_MATRIX_SIZE = {"cpu": 1024, "cuda": 8192}
_COPIED_ELEMENTS = {"cpu": 2**24, "cuda": 2**27}
_FLOAT_BYTES = 4

_SECONDS = 0.2
_LEAST_REPEATS = 3


def ceiling(device: str) -> dict[str, float]:
    """The limits of a device with this process's number of threads; measured once, in about half a second.

    The best of several repeats counts, as other work on the machine can only make a repeat slower.

    Returns:
        In 32-bit floating point without TF32: "flops_per_second" of a large matrix product, a multiply-add counted
        as two operations; "bytes_per_second" of a large copy, bytes read and bytes written together.
    """
    return _measured(device, torch.get_num_threads())


@cache
def _measured(device: str, threads: int) -> dict[str, float]:  # noqa: ARG001 - the limits depend on the threads
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
    return {
        "flops_per_second": 2 * size**3 / product_seconds,
        "bytes_per_second": 2 * _FLOAT_BYTES * elements / copy_seconds,
    }


def _best_seconds(work: Callable[[], object], device: str) -> float:
    """The shortest of repeats that take about ``_SECONDS``, after one that warms up."""

    def repeat() -> None:
        work()
        synchronize(torch.device(device))

    repeat()
    durations: list[float] = []
    while len(durations) < _LEAST_REPEATS or sum(durations) < _SECONDS:
        durations.append(seconds_of(repeat))
    return min(durations)
