import pytest
import torch

from bench.costs.scaling import AXES, BASE, Axis, Epoch, Series
from bench.test_scaling import SPECS
from bench.training.trainer import Trainer
from data_utils import DatasetInfo
from fusion_models import MODELS, ModelSpec, build_model, find_model
from tests.bench.samples import MODEL, small_dataset

BATCH = AXES["batch"]


@pytest.fixture(scope="module")
def info() -> DatasetInfo:
    return small_dataset().info


def test_there_is_one_model_of_each_family_and_embedder() -> None:
    kinds = [(spec.family, spec.embedder) for spec in SPECS]
    assert sorted(kinds) == sorted({(spec.family, spec.embedder) for spec in MODELS.values()})


@pytest.mark.parametrize(
    ("axis", "size", "epoch"),
    [
        ("pairs", 128, Epoch(pairs=128, batch_size=32, image_size=64)),  # four steps
        ("batch", 128, Epoch(pairs=128, batch_size=128, image_size=64)),  # one step
        ("image", 128, Epoch(pairs=32, batch_size=32, image_size=128)),
    ],
)
def test_one_thing_grows_and_the_rest_stays(axis: str, size: int, epoch: Epoch) -> None:
    assert AXES[axis].epoch(size) == epoch


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES.keys())
def test_every_axis_includes_the_base_and_rises(axis: Axis) -> None:
    assert list(axis.sizes) == sorted(set(axis.sizes))
    assert len(axis.sizes) >= 3  # with two, every exponent would fit
    assert BASE in [axis.epoch(size) for size in axis.sizes]


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES.keys())
def test_work_is_the_exponent_of_the_pixels(axis: Axis) -> None:
    first, last = (axis.epoch(size) for size in (axis.sizes[0], axis.sizes[-1]))
    pixels = (last.pairs * last.image_size**2) / (first.pairs * first.image_size**2)
    assert pixels == (axis.sizes[-1] / axis.sizes[0]) ** axis.work


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_model_can_be_built_at_every_image_size(spec: ModelSpec, info: DatasetInfo) -> None:
    for size in AXES["image"].sizes:
        with torch.device("meta"):
            build_model(spec, channels=info.channels, image_size=(size, size), classes=2)


def test_a_call_trains_an_epoch_of_each_size_in_turn(info: DatasetInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = (4, 2)
    series = Series(find_model(MODEL), BATCH, sizes, info, "cpu")
    trained: list[Trainer] = []
    original = Trainer.train_epoch

    def train_epoch(trainer: Trainer) -> None:
        trained.append(trainer)
        original(trainer)

    monkeypatch.setattr(Trainer, "train_epoch", train_epoch)
    series()
    series()
    assert trained == [*trained[:2], *trained[:2]]
    assert len(set(map(id, trained))) == 2
    assert {size: len(epochs) for size, epochs in series.seconds.items()} == {4: 2, 2: 2}
    assert all(seconds > 0 for epochs in series.seconds.values() for seconds in epochs)


def test_a_record_holds_the_epochs_after_the_warm_up_by_size(info: DatasetInfo) -> None:
    series = Series(find_model(MODEL), BATCH, (2, 4), info, "cpu")
    series.seconds.update({2: [9.0, 0.1, 0.2], 4: [9.0, 0.3, 0.4]})
    record = series.record("quick")
    assert (record.sizes, record.seconds) == ([2, 4], [[0.1, 0.2], [0.3, 0.4]])
    assert (record.model, record.family, record.embedder) == (MODEL, "compact", "strided")
    assert (record.axis, record.axis_title, record.work) == ("batch", "pairs of a step", 1)
    assert record.profile == "quick"
