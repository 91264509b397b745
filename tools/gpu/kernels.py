"""Where the time of a step goes on a GPU."""

from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from bench.config import Precision
from fusion_models import ModelSpec
from tools.gpu.workload import Workload

COSTLIEST = 10


def kernels_of(
    work: Workload, spec: ModelSpec, precision: Precision, layout: torch.memory_format
) -> dict[str, Any]:
    """Microseconds and launches per eager step, and the costliest kernels, each with its launches and time."""
    with work.settings(precision, layout=layout):
        eager = work.training(spec, precision).eager
        work.ms_per_step(eager, 1)
        with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as profiled:
            work.ms_per_step(eager, 1)
    steps = 2 * len(work.rates)  # an epoch to warm up, and one
    events = [event for event in profiled.key_averages() if event.device_time_total]
    events.sort(key=lambda event: -event.device_time_total)
    return {
        "us": round(sum(event.device_time_total for event in events) / steps),
        "launches": round(sum(event.count for event in events) / steps),
        "costliest": [
            [event.key[:90], round(event.count / steps, 1), round(event.device_time_total / steps)]
            for event in events[:COSTLIEST]
        ],
    }
