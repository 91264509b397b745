"""The forward pass in a protocol's precision; ``seeding.deterministic`` has what concerns float32 alone."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.config import BF16, Precision


def forward(model: nn.Module, inputs: Mapping[str, Tensor], precision: Precision) -> Tensor:
    """Logits of a batch, float32 for inputs of float32 in every precision.

    For "bf16" torch's automatic mixed precision chooses which operations are computed in bfloat16. Loss and
    metrics are computed outside of it.
    """
    if precision != BF16:
        logits: Tensor = model(inputs)
        return logits
    device = next(iter(inputs.values())).device.type
    # Without the cache of converted weights: a CUDA graph must record their conversion, which its replays repeat.
    with torch.autocast(device, torch.bfloat16, cache_enabled=False):
        logits = model(inputs)
    return logits.float()
