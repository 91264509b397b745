"""The costs of models: forward passes, growth with the work, our training loop, memory of a whole run."""

from typing import Any

import torch

from bench.config import FP32, Precision
from bench.training.environment import environment


def measured_on(profile: str, device: str, *further: str, precision: Precision = FP32) -> dict[str, Any]:
    """The fields that all records of costs share, for this process; further conditions are one line each.

    A precision other than float32 is a condition too.
    """
    of_precision = [] if precision == FP32 else [f"precision: {precision}"]
    return {
        "profile": profile,
        "device": torch.device(device).type,
        "conditions": [*further, *of_precision],
        "environment": environment(torch.device(device)),
    }
