"""What a model costs: parameters, and the operations and the peak memory of a training step.

This is the warm-up as well: the steps that measure memory run on a throwaway copy just before the training that is
timed, so kernels are chosen and allocators filled by then.
"""

import copy
import gc
import os
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from bench.config import Protocol
from bench.metrics import classification_loss
from bench.training.methods import make_methods
from bench.training.steps import make_optimizer, synchronize, trained_with, training_step
from data_utils import Batch

MEASURED_STEPS = 2
"""Optimizers allocate their state in the first step, so the second is the first with everything in place."""


def count_parameters(model: nn.Module) -> int:
    """Weights and biases, frozen ones included."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_trainable_parameters(model: nn.Module) -> int:
    """Weights and biases that training changes."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def training_flops(model: nn.Module, batch: Batch) -> int:
    """Floating-point operations of one training step, forward and backward; a multiply-add counts as two.

    Convolutions and matrix products are counted, by their shapes. Not counted, as torch's counter has no formula
    for them: biases, ReLU, pooling, element-wise operators, the loss and the optimizer; all of them read and write
    far more than they compute. Frozen parameters get no gradient, so their backward pass does not count.

    Args:
        model: Frozen as it is trained. A copy without data is run in its place.
        batch: A training batch.
    """
    without_data = copy.deepcopy(model).to("meta")
    batch = batch.to("meta")
    with FlopCounterMode(display=False) as counter:
        classification_loss(without_data(batch.inputs), batch.labels).backward()
    return int(counter.get_total_flops())


@dataclass(frozen=True)
class PeakMemory:
    """The peak memory of one model's training step.

    Weights, gradients, optimizer state, activations and the batch are counted; other models and the data set
    are not.

    Attributes:
        peak_bytes: At the peak.
        method: What was counted. Values of different methods cannot be compared.
        reserved_bytes: What CUDA's caching allocator held for it at its peak: the bytes above in whole blocks,
            with the gaps between them. None on a CPU, where it is not measured.
    """

    peak_bytes: int
    method: str
    reserved_bytes: int | None


def training_memory(build: Callable[[], nn.Module], batch: Batch, protocol: Protocol) -> PeakMemory:
    """Measure the peak memory of a training step on a batch, with the protocol's optimizer.

    The model is built here, on the batch's device, so that its weights are counted; it is thrown away.
    """

    def steps() -> None:
        model = build()
        own_batch = Batch({m: values.clone() for m, values in batch.inputs.items()}, batch.labels.clone())
        methods = make_methods(model, protocol, own_batch, seed=0)
        optimizer = make_optimizer(trained_with(model, methods), protocol)
        for _ in range(MEASURED_STEPS):
            training_step(model, optimizer, own_batch, protocol, methods)

    device = batch.labels.device
    return _cuda_memory(steps, device) if device.type == "cuda" else _cpu_memory(steps)


def _cuda_memory(steps: Callable[[], None], device: torch.device) -> PeakMemory:
    steps()  # warm-up: the first use of a kernel allocates workspaces that stay
    synchronize(device)
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_stats(device)
    torch.cuda.reset_peak_memory_stats(device)
    steps()
    synchronize(device)
    peak = torch.cuda.memory_stats(device)
    # Requested, not allocated: a block is allocated whole where too little of it is left to split, which depends
    # on what the allocator has been through.
    requested, reserved = "requested_bytes.all", "reserved_bytes.all"
    return PeakMemory(
        peak_bytes=peak[f"{requested}.peak"] - before[f"{requested}.current"],
        method="cuda allocator: peak requested bytes above those before the model was made",
        reserved_bytes=peak[f"{reserved}.peak"] - before[f"{reserved}.current"],
    )


def _cpu_memory(steps: Callable[[], None]) -> PeakMemory:
    # The profiler's library logs its start and stop on stderr unless this is set before its first use.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    gc.collect()
    # Without acc_events, torch 2.11 warns that a further cycle would clear the events; this is one cycle.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        steps()
    if profiler.profiler is None or profiler.profiler.kineto_results is None:
        raise RuntimeError("torch.profiler recorded nothing, so memory cannot be measured on this build of torch")
    current = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            current += event.nbytes()
            peak = max(peak, current)
    method = "cpu allocator: peak sum of allocated less freed bytes, from torch.profiler"
    return PeakMemory(peak, method, reserved_bytes=None)
