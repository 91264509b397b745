import doctest
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.config import STANDARD, RunConfig
from bench.records import COMPLETED, DIVERGED, FAILED, RunRecord, SampleRecord, append, read
from bench.registry import METRICS, register_metric
from bench.training import runs, samples
from bench.training.ceiling import ceiling
from bench.training.evaluation import evaluate, metrics_of
from bench.training.fingerprint import code_sha256
from bench.training.preparation import predict_part, prepare, shares_of
from bench.training.runs import build_seeded, describe, failed, run, run_cell
from bench.training.seeding import deterministic
from bench.training.trainer import TARGET_ACCURACY, EpochResult, History, Trainer
from data_utils import Batch, DataError, PairedDataset, World
from fusion_models import FusionNet, ModelError, ModelSpec, find_model, register_model
from tests.bench.samples import MODEL, SMALL, TESTED, run_config, small_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def completed(dataset: PairedDataset, folder: Path) -> RunRecord:
    """One run of two epochs; its checkpoint is in the folder."""
    return cell(dataset, run_config(folder))


@pytest.fixture(scope="module")
def of_experts(dataset: PairedDataset, folder: Path) -> RunRecord:
    """As ``completed``; other processes are busy while an expert is trained."""
    stages: list[str] = []

    class Load:
        def __init__(self) -> None:
            self._epochs = len(stages)

        @property
        def cores(self) -> float:
            return 3.0 if any(stages[self._epochs :]) else 0.5

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "OtherLoad", Load)
        return cell(dataset, run_config(folder), EXPERTS, observe=lambda result: stages.append(result.stage))


EXPERTS = "experts-late-logits-strided"
EXPLODING = replace(SMALL, learning_rate=1e30, final_learning_rate=1e30)


def cell(
    dataset: PairedDataset, config: RunConfig, model: str = MODEL, seed: int = 51, **further: Any
) -> RunRecord:
    return run_cell(find_model(model), dataset, seed, config, **further)


def with_weights_of(record: RunRecord, dataset: PairedDataset, folder: Path) -> FusionNet:
    """The record's model with its checkpoint, built from another seed."""
    network = build_seeded(find_model(record.model), dataset.info, 0, "cpu")
    network.load_state_dict(load_file(folder / "checkpoints" / str(record.checkpoint)))
    assert isinstance(network, FusionNet)
    return network


def test_a_completed_run_leaves_no_field_open(completed: RunRecord) -> None:
    assert completed.status == COMPLETED
    empty = {name for name in completed.__struct_fields__ if getattr(completed, name) is None}
    # On a CPU nothing is reserved, and two epochs need not reach the target accuracy.
    without_test = {"test_loss", "test_accuracy", "test_metrics", "test_sha256"}
    without_test |= {"test_confusion", "test_class_accuracies"}
    assert empty - {"seconds_to_target"} == {"error", "peak_reserved_bytes"} | without_test
    assert completed.test_pairs == 0
    assert all(loss is not None and math.isfinite(loss) for loss in completed.train_losses)


def test_the_record_tells_what_was_run(completed: RunRecord) -> None:
    assert (completed.model, completed.seed, completed.device) == (MODEL, 51, "cpu")
    assert (completed.family, completed.stage) == ("compact", "late")
    assert (completed.operator, completed.embedder) == ("concat", "strided")
    assert completed.modalities == ["rgb", "lidar"]
    assert (completed.study, completed.variant, completed.profile) == ("standard", "", "smoke")
    assert (completed.dataset, completed.classes, completed.class_names) == ("shapes", 2, ["cubes", "spheres"])
    assert (completed.train_pairs, completed.valid_pairs) == (64, 16)
    assert (completed.simulated, completed.channels) == (True, {"rgb": 4, "lidar": 4})
    assert completed.drawn is False  # every seed splits the data set in memory, whatever its name
    assert (completed.reference, completed.as_published) == ("maxpool", False)
    assert completed.protocol == {**SMALL.to_dict(), "normalized": ["rgb", "lidar"]}
    assert completed.metrics == [metric.declaration for metric in METRICS.values()]
    assert completed.plugins == []
    assert completed.code_sha256 == code_sha256()


