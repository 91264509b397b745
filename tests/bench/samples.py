"""Hand-made records and a small run, shared by the tests of what comes of runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import torch

from bench.config import SMOKE, STANDARD, Protocol, RunConfig
from bench.records import COMPLETED, RunRecord
from bench.registry import METRICS
from data_utils import PairedDataset, register_dataset
from fusion_models import find_model
from tests.data_utils.samples import shapes

MODEL = "compact-late-concat-strided"
TWIN = "compact-late-concat-maxpool"

SMALL = replace(SMOKE.shorten(STANDARD, simulated=True), batch_size=16, test_pairs=0)
"""Two epochs over 80 pairs, without a test."""

TESTED = replace(SMALL, test_pairs=20)
"""The same with test pairs."""


def record(model: str = MODEL, **changes: Any) -> RunRecord:
    """A completed run with round numbers in every field, apart from the changes."""
    spec = find_model(model)
    values: dict[str, Any] = {
        "started_at": "2026-01-02T03:04:05+00:00",
        "model": spec.name,
        "family": spec.family,
        "stage": spec.stage,
        "operator": spec.operator,
        "embedder": spec.embedder,
        "modalities": list(spec.modalities or ("rgb", "lidar")),
        "study": "standard",
        "variant": "",
        "dataset": "shapes",
        "simulated": True,
        "dataset_notes": [],
        "classes": 2,
        "class_names": ["cubes", "spheres"],
        "channels": {"rgb": 4, "lidar": 4},
        "image_size": [64, 64],
        "train_pairs": 400,
        "valid_pairs": 100,
        "seed": 51,
        "profile": "quick",
        "protocol": {"epochs": 3, "batch_size": 32, "drop_last": False},
        "device": "cpu",
        "status": COMPLETED,
        "parameters": 1000,
        "trainable_parameters": 1000,
        "train_losses": [0.7, 0.6, 0.5],
        "valid_losses": [0.6, 0.25, 0.3],
        "valid_accuracies": [0.5, 0.9, 0.8],
        "learning_rates": [0.1, 0.075, 0.025],
        "best_epoch": 2,
        "best_valid_loss": 0.25,
        "valid_accuracy": 0.9,
        "valid_metrics": {"loss": 0.25, "accuracy": 0.9, "balanced_accuracy": 0.9},
        "metrics": [metric.declaration for metric in METRICS.values()],
        "train_accuracy": 0.95,
        "epoch_seconds": [1.0, 3.0, 2.0],
        "pretraining": [],
        "train_seconds": 6.0,
        "other_load": 0.0,
        "peak_memory_bytes": 40_000_000,
        "peak_memory_method": "counted by hand",
        "weights_sha256": "0" * 64,
        "checkpoint": f"standard-{spec.name}-seed51.safetensors",
        "environment": {"device_name": "a processor", "threads": 2, "packages": {"torch": "2.0"}},
    }
    return RunRecord(**{**values, **changes})


def with_test_figures(one: RunRecord, loss: float = 0.3, accuracy: float = 0.88) -> RunRecord:
    """The record with figures on 1,000 test pairs beside those on its validation pairs."""
    metrics = {"loss": loss, "accuracy": accuracy, "balanced_accuracy": accuracy}
    return msgspec.structs.replace(
        one, test_pairs=1000, test_loss=loss, test_accuracy=accuracy, test_metrics=metrics
    )


def small_dataset() -> PairedDataset:
    """80 simulated pairs of 16x16."""
    return shapes(80, 0, image_size=16).decoded()


def cropped(height: int, width: int) -> None:
    """Register the small data set with smaller images, as "cropped"."""
    whole = small_dataset()
    inputs = {modality: values[:, :, :height, :width] for modality, values in whole.inputs.items()}
    data = replace(whole, info=replace(whole.info, image_size=(height, width)), inputs=inputs)
    register_dataset("cropped")(lambda pairs, seed: data)  # noqa: ARG005


def uneven_dataset() -> PairedDataset:
    """48 of them, with three spheres per cube."""
    data = small_dataset()
    cubes, spheres = ((data.labels == label).nonzero()[:, 0] for label in (0, 1))
    return data.take(torch.cat([cubes[:12], spheres[:36]]))


def run_config(results_dir: Path, protocol: Protocol = SMALL) -> RunConfig:
    """A small run on a CPU."""
    return RunConfig(
        profile="smoke",
        study="standard",
        variant="",
        protocol=protocol,
        dataset="shapes",
        device="cpu",
        results_dir=results_dir,
    )
