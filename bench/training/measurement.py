"""What a model costs: parameters, and the operations and the peak memory of a training step.

Warm-up lives here as well: the steps that measure memory are run on a throwaway copy just before the training
that is timed, so kernels are chosen and allocators filled by then.
"""

import copy
import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from bench.training.evaluation import classification_loss
from bench.training.steps import adam, synchronize, training_step
from data_utils import Batch

# Adam allocates its state in the first step, so the second one is the first with everything in place.
MEASURED_STEPS = 2


def count_parameters(model: nn.Module) -> int:
    """Weights and biases, frozen ones included."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_trainable_parameters(model: nn.Module) -> int:
    """Weights and biases that training changes."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def rounds_within(seconds: float, work: Callable[[], object], *, least: int, most: int) -> int:
    """How many rounds of some work fit into a time, and a warm-up of it.

    Args:
        seconds: for all rounds together.
        work: synchronizes the device it uses. Run once, and once more where that was over in the time: the first
            call also chooses kernels and fills allocators.
        least: so many rounds at least, however long they take.
        most: no more, however short they are.
    """
    took = _seconds(work)
    if took < seconds:
        took = _seconds(work)
    return min(most, max(least, int(seconds / took)))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def training_flops(model: nn.Module, batch: Batch) -> int:
    """Floating-point operations of one training step, forward and backward; a multiply-add counts as two.

    Convolutions and matrix products are counted, by their shapes. Not counted, as torch's counter has no formula
    for them: biases, ReLU, pooling, element-wise operators, the loss and the optimizer; all of them read and write
    far more than they compute. Frozen parameters get no gradient, so their backward pass does not count.

    Args:
        model: frozen as it is trained. It is not run: a copy without data is.
        batch: a training batch.
    """
    shapes_alone = copy.deepcopy(model).to("meta")
    batch = batch.to("meta")
    with FlopCounterMode(display=False) as counter:
        classification_loss(shapes_alone(batch.inputs), batch.labels).backward()
    return int(counter.get_total_flops())


@dataclass(frozen=True)
class PeakMemory:
    """The most memory that one model's training step needs at a time.

    Weights, gradients, optimizer state, activations and the batch are counted; other models and the data set
    are not.

    Attributes:
        peak_bytes: at the peak.
        method: what was counted. Figures of different methods do not compare.
        reserved_bytes: what CUDA's caching allocator held for it at its peak: the bytes above in whole blocks,
            with the gaps between them. None on a CPU, whose memory no such allocator holds.
    """

    peak_bytes: int
    method: str
    reserved_bytes: int | None


def training_memory(build: Callable[[], nn.Module], batch: Batch) -> PeakMemory:
    """Measure the peak memory of a training step.

    Args:
        build: makes the model on the batch's device. It is called here so that its weights are counted; the
            model is thrown away.
        batch: one training batch, on the device.
    """
    if batch.labels.device.type == "cuda":
        return _cuda_memory(build, batch)
    return _cpu_memory(build, batch)


def _steps(build: Callable[[], nn.Module], batch: Batch) -> None:
    model = build()
    own_batch = Batch({m: values.clone() for m, values in batch.inputs.items()}, batch.labels.clone())
    optimizer = adam(model, learning_rate=0.0)
    for _ in range(MEASURED_STEPS):
        training_step(model, optimizer, own_batch)


def _cuda_memory(build: Callable[[], nn.Module], batch: Batch) -> PeakMemory:
    device = batch.labels.device
    _steps(build, batch)  # warm-up: the first use of a kernel allocates workspaces that stay
    synchronize(device)
    gc.collect()
    torch.cuda.empty_cache()
    allocated, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    _steps(build, batch)
    synchronize(device)
    return PeakMemory(
        peak_bytes=torch.cuda.max_memory_allocated(device) - allocated,
        method="cuda allocator: peak allocated bytes above those before the model was made",
        reserved_bytes=torch.cuda.max_memory_reserved(device) - reserved,
    )


def _cpu_memory(build: Callable[[], nn.Module], batch: Batch) -> PeakMemory:
    # The profiler's library logs its start and stop on stderr unless told before its first use.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        _steps(build, batch)
    if profiler.profiler is None or profiler.profiler.kineto_results is None:
        raise RuntimeError("torch.profiler recorded nothing, so memory cannot be measured on this build of torch")
    current = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            current += event.nbytes()
            peak = max(peak, current)
    method = "cpu allocator: peak sum of allocated less freed bytes, from torch.profiler"
    return PeakMemory(peak, method, reserved_bytes=None)
