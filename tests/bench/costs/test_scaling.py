from collections.abc import Iterator

import pytest
import torch

from bench.config import BF16, Protocol
from bench.costs import scaling
from bench.costs.scaling import BATCH_SIZE, IMAGE_SIZE, TIMED_STEPS, Axis, Epoch, Series, axes
from bench.test_scaling import SPECS
from data_utils import DatasetInfo
from fusion_models import MODELS, ModelSpec, build_model, find_model
from tests.bench.samples import MODEL, small_dataset

AXES = axes()
BASE = Epoch(TIMED_STEPS, BATCH_SIZE, IMAGE_SIZE)


@pytest.fixture(scope="module")
def info() -> DatasetInfo:
    return small_dataset().info


def test_there_is_one_model_of_each_family_and_embedder() -> None:
    kinds = [(spec.family, spec.embedder) for spec in SPECS]
    assert sorted(kinds) == sorted({(spec.family, spec.embedder) for spec in MODELS.values()})


@pytest.mark.parametrize(
    ("axis", "size", "epoch"),
    [
        ("pairs", 2 * 14 * 32, Epoch(steps=2 * 14, batch_size=32, image_size=64)),
        ("batch", 128, Epoch(steps=14, batch_size=128, image_size=64)),
        ("image", 128, Epoch(steps=14, batch_size=32, image_size=128)),
    ],
)
def test_one_thing_grows_and_the_rest_stays(axis: str, size: int, epoch: Epoch) -> None:
    assert AXES[axis].epochs[size] == epoch


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES.keys())
def test_every_axis_includes_the_base_and_rises(axis: Axis) -> None:
    sizes = list(axis.epochs)
    assert sizes == sorted(set(sizes))
    assert len(sizes) >= 3  # with two, every exponent would fit
    assert BASE in axis.epochs.values()
    assert min(epoch.steps for epoch in axis.epochs.values()) == TIMED_STEPS


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES.keys())
def test_work_is_the_exponent_of_the_pixels(axis: Axis) -> None:
    sizes = list(axis.epochs)
    first, last = axis.epochs[sizes[0]], axis.epochs[sizes[-1]]
    pixels = [epoch.steps * epoch.batch_size * epoch.image_size**2 for epoch in (first, last)]
    assert pixels[1] / pixels[0] == (sizes[-1] / sizes[0]) ** axis.work


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_model_can_be_built_at_every_image_size(spec: ModelSpec, info: DatasetInfo) -> None:
    for size in AXES["image"].epochs:
        with torch.device("meta"):
            build_model(spec, channels=info.channels, image_size=(size, size), classes=2)


def test_a_call_trains_an_epoch_of_each_size_in_turn(info: DatasetInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(steps: Iterator[torch.Tensor], device: torch.device) -> tuple[None, float]:
        assert device.type == "cpu"
        taken.append(len(list(steps)))
        return None, float(len(taken))

    taken: list[int] = []
    monkeypatch.setattr(scaling, "timed", timed)
    axis = Axis("batch", "", 1, {4: Epoch(3, 4, 64), 2: Epoch(5, 2, 64)})
    series = Series(find_model(MODEL), axis, (4, 2), info, "cpu")
    series()
    series()
    assert taken == [1 + 3, 1 + 5] * 2
    assert series.seconds == {4: [1.0, 3.0], 2: [2.0, 4.0]}


def test_epochs_are_trained_in_the_precision_that_the_record_names(
    info: DatasetInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trainer(*arguments: object) -> None:
        protocols.extend(argument for argument in arguments if isinstance(argument, Protocol))

    protocols: list[Protocol] = []
    monkeypatch.setattr(scaling, "Trainer", trainer)
    series = Series(find_model(MODEL), axes(steps=1)["batch"], (16, 32), info, "cpu", BF16)
    assert [protocol.precision for protocol in protocols] == [BF16, BF16]
    assert series.record("quick").conditions[1:] == ["precision: bf16"]


def test_a_record_holds_all_epochs_by_size(info: DatasetInfo) -> None:
    series = Series(find_model(MODEL), axes(steps=1)["batch"], (16, 32), info, "cpu")
    series.seconds.update({16: [0.1, 0.2], 32: [0.3, 0.4]})
    record = series.record("quick")
    assert (record.sizes, record.seconds) == ([16, 32], [[0.1, 0.2], [0.3, 0.4]])
    assert (record.model, record.family, record.embedder) == (MODEL, "compact", "strided")
    assert (record.axis, record.axis_title, record.work) == ("batch", "pairs of a step", 1)
    assert record.conditions == ["other sizes: 1 timed steps of 32 pairs, images of 64x64"]
    assert record.profile == "quick"
