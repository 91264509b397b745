"""The whole story of one run: a model, a data set and a seed become a record.

Usable from a Python prompt:

>>> from pathlib import Path
>>> from bench.harness.options import resolve
>>> from bench.training.runs import run
>>> from data_utils import load
>>> from bench.studies import STUDIES
>>> config = resolve(root=Path.cwd(), profile="quick").run_config(STUDIES["standard"], "")
>>> record = run("compact-late-concat-strided", load("shapes", pairs=800), 51, config)  # doctest: +SKIP
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch
from safetensors.torch import save_file

from bench.config import Protocol, RunConfig
from bench.records.run import COMPLETED, DIVERGED, FAILED, Pretraining, RunRecord, environment
from bench.training.ceiling import ceiling
from bench.training.evaluation import evaluate
from bench.training.fingerprint import code_sha256
from bench.training.measurement import (
    count_parameters,
    count_trainable_parameters,
    training_flops,
    training_memory,
)
from bench.training.preparation import PreparedData, prepare
from bench.training.seeding import deterministic, epoch_order, seeded
from bench.training.target import TARGET_ACCURACY, seconds_to_target
from bench.training.trainer import DivergedError, EpochResult, Observer, Trainer
from data_utils import Batch, PairedDataset
from fusion_models import FusionNet, ModelSpec, build_model, find_model

Driver = Callable[[Callable[[], None], Callable[[], None], int], None]
"""Calls (train_epoch, finish_epoch) in turn, so many times; pytest-benchmark is one, ``drive`` another."""


def drive(train_epoch: Callable[[], None], finish_epoch: Callable[[], None], epochs: int) -> None:
    """Train all epochs, with nobody else's clock."""
    for _ in range(epochs):
        train_epoch()
        finish_epoch()


def silent(result: EpochResult) -> None:
    """Observe nothing."""


@dataclass(eq=False)
class RunUnderWay:
    """A run under way: its experts, if it has any, are trained, and its epochs wait for whoever turns the crank.

    Attributes:
        spec: of the model; ``seed`` of all random streams; ``config`` says how it is trained, and where.
        network: the model.
        data: of the seed.
        story: the record's fields as far as they are known.
        trainer: of the last stage; None where an expert's loss was not finite.
        divergence: how a loss was not finite; None while all are.
    """

    spec: ModelSpec
    seed: int
    config: RunConfig
    network: FusionNet
    data: PreparedData
    story: dict[str, Any]
    trainer: Trainer | None = None
    divergence: str | None = None

    @contextmanager
    def ended_by_divergence(self) -> Iterator[None]:
        """What trains goes inside: a loss that is not finite ends the run, and nothing else."""
        try:
            yield
        except DivergedError as error:
            self.divergence = str(error)

    def record(self) -> RunRecord:
        """What came of it, when all epochs are trained; the checkpoint is written here."""
        story = dict(self.story)
        if self.trainer is not None:
            story |= _history(self.trainer, story["pretraining"])
        if self.trainer is None or self.divergence is not None:
            return RunRecord(**{**story, "status": DIVERGED, "error": self.divergence})
        self.trainer.restore_best()
        story |= _best(self.trainer, story["pretraining"])
        story["train_accuracy"] = evaluate(self.network, self.data.train)["accuracy"]
        story |= _save_checkpoint(self.network, self.config, self.spec, self.seed)
        return RunRecord(**{**story, "status": COMPLETED})


