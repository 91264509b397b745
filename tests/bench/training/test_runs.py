import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bench.records.run import COMPLETED, DIVERGED, FAILED, RunRecord, append, read
from bench.training.ceiling import ceiling
from bench.training.evaluation import evaluate
from bench.training.preparation import choose, measured_sides, prepare, ready
from bench.training.runs import build_seeded, failed, run
from bench.training.seeding import deterministic
from bench.training.target import TARGET_ACCURACY, seconds_to_target
from bench.training.trainer import EpochResult
from data_utils import ChannelStatistics, DataError, PairedDataset
from fusion_models import build_model, find_model
from tests.bench.samples import MODEL, SMALL, run_config, small_dataset


@pytest.fixture(scope="module")
def dataset() -> PairedDataset:
    return small_dataset()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def completed(dataset: PairedDataset, folder: Path) -> RunRecord:
    """One run of two epochs; its checkpoint is in the folder."""
    return run(MODEL, dataset, 51, run_config(folder))


@pytest.fixture(scope="module")
def of_experts(dataset: PairedDataset, folder: Path) -> RunRecord:
    return run("experts-late-logits-strided", dataset, 51, run_config(folder))


def test_a_completed_run_leaves_no_field_open(completed: RunRecord) -> None:
    assert completed.status == COMPLETED
    empty = {field.name for field in fields(completed) if getattr(completed, field.name) is None}
    # On a CPU nothing is reserved, and two epochs need not come to the target accuracy.
    assert empty - {"seconds_to_target"} == {"error", "peak_reserved_bytes"}


def test_the_record_says_what_was_run(completed: RunRecord) -> None:
    assert (completed.model, completed.seed, completed.device) == (MODEL, 51, "cpu")
    assert (completed.family, completed.stage) == ("compact", "late")
    assert (completed.operator, completed.embedder) == ("concat", "strided")
    assert completed.modalities == ["rgb", "lidar"]
    assert (completed.study, completed.variant, completed.profile) == ("standard", "", "smoke")
    assert (completed.dataset, completed.classes, completed.class_names) == ("shapes", 2, ["cubes", "spheres"])
    assert (completed.train_pairs, completed.valid_pairs) == (64, 16)
    assert completed.protocol["batch_size"] == 16


def test_the_parts_of_a_record_agree(completed: RunRecord) -> None:
    lists = (
        completed.train_losses,
        completed.valid_losses,
        completed.valid_accuracies,
        completed.learning_rates,
        completed.epoch_seconds,
    )
    assert [len(values) for values in lists] == [2] * 5
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
    # Weights, gradients and Adam's two moments alone are four floats a parameter.
    assert completed.peak_memory_bytes is not None
    assert completed.peak_memory_bytes > 4 * 4 * completed.parameters


def test_the_operations_are_those_of_one_step(completed: RunRecord) -> None:
    # Multiply-adds a pair at 16x16, strided: each stem's convolutions end in maps of 8x8, 4x4 and 2x2, its linear
    # layer and the MLP follow. The backward pass takes as many for the weights, and as many for the inputs of
    # all but the first layers.
    first, others = 9 * 25 * 64, 9 * 25 * 50 * 16 + 9 * 50 * 100 * 4 + 400 * 100
    head = 200 * 100 + 100
    forward = (4 + 4) * first + 2 * others + head
    multiply_adds = 3 * forward - (4 + 4) * first
    assert completed.flops_per_step == 2 * 16 * multiply_adds


def test_the_device_was_measured_once(completed: RunRecord, of_experts: RunRecord) -> None:
    assert completed.ceiling == of_experts.ceiling == asdict(ceiling("cpu"))


def test_the_time_to_the_target_is_told_by_the_epochs(dataset: PairedDataset, tmp_path: Path) -> None:
    record = run("experts-late-logits-strided", dataset, 51, run_config(tmp_path))
    assert record.target_accuracy == TARGET_ACCURACY
    pretraining = sum(sum(stage.epoch_seconds) for stage in record.pretraining)
    assert record.seconds_to_target == seconds_to_target(
        record.valid_accuracies, record.epoch_seconds, before=pretraining
    )


