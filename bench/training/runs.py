"""One run: a model, a data set and a seed become a record."""

import math
import re
import time
import warnings
from collections.abc import Callable, Hashable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from bench.config import FIRST_SEED, STANDARD, Precision, Protocol, RunConfig
from bench.metrics import accuracy, class_accuracies, confusion
from bench.records import COMPLETED, DIVERGED, FAILED, Pretraining, RunRecord, append
from bench.records.run import CHECKPOINTS, FILE_NAME
from bench.records.sample import samples_path
from bench.registry import METRICS
from bench.training.ceiling import ceiling
from bench.training.checkpoints import save_checkpoint, state_of, weights_sha256
from bench.training.device import check_device, check_precision
from bench.training.environment import environment
from bench.training.evaluation import metrics_of, predict
from bench.training.fingerprint import code_sha256
from bench.training.layout import layout_of
from bench.training.load import OtherLoad
from bench.training.measurement import (
    count_parameters,
    count_trainable_parameters,
    training_flops,
    training_memory,
)
from bench.training.pairs import Pairs
from bench.training.preparation import PreparedData, predict_part, prepare
from bench.training.samples import save_samples
from bench.training.seeding import deterministic, epoch_order, seeded
from bench.training.trainer import TARGET_ACCURACY, DivergedError, EpochResult, Observer, Trainer
from bench.training.trial import experts_of, files_of_plugins, try_metrics, try_model
from data_utils import DATASETS, Batch, DatasetInfo, PairedDataset, Source, World, open_source
from fusion_models import FusionNet, ModelError, ModelSpec, build_model, find_model
from fusion_models.registry import CUSTOM_MODELS, BuildModel
from fusion_models.zoo import CUSTOM
from fusiongauge import plugins, source_file

T = TypeVar("T")

Driver = Callable[[Callable[[], None], Callable[[], None], int], None]
"""Calls (train_epoch, finish_epoch) in turn, the given number of times, as ``drive`` and pytest-benchmark do."""


def drive(train_epoch: Callable[[], None], finish_epoch: Callable[[], None], epochs: int) -> None:
    """Train all epochs without an external timer."""
    for _ in range(epochs):
        train_epoch()
        finish_epoch()


def silent(_: object) -> None:
    """Observe nothing."""


def run(
    model: str | ModelSpec | BuildModel,
    data: str | Path | PairedDataset,
    seed: int = FIRST_SEED,
    protocol: Protocol = STANDARD,
    device: str = "cpu",
    *,
    results_dir: str | Path | None = None,
    observe: Observer = silent,
) -> RunRecord:
    """Train one model on one data set from one seed, and return the record of it.

    The same arguments give the same bits on the same device model, versions and number of threads, whatever ran
    before.

    >>> from dataclasses import replace
    >>> short = replace(STANDARD, pairs=80, test_pairs=40, epochs=1)
    >>> record = run("compact-late-concat-strided", "shapes", protocol=short)
    >>> record.status, record.train_pairs, record.valid_pairs, record.test_pairs
    ('completed', 64, 16, 40)

    Args:
        model: The name of a registered model, a ``ModelSpec``, or a function
            ``build(channels, image_size, classes) -> torch.nn.Module``. ``channels`` maps each modality of the
            data to its number of channels, ``image_size`` is (rows, columns). The module's ``forward`` takes a
            mapping from modality to float32 (B, C, H, W) and returns logits (B, classes), or (B, 1) for two
            classes.
        data: The name of a registered data set, whose pairs the seed makes; or a path or a data set in memory,
            whose pairs the seed splits, all of them if there are no more than ``protocol.pairs``.
        seed: Of all random streams: pairs, split, initial weights, order of the epochs.
        protocol: Everything else that decides how the model is trained.
        device: "cpu", "cuda" or "cuda:N".
        results_dir: The record is added to ``records.jsonl`` in this folder, and the checkpoint and sample
            predictions are written to ``checkpoints`` and ``samples`` there; None to write nothing. What cannot
            be written is a warning.
        observe: Called with an ``EpochResult`` after every epoch, those of experts included.

    Returns:
        The record: losses in nats, times in seconds, memory in bytes. Its status is "diverged" where a loss was
        not finite.

    Raises:
        ModelError: The model is unknown or does not fit the data.
        DataError: The data cannot be read, or cannot be split as the protocol requires.
        PluginError: The model is faulty, or a registered metric is.
        OptionError: This machine does not have the device, or the device not the protocol's precision.
    """
    folder = None if results_dir is None else Path(results_dir)
    name = "" if isinstance(data, PairedDataset) else str(data)
    config = RunConfig(protocol=protocol, device=device, results_dir=folder, dataset=name)
    check_device(device)
    source = data if isinstance(data, PairedDataset) else open_source(name)
    record = run_cell(_spec(model), source, seed, config, observe=observe, note=warnings.warn)
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            append(folder / FILE_NAME, record)
        except OSError as error:  # the caller has the record
            warnings.warn(f"the record could not be added to {folder / FILE_NAME} ({error})", stacklevel=2)
    return record


