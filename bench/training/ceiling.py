"""The device's own limits, measured in the same session: the speed of a training is compared with them.

Two numbers bound any program: how fast the device computes and how fast it moves bytes. Both are measured with the
threads and the settings of the trainings, so that a model's share of them depends on the model alone. Which
operation computes fastest depends on the libraries and the processor: MKL's matrix product is fast on Intel's
processors and slow on others, where oneDNN's convolution is more than twice as fast. So several are measured.
"""

from collections.abc import Callable
from functools import cache
from math import inf

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.config import BF16, FP32, Precision
from bench.training.seeding import deterministic
from bench.training.steps import seconds_of, synchronize

# Sizes by kind of device: so large that launching the work takes a negligible time and no cache holds the copy, so
# small that it is over at once. Rows and columns of the square matrices; pairs, channels, height and width of the
# maps that a 3x3 convolution takes and returns; elements of the copied tensor.
_MATRIX_SIZE = {"cpu": 1024, "cuda": 8192}
_MAPS = {"cpu": (8, 256, 16, 16), "cuda": (256, 512, 32, 32)}
_COPIED_ELEMENTS = {"cpu": 2**24, "cuda": 2**27}
_FLOAT_BYTES = 4

_SECONDS = 0.2
_LEAST_REPEATS = 3


def ceiling(device: str, precision: Precision = FP32) -> dict[str, float]:
    """The limits of a device with this process's number of threads; measured once, in about a second.

    The best of several repeats counts, as other work on the machine can only make a repeat slower.

    Args:
        device: "cpu", "cuda" or "cuda:N".
        precision: Of the trainings that are compared with the limits.

    Returns:
        "product_flops_per_second" of a large matrix product, "convolution_flops_per_second" of a large
        convolution, on a CPU also "onednn_product_flops_per_second" of the same product by oneDNN, a multiply-add
        counted as two operations; "flops_per_second", the highest of these; "bytes_per_second" of a large copy of
        float32, bytes read and bytes written together.
    """
    return _measured(device, precision, torch.get_num_threads())


@cache
def _measured(device: str, precision: Precision, threads: int) -> dict[str, float]:  # noqa: ARG001 - limits depend on it
    elements = _COPIED_ELEMENTS[torch.device(device).type]
    with deterministic(precision), torch.no_grad():
        flops = {
            f"{name}_flops_per_second": operations / _best_seconds(work, device)
            for name, (operations, work) in _operations(device, precision).items()
        }
        source = torch.zeros(elements, device=device)
        target = torch.zeros_like(source)
        copy_seconds = _best_seconds(lambda: target.copy_(source), device)
    return {
        "flops_per_second": max(flops.values()),
        "bytes_per_second": 2 * _FLOAT_BYTES * elements / copy_seconds,
        **flops,
    }


def _operations(device: str, precision: Precision) -> dict[str, tuple[int, Callable[[], object]]]:
    """What is measured, by name: the number of floating-point operations, and the work."""
    kind = torch.device(device).type
    # Random, as multiplying zeros takes a GPU less power and therefore less time.
    generator = torch.Generator(device).manual_seed(0)
    number = torch.bfloat16 if precision == BF16 else torch.float32

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, device=device, generator=generator).to(number)

    size, (pairs, channels, height, width) = _MATRIX_SIZE[kind], _MAPS[kind]
    matrix = random(size, size)
    maps = random(pairs, channels, height, width).contiguous(memory_format=torch.channels_last)
    weights = random(channels, channels, 3, 3).contiguous(memory_format=torch.channels_last)
    product = torch.empty_like(matrix)
    operations: dict[str, tuple[int, Callable[[], object]]] = {
        "product": (2 * size**3, lambda: torch.mm(matrix, matrix, out=product)),
        "convolution": (2 * weights.numel() * pairs * height * width, lambda: F.conv2d(maps, weights, padding=1)),
    }
    if kind == "cpu" and torch.backends.mkldnn.is_available():
        by_onednn = matrix.to_mkldnn()
        operations["onednn_product"] = (2 * size**3, lambda: F.linear(by_onednn, by_onednn))
    return operations


def _best_seconds(work: Callable[[], object], device: str) -> float:
    """The shortest of repeats that take about ``_SECONDS``, after one that warms up."""

    def repeat() -> None:
        work()
        synchronize(torch.device(device))

    repeat()
    best, total, repeats = inf, 0.0, 0
    while repeats < _LEAST_REPEATS or total < _SECONDS:
        seconds = seconds_of(repeat)
        best, total, repeats = min(best, seconds), total + seconds, repeats + 1
    return best