def test_records_of_runs_come_back_from_the_disk(completed: RunRecord, tmp_path: Path) -> None:
    append(tmp_path / "records.jsonl", completed)
    assert read(tmp_path / "records.jsonl") == [completed]


def test_the_checkpoint_brings_back_the_best_epoch(
    completed: RunRecord, dataset: PairedDataset, folder: Path
) -> None:
    info = dataset.info
    network = build_model(MODEL, channels=info.channels, image_size=info.image_size, classes=len(info.classes))
    assert completed.checkpoint is not None
    network.load_state_dict(load_file(folder / "checkpoints" / completed.checkpoint))
    network.to(memory_format=torch.channels_last)
    data = prepare(dataset, SMALL, 51, "cpu")
    with deterministic():
        assert evaluate(network, data.valid) == completed.valid_metrics
        assert evaluate(network, data.train)["accuracy"] == completed.train_accuracy


def test_the_checkpoint_is_not_of_the_last_epoch_where_that_was_worse(
    dataset: PairedDataset, tmp_path: Path
) -> None:
    overshooting = replace(SMALL, learning_rate=0.02, final_learning_rate=0.02)
    record = run(MODEL, dataset, 51, run_config(tmp_path, overshooting))
    assert record.best_epoch == 1  # of two; a rate that keeps the second one better makes this test void
    network = build_seeded(find_model(MODEL), dataset, 0, "cpu")
    network.load_state_dict(load_file(tmp_path / "checkpoints" / str(record.checkpoint)))
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
    again = run(MODEL, dataset, 51, run_config(tmp_path))
    assert again.train_losses == completed.train_losses
    assert again.valid_losses == completed.valid_losses
    assert again.weights_sha256 == completed.weights_sha256
    assert again.peak_memory_bytes == completed.peak_memory_bytes


def test_another_seed_gives_other_bits(completed: RunRecord, dataset: PairedDataset, tmp_path: Path) -> None:
    other = run(MODEL, dataset, 52, run_config(tmp_path))
    assert other.train_losses != completed.train_losses
    assert other.weights_sha256 != completed.weights_sha256


