"""The training step as a CUDA graph: recorded once, then replayed with a single launch.

A small network's step is some hundred kernels of a few microseconds each, and launching them one by one takes
longer than running them. A graph launches them all at once. A replay takes no arguments: whatever changes from
step to step (which pairs, which learning rate) is read from tensors that stay in place.

Source: the section "CUDA Graphs" of PyTorch's notes on CUDA semantics (whole-network capture).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain

import torch
from torch import Tensor

from bench.training.steps import EagerSteps, set_learning_rate

WARM_UP_STEPS = 3
"""Until then cuDNN has chosen its kernels, and Adam and cuBLAS have allocated what they keep."""


def fastest(eager: EagerSteps, pairs: int) -> "EagerSteps | GraphSteps":
    """The steps for ``pairs`` pairs per epoch: graphs on CUDA, if there is a whole batch to record."""
    whole_batches = pairs // eager.batch_size
    if eager.train.labels.device.type == "cuda" and whole_batches:
        return GraphSteps(eager, whole_batches)
    return eager


def record(work: Callable[[], None], undo: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Record what ``work`` does on a CUDA device, and return a function that does it again.

    Deterministic algorithms have to be switched on here, if at all: a replay runs the recorded kernels.

    Args:
        work: Launches kernels on tensors that stay in place, and never waits for the device. It runs a few times
            first, as libraries set themselves up in their first calls, which cannot be recorded.
        undo: Reverts what one run of ``work`` changed.
        device: Of these tensors.
    """
    # A stream of its own: cuBLAS keeps its workspace by stream, graphs of one stream would share it, and the end
    # of one would take it from the others. The warm-up runs on the same stream, so that the workspace is made.
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP_STEPS):
            work()
            undo()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        work()
    return graph.replay


class GraphSteps:
    """Steps of which each whole batch is one replay; the smaller batch at the end of an epoch is an eager step.

    The order of the epoch, the learning rates and the number of the step are on the device, and a step increments
    that number itself, so the host copies nothing and waits for nothing. Recording leaves the weights unchanged.

    Args:
        eager: The steps to record, on CUDA, with an optimizer that has not made a step yet.
        whole_batches: Of an epoch, at least 1.
    """

    def __init__(self, eager: EagerSteps, whole_batches: int) -> None:
        device = eager.train.labels.device
        self._eager = eager
        self._indices = torch.zeros(whole_batches, eager.batch_size, dtype=torch.int64, device=device)
        self._rates = torch.zeros(whole_batches, device=device)
        self._step = torch.zeros(1, dtype=torch.int64, device=device)
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        weights = {name: tensor.clone() for name, tensor in eager.model.state_dict().items()}
        eager.model.train()
        self._replay = record(self._next_step, partial(self._start_again, weights), device)

    def epoch(self, order: Tensor, rates: Sequence[float]) -> Iterator[Tensor]:
        """See ``EagerSteps.epoch``."""
        whole_batches = len(self._indices)
        self._indices.copy_(order[: self._indices.numel()].view_as(self._indices))
        self._rates.copy_(torch.tensor(rates[:whole_batches]))
        self._step.zero_()
        self._loss_sum.zero_()
        for _ in range(whole_batches):
            self._replay()
            yield self._loss_sum
        rest = order[self._indices.numel() :]
        if len(rest):
            for loss_sum in self._eager.epoch(rest, rates[whole_batches:]):
                yield self._loss_sum + loss_sum

    def _next_step(self) -> None:
        # Not rates[step]: indexing with a single number would have the host wait to read it.
        set_learning_rate(self._eager.optimizer, self._rates.index_select(0, self._step).squeeze(0))
        self._loss_sum += self._eager.step(self._indices.index_select(0, self._step).squeeze(0))
        self._step += 1

    def _start_again(self, weights: dict[str, Tensor]) -> None:
        self._eager.model.load_state_dict(weights)
        self._eager.optimizer.zero_grad(set_to_none=True)
        moments = chain.from_iterable(state.values() for state in self._eager.optimizer.state.values())
        for tensor in (*moments, self._step, self._loss_sum):  # all of them start at 0
            tensor.zero_()
