"""The optimizer of every training: the one place that makes it, for training and for measuring memory alike."""

import torch
from torch import Tensor, nn

from bench.config import Protocol


def make_optimizer(model: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
    """Fused Adam over the parameters that are not frozen, with the protocol's first learning rate."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    device = trainable[0].device
    if device.type == "cuda":
        # A CUDA graph reads the rate from a tensor on the device, which can be overwritten between replays.
        rate = torch.tensor(protocol.learning_rate, device=device)
        return torch.optim.Adam(trainable, lr=rate, fused=True, capturable=True)
    return torch.optim.Adam(trainable, lr=protocol.learning_rate, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float | Tensor) -> None:
    """Set the rate of the next step; the host waits for nothing."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
