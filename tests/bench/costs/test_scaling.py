import numpy as np
import pytest
import torch

from bench.costs.scaling import AXES, BASE, ROWS, Axis, Epoch, Growth, Series, scaling_table
from bench.training.trainer import Trainer
from data_utils import DatasetInfo
from fusion_models import EMBEDDERS, MODELS, ModelSpec, build_model, find_model
from tests.bench.samples import MODEL, TWIN, small_dataset

BATCH = AXES["batch"]


@pytest.fixture(scope="module")
def info() -> DatasetInfo:
    return small_dataset().info


def test_the_rows_are_one_of_each_family_and_embedder() -> None:
    families = {spec.family for spec in MODELS.values()}
    kinds = [(spec.family, spec.embedder) for spec in ROWS]
    assert sorted(kinds) == sorted((family, embedder) for family in families for embedder in EMBEDDERS)


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
def test_every_axis_passes_through_the_base_with_rising_sizes(axis: Axis) -> None:
    assert list(axis.sizes) == sorted(set(axis.sizes))
    assert len(axis.sizes) >= 3  # with two, every exponent would fit
    assert BASE in [axis.epoch(size) for size in axis.sizes]


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES.keys())
def test_work_is_the_exponent_of_the_pixels(axis: Axis) -> None:
    first, last = (axis.epoch(size) for size in (axis.sizes[0], axis.sizes[-1]))
    pixels = (last.pairs * last.image_size**2) / (first.pairs * first.image_size**2)
    assert pixels == (axis.sizes[-1] / axis.sizes[0]) ** axis.work


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_every_row_can_be_built_at_every_image_size(spec: ModelSpec, info: DatasetInfo) -> None:
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
    assert {size: len(taken) for size, taken in series.seconds.items()} == {4: 2, 2: 2}
    assert all(seconds > 0 for taken in series.seconds.values() for seconds in taken)


def growth(seconds: dict[int, list[float]], model: str = MODEL) -> Growth:
    return Growth(model, BATCH, seconds)


def test_the_exponent_of_a_power_is_the_power() -> None:
    exponent = growth({size: [0.003 * size**1.5] * 2 for size in (16, 32, 64)}).exponent
    assert (exponent.mean, exponent.low, exponent.high) == pytest.approx((1.5, 1.5, 1.5))
    assert exponent.n == 6


def test_the_interval_is_the_one_of_a_line_through_noise() -> None:
    # Decimal logarithms are 0 and 0.2 at size 1, 1 and 1.2 at size 10: slope 1, residuals of 0.1, whose squares
    # over two degrees of freedom are 0.02; t is 4.3027 there, and the sizes' squared distances sum to 1.
    exponent = growth({1: [1.0, 10**0.2], 10: [10.0, 10**1.2]}).exponent
    reach = 4.3027 * 0.02**0.5
    assert (exponent.mean, exponent.low, exponent.high) == pytest.approx((1, 1 - reach, 1 + reach), abs=1e-4)


def test_two_epochs_give_an_exponent_and_no_interval() -> None:
    exponent = growth({16: [1.0], 32: [2.0]}).exponent
    assert exponent.mean == pytest.approx(1.0)
    assert np.isnan([exponent.low, exponent.high]).all()


def test_the_table_has_both_ends_and_the_exponent() -> None:
    grown = [growth({16: [0.25, 0.25], 32: [0.5, 0.5]}), growth({16: [1.0], 32: [2.0]}, TWIN)]
    table = scaling_table(grown, ["device: a processor"])
    assert table.rows == [
        ["batch", MODEL, "16 to 32", "250.0", "500.0", "1.00", "1.00 to 1.00"],
        ["batch", TWIN, "16 to 32", "1000.0", "2000.0", "1.00", "-"],
    ]
    assert table.data["size"].tolist() == [16, 32, 16, 32]
    assert table.data.epoch_seconds.tolist() == [0.25, 0.5, 1.0, 2.0]
    assert "batch: pairs of a step; in proportion to pixels the exponent is 1" in table.notes
    assert table.conditions == ["device: a processor"]
