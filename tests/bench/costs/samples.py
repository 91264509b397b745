"""Hand-made records of costs."""

from typing import Any

from bench.records import GrowthRecord, InferenceRecord, RaceRecord, ResidentRecord
from tests.bench.samples import MODEL

COMMON: dict[str, Any] = {
    "model": MODEL,
    "profile": "full",
    "device": "cpu",
    "conditions": ["data: made up"],
    "environment": {"device_name": "a processor", "threads": 2, "packages": {"torch": "2.0"}},
}


def inference(**changes: Any) -> InferenceRecord:
    """Passes of a single pair in 2, 1 and 3 ms, apart from the changes."""
    values = {"parameters": 1_000, "batch_size": 1, "seconds": [0.002, 0.001, 0.003], "inputs": "4 channels"}
    return InferenceRecord(**{**COMMON, **values, **changes})


def growth(**changes: Any) -> GrowthRecord:
    """Two epochs at each of two sizes, in proportion, apart from the changes."""
    values: dict[str, Any] = {
        "family": "compact",
        "embedder": "strided",
        "axis": "pairs",
        "axis_title": "training pairs of an epoch",
        "work": 1,
        "sizes": [16, 32],
        "seconds": [[0.25, 0.25], [0.5, 0.5]],
    }
    return GrowthRecord(**{**COMMON, **values, **changes})


def race(**changes: Any) -> RaceRecord:
    """10 steps, ours in 2, 1 and 2 s, apart from the changes: ratios of 2, 2 and 3."""
    values: dict[str, Any] = {
        "steps": 10,
        "reference_seconds": [4.0, 2.0, 6.0],
        "engine_seconds": [2.0, 1.0, 2.0],
        "reference_losses": [0.5, 0.4, 0.2, 0.1],
        "engine_losses": [0.5, 0.4, 0.2, 0.101],
        "exact_difference": 1e-15,
        "target": 1.7,
    }
    return RaceRecord(**{**COMMON, **values, **changes})


def lightning(**changes: Any) -> RaceRecord:
    """As ``race``, against Lightning's loop too: ratios to it of 1, 3 and 2."""
    values: dict[str, Any] = {
        "lightning_seconds": [2.0, 3.0, 4.0],
        "lightning_losses": [0.5, 0.4, 0.2, 0.1],
        "lightning_exact_difference": 1e-14,
        "conditions": ["data: made up", "PyTorch Lightning 2.0"],
    }
    return race(**{**values, **changes})


def resident(**changes: Any) -> ResidentRecord:
    """A process that grew to 9.2 GB, apart from the changes."""
    values: dict[str, Any] = {
        "dataset": "shapes",
        "pairs": 20_000,
        "started_bytes": 700_000_000,
        "loaded_bytes": 3_100_000_000,
        "prepared_bytes": 9_000_000_000,
        "trained_bytes": 9_200_000_000,
    }
    return ResidentRecord(**{**COMMON, **values, **changes})
