"""The training step as a CUDA graph: recorded once, then replayed with a single launch.

A small network's step is some hundred kernels of a few microseconds each, and launching them one by one takes
longer than running them. A graph launches them all at once. A replay takes no arguments: whatever changes from
step to step (which pairs, which learning rate) is read from tensors that stay in place.

Source: the section "CUDA Graphs" of PyTorch's notes on CUDA semantics (whole-network capture). ``EagerSteps`` is
what its steps are checked against, bit for bit, by tests and by ``tools/gpu_check.sh`` wherever there is a GPU.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from itertools import chain

import torch
from torch import Tensor

from bench.training.branches import side_by_side
from bench.training.steps import EagerSteps, set_learning_rate
from fusiongauge import FusionGaugeError

WARM_UP_STEPS = 3
"""Until then cuDNN has chosen its kernels, and Adam and cuBLAS have allocated what they keep."""


class WaitingError(FusionGaugeError, RuntimeError):
    """What should be recorded makes the host wait for the device."""


def fastest(eager: EagerSteps, pairs: int) -> "EagerSteps | GraphSteps":
    """The steps for ``pairs`` pairs per epoch: graphs on CUDA, eager steps elsewhere."""
    return GraphSteps(eager, pairs) if eager.train.labels.device.type == "cuda" else eager


def record(work: Callable[[], None], undo: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Record what ``work`` does on a CUDA device, and return a function that does it again.

    Deterministic algorithms have to be switched on here, if at all: a replay runs the recorded kernels. Replays
    draw what eager calls would draw from the device's generator, which recording leaves as it was.

    Args:
        work: Launches kernels on tensors that stay in place, and never waits for the device. It runs a few times
            first, as libraries set themselves up in their first calls, which cannot be recorded.
        undo: Reverts what one run of ``work`` changed.
        device: Of these tensors.

    Raises:
        WaitingError: ``work`` waits for the device.
    """
    random_state = torch.cuda.get_rng_state(device)
    stream, main = _side_stream(device), torch.cuda.current_stream(device)
    stream.wait_stream(main)
    try:
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS - 1):
                work()
                undo()
            # A recording that fails leaves torch's allocator unusable: what would make it fail is found before.
            with no_waiting():
                work()
            undo()
    finally:
        main.wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # cuBLAS keeps a workspace per stream. It is forgotten before and after, so that the recorded kernels have one
    # of their own, in the graph's memory: otherwise all graphs would share that of the stream, and torch 2.14
    # frees it when the first of them dies. torch.compile does this too (``torch/_inductor/cudagraph_trees.py``).
    torch._C._cuda_clearCublasWorkspaces()
    with torch.cuda.graph(graph, stream=stream):
        work()
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.set_rng_state(random_state, device)
    return graph.replay


@contextmanager
def no_waiting() -> Iterator[None]:
    """Run the body, in which nothing may make the host wait for the device.

    Raises:
        WaitingError: Something does.
    """
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        # torch warns whenever it is switched.
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        try:
            torch.cuda.set_sync_debug_mode("error")
            yield
        except RuntimeError as error:
            if "synchronizing CUDA operation" not in str(error):
                raise
            raise WaitingError(
                "a CUDA graph cannot wait for the device, as .item(), .cpu(), nonzero and boolean masks do; use "
                "operations on tensors of fixed shapes (torch.where in place of a mask), or --device cpu"
            ) from error
        finally:
            torch.cuda.set_sync_debug_mode(before)


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """What is recorded must not run on the default stream. One serves all: torch has only 32, and reuses them."""
    return torch.cuda.Stream(device)


class GraphSteps:
    """Steps that are one replay each: of one graph for whole batches, and one for a smaller last batch.

    The stems of a network run side by side.

    The order of the epoch, the learning rates and the number of the step are on the device, and a step increments
    that number itself, so the host copies nothing and waits for nothing. Recording leaves the weights unchanged.

    Args:
        eager: The steps to record, on CUDA, with an optimizer that has not made a step yet.
        pairs: Of an epoch, at least 1.
    """

    def __init__(self, eager: EagerSteps, pairs: int) -> None:
        device, batch_size = eager.train.labels.device, eager.protocol.batch_size
        whole_batches, rest = divmod(pairs, batch_size)
        self._eager = eager
        self._order = torch.zeros(pairs, dtype=torch.int64, device=device)
        self._batches = self._order[: pairs - rest].view(whole_batches, batch_size)
        self._rest = self._order[pairs - rest :]
        self._rates = torch.zeros(whole_batches + bool(rest), device=device)
        self._step = torch.zeros(1, dtype=torch.int64, device=device)
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        weights = {name: tensor.clone() for name, tensor in eager.trained.state_dict().items()}
        eager.model.train()
        undo = partial(self._start_again, weights)
        self._replays: list[Callable[[], None]] = []
        with side_by_side(eager.model):
            if whole_batches:
                self._replays += [record(self._whole_batch, undo, device)] * whole_batches
            if rest:
                self._replays += [record(self._last_batch, undo, device)]

    def epoch(self, order: Tensor, rates: Sequence[float]) -> Iterator[Tensor]:
        """See ``EagerSteps.epoch``."""
        self._order.copy_(order)
        self._rates.copy_(torch.tensor(rates).view_as(self._rates))
        self._step.zero_()
        self._loss_sum.zero_()
        for replay in self._replays:
            replay()
            yield self._loss_sum

    def _whole_batch(self) -> None:
        # Not batches[step]: indexing with a single number would have the host wait to read it.
        self._take_step(self._batches.index_select(0, self._step).squeeze(0))

    def _last_batch(self) -> None:
        self._take_step(self._rest)

    def _take_step(self, indices: Tensor) -> None:
        set_learning_rate(self._eager.optimizer, self._rates.index_select(0, self._step).squeeze(0))
        self._loss_sum += self._eager.step(indices)
        self._step += 1

    def _start_again(self, weights: dict[str, Tensor]) -> None:
        self._eager.trained.load_state_dict(weights)
        self._eager.optimizer.zero_grad(set_to_none=True)
        moments = chain.from_iterable(state.values() for state in self._eager.optimizer.state.values())
        for tensor in (*moments, self._step, self._loss_sum):  # all of them start at 0
            tensor.zero_()