def run(
    model: ModelSpec | str,
    dataset: PairedDataset,
    seed: int,
    config: RunConfig,
    *,
    driver: Driver = drive,
    observe: Observer = silent,
) -> RunRecord:
    """Train one model on one data set from one seed, and record what came of it.

    Bit for bit the same on the same device model, versions and number of threads, whatever ran before.

    Args:
        model: a row of the zoo, or its name.
        dataset: to draw ``config.protocol.pairs`` pairs from; all of it if it has fewer.
        seed: of all random streams.
        config: protocol, device, and the folder the checkpoint is written to (``checkpoints/`` in it).
        driver: turns the crank; the place for a clock around the epochs.
        observe: called after every epoch, those of experts included (they name their stage).

    Returns:
        The record; its status is "diverged" where a loss was not finite.

    Raises:
        ValueError: the model is unknown or does not fit the data.
        DataError: the data set cannot be split as the protocol asks.
    """
    spec = find_model(model) if isinstance(model, str) else model
    with deterministic():
        begun = begin(spec, dataset, seed, config, observe)
        if (trainer := begun.trainer) is not None:
            with begun.ended_by_divergence():
                driver(trainer.train_epoch, trainer.finish_epoch, config.protocol.epochs)
        return begun.record()


def begin(spec: ModelSpec, dataset: PairedDataset, seed: int, config: RunConfig, observe: Observer) -> RunUnderWay:
    """All of a run before its epochs; to be called and gone on with under one ``seeding.deterministic``.

    Args and errors as those of ``run``.
    """
    data = prepare(dataset, config.protocol, seed, config.device)
    story = describe(spec, dataset, seed, config)
    story |= {"train_pairs": len(data.train), "valid_pairs": len(data.valid)}
    story["ceiling"] = asdict(ceiling(config.device))

    def build() -> FusionNet:
        return build_seeded(spec, dataset, seed, config.device)

    def observe_with_memory(result: EpochResult) -> None:
        observe(replace(result, peak_memory_bytes=story["peak_memory_bytes"]))

    network = build()
    story |= _peak_memory(build, list(network.experts()), data.train, config.protocol, seed)
    story["parameters"] = count_parameters(network)
    begun = RunUnderWay(spec, seed, config, network, data, story)
    with begun.ended_by_divergence():
        story["pretraining"] = _train_experts(network, data, config.protocol, seed, observe_with_memory)
        story["trainable_parameters"] = count_trainable_parameters(network)
        story["flops_per_step"] = training_flops(network, data.train[: config.protocol.batch_size])
        begun.trainer = Trainer(network, data.train, data.valid, config.protocol, seed, observe_with_memory)
    return begun


def failed(spec: ModelSpec, dataset: PairedDataset, seed: int, config: RunConfig, error: Exception) -> RunRecord:
    """The record of a run that raised."""
    story = describe(spec, dataset, seed, config)
    return RunRecord(**{**story, "status": FAILED, "error": f"{type(error).__name__}: {error}"})


def describe(spec: ModelSpec, dataset: PairedDataset, seed: int, config: RunConfig) -> dict[str, Any]:
    """What a record says before anything was trained."""
    device = torch.device(config.device)
    return {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": spec.name,
        "family": spec.family,
        "stage": spec.stage,
        "operator": spec.operator,
        "embedder": spec.embedder,
        "modalities": list(spec.modalities),
        "study": config.study,
        "variant": config.variant,
        "dataset": dataset.info.name,
        "dataset_notes": list(dataset.notes),
        "classes": len(dataset.info.classes),
        "class_names": list(dataset.info.classes),
        "channels": dict(dataset.info.channels),
        "image_size": list(dataset.info.image_size),
        "seed": seed,
        "profile": config.profile,
        "protocol": asdict(config.protocol) | {"normalized": list(config.protocol.normalized)},
        "device": device.type,
        "train_losses": [],
        "valid_losses": [],
        "valid_accuracies": [],
        "learning_rates": [],
        "epoch_seconds": [],
        "pretraining": [],
        "target_accuracy": TARGET_ACCURACY,
        "data_sha256": dataset.sha256,
        "code_sha256": code_sha256(),
        "environment": environment(device),
    }


def build_seeded(spec: ModelSpec, dataset: PairedDataset, seed: int, device: str) -> FusionNet:
    """The model with the initial weights of a seed, the same on every device."""
    info = dataset.info
    with seeded(seed, "initialization"):
        network = build_model(spec, channels=info.channels, image_size=info.image_size, classes=len(info.classes))
    network.to(memory_format=torch.channels_last)
    return network.to(device)