def _spec(model: str | ModelSpec | BuildModel) -> ModelSpec:
    if isinstance(model, str):
        return find_model(model)
    if isinstance(model, ModelSpec):
        return model
    if isinstance(model, nn.Module) or not callable(model):
        raise ModelError(
            f"a model is given by its name, a ModelSpec or a function build(channels, image_size, classes) that "
            f"returns a torch.nn.Module, not as a {type(model).__name__}: its initial weights come from the seed"
        )
    registered = next((name for name, build in CUSTOM_MODELS.items() if build is model), None)
    name = registered or re.sub(r"\W+", "", getattr(model, "__name__", type(model).__name__))
    return ModelSpec(CUSTOM, CUSTOM, "", "", custom=name, build=model)


def run_cell(
    spec: ModelSpec,
    source: Source,
    seed: int,
    config: RunConfig,
    *,
    driver: Driver = drive,
    observe: Observer = silent,
    note: Callable[[str], None] = silent,
) -> RunRecord:
    """``run`` for the benchmarks: with settings that only describe the run, and a driver of its epochs.

    Args:
        spec: The model; see ``run`` for what is not told here, and for the errors.
        source: The world of the seed is drawn from it.
        seed: Of all random streams.
        config: Protocol, device, folder, and what the run belongs to.
        driver: Trains the epochs of the last stage; a timer around the epochs goes here.
        observe: Called after every epoch, those of experts included (they name their stage).
        note: Called with a sentence where something beside the result failed.
    """
    start = time.perf_counter()
    protocol, device = config.protocol, config.device
    check_precision(device, protocol.precision)  # here, as a worker of another machine may have another device
    with deterministic():
        data = prepare(source, protocol, seed, device)
    fields = describe(spec, source, seed, config) | _world(data.world)
    classes = len(source.info.classes)
    build = partial(build_seeded, spec, source.info, seed, device)

    def observe_with_memory(result: EpochResult) -> None:
        observe(replace(result, peak_memory_bytes=fields["peak_memory_bytes"]))

    with deterministic(protocol.precision), seeded(seed, "measurement", device):
        try_model(spec, build, data.train, classes, protocol, note)
        try_metrics(build, data.train, classes, protocol)
        fields["ceiling"] = ceiling(device, protocol.precision)
        network = build()
        batch = min(len(data.train), protocol.batch_size)
        shapes = (tuple(source.info.channels.items()), source.info.image_size, classes, batch)
        row = (spec, spec.build, protocol, shapes, device, torch.get_num_threads())
        experts = list(experts_of(network))
        fields |= _once("memory", row, lambda: _peak_memory(build, experts, data.train, protocol, seed))
        fields["parameters"] = count_parameters(network)
        trainer = None
        with seeded(seed, "training", device):  # of models with dropout; no other draws while it is trained
            try:
                load = OtherLoad()
                fields["pretraining"] = _train_experts(network, data, protocol, seed, observe_with_memory)
                loads = [load.cores] if fields["pretraining"] else []
                fields["trainable_parameters"] = count_trainable_parameters(network)
                fields["flops_per_step"] = _once("flops", row, lambda: _flops(spec, network, data.train[:batch]))
                trainer = Trainer(network, data.train, data.valid, protocol, seed, observe_with_memory)
                load = OtherLoad()
                driver(trainer.train_epoch, trainer.finish_epoch, protocol.epochs)
                # Of the busiest stage: a long quiet one must not hide what disturbed the other.
                loads.append(load.cores)
                fields["other_load"] = max((cores for cores in loads if cores is not None), default=None)
            except DivergedError as error:
                fields |= {"status": DIVERGED, "error": str(error)}
        if trainer is not None:
            fields |= _history(trainer, fields["pretraining"])
        if trainer is None or "status" in fields:
            return RunRecord(**fields, total_seconds=time.perf_counter() - start)
        trainer.restore_best()
        fields |= _best(trainer, fields["pretraining"])
        fields |= _evaluated("valid", trainer.best_logits, data.valid.labels.cpu(), classes)
        fields["train_accuracy"] = accuracy(
            predict(network, data.train, protocol.precision), data.train.labels.cpu()
        )
        # Only now, when nothing is left to choose, are test pairs looked at.
        shown = data.world.reported
        logits = predict_part(network, data, shown, protocol.precision)
        if shown is data.world.test:
            fields |= _evaluated("test", logits, shown.labels, classes)
            fields |= {f"test_{name}": fields["test_metrics"][name] for name in ("loss", "accuracy")}
        fields |= _save_weights(network, data, config, spec, seed, note)
        if config.results_dir is not None and fields["checkpoint"] is not None:
            path = samples_path(config.results_dir, fields["checkpoint"])
            if reason := save_samples(path, logits, shown, fields["weights_sha256"]):
                note(reason)
    return RunRecord(**fields, status=COMPLETED, total_seconds=time.perf_counter() - start)


