"""The stems of a network side by side on a GPU, each on a CUDA stream of its own.

The kernels of a small stem leave most of a GPU idle. In a CUDA graph, which launches without the host, the kernels
of several stems can run at once. Autograd runs the backward pass of each stem on the stream of its forward pass.

Source: the section "CUDA streams" of PyTorch's notes on CUDA semantics: a tensor that is used on another stream
than it was allocated on has to be recorded there, or its memory could be reused too early.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain

import torch
from torch import Tensor, nn

from fusion_models import FusionNet


@contextmanager
def side_by_side(model: nn.Module) -> Iterator[None]:
    """Run the body, in which the stems of a ``FusionNet`` on CUDA run at once; anything else runs as always."""
    if not isinstance(model, FusionNet) or not _may_run_at_once(model):
        yield
        return
    before, model.branches = model.branches, on_streams
    try:
        yield
    finally:
        model.branches = before


def on_streams(layers: Sequence[nn.Module], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Run each layer on its own CUDA input, the first on the current stream and each other one on its own.

    The current stream waits for all of them.
    """
    device = inputs[0].device
    main = torch.cuda.current_stream(device)
    others = [_stream(device, number) for number in range(1, len(layers))]
    for stream in others:
        stream.wait_stream(main)
    outputs = []
    for layer, x, stream in zip(layers, inputs, [main, *others], strict=True):
        with torch.cuda.stream(stream):
            outputs.append(layer(x))
        if stream is not main:
            x.record_stream(stream)
            outputs[-1].record_stream(main)
    for stream in others:
        main.wait_stream(stream)
    return outputs


def _may_run_at_once(model: FusionNet) -> bool:
    """Whether all is on CUDA, and no two stems share weights or running statistics, which they would race on."""
    weights = list(model.parameters())
    of_stems = [set(map(id, chain(stem.parameters(), stem.buffers()))) for stem in model.stems.values()]
    shared = len(set().union(*of_stems)) < sum(map(len, of_stems))
    return bool(weights) and all(tensor.is_cuda for tensor in weights) and not shared


@cache
def _stream(device: torch.device, number: int) -> torch.cuda.Stream:  # noqa: ARG001
    """The stream of a stem. One serves all networks: torch has only 32 per device, and reuses them."""
    return torch.cuda.Stream(device)