def _peak_memory(
    build: Callable[[], FusionNet], experts: list[str], train: Batch, protocol: Protocol, seed: int
) -> dict[str, Any]:
    """The peaks over all stages of training, so that experts count for late fusion."""
    batch = train[epoch_order(seed, 1, len(train))[: protocol.batch_size].to(train.labels.device)]

    def build_frozen() -> FusionNet:
        network = build()
        network.freeze_experts()
        return network

    def build_expert(modality: str) -> FusionNet:
        return build().experts()[modality]

    builds: list[Callable[[], FusionNet]] = [build_frozen]
    builds += [partial(build_expert, modality) for modality in experts]
    peaks = [training_memory(stage, batch) for stage in builds]
    return {
        "peak_memory_bytes": max(peak.peak_bytes for peak in peaks),
        "peak_memory_method": peaks[0].method,
        "peak_reserved_bytes": max(
            (p.reserved_bytes for p in peaks if p.reserved_bytes is not None), default=None
        ),
    }


def _train_experts(
    network: FusionNet, data: PreparedData, protocol: Protocol, seed: int, observe: Observer
) -> list[Pretraining]:
    """Train each modality's expert to its best weights, then freeze them all."""
    stages = []
    for modality, expert in network.experts().items():
        trainer = Trainer(expert, data.train, data.valid, protocol, seed, observe, f"{modality} expert")
        drive(trainer.train_epoch, trainer.finish_epoch, protocol.epochs)
        trainer.restore_best()
        history = trainer.history
        stages.append(
            Pretraining(
                modality=modality,
                train_losses=history.train_losses,
                valid_losses=history.valid("loss"),
                best_epoch=history.best.epoch,
                valid_accuracy=history.best.valid["accuracy"],
                epoch_seconds=history.epoch_seconds,
            )
        )
    network.freeze_experts()
    return stages


def _history(trainer: Trainer, pretraining: list[Pretraining]) -> dict[str, Any]:
    history = trainer.history
    return {
        "train_losses": [_finite(loss) for loss in history.train_losses],
        "valid_losses": [_finite(loss) for loss in history.valid("loss")],
        "valid_accuracies": history.valid("accuracy"),
        "learning_rates": [result.learning_rate for result in history.results],
        "epoch_seconds": history.epoch_seconds,
        "seconds_to_target": seconds_to_target(
            history.valid("accuracy"), history.epoch_seconds, before=_seconds(pretraining)
        ),
    }


def _best(trainer: Trainer, pretraining: list[Pretraining]) -> dict[str, Any]:
    history = trainer.history
    return {
        "best_epoch": history.best.epoch,
        "best_valid_loss": history.best.valid["loss"],
        "valid_accuracy": history.best.valid["accuracy"],
        "valid_metrics": history.best.valid,
        "train_seconds": sum(history.epoch_seconds) + _seconds(pretraining),
    }


def _seconds(pretraining: list[Pretraining]) -> float:
    return sum(sum(stage.epoch_seconds) for stage in pretraining)


def _save_checkpoint(network: FusionNet, config: RunConfig, spec: ModelSpec, seed: int) -> dict[str, Any]:
    name = "-".join(filter(None, (config.study, config.variant, spec.name, f"seed{seed}"))) + ".safetensors"
    weights = {key: tensor.detach().cpu().contiguous() for key, tensor in network.state_dict().items()}
    folder = config.results_dir / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / name)
    digest = hashlib.sha256()
    for key in sorted(weights):
        digest.update(key.encode())
        digest.update(weights[key].numpy().tobytes())
    return {"weights_sha256": digest.hexdigest(), "checkpoint": name}


def _finite(value: float) -> float | None:
    # JSON has no NaN; the status says why the value is missing.
    return value if math.isfinite(value) else None
