from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.config import BF16, FP32, TF32, Precision, RunConfig
from bench.metrics import probabilities
from bench.probes import robustness
from bench.probes.subject import load_subject
from bench.records import COMPLETED, RunRecord, SampleRecord
from bench.records.files import read
from bench.training.evaluation import predict
from bench.training.precision import forward
from bench.training.runs import run
from bench.training.seeding import deterministic
from tests.bench.samples import MODEL, SMALL, small_dataset
from tests.bench.toys import doubles, toy, toy_batch

ONE_THIRD = torch.full((1, 1, 2, 2), 1 / 3)


def halves() -> nn.Module:
    """Adds up 2x2 pixels, each halved."""
    model = toy()
    nn.init.constant_(model.layer.weight, 0.5)
    nn.init.zeros_(model.layer.bias)
    return model


@pytest.mark.parametrize(("precision", "pixel"), [(FP32, 1 / 3), (TF32, 1 / 3), (BF16, 0.333984375)])
def test_bf16_rounds_inputs_to_8_bits_of_mantissa_and_returns_float32(precision: Precision, pixel: float) -> None:
    logits = forward(halves(), {"rgb": ONE_THIRD}, precision)
    assert logits.dtype == torch.float32
    assert logits.item() == pytest.approx(2 * pixel, rel=1e-7)


@pytest.mark.parametrize("precision", [FP32, TF32])
def test_doubles_stay_doubles(precision: Precision) -> None:
    assert forward(toy().double(), doubles(toy_batch(2)).inputs, precision).dtype == torch.float64


def test_gradients_of_bf16_reach_the_float32_weights() -> None:
    model = halves()
    forward(model, {"rgb": ONE_THIRD}, BF16).sum().backward()
    (gradient, _) = (parameter.grad for parameter in model.parameters())
    assert gradient is not None
    assert gradient.dtype == torch.float32
    assert gradient.flatten().tolist() == [0.333984375] * 4


def trained(precision: Precision) -> RunRecord:
    return run(MODEL, small_dataset(), protocol=replace(SMALL, precision=precision))


def test_a_training_in_bf16_is_recorded_repeats_its_bits_and_is_another_one() -> None:
    first, second, full = trained(BF16), trained(BF16), trained(FP32)
    assert first.status == COMPLETED
    assert first.protocol["precision"] == "bf16"
    assert (first.weights_sha256, first.valid_losses) == (second.weights_sha256, second.valid_losses)
    assert first.weights_sha256 != full.weights_sha256
    assert first.train_losses == pytest.approx(full.train_losses, rel=0.05)  # of the same computation


def test_sample_predictions_and_probes_are_in_the_precision_of_the_training(tmp_path: Path) -> None:
    protocol, dataset = replace(SMALL, precision=BF16), small_dataset()
    record = run(MODEL, dataset, protocol=protocol, results_dir=tmp_path)
    subject = load_subject(record, dataset, RunConfig(protocol, results_dir=tmp_path))
    with deterministic(BF16):
        expected = probabilities(subject.predict(subject.measured)).max(dim=1).values
        in_float32 = probabilities(predict(subject.network, subject.prepared(subject.measured))).max(dim=1).values
    (path,) = (tmp_path / "samples").iterdir()
    saved = {sample.probability for sample in read(path, SampleRecord)}
    assert saved <= set(expected.tolist())
    assert not saved <= set(in_float32.tolist())
    assert {probe.value for probe in robustness.measure(subject) if probe.level == 0} == {record.valid_accuracy}