def test_what_describes_a_run_is_in_its_record(dataset: PairedDataset, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"question": "Which?", "variant": "raw", "reference": "strided"}
    changes |= {"as_published": True, "command": "pytest bench"}
    config = replace(run_config(tmp_path), dataset="somewhere/files", **changes)
    fields = describe(find_model("wide-lidar-maxpool"), dataset, 7, config)
    expected = {**changes, "modalities": ["lidar"], "simulated": False, "dataset": "shapes"}
    assert {name: fields[name] for name in expected} == expected
    assert describe(find_model(MODEL), dataset, 7, replace(config, dataset=""))["simulated"]


def test_the_parts_of_a_record_agree(completed: RunRecord) -> None:
    for name in ("train_losses", "valid_losses", "valid_accuracies", "learning_rates", "epoch_seconds"):
        assert len(getattr(completed, name)) == 2
    best = completed.valid_losses.index(completed.best_valid_loss)
    assert completed.best_valid_loss == min(loss for loss in completed.valid_losses if loss is not None)
    assert completed.best_epoch == best + 1
    assert completed.valid_accuracy == completed.valid_accuracies[best]
    assert completed.valid_metrics is not None
    assert completed.valid_metrics["loss"] == completed.best_valid_loss
    assert completed.valid_metrics["accuracy"] == completed.valid_accuracy
    assert completed.train_seconds == pytest.approx(sum(completed.epoch_seconds))
    assert completed.pretraining == []


def test_the_size_is_that_of_the_model(completed: RunRecord) -> None:
    # At 16x16 the stem's maps are 100x2x2: convolutions (4*9*25 + 25) + (25*9*50 + 50) + (50*9*100 + 100) =
    # 57,325 and 400*100 + 100 each; then MLP (200*100 + 100) + (100 + 1).
    assert completed.parameters == completed.trainable_parameters == 2 * (57_325 + 40_100) + 20_201
    # Weights, gradients and Adam's two moments alone are four floats per parameter.
    assert completed.peak_memory_bytes is not None
    assert completed.peak_memory_bytes > 4 * 4 * completed.parameters


def test_the_operations_are_those_of_one_step(completed: RunRecord) -> None:
    # Multiply-adds per pair at 16x16, strided: each stem's convolutions end in maps of 8x8, 4x4 and 2x2, its
    # linear layer and the MLP follow. The backward pass takes as many for the weights, and as many for the inputs
    # of all but the first layers.
    first, others = 9 * 25 * 64, 9 * 25 * 50 * 16 + 9 * 50 * 100 * 4 + 400 * 100
    head = 200 * 100 + 100
    forward = (4 + 4) * first + 2 * others + head
    multiply_adds = 3 * forward - (4 + 4) * first
    assert completed.flops_per_step == 2 * 16 * multiply_adds


def test_the_device_was_measured_once(completed: RunRecord, of_experts: RunRecord) -> None:
    assert completed.ceiling == of_experts.ceiling == ceiling("cpu")