def _world(world: World) -> dict[str, Any]:
    """What a record tells of the pairs."""
    parts, classes = {part: pairs for part, pairs in world.parts.items() if len(pairs)}, len(world.info.classes)
    return {
        "dataset_notes": list(world.notes),
        "drawn": world.drawn,
        "class_counts": {part: pairs.labels.bincount(minlength=classes).tolist() for part, pairs in parts.items()},
        "test_pairs": 0,
        **{f"{part}_pairs": len(pairs) for part, pairs in parts.items()},
        **{f"{part}_sha256": pairs.sha256 for part, pairs in parts.items()},
    }


def _evaluated(part: str, logits: Tensor, labels: Tensor, classes: int) -> dict[str, Any]:
    """Every metric, and the counts of predictions, over the pairs of a part."""
    counts = confusion(logits, labels, classes)
    return {
        f"{part}_metrics": {name: _finite(value) for name, value in metrics_of(logits, labels).items()},
        f"{part}_confusion": counts,
        f"{part}_class_accuracies": class_accuracies(counts),
    }


def failed(spec: ModelSpec, source: Source, seed: int, config: RunConfig, error: Exception) -> RunRecord:
    """The record of a run that raised; see ``describe`` for its errors."""
    fields = describe(spec, source, seed, config)
    return RunRecord(**fields, status=FAILED, error=f"{type(error).__name__}: {error}")


def describe(spec: ModelSpec, source: Source, seed: int, config: RunConfig) -> dict[str, Any]:
    """The fields of a record that are known before anything is trained.

    Raises:
        ModelError: The data lack a modality of the model.
    """
    device, info = torch.device(config.device), source.info
    own_code = [] if spec.build is None else [Path(source_file(spec.build))]
    return {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": spec.name,
        "family": spec.family,
        "stage": spec.stage,
        "operator": spec.operator,
        "embedder": spec.embedder,
        "modalities": list(spec.sees(info.channels)),
        "study": config.study,
        "question": config.question,
        "variant": config.variant,
        "changed": config.changed,
        "reference": config.reference,
        "as_published": config.as_published,
        "dataset": info.name,
        "simulated": (config.dataset or info.name) in DATASETS,
        "dataset_notes": list(source.notes),
        "classes": len(info.classes),
        "class_names": list(info.classes),
        "channels": dict(info.channels),
        "image_size": list(info.image_size),
        "seed": seed,
        "profile": config.profile,
        "protocol": config.protocol.on(info.channels).to_dict(),
        "device": device.type,
        "train_losses": [],
        "valid_losses": [],
        "valid_accuracies": [],
        "learning_rates": [],
        "metrics": [metric.declaration for metric in METRICS.values()],
        "epoch_seconds": [],
        "pretraining": [],
        "target_accuracy": TARGET_ACCURACY,
        "data_sha256": source.sha256,
        "code_sha256": code_sha256(*own_code),
        "plugins": [plugin.label for plugin in plugins()],
        "claims": dict(config.claims),
        "command": config.command,
        "environment": environment(device),
    }


def build_seeded(spec: ModelSpec, info: DatasetInfo, seed: int, device: str) -> nn.Module:
    """The model with the initial weights of a seed, the same on every device.

    Raises:
        ModelError: It does not fit the data.
    """
    with seeded(seed, "initialization"):
        network = build_model(spec, channels=info.channels, image_size=info.image_size, classes=len(info.classes))
    tensors = (*network.parameters(), *network.buffers())
    if all(tensor.dim() != 5 for tensor in tensors):  # 3-D convolutions have another layout
        network.to(memory_format=layout_of(device))
    return network.to(device)


def _with_frozen_experts(network: nn.Module) -> nn.Module:
    if isinstance(network, FusionNet):
        network.freeze_experts()
    return network


