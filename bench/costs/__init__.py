"""The costs of models: forward passes, growth with the work, our training loop, memory of a whole run."""

from typing import Any

import torch

from bench.training.environment import environment


def measured_on(profile: str, device: str, *further: str) -> dict[str, Any]:
    """The fields that all records of costs share, for this process; further conditions are one line each."""
    return {
        "profile": profile,
        "device": torch.device(device).type,
        "conditions": list(further),
        "environment": environment(torch.device(device)),
    }
