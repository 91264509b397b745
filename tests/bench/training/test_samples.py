import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.records.run import RunRecord
from bench.training.checkpoints import CheckpointError, restored
from bench.training.runs import run
from bench.training.samples import (
    SamplesError,
    chosen_samples,
    dataset_of,
    predictions,
    probabilities,
)
from data_utils import DATASETS, PairedDataset
from data_utils.layouts.manifest import write_manifest
from data_utils.simulator.shapes import simulate
from tests.bench.samples import MODEL, TWIN, run_config, small_dataset
from tests.bench.samples import record as sample_record

Trained = tuple[RunRecord, Path, PairedDataset]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A completed run, its folder and its data."""
    folder, dataset = tmp_path_factory.mktemp("run"), small_dataset()
    return run(MODEL, dataset, 51, run_config(folder)), folder, dataset


def test_all_of_them_together_give_the_accuracy_of_the_record(trained: Trained) -> None:
    record, folder, dataset = trained
    assert record.valid_pairs is not None
    found = predictions(record, folder, dataset, count=record.valid_pairs)
    assert sum(prediction.right for prediction in found) / record.valid_pairs == record.valid_accuracy
    assert len({prediction.name for prediction in found}) == record.valid_pairs


def test_a_prediction_shows_the_pair_it_is_about(trained: Trained) -> None:
    record, folder, dataset = trained
    for prediction in predictions(record, folder, dataset):
        pair = dataset.names.index(prediction.name)
        assert prediction.label == dataset.info.classes[int(dataset.labels[pair])]
        assert (prediction.view.photo == dataset.inputs["rgb"][pair, :3].permute(1, 2, 0).numpy()).all()
        assert prediction.view.range_image.shape == (16, 16, 3)
        assert 0.5 <= prediction.probability <= 1


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
def test_as_many_as_there_are(right: list[bool], shown: list[int]) -> None:
    falling = torch.linspace(0.9, 0.6, len(right))
    assert chosen_samples(falling, torch.tensor(right), 4) == shown


def test_probabilities_are_those_of_both_kinds_of_head() -> None:
    one_logit = probabilities(torch.tensor([[0.0], [math.log(3)]]))
    assert torch.allclose(one_logit, torch.tensor([[0.5, 0.5], [0.25, 0.75]], dtype=torch.double))
    three = probabilities(torch.tensor([[0.0, math.log(2), math.log(5)]]))
    assert torch.allclose(three, torch.tensor([[0.125, 0.25, 0.625]], dtype=torch.double))


def test_data_that_are_not_the_runs_are_noticed(trained: Trained) -> None:
    record, folder, dataset = trained
    others = replace(dataset, names=tuple(f"other-{name}" for name in dataset.names))
    with pytest.raises(SamplesError, match="The data shapes are not those of the run any more"):
        predictions(record, folder, others)


def test_weights_that_are_not_the_runs_are_noticed_by_their_loss(trained: Trained) -> None:
    record, folder, dataset = trained
    later = replace(record, best_valid_loss=0.5)
    with pytest.raises(
        SamplesError, match=r"loss on these data is .*, the record's is 0.5: code or checkpoint are"
    ):
        predictions(later, folder, dataset)


def test_a_checkpoint_that_is_missing_or_anothers_is_said(trained: Trained, tmp_path: Path) -> None:
    record, folder, dataset = trained
    with pytest.raises(CheckpointError, match=r"checkpoint .*seed51.safetensors is not beside the records"):
        restored(record, tmp_path, dataset, "cpu")
    with pytest.raises(CheckpointError, match="cannot be used"):
        restored(replace(record, model="deep-intermediate-concat-strided"), folder, dataset, "cpu")
    with pytest.raises(CheckpointError, match="wrote no checkpoint"):
        restored(replace(record, checkpoint=None), folder, dataset, "cpu")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / str(record.checkpoint)).write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="cannot be used"):
        restored(record, tmp_path, dataset, "cpu")


def test_simulated_data_are_made_again_from_the_record() -> None:
    found = dataset_of(sample_record(TWIN, protocol={"pairs": 10}))
    expected = DATASETS["shapes"](10, 0)
    assert all(np.array_equal(found.inputs[m], expected.inputs[m]) for m in expected.inputs)


def test_files_are_read_where_they_are_said_to_lie(tmp_path: Path) -> None:
    write_manifest(tmp_path / "mine", simulate(8, 0), lambda *_: None)
    of_files = sample_record(dataset="mine")
    with pytest.raises(SamplesError, match="mine are files; give their path with --dataset"):
        dataset_of(of_files)
    assert len(dataset_of(of_files, str(tmp_path / "mine"))) == 8
    with pytest.raises(SamplesError, match="lie the data mine; the run had others"):
        dataset_of(replace(of_files, dataset="others"), str(tmp_path / "mine"))
