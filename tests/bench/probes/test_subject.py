from pathlib import Path

import msgspec
import pytest
import torch

from bench.config import RunConfig
from bench.metrics import classification_loss
from bench.probes.subject import Subject, load_subject
from bench.records import DIVERGED, RecordError, RunRecord
from bench.training.evaluation import predict
from bench.training.runs import run
from bench.training.seeding import deterministic
from data_utils import Batch, PairedDataset
from tests.bench.samples import MODEL, SMALL, run_config, small_dataset

Trained = tuple[RunRecord, Path, PairedDataset]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A completed run, its folder and its data."""
    folder, dataset = tmp_path_factory.mktemp("run"), small_dataset()
    return run(MODEL, dataset, protocol=SMALL, results_dir=folder), folder, dataset


def test_a_restored_model_has_the_loss_of_its_record(trained: Trained) -> None:
    record, folder, dataset = trained
    subject = load_subject(record, dataset, run_config(folder))
    with deterministic():
        logits = subject.predict(subject.measured)
    assert classification_loss(logits.double(), subject.measured.labels).item() == record.best_valid_loss


def test_few_pairs_at_a_time_are_made_ready_with_the_same_bits(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, folder, dataset = trained
    subject = load_subject(record, dataset, run_config(folder))
    monkeypatch.setattr("bench.probes.subject.evaluation_batch", lambda _: 3)
    monkeypatch.setattr("bench.training.evaluation.EVALUATION_BATCH_SIZE", 3)
    ready, prepared = [], Subject.prepared
    with deterministic():
        expected = predict(subject.network, subject.prepared(subject.measured))

        def noted(subject: Subject, measured: Batch) -> Batch:
            ready.append(len(measured))
            return prepared(subject, measured)

        monkeypatch.setattr(Subject, "prepared", noted)
        assert torch.equal(subject.predict(subject.measured), expected)
    assert max(ready) == 3
    assert sum(ready) == len(subject.measured) == len(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": "gone.safetensors"}, "gone.safetensors is not beside the records; train again"),
        ({"model": "deep-intermediate-concat-strided"}, "cannot be used"),
        ({"model": "of-a-plugin"}, "cannot be used"),
        ({"checkpoint": "damaged.safetensors"}, "damaged.safetensors cannot be used"),
        (
            {"weights_sha256": "0" * 64},
            "has other weights than the record tells: another run replaced",
        ),
        ({"checkpoint": None}, f"the run of {MODEL} wrote no checkpoint$"),
        (
            {"checkpoint": None, "status": DIVERGED, "error": "no number"},
            r"wrote no checkpoint: it diverged \(no number\)",
        ),
    ],
)
def test_a_model_without_its_weights_cannot_be_probed(
    changes: dict[str, str | None], message: str, trained: Trained
) -> None:
    record, folder, dataset = trained
    (folder / "checkpoints" / "damaged.safetensors").write_bytes(b"damaged")
    with pytest.raises(RecordError, match=message):
        load_subject(msgspec.structs.replace(record, **changes), dataset, run_config(folder))


def test_a_run_without_a_folder_has_no_weights(trained: Trained) -> None:
    record, _, dataset = trained
    with pytest.raises(RecordError, match="wrote no checkpoint"):
        load_subject(record, dataset, RunConfig(protocol=SMALL))
