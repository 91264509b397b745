"""What a cell costs besides its epochs, and whether its measured memory depends on what ran before."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from bench.config import FIRST_SEED, STANDARD, RunConfig
from bench.costs.race import PROTOCOL
from bench.training.evaluation import evaluate
from bench.training.measurement import training_flops, training_memory
from bench.training.preparation import predict_part, prepare
from bench.training.runs import _save_weights, build_seeded, silent
from bench.training.samples import save_samples
from bench.training.steps import synchronize
from bench.training.trainer import Trainer
from data_utils import load
from fusion_models import ModelSpec
from tools.gpu.workload import Workload

T = TypeVar("T")


def fixed_costs(
    device: str, spec: ModelSpec, pairs: int, folder: Path, keep: Callable[[str, float], None]
) -> None:
    """Time each part of a cell once, in the order of a run.

    Args:
        device: To run on.
        spec: The model.
        pairs: Of the cell, training and validation together.
        folder: For its files.
        keep: Gets each part and its milliseconds as soon as they are measured.
    """
    dataset = load("shapes", pairs=pairs)
    protocol = replace(STANDARD, pairs=pairs)
    config = RunConfig(protocol, device, folder, dataset="shapes")

    def taken(part: str, work: Callable[[], T]) -> T:
        synchronize(torch.device(device))
        start = time.perf_counter()
        made = work()
        synchronize(torch.device(device))
        keep(part, round(1e3 * (time.perf_counter() - start), 1))
        return made

    def build() -> nn.Module:
        return build_seeded(spec, dataset.info, FIRST_SEED, device)

    ready = taken(f"prepare {pairs} pairs", lambda: prepare(dataset, protocol, FIRST_SEED, device))
    batch = ready.train[: protocol.batch_size]
    network = taken("build", build)
    taken("peak memory", lambda: training_memory(build, batch, protocol))
    taken("flops", lambda: training_flops(network, batch))
    trainer = taken(
        "trainer, recording", lambda: Trainer(network, ready.train, ready.valid, protocol, FIRST_SEED, silent)
    )
    taken("epoch, first", trainer.train_epoch)
    trainer.finish_epoch()
    taken("epoch", trainer.train_epoch)
    taken("validation", lambda: evaluate(network, ready.valid))
    saved = taken("checkpoint", lambda: _save_weights(network, ready, config, spec, FIRST_SEED, silent))
    shown = ready.world.reported
    logits = taken("test", lambda: predict_part(network, ready, shown))
    path = folder / "samples.jsonl"
    taken("sample predictions", lambda: save_samples(path, logits, shown, saved["weights_sha256"]))


def step_memory(work: Workload, spec: ModelSpec) -> dict[str, list[int | None]]:
    """The measured memory of a step, in bytes, four times; in between, the allocator gets other blocks to keep."""
    peaks, hoard = [], []
    batch = work.train[: PROTOCOL.batch_size]
    for i in range(4):
        peaks.append(training_memory(lambda: work.network(spec), batch, PROTOCOL))
        hoard += [torch.empty(int(1e6 * (i + 1) + 12345 * j), device=work.device) for j in range(7)]
        del hoard[::2]
    return {"peak": [peak.peak_bytes for peak in peaks], "reserved": [peak.reserved_bytes for peak in peaks]}