def test_the_time_to_the_target_follows_from_the_epochs(
    dataset: PairedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.training.trainer.TARGET_ACCURACY", 0.0)  # the first epoch reaches it
    record = cell(dataset, run_config(tmp_path), EXPERTS)
    assert record.target_accuracy == TARGET_ACCURACY
    pretraining = sum(sum(stage.epoch_seconds) for stage in record.pretraining)
    assert record.seconds_to_target == pretraining + record.epoch_seconds[0]


def test_the_checkpoint_brings_back_the_best_epoch(
    completed: RunRecord, dataset: PairedDataset, folder: Path
) -> None:
    network = with_weights_of(completed, dataset, folder)
    data = prepare(dataset, SMALL, 51, "cpu")
    with deterministic():
        assert evaluate(network, data.valid) == completed.valid_metrics
        assert evaluate(network, data.train)["accuracy"] == completed.train_accuracy


def test_the_checkpoint_is_not_of_the_last_epoch_where_that_was_worse(
    dataset: PairedDataset, tmp_path: Path
) -> None:
    overshooting = replace(SMALL, learning_rate=0.02, final_learning_rate=0.02)
    record = cell(dataset, run_config(tmp_path, overshooting))
    assert record.best_epoch == 1  # of two; a rate that keeps the second one better makes this test void
    network = with_weights_of(record, dataset, tmp_path)
    with deterministic():
        assert evaluate(network, prepare(dataset, SMALL, 51, "cpu").valid)["loss"] == record.valid_losses[0]


def test_the_digest_is_of_the_weights_in_the_order_of_their_names(completed: RunRecord, folder: Path) -> None:
    weights = load_file(folder / "checkpoints" / str(completed.checkpoint))
    content = b"".join(name.encode() + weights[name].numpy().tobytes() for name in sorted(weights))
    assert completed.weights_sha256 == hashlib.sha256(content).hexdigest()


def test_the_same_cell_gives_the_same_bits_whatever_ran_before(
    completed: RunRecord, of_experts: RunRecord, dataset: PairedDataset, tmp_path: Path
) -> None:
    assert of_experts.status == COMPLETED
    torch.rand(7)
    again, other = (cell(dataset, run_config(tmp_path), seed=seed) for seed in (51, 52))
    for name in ("train_losses", "valid_losses", "weights_sha256", "peak_memory_bytes"):
        assert getattr(again, name) == getattr(completed, name)
    assert other.train_losses != completed.train_losses
    assert other.weights_sha256 != completed.weights_sha256


def test_a_run_is_deterministic_and_leaves_the_settings_and_the_generator_alone(
    dataset: PairedDataset, tmp_path: Path
) -> None:
    inside: list[bool] = []
    before = torch.get_rng_state()
    settings = run_config(tmp_path)
    cell(dataset, settings, observe=lambda _: inside.append(torch.are_deterministic_algorithms_enabled()))
    assert inside == [True, True]
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.get_rng_state(), before)


def test_driver_and_observer_see_every_epoch(dataset: PairedDataset, tmp_path: Path) -> None:
    calls: list[str] = []

    def driver(train_epoch: Callable[[], None], finish_epoch: Callable[[], None], epochs: int) -> None:
        for _ in range(epochs):
            calls.append("train")
            train_epoch()
            calls.append("finish")
            finish_epoch()

    def observe(result: EpochResult) -> None:
        calls.append(f"epoch {result.epoch} of {result.epochs}")

    cell(dataset, run_config(tmp_path), driver=driver, observe=observe)
    assert calls == ["train", "finish", "epoch 1 of 2", "train", "finish", "epoch 2 of 2"]


def test_experts_are_trained_first_and_then_frozen(of_experts: RunRecord) -> None:
    assert [stage.modality for stage in of_experts.pretraining] == ["rgb", "lidar"]
    for stage in of_experts.pretraining:
        assert len(stage.train_losses) == len(stage.valid_losses) == len(stage.epoch_seconds) == 2
        assert stage.best_epoch == stage.valid_losses.index(min(stage.valid_losses)) + 1
    assert of_experts.trainable_parameters == 41
    assert len(of_experts.train_losses) == 2
    pretraining = sum(sum(stage.epoch_seconds) for stage in of_experts.pretraining)
    assert of_experts.train_seconds == pytest.approx(sum(of_experts.epoch_seconds) + pretraining)


def test_the_load_of_experts_is_that_of_the_busiest_stage(of_experts: RunRecord) -> None:
    assert of_experts.other_load == 3.0


def test_the_operations_of_experts_are_those_of_the_last_stage(of_experts: RunRecord) -> None:
    # Two frozen experts run forward alone: convolutions of 50, 100 and 200 channels, an MLP of 1000 and 100; then
    # the head of 10 on their two logits, which is trained but passes nothing back to them.
    expert = 9 * 50 * 100 * 16 + 9 * 100 * 200 * 4 + 800 * 1000 + 1000 * 100 + 100
    head = 2 * 10 + 10
    multiply_adds = (4 + 4) * 9 * 50 * 64 + 2 * expert + 3 * head - 2 * 10
    assert of_experts.flops_per_step == 2 * 16 * multiply_adds


def test_memory_of_experts_is_that_of_the_largest_stage(of_experts: RunRecord) -> None:
    # One expert alone needs four floats for each of its parameters, more than both frozen need with one each.
    assert of_experts.parameters is not None
    assert of_experts.peak_memory_bytes is not None
    expert = (of_experts.parameters - 41) // 2
    assert of_experts.peak_memory_bytes > 4 * 4 * expert


