"""Checkpoints become models that take measurements, as a user's own code calls them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench import load_records
from bench.config import BF16, Protocol
from bench.metrics import probabilities
from bench.records import RecordError, RunRecord
from bench.training.preparation import predict_part, prepare
from bench.training.runs import build_seeded, run
from bench.training.seeding import deterministic
from bench.training.trained import TrainedModel, load_model
from data_utils import DataError, PairedDataset
from data_utils.modality import Modality
from fusion_models import ModelError, find_model, register_model
from tests.bench.samples import MODEL, TESTED, small_dataset

ONE = replace(TESTED, epochs=1)


@pytest.fixture(scope="module")
def data() -> PairedDataset:
    return small_dataset()


def trained(
    model: str, data: PairedDataset, folder: Path, protocol: Protocol = ONE
) -> tuple[RunRecord, TrainedModel]:
    record = run(model, data, protocol=protocol, results_dir=folder)
    return record, load_model(folder / "checkpoints" / str(record.checkpoint))


def expected(record: RunRecord, data: PairedDataset, folder: Path, protocol: Protocol = ONE) -> Tensor:
    """The probabilities of the test pairs, by the code that reported on them."""
    network = build_seeded(find_model(record.model), data.info, 0, "cpu")
    network.load_state_dict(load_file(folder / "checkpoints" / str(record.checkpoint)))
    prepared = prepare(data, protocol, record.seed, "cpu")
    with deterministic():
        return probabilities(predict_part(network, prepared, prepared.world.test, protocol.precision))


@pytest.mark.parametrize(
    ("model", "protocol"),
    [
        (MODEL, replace(ONE, normalized=("rgb",))),  # one logit
        ("field-intermediate-cen-blurpool", ONE),
        ("field-lidar-strided", ONE),
        ("field-late-product-strided", replace(ONE, precision=BF16)),
    ],
)
def test_a_loaded_model_answers_as_the_trained_one(
    model: str, protocol: Protocol, data: PairedDataset, tmp_path: Path
) -> None:
    record, loaded = trained(model, data, tmp_path, protocol)
    test = prepare(data, protocol, record.seed, "cpu").world.test
    new = data.take(test.indices)
    with deterministic():
        found = loaded.predict(new)
        torch.testing.assert_close(loaded(new.batch().inputs).double().softmax(dim=1), found)
    torch.testing.assert_close(
        found, expected(record, data, tmp_path, protocol), rtol=0, atol=1e-6
    )  # another layout
    assert (found.argmax(dim=1) == new.labels).double().mean().item() == record.test_accuracy
    assert loaded.classes == tuple(record.class_names)


@pytest.mark.usefixtures("registries")
def test_a_model_of_any_modules_is_loaded_once_it_is_registered(data: PairedDataset, tmp_path: Path) -> None:
    class Means(nn.Module):
        def __init__(self, channels: Mapping[str, int], image_size: tuple[int, int], classes: int) -> None:  # noqa: ARG002
            super().__init__()
            self.layer = nn.Linear(sum(channels.values()), classes)

        def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
            logits: Tensor = self.layer(torch.cat([x.mean(dim=(2, 3)) for x in inputs.values()], dim=1))
            return logits

    record = run(Means, data, protocol=ONE, results_dir=tmp_path)
    file = tmp_path / "checkpoints" / str(record.checkpoint)
    with pytest.raises(ModelError, match="unknown model 'Means'"):
        load_model(file)
    register_model("Means")(Means)
    found = load_model(file).predict(data)
    assert found.shape == (len(data), 2)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(len(data), dtype=torch.float64))


def test_the_record_is_kept_beside_the_checkpoint(data: PairedDataset, tmp_path: Path) -> None:
    record, _ = trained("field-rgb-strided", data, tmp_path / "new")
    assert load_records(tmp_path / "new") == [record]


def test_a_record_that_finds_no_place_is_returned_with_a_warning(data: PairedDataset, tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").mkdir()
    with pytest.warns(UserWarning, match="the record could not be added to .*records.jsonl"):
        assert run("field-rgb-strided", data, protocol=ONE, results_dir=tmp_path).status == "completed"


@pytest.fixture(scope="module")
def loaded(data: PairedDataset, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return trained("field-intermediate-concat-strided", data, tmp_path_factory.mktemp("run"))[1]


def test_what_the_network_was_not_trained_on_is_refused(loaded: TrainedModel, data: PairedDataset) -> None:
    inputs = dict(data.batch().inputs)
    for name, values, message in (
        ("rgb", data.inputs["rgb"], "'rgb' is torch.uint8 of shape .* the model takes torch.float32"),
        ("lidar", inputs["lidar"][:, :3], r"takes torch.float32 of shape \('B', 4, 16, 16\)"),
        ("lidar", inputs["lidar"][:, :, :8], r"image_size='16x16'\) reads files"),
    ):
        with pytest.raises(DataError, match=message):
            loaded({**inputs, name: values})
    with pytest.raises(DataError, match="needs the modality 'lidar'; the inputs have rgb"):
        loaded({"rgb": inputs["rgb"]})


def test_pairs_of_other_kinds_are_refused(loaded: TrainedModel, data: PairedDataset) -> None:
    other = replace(data.info, modalities={**data.info.modalities, "rgb": Modality("raw", channels=4)})
    with pytest.raises(
        DataError, match=r"'shapes' has .*kind='raw'.* as 'rgb', the training pairs .*kind='image'.*dataset\.toml"
    ):
        loaded.predict(replace(data.decoded(), info=other))


def test_checkpoints_that_cannot_be_used_are_refused_by_name(data: PairedDataset, tmp_path: Path) -> None:
    record, _ = trained("field-rgb-strided", data, tmp_path)
    file = tmp_path / "checkpoints" / str(record.checkpoint)
    earlier, damaged = (tmp_path / f"{name}.safetensors" for name in ("earlier", "damaged"))
    save_file(load_file(file), earlier)
    damaged.write_bytes(b"damaged")
    with pytest.raises(RecordError, match=r"gone.*does not exist; give one of the folder checkpoints"):
        load_model(tmp_path / "gone")
    with pytest.raises(RecordError, match=r"damaged.safetensors cannot be used"):
        load_model(damaged)
    with pytest.raises(RecordError, match=r"earlier.safetensors does not describe its model.*train again"):
        load_model(earlier)