def _once(what: str, row: Hashable, measure: Callable[[], T]) -> T:
    """What is the same for all seeds of a row, a model under a protocol, is measured once in a process."""
    if (what, row) not in _measured:
        _measured[what, row] = measure()
    return cast(T, _measured[what, row])


_measured: dict[tuple[str, Hashable], object] = {}


def _peak_memory(
    build: Callable[[], nn.Module], experts: list[str], train: Pairs, protocol: Protocol, seed: int
) -> dict[str, Any]:
    """The peaks over all stages of training, so that experts count for late fusion."""
    batch = train[epoch_order(seed, 1, len(train))[: protocol.batch_size].to(train.labels.device)]
    builds: list[Callable[[], nn.Module]] = [lambda: _with_frozen_experts(build())]
    builds += [partial(lambda modality: experts_of(build())[modality], modality) for modality in experts]
    peaks = [training_memory(stage, batch, protocol) for stage in builds]
    reserved = [peak.reserved_bytes for peak in peaks if peak.reserved_bytes is not None]
    return {
        "peak_memory_bytes": max(peak.peak_bytes for peak in peaks),
        "peak_memory_method": peaks[0].method,
        "peak_reserved_bytes": max(reserved, default=None),
    }


def _flops(spec: ModelSpec, network: nn.Module, batch: Batch) -> int | None:
    try:
        return training_flops(network, batch)
    except Exception:
        if not files_of_plugins(spec):
            raise
        return None  # any module is allowed, also one that cannot be run on shapes alone


def _train_experts(
    network: nn.Module, data: PreparedData, protocol: Protocol, seed: int, observe: Observer
) -> list[Pretraining]:
    """Train each modality's expert to its best weights, then freeze them all."""
    stages = []
    for modality, expert in experts_of(network).items():
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
    _with_frozen_experts(network)
    return stages


def _history(trainer: Trainer, pretraining: list[Pretraining]) -> dict[str, Any]:
    history = trainer.history
    return {
        "train_losses": [_finite(loss) for loss in history.train_losses],
        "valid_losses": [_finite(loss) for loss in history.valid("loss")],
        "valid_accuracies": history.valid("accuracy"),
        "learning_rates": [result.learning_rate for result in history.results],
        "epoch_seconds": history.epoch_seconds,
        "seconds_to_target": history.seconds_to_target(before=_seconds(pretraining)),
    }


def _best(trainer: Trainer, pretraining: list[Pretraining]) -> dict[str, Any]:
    best = trainer.history.best
    return {
        "best_epoch": best.epoch,
        "best_valid_loss": best.valid["loss"],
        "valid_accuracy": best.valid["accuracy"],
        "train_seconds": sum(trainer.history.epoch_seconds) + _seconds(pretraining),
    }


def _seconds(pretraining: list[Pretraining]) -> float:
    return sum(sum(stage.epoch_seconds) for stage in pretraining)


def _save_weights(
    network: nn.Module,
    data: PreparedData,
    config: RunConfig,
    spec: ModelSpec,
    seed: int,
    note: Callable[[str], None],
) -> dict[str, Any]:
    """The hash of the weights, and the name of their checkpoint; None if it cannot be written, which is noted."""
    weights = state_of(network)
    digest, name = weights_sha256(weights), None
    if config.results_dir is not None:
        name = "-".join(filter(None, (config.study, config.variant, spec.name, f"seed{seed}"))) + ".safetensors"
        path = config.results_dir / CHECKPOINTS / name
        try:
            described = {**_described(spec, data, config.protocol.precision), "weights_sha256": digest}
            save_checkpoint(path, weights, described)
        except (OSError, SafetensorError) as error:  # the result is known, and more than its weights
            note(f"the checkpoint {path} could not be saved, so this model is not resumed or probed ({error})")
            name = None
    return {"weights_sha256": digest, "checkpoint": name}


def _described(spec: ModelSpec, data: PreparedData, precision: Precision) -> dict[str, Any]:
    """What ``trained.load_model`` needs besides the weights: the model's name, its inputs and its classes."""
    dataset, statistics = data.world.train.dataset, data.statistics
    return {
        "model": spec.name,
        "classes": list(data.world.info.classes),
        "image_size": list(data.world.info.image_size),
        "modalities": {name: asdict(dataset.modality(name)) for name in dataset.inputs},
        "used": list(spec.sees(data.world.info.channels)),
        "mean": {name: statistics.mean[name].tolist() for name in data.scaled},
        "std": {name: statistics.std[name].tolist() for name in data.scaled},
        "precision": precision,
    }


def _finite(value: float) -> float | None:
    # JSON has no NaN; the status tells why the value is missing.
    return value if math.isfinite(value) else None