def test_the_experts_weights_are_those_of_their_best_epochs(
    of_experts: RunRecord, dataset: PairedDataset, folder: Path
) -> None:
    network = with_weights_of(of_experts, dataset, folder)
    data = prepare(dataset, SMALL, 51, "cpu")
    with deterministic():
        losses = [evaluate(expert, data.valid)["loss"] for expert in network.experts().values()]
    assert losses == [min(stage.valid_losses) for stage in of_experts.pretraining]


def test_a_loss_that_explodes_is_a_record_in_strict_json(dataset: PairedDataset, tmp_path: Path) -> None:
    record = cell(dataset, run_config(tmp_path, EXPLODING))
    assert record.status == DIVERGED
    assert record.error is not None
    assert "not finite after epoch 1" in record.error
    assert len(record.train_losses) == len(record.epoch_seconds) == 1
    assert None in (*record.train_losses, *record.valid_losses)
    assert (record.best_epoch, record.valid_accuracy, record.checkpoint) == (None, None, None)
    assert not any(tmp_path.iterdir())
    append(tmp_path / "records.jsonl", record)
    assert read(tmp_path / "records.jsonl", RunRecord) == [record]


def test_experts_that_explode_are_a_record_too(dataset: PairedDataset, tmp_path: Path) -> None:
    record = cell(dataset, run_config(tmp_path, EXPLODING), EXPERTS)
    assert record.status == DIVERGED
    assert record.train_losses == []


def test_a_failed_run_has_a_record_with_the_error(dataset: PairedDataset, tmp_path: Path) -> None:
    record = failed(find_model(MODEL), dataset, 51, run_config(tmp_path), RuntimeError("out of memory"))
    assert (record.status, record.error) == (FAILED, "RuntimeError: out of memory")
    assert record.train_losses == []


def test_equal_seeds_build_equal_weights(dataset: PairedDataset) -> None:
    first, second, other = (build_seeded(find_model(MODEL), dataset.info, seed, "cpu") for seed in (51, 51, 52))
    for one, same, different in zip(first.parameters(), second.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, same)
        assert not torch.equal(one, different)


def test_a_model_that_does_not_fit_is_refused_before_anything_is_trained(
    dataset: PairedDataset, tmp_path: Path
) -> None:
    epochs: list[EpochResult] = []
    for model, message in {
        "resnet": "unknown model 'resnet'",
        "wide-thermal-strided": "needs the modality 'thermal'; the data have rgb, lidar",
    }.items():
        with pytest.raises(ModelError, match=message):
            run(model, dataset, protocol=SMALL, results_dir=tmp_path, observe=epochs.append)
    whole = dataset.decoded()
    odd = replace(
        whole,
        info=replace(whole.info, image_size=(12, 16)),
        inputs={modality: values[:, :, :12] for modality, values in whole.inputs.items()},
    )
    with pytest.raises(ModelError, match="multiples of 8, not 12x16"):
        run(MODEL, odd, protocol=SMALL, results_dir=tmp_path, observe=epochs.append)
    assert not epochs
    assert not any(tmp_path.iterdir())


def test_a_run_from_a_prompt_needs_names_alone(completed: RunRecord) -> None:
    record = run(MODEL, "shapes", protocol=SMALL)
    assert (record.status, record.study, record.profile, record.checkpoint) == (COMPLETED, "python", "full", None)
    assert record.train_pairs == 64  # the protocol's 80 pairs were simulated
    assert record.weights_sha256 is not None
    assert record.simulated
    assert record.drawn
    of_spec = run(find_model(MODEL), small_dataset(), 51, SMALL, "cpu")
    assert of_spec.weights_sha256 == completed.weights_sha256
    with pytest.raises(DataError, match="nowhere"):
        run(MODEL, "nowhere", protocol=SMALL)


def test_the_example_of_the_docstring_runs() -> None:
    assert doctest.testmod(runs, raise_on_error=True).attempted >= 4


