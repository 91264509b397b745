import base64
import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from bench.metrics import probabilities
from bench.records import SampleRecord
from bench.training.preparation import PreparedData, predict_part, prepare
from bench.training.runs import build_seeded
from bench.training.samples import chosen_samples, predictions
from bench.training.seeding import deterministic
from data_utils import PairedDataset
from data_utils.audits.pictures import pictures
from fusion_models import find_model
from tests.bench.samples import MODEL, SMALL


@pytest.fixture(scope="module")
def data(dataset: PairedDataset) -> PreparedData:
    return prepare(dataset, replace(SMALL, pairs=60), 51, "cpu")


@pytest.fixture(scope="module")
def network(dataset: PairedDataset) -> nn.Module:
    return build_seeded(find_model(MODEL), dataset.info, 51, "cpu")


def predict(network: nn.Module, data: PreparedData) -> list[SampleRecord]:
    with deterministic():
        return predictions(predict_part(network, data, data.world.valid), data.world.valid, "f" * 64)


def test_all_of_them_together_give_the_accuracy(
    network: nn.Module, data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.training.samples.COUNT", len(data.valid))
    samples = predict(network, data)
    with torch.no_grad():
        right = (network(data.valid[:].inputs)[:, 0] > 0) == data.valid.labels
    assert sum(sample.right for sample in samples) == right.sum()
    assert len({sample.name for sample in samples}) == len(data.valid) == len(samples)


def test_a_sample_is_of_the_pair_that_it_names(
    network: nn.Module, dataset: PairedDataset, data: PreparedData
) -> None:
    samples = predict(network, data)
    ranges = pictures(
        dataset.measured("lidar")[[dataset.names.index(sample.name) for sample in samples]],
        dataset.modality("lidar"),
    )
    for sample, expected in zip(samples, ranges, strict=True):
        pair = dataset.names.index(sample.name)
        assert pair in data.world.valid.indices.tolist()
        assert sample.label == dataset.info.classes[int(dataset.labels[pair])]
        assert 0.5 <= sample.probability <= 1
        assert list(sample.pictures) == ["rgb", "lidar"]
        shown = {name: Image.open(io.BytesIO(base64.b64decode(png))) for name, png in sample.pictures.items()}
        assert {image.format for image in shown.values()} == {"PNG"}
        assert (np.asarray(shown["rgb"]) == dataset.inputs["rgb"][pair, :3].permute(1, 2, 0).numpy()).all()
        assert (np.asarray(shown["lidar"]) == expected).all()


def test_mistakes_come_first_the_surest_of_them_first() -> None:
    probability = torch.tensor([0.6, 0.9, 0.7, 0.8, 0.95, 0.55, 0.99])
    right = torch.tensor([False, False, True, False, True, True, True])
    assert chosen_samples(probability, right, 4) == [1, 3, 6, 5]
    assert chosen_samples(probability, right, 6) == [1, 3, 0, 6, 2, 5]


@pytest.mark.parametrize(
    ("right", "shown"),
    [([True] * 5, [0, 1, 3, 4]), ([False] * 5, [0, 1, 2, 3]), ([True], [0]), ([False], [0])],
    ids=["no mistake", "nothing right", "one right", "one wrong"],
)
def test_one_kind_fills_the_places_of_the_other(right: list[bool], shown: list[int]) -> None:
    falling = torch.linspace(0.9, 0.6, len(right))
    assert chosen_samples(falling, torch.tensor(right), 4) == shown


def test_probabilities_are_those_of_both_kinds_of_head() -> None:
    one_logit = probabilities(torch.tensor([[0.0], [math.log(3)]]))
    assert torch.allclose(one_logit, torch.tensor([[0.5, 0.5], [0.25, 0.75]], dtype=torch.double))
    three = probabilities(torch.tensor([[0.0, math.log(2), math.log(5)]]))
    assert torch.allclose(three, torch.tensor([[0.125, 0.25, 0.625]], dtype=torch.double))