def test_a_run_allows_only_deterministic_algorithms(dataset: PairedDataset, tmp_path: Path) -> None:
    inside: list[bool] = []
    run(
        MODEL,
        dataset,
        51,
        run_config(tmp_path),
        observe=lambda _: inside.append(torch.are_deterministic_algorithms_enabled()),
    )
    assert inside == [True, True]
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_run_leaves_the_global_generator_alone(dataset: PairedDataset, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    run(MODEL, dataset, 51, run_config(tmp_path, replace(SMALL, epochs=1)))
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

    run(MODEL, dataset, 51, run_config(tmp_path), driver=driver, observe=observe)
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
    network = build_seeded(find_model("experts-late-logits-strided"), dataset, 0, "cpu")
    network.load_state_dict(load_file(folder / "checkpoints" / str(of_experts.checkpoint)))
    data = prepare(dataset, SMALL, 51, "cpu")
    with deterministic():
        losses = [evaluate(expert, data.valid)["loss"] for expert in network.experts().values()]
    assert losses == [min(stage.valid_losses) for stage in of_experts.pretraining]


def test_a_loss_that_explodes_is_a_record_in_strict_json(dataset: PairedDataset, tmp_path: Path) -> None:
    exploding = replace(SMALL, learning_rate=1e30, final_learning_rate=1e30)
    record = run(MODEL, dataset, 51, run_config(tmp_path, exploding))
    assert record.status == DIVERGED
    assert record.error is not None
    assert "not finite after epoch 1" in record.error
    assert len(record.train_losses) == len(record.epoch_seconds) == 1
    assert None in (*record.train_losses, *record.valid_losses)
    assert (record.best_epoch, record.valid_accuracy, record.checkpoint) == (None, None, None)
    assert not (tmp_path / "checkpoints").exists()
    json.dumps(record.to_dict(), allow_nan=False)


def test_experts_that_explode_are_a_record_too(dataset: PairedDataset, tmp_path: Path) -> None:
    exploding = replace(SMALL, learning_rate=1e30, final_learning_rate=1e30)
    record = run("experts-late-logits-strided", dataset, 51, run_config(tmp_path, exploding))
    assert record.status == DIVERGED
    assert record.train_losses == []


def test_a_failed_run_says_how(dataset: PairedDataset, tmp_path: Path) -> None:
    record = failed(find_model(MODEL), dataset, 51, run_config(tmp_path), RuntimeError("out of memory"))
    assert (record.status, record.error) == (FAILED, "RuntimeError: out of memory")
    assert record.train_losses == []


def test_equal_seeds_build_equal_weights(dataset: PairedDataset) -> None:
    first, second, other = (build_seeded(find_model(MODEL), dataset, seed, "cpu") for seed in (51, 51, 52))
    for one, same, different in zip(first.parameters(), second.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, same)
        assert not torch.equal(one, different)


def test_an_unknown_model_is_refused(dataset: PairedDataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown model 'resnet'"):
        run("resnet", dataset, 51, run_config(tmp_path))


def test_training_and_validation_share_no_scene_unless_asked_to(dataset: PairedDataset) -> None:
    def shared_scenes(keep_groups: bool) -> int:
        chosen, parts = choose(dataset, replace(SMALL, keep_groups=keep_groups), 51)
        scenes = [
            {chosen.names[i].partition("/")[2] for i in part.tolist()} for part in (parts.train, parts.valid)
        ]
        return len(scenes[0] & scenes[1])

    assert shared_scenes(keep_groups=True) == 0
    assert shared_scenes(keep_groups=False) > 0


def test_too_few_pairs_for_a_batch_are_refused(dataset: PairedDataset) -> None:
    with pytest.raises(DataError, match="64 training pairs are fewer than one batch of 65"):
        choose(dataset, replace(SMALL, batch_size=65), 51)


@pytest.mark.parametrize("normalized", [(), ("rgb",), ("rgb", "lidar")])
def test_the_named_modalities_are_scaled_and_no_others(
    normalized: tuple[str, ...], dataset: PairedDataset
) -> None:
    protocol = replace(SMALL, normalized=normalized)
    chosen, parts = choose(dataset, protocol, 51)
    raw, data = chosen.batch(parts.train), prepare(dataset, protocol, 51, "cpu")
    assert torch.equal(data.train.labels, raw.labels)
    for modality, values in raw.inputs.items():
        assert torch.equal(data.train.inputs[modality], values) is (modality not in normalized)


def test_preparing_a_modality_at_a_time_is_preparing_all_at_once(dataset: PairedDataset) -> None:
    train, valid = measured_sides(dataset, SMALL, 51)
    statistics = ChannelStatistics.from_batch(train)
    data = prepare(dataset, SMALL, 51, "cpu")
    for part, measured in ((data.train, train), (data.valid, valid)):
        expected = ready(measured, statistics, SMALL.normalized, "cpu")
        assert torch.equal(part.labels, measured.labels)
        assert list(part.inputs) == list(expected.inputs)
        for modality, values in expected.inputs.items():
            assert torch.equal(part.inputs[modality], values)
            assert part.inputs[modality].is_contiguous(memory_format=torch.channels_last)


def test_validation_is_scaled_as_training_is(dataset: PairedDataset) -> None:
    data = prepare(dataset, replace(SMALL, normalized=("lidar",)), 51, "cpu")
    means = [part.inputs["lidar"].mean(dim=(0, 2, 3)) for part in (data.train, data.valid)]
    assert means[0].abs().max() < 1e-4
    assert means[1].abs().max() > 1e-4  # the statistics are those of the training pairs


def test_whole_batches_leave_out_the_last_validation_pairs(dataset: PairedDataset) -> None:
    whole = prepare(dataset, SMALL, 51, "cpu").valid
    cut = prepare(dataset, replace(SMALL, batch_size=10, valid_whole_batches=True), 51, "cpu").valid
    assert (len(whole), len(cut)) == (16, 10)
    assert torch.equal(cut.labels, whole.labels[:10])


def test_whole_batches_of_less_than_one_are_refused(dataset: PairedDataset) -> None:
    with pytest.raises(DataError, match="16 validation pairs are fewer than one batch of 32"):
        choose(dataset, replace(SMALL, batch_size=32, valid_whole_batches=True), 51)


def test_losses_of_a_run_are_finite(completed: RunRecord) -> None:
    assert all(loss is not None and math.isfinite(loss) for loss in completed.train_losses)