class Mlp(nn.Module):
    """Any module: batch normalization, dropout, tied weights and a volume convolution that nothing else has."""

    def __init__(self, channels: Mapping[str, int], image_size: tuple[int, int], classes: int) -> None:
        super().__init__()
        pixels = sum(channels.values()) * image_size[0] * image_size[1]
        self.first, self.norm, self.dropout = nn.Linear(pixels, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)
        self.second, self.third = nn.Linear(8, 8), nn.Linear(8, 8)
        self.third.weight = self.second.weight
        self.volume = nn.Conv3d(1, 1, 1)
        self.head = nn.Linear(8, classes)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        x = torch.cat([values.flatten(1) for values in inputs.values()], dim=1)
        x = self.dropout(self.norm(self.first(x)).relu())
        x = self.third(self.second(x).relu()).relu()
        logits: Tensor = self.head(self.volume(x[:, None, None, None]).flatten(1))
        return logits


def test_a_function_that_builds_any_module_is_a_model(dataset: PairedDataset, tmp_path: Path) -> None:
    record = run(Mlp, dataset, protocol=SMALL, results_dir=str(tmp_path))
    assert record.status == COMPLETED
    assert (record.model, record.family, record.stage, record.embedder) == ("Mlp", "custom", "custom", "")
    assert (record.strategy, record.modalities) == ("Mlp", ["rgb", "lidar"])
    assert record.checkpoint == "python-Mlp-seed51.safetensors"
    assert record.code_sha256 != code_sha256()  # the file of the function counts
    torch.rand(7)
    assert run(Mlp, dataset, protocol=SMALL).weights_sha256 == record.weights_sha256  # dropout is seeded too
    assert run(Mlp, dataset, 52, SMALL).weights_sha256 != record.weights_sha256


def test_functions_of_the_same_name_are_measured_apart(dataset: PairedDataset) -> None:
    def of_width(width: int) -> RunRecord:
        def net(channels: Mapping[str, int], _: tuple[int, int], classes: int) -> nn.Module:
            class Net(nn.Sequential):
                def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
                    return super().forward(inputs["rgb"])  # type: ignore[no-any-return]

            layers = nn.Conv2d(channels["rgb"], width, 8, stride=8), nn.Flatten(), nn.LazyLinear(classes)
            net = Net(*layers)
            net({"rgb": torch.zeros(1, channels["rgb"], 16, 16)})  # gives the lazy layer its size
            return net

        return run(net, dataset, protocol=replace(SMALL, epochs=1))

    narrow, wide = of_width(1), of_width(8)
    assert narrow.model == wide.model == "net"
    assert wide.flops_per_step == 8 * (narrow.flops_per_step or 0)
    assert (wide.peak_memory_bytes or 0) > (narrow.peak_memory_bytes or 0)


@pytest.mark.usefixtures("registries")
def test_a_registered_function_has_its_registered_name(dataset: PairedDataset) -> None:
    register_model("mlp-2")(Mlp)
    by_name, by_function = (run(model, dataset, protocol=replace(SMALL, epochs=1)) for model in ("mlp-2", Mlp))
    assert by_name.model == by_function.model == "mlp-2"
    assert by_name.weights_sha256 == by_function.weights_sha256


def test_a_module_that_is_built_already_is_refused(dataset: PairedDataset) -> None:
    with pytest.raises(ModelError, match=r"function build\(channels, image_size, classes\).*not as a Linear"):
        run(nn.Linear(1, 1), dataset, protocol=SMALL)


def test_operations_that_cannot_be_counted_are_left_open(dataset: PairedDataset) -> None:
    def picky(channels: Mapping[str, int], image_size: tuple[int, int], classes: int) -> nn.Module:
        class Picky(Mlp):
            def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
                scale = float(inputs["rgb"].abs().max())  # reads a number, which shapes alone do not have
                return super().forward(inputs) * scale

        return Picky(channels, image_size, classes)

    record = run(picky, dataset, protocol=replace(SMALL, epochs=1))
    assert (record.status, record.flops_per_step) == (COMPLETED, None)


