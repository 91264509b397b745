from pathlib import Path

import msgspec
import pytest

from bench.metrics import classification_loss
from bench.records import RunRecord
from bench.training.checkpoints import CheckpointError, restored
from bench.training.evaluation import predict
from bench.training.preparation import prepare
from bench.training.runs import run
from bench.training.seeding import deterministic
from data_utils import PairedDataset
from tests.bench.samples import MODEL, SMALL, small_dataset

Trained = tuple[RunRecord, Path, PairedDataset]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A completed run, its folder and its data."""
    folder, dataset = tmp_path_factory.mktemp("run"), small_dataset()
    return run(MODEL, dataset, protocol=SMALL, results_dir=folder), folder, dataset


def test_a_restored_model_has_the_loss_of_its_record(trained: Trained) -> None:
    record, folder, dataset = trained
    valid = prepare(dataset, SMALL, 51, "cpu").valid
    with deterministic():
        logits = predict(restored(record, folder, dataset, "cpu"), valid)
    assert classification_loss(logits.double(), valid.labels).item() == record.best_valid_loss


def test_a_checkpoint_that_is_missing_or_of_another_model_is_reported(trained: Trained, tmp_path: Path) -> None:
    record, folder, dataset = trained
    with pytest.raises(CheckpointError, match=r"checkpoint .*seed51.safetensors is not beside the records"):
        restored(record, tmp_path, dataset, "cpu")
    for model in ("deep-intermediate-concat-strided", "of-a-plugin"):
        with pytest.raises(CheckpointError, match="cannot be used"):
            restored(msgspec.structs.replace(record, model=model), folder, dataset, "cpu")
    for changes, where in (({"checkpoint": None}, folder), ({}, None)):
        with pytest.raises(CheckpointError, match=f"the run of {MODEL} wrote no checkpoint"):
            restored(msgspec.structs.replace(record, **changes), where, dataset, "cpu")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / str(record.checkpoint)).write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="cannot be used"):
        restored(record, tmp_path, dataset, "cpu")