@pytest.mark.usefixtures("registries")
def test_a_metric_without_a_value_is_none_and_ends_no_run(dataset: PairedDataset, tmp_path: Path) -> None:
    register_metric("undefined", higher_is_better=True)(lambda _, __: math.inf)
    record = run(MODEL, dataset, protocol=SMALL)
    assert record.status == COMPLETED
    assert record.valid_metrics is not None
    assert record.valid_metrics["undefined"] is None
    assert record.metrics[-1].name == "undefined"
    append(tmp_path / "records.jsonl", record)


def test_samples_are_saved_beside_the_checkpoint(completed: RunRecord, folder: Path) -> None:
    saved = read(folder / "samples" / f"standard-{MODEL}-seed51.jsonl", SampleRecord)
    assert len(saved) == samples.COUNT
    assert {sample.weights_sha256 for sample in saved} == {completed.weights_sha256}


def test_samples_that_cannot_be_drawn_leave_a_note(
    dataset: PairedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no ink")

    notes: list[str] = []
    cell(dataset, run_config(tmp_path))
    monkeypatch.setattr(samples, "pictures", fail)
    record = cell(dataset, run_config(tmp_path), note=notes.append)
    assert record.status == COMPLETED
    assert notes == ["sample predictions could not be saved (OSError: no ink)"]
    assert not any((tmp_path / "samples").iterdir())  # nor those of another run


def test_a_folder_that_is_not_given_is_not_written(
    dataset: PairedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(MODEL, dataset, protocol=replace(SMALL, epochs=1))
    assert not any(tmp_path.iterdir())


def test_the_standard_protocol_scales_all_modalities_of_the_data(dataset: PairedDataset) -> None:
    thermal = dataset.measured("lidar")[:, :1] + 3
    info = replace(dataset.info, channels={**dataset.info.channels, "thermal": 1})
    three = replace(dataset, info=info, inputs={**dataset.inputs, "thermal": thermal})
    record = run(MODEL, three, protocol=SMALL)
    assert SMALL.normalized == STANDARD.normalized
    assert record.protocol["normalized"] == record.modalities == ["rgb", "lidar", "thermal"]
    assert prepare(three, SMALL, 51, "cpu").train[:].inputs["thermal"].mean().abs() < 1e-4
    pair = ModelSpec("compact", "late", "concat", "strided", ("rgb", "thermal"))
    assert run(pair, three, protocol=SMALL).modalities == ["rgb", "thermal"]


# --- test pairs


@pytest.fixture(scope="module")
def tested_run(dataset: PairedDataset) -> RunRecord:
    return run(MODEL, dataset, protocol=TESTED)


def test_a_record_counts_the_classes_of_each_part_and_what_else_ran(tested_run: RunRecord) -> None:
    counts = tested_run.class_counts or {}
    sizes = {"train": tested_run.train_pairs, "valid": tested_run.valid_pairs, "test": tested_run.test_pairs}
    assert {part: sum(of_part) for part, of_part in counts.items()} == sizes
    assert all(len(of_part) == tested_run.classes for of_part in counts.values())
    assert tested_run.other_load is None or tested_run.other_load >= 0


def test_a_run_reports_every_metric_on_its_test_pairs(tested_run: RunRecord, dataset: PairedDataset) -> None:
    world = dataset.world(shares_of(TESTED), 51)
    assert (tested_run.train_pairs, tested_run.valid_pairs, tested_run.test_pairs) == tuple(
        len(part) for part in world.parts.values()
    )
    assert [tested_run.train_sha256, tested_run.valid_sha256, tested_run.test_sha256] == [
        part.sha256 for part in world.parts.values()
    ]
    assert tested_run.data_sha256 == dataset.sha256
    metrics = tested_run.test_metrics or {}
    assert set(metrics) == set(METRICS) == set(tested_run.valid_metrics or {})
    assert (metrics["loss"], metrics["accuracy"]) == (tested_run.test_loss, tested_run.test_accuracy)


def test_the_test_figures_are_those_of_the_best_epoch(
    dataset: PairedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(History, "best", property(lambda history: history.results[0]))  # of two
    record = cell(dataset, run_config(tmp_path, TESTED))
    assert record.best_epoch == 1
    network = with_weights_of(record, dataset, tmp_path)
    data = prepare(dataset, TESTED, 51, "cpu")
    with deterministic():
        assert (
            metrics_of(predict_part(network, data, data.world.test), data.world.test.labels) == record.test_metrics
        )


def test_test_pairs_are_looked_at_once_when_nothing_is_left_to_choose(
    dataset: PairedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer has no way to them, and nobody prepares any of them before the best weights are restored."""
    assert not [name for name in signature(Trainer).parameters if "test" in name]
    events: list[str] = []
    of_test = set(dataset.world(shares_of(TESTED), 52).test.indices.tolist())
    whole_batch, restore = PairedDataset.batch, Trainer.restore_best

    def batch(self: PairedDataset, indices: torch.Tensor, *words: Any) -> Batch:
        asked = set(indices.tolist()) & of_test
        events.extend(["test"] if asked else [])
        assert asked in (set(), of_test)
        return whole_batch(self, indices, *words)

    def restored(self: Trainer) -> None:
        events.append("restored")
        restore(self)

    monkeypatch.setattr(PairedDataset, "batch", batch)
    monkeypatch.setattr(Trainer, "restore_best", restored)
    run(MODEL, dataset, 52, TESTED, observe=lambda _: events.append("epoch"))
    assert events == ["epoch", "epoch", "restored", "test"]


def test_other_test_pairs_change_nothing_but_what_is_reported_of_them(
    tested_run: RunRecord, dataset: PairedDataset
) -> None:
    test = dataset.world(shares_of(TESTED), 51).test.indices
    labels = dataset.labels.clone()
    labels[test] = 1 - labels[test]
    other = replace(
        dataset, labels=labels, assigned=assigned_as(dataset.world(shares_of(TESTED), 51), len(dataset))
    )
    relabeled = run(MODEL, other, protocol=TESTED)
    assert relabeled.weights_sha256 == tested_run.weights_sha256
    assert relabeled.valid_losses == tested_run.valid_losses
    assert relabeled.best_epoch == tested_run.best_epoch
    assert relabeled.test_loss != tested_run.test_loss
    assert relabeled.test_sha256 != tested_run.test_sha256


def assigned_as(world: World, pairs: int) -> tuple[str, ...]:
    """The parts of a world as a declared split."""
    words = [""] * pairs
    for name, part in world.parts.items():
        for pair in part.indices.tolist():
            words[pair] = name
    return tuple(words)


def test_a_name_draws_all_parts_from_the_seed() -> None:
    short = replace(TESTED, epochs=1)
    records = [run(MODEL, "shapes", seed, short) for seed in (51, 52, 51)]
    assert [record.test_pairs for record in records] == [20] * 3
    hashes = [(r.train_sha256, r.valid_sha256, r.test_sha256) for r in records]
    assert hashes[0] == hashes[2]
    assert len({*hashes[0], *hashes[1]}) == 6
    assert len({record.data_sha256 for record in records}) == 1
    assert records[0].test_metrics == records[2].test_metrics


def test_experts_are_trained_without_the_test_pairs(dataset: PairedDataset) -> None:
    record = run(EXPERTS, dataset, protocol=replace(TESTED, epochs=1))
    assert record.test_pairs == 16
    assert record.test_accuracy is not None


def test_memory_and_operations_are_measured_once_for_all_seeds_of_a_row(
    dataset: PairedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(runs, name)

        def count(*arguments: Any) -> Any:
            measured.append(name)
            return original(*arguments)

        return count

    for name in ("_peak_memory", "_flops"):
        monkeypatch.setattr(runs, name, counted(name))
    monkeypatch.setattr(runs, "_measured", {})
    first, second = (cell(dataset, run_config(tmp_path), seed=seed) for seed in (51, 52))
    assert measured == ["_peak_memory", "_flops"]
    assert first.weights_sha256 != second.weights_sha256
    assert first.peak_memory_bytes == second.peak_memory_bytes
    assert first.flops_per_step == second.flops_per_step
    larger = cell(dataset, run_config(tmp_path, replace(SMALL, batch_size=32)))
    assert measured == ["_peak_memory", "_flops"] * 2
    assert larger.peak_memory_bytes is not None
    assert first.peak_memory_bytes is not None
    assert larger.peak_memory_bytes > first.peak_memory_bytes
