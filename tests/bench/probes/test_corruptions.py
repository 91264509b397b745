from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from bench.probes.corruptions import (
    corrupted,
    corrupted_together,
    corruptions_of,
    dimming,
    dropped_returns,
    image_noise,
    kind_of,
    moved_by,
    range_noise,
    rotation,
    sensed_channels,
    shift,
    turned_by,
    unmeasured,
)
from bench.registry import CORRUPTIONS, Corruption, register_corruption
from data_utils import Batch, ChannelStatistics, DatasetInfo, PairedDataset, load
from data_utils.geometry import depth_to_xyza, range_to_xyza, xyza_to_range
from data_utils.modality import Modality
from fusiongauge import PluginError

EVERY = pytest.mark.parametrize("name", CORRUPTIONS)


@cache
def dataset() -> PairedDataset:
    return load("shapes-hard", pairs=40).decoded()


@cache
def pairs() -> Batch:
    return dataset().batch()


@cache
def statistics() -> ChannelStatistics:
    return ChannelStatistics.of(lambda: [pairs()])


def apply(name: str, level: float, seed: int = 51) -> Tensor:
    return corrupted(CORRUPTIONS[name], dataset(), pairs(), level, seed, statistics())


def draw(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def image(*rows: list[int]) -> Tensor:
    """One RGB image, equal in its colors, from values in 255ths."""
    return torch.tensor(rows).expand(1, 3, -1, -1) / 255


def shown(moved: Tensor) -> list[list[int]]:
    return (moved[0, 0] * 255).round().int().tolist()


def scan(*rows: list[float]) -> Tensor:
    """Points of one scan around straight ahead."""
    ranges = torch.tensor([rows])
    height, width = ranges.shape[1:]
    return range_to_xyza(ranges, torch.linspace(-0.1, 0.1, height), torch.linspace(-0.2, 0.2, width))


@EVERY
def test_level_0_changes_no_bit(name: str) -> None:
    assert CORRUPTIONS[name].levels[0] == 0
    assert torch.equal(apply(name, 0.0), pairs().inputs[CORRUPTIONS[name].modality])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 60, width=32), min_size=6, max_size=6), st.integers(0, 99))
def test_level_0_changes_no_bit_of_any_range(ranges: list[float], seed: int) -> None:
    points = scan(ranges[:3], ranges[3:])
    for corruption in CORRUPTIONS.values():
        if corruption.modality == "lidar":
            moments = (torch.zeros(4), torch.ones(4)) if corruption.statistics else ()
            assert torch.equal(corruption.corrupt(points, 0.0, draw(seed), *moments), points)


@EVERY
def test_every_higher_level_changes_more(name: str) -> None:
    corruption = CORRUPTIONS[name]
    clean = pairs().inputs[corruption.modality]
    none, *changed = [float((apply(name, level) - clean).square().mean()) for level in corruption.levels]
    assert none == 0 < min(changed)
    # Half an image that is out of place can differ more from the whole one than a quarter of it.
    moved = name.endswith(("-shift", "-rotation"))
    assert len(set(changed)) == len(changed) if moved else changed == sorted(set(changed))


@EVERY
def test_draws_depend_on_the_seed_and_nothing_else(name: str) -> None:
    level = CORRUPTIONS[name].levels[-1]
    first = apply(name, level)
    torch.rand(5)
    assert torch.equal(first, apply(name, level))
    drawn = name not in ("rgb-dimming", "dropped-returns") and not name.endswith(("-zeros", "-mean"))
    assert torch.equal(first, apply(name, level, seed=52)) != drawn


@EVERY
def test_corrupted_values_are_as_a_sensor_gives_them(name: str) -> None:
    corruption, values = CORRUPTIONS[name], apply(name, CORRUPTIONS[name].levels[1])
    clean = pairs().inputs[corruption.modality]
    assert (values.shape, values.dtype) == (clean.shape, torch.float32)
    assert torch.isfinite(values).all()
    if corruption.modality == "rgb":
        assert torch.equal(values[:, 3], clean[:, 3])
    if name.startswith("no-"):
        return
    if corruption.modality == "rgb":
        assert torch.equal(values * 255, (values * 255).round())
        assert values.min() >= 0
        assert values.max() <= 1
    else:
        alpha = values[:, 3]
        assert torch.equal(alpha, alpha.bool().float())
        lengths = values[:, :3].norm(dim=1)
        torch.testing.assert_close(lengths[alpha == 0], torch.full_like(lengths[alpha == 0], 50.0))
        assert lengths[alpha == 1].max() < 50


def test_an_image_moves_down_and_right_and_black_comes_in() -> None:
    before = image([1, 2, 3], [4, 5, 6], [7, 8, 9])
    assert shown(moved_by(before, torch.tensor([[1, 0]]))) == [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
    assert shown(moved_by(before, torch.tensor([[0, -2]]))) == [[3, 0, 0], [6, 0, 0], [9, 0, 0]]


def test_each_pair_moves_by_its_own_offset() -> None:
    two = image([1, 2], [3, 4]).repeat(2, 1, 1, 1)
    moved = moved_by(two, torch.tensor([[0, 0], [0, 1]]))
    assert (shown(moved[:1]), shown(moved[1:])) == ([[1, 2], [3, 4]], [[0, 1], [0, 3]])


@pytest.mark.parametrize(("degrees", "quarters"), [(0, 0), (90, 1), (-90, -1), (180, 2), (270, 3)])
@pytest.mark.parametrize("size", [4, 5])
def test_quarters_of_a_turn_are_exact(degrees: int, quarters: int, size: int) -> None:
    before = torch.arange(3 * size * size).reshape(1, 3, size, size) / 255
    turned = turned_by(before, torch.tensor([degrees]))
    assert torch.equal(turned, before.rot90(quarters, dims=(2, 3)))


def test_an_eighth_of_a_turn_takes_the_corner_out_and_the_diagonal_to_the_side() -> None:
    before = image([9, 0, 0], [0, 0, 0], [0, 0, 0])
    assert shown(turned_by(before, torch.tensor([45]))) == [[0, 0, 0], [9, 0, 0], [0, 0, 0]]
    corners = image([9, 0, 0, 0, 9], *([[0] * 5] * 3), [9, 0, 0, 0, 9])
    assert not turned_by(corners, torch.tensor([45])).any()


def test_moved_points_keep_their_coordinates_and_nothing_is_measured_outside() -> None:
    points = scan([20.0, 30.0, 50.0], [20.0, 50.0, 40.0])
    moved = moved_by(points, torch.tensor([[0, 1]]))
    assert torch.equal(moved[..., 1:], points[..., :-1])
    nothing = moved[..., 0]
    assert (nothing[:, 3] == 0).all()
    torch.testing.assert_close(nothing[:, :3] / 50, points[:, :3, :, 0] / 20)


def test_a_shift_is_by_its_level_in_one_of_four_directions() -> None:
    dot = torch.zeros(40, 3, 9, 9)
    dot[:, :, 4, 4] = 1
    moved = shift(dot, 2.0, draw())
    places = {tuple(place) for place in moved[:, 0].nonzero()[:, 1:].tolist()}
    assert places == {(2, 4), (6, 4), (4, 2), (4, 6)}


def test_a_rotation_goes_either_way() -> None:
    dot = torch.zeros(40, 3, 9, 9)
    dot[:, :, 4, 0] = 1
    moved = rotation(dot, 90.0, draw())
    assert {tuple(place) for place in moved[:, 0].nonzero()[:, 1:].tolist()} == {(0, 4), (8, 4)}


def test_range_noise_moves_returns_along_their_rays_by_its_standard_deviation() -> None:
    points = range_to_xyza(torch.full((10, 64, 64), 25.0), torch.zeros(64), torch.linspace(-0.2, 0.2, 64))
    noisy = range_noise(points, 0.5, draw())
    moved = xyza_to_range(noisy) - 25
    assert moved.std().item() == pytest.approx(0.5, rel=0.02)
    assert moved.mean().item() == pytest.approx(0, abs=0.01)
    torch.testing.assert_close(noisy[:, :3] / noisy[:, :3].norm(dim=1, keepdim=True), points[:, :3] / 25)


def test_range_noise_makes_no_return_and_loses_none() -> None:
    points = scan([0.2, 49.9, 50.0] * 40)
    noisy = range_noise(points, 5.0, draw())
    assert torch.equal(noisy[:, 3], points[:, 3])
    assert torch.equal(noisy[..., 2::3], points[..., 2::3])
    assert xyza_to_range(noisy)[..., 0::3].min().item() == pytest.approx(0.1)


def test_the_declared_share_of_returns_is_dropped_and_the_rest_stays() -> None:
    points = range_to_xyza(torch.full((10, 64, 64), 25.0), torch.zeros(64), torch.zeros(64))
    some = dropped_returns(points, 0.9, draw())
    kept = some[:, 3] == 1
    assert kept.float().mean().item() == pytest.approx(0.1, abs=0.005)
    assert torch.equal(some.movedim(1, -1)[kept], points.movedim(1, -1)[kept])
    torch.testing.assert_close(
        some.movedim(1, -1)[~kept], (points * 2).movedim(1, -1)[~kept] * torch.tensor([1, 1, 1, 0])
    )
    assert torch.equal(dropped_returns(points, 1.0, draw()), unmeasured(points))


def test_returns_dropped_at_a_level_stay_dropped_at_a_higher_one() -> None:
    half, most = (apply("dropped-returns", level)[:, 3] for level in (0.5, 0.9))
    assert (most <= half).all()


def test_a_depth_camera_that_measures_nothing_gives_zeros() -> None:
    focal, middle = torch.tensor([60.0]), torch.tensor([1.0])
    points = depth_to_xyza(torch.full((1, 2, 2), 3.0), focal, focal, middle, middle)
    assert not unmeasured(points).any()
    assert not dropped_returns(points, 1.0, draw()).any()


def test_dimming_keeps_a_part_and_rounds_to_8_bits() -> None:
    before = image([255, 101, 3, 1])
    assert shown(dimming(before, 0.5, draw())) == [[128, 50, 2, 0]]
    assert shown(dimming(before, 1.0, draw())) == [[0, 0, 0, 0]]


def test_image_noise_has_its_standard_deviation_and_stays_an_image() -> None:
    gray = torch.full((10, 3, 64, 64), 128 / 255)
    noisy = image_noise(gray, 16.0, draw()) * 255
    assert noisy.std().item() == pytest.approx(16, rel=0.02)
    assert image_noise(gray, 500.0, draw()).unique().min() == 0


@pytest.mark.parametrize("modality", ["rgb", "lidar"])
def test_a_missing_modality_is_filled_as_its_name_tells(modality: str) -> None:
    filled = {fill: apply(f"no-{modality}-{fill}", 1.0) for fill in ("zeros", "mean", "noise")}
    mean, std = statistics().mean[modality], statistics().std[modality]
    if modality == "rgb":
        alpha = pairs().inputs["rgb"][:, 3:]
        assert all(torch.equal(values[:, 3:], alpha) for values in filled.values())
        filled = {fill: values[:, :3] for fill, values in filled.items()}
        mean, std = mean[:3], std[:3]
    assert not filled["zeros"].any()
    assert torch.equal(filled["mean"], mean[:, None, None].expand_as(filled["mean"]))
    torch.testing.assert_close(filled["noise"].mean(dim=(0, 2, 3)), mean, atol=0.1, rtol=0.01)
    torch.testing.assert_close(filled["noise"].std(dim=(0, 2, 3)), std, atol=0.01, rtol=0.02)


def test_a_share_of_the_pairs_can_lack_a_modality() -> None:
    clean, some = pairs().inputs["lidar"], apply("no-lidar-zeros", 0.5)
    lacking = ~some.flatten(1).any(dim=1)
    assert 5 < lacking.sum() < 35
    assert torch.equal(some[~lacking], clean[~lacking])


def altered(**modalities: Tensor) -> PairedDataset:
    """The data with other modalities."""
    channels = {modality: values.shape[1] for modality, values in modalities.items()}
    return replace(dataset(), info=replace(dataset().info, channels=channels), inputs=modalities)


def names(data: PairedDataset) -> list[str]:
    return [corruption.name for corruption in corruptions_of(data)]


ANY_SENSOR = ("{}-shift", "{}-rotation", "no-{}-zeros", "no-{}-mean", "no-{}-noise")


def test_images_and_points_have_the_published_corruptions_in_the_published_order() -> None:
    assert names(dataset()) == list(CORRUPTIONS)
    of_one = ["range-noise", "dropped-returns", "rgb-noise", "rgb-dimming"]
    of_both = ["lidar-shift", "rgb-shift", "lidar-rotation", "rgb-rotation"]
    assert list(CORRUPTIONS)[:8] == of_one + of_both


def test_data_have_the_corruptions_of_what_they_hold() -> None:
    rgb, lidar = dataset().inputs["rgb"], dataset().inputs["lidar"]
    image = ["rgb-noise", "rgb-dimming"]
    of_rgb, of_lidar, of_thermal = ([name.format(m) for name in ANY_SENSOR] for m in ("rgb", "lidar", "thermal"))
    assert set(names(altered(rgb=rgb))) == {*image, *of_rgb}
    assert set(names(altered(lidar=lidar[:, :1]))) == set(of_lidar)  # ranges are no points
    assert set(names(altered(rgb=rgb.float()))) == set(of_rgb)
    thermal = altered(rgb=rgb[:, :1], thermal=lidar[:, :2])
    assert names(thermal) == [*image, "rgb-shift", "rgb-rotation", *of_rgb[2:], *of_thermal]


def test_a_modality_that_nothing_ships_for_has_the_corruptions_of_any_sensor() -> None:
    data = altered(thermal=dataset().inputs["lidar"][:, :2] + 100)
    measured, moments = data.batch(), ChannelStatistics.of(lambda: [data.batch()])
    made = {c.name: corrupted(c, data, measured, c.levels[-1], 51, moments) for c in corruptions_of(data)}
    assert not made["no-thermal-zeros"].any()
    assert made["thermal-shift"].min() >= 50  # no zeros enter at the sides
    assert len({values.square().sum().item() for values in made.values()}) == len(ANY_SENSOR)


@pytest.fixture
def plugged(registries: None) -> None:  # noqa: ARG001
    @register_corruption("gain", levels=(0.0, 1.0), unit="share")
    def gain(values: Tensor, level: float, _: Generator) -> Tensor:
        values *= 1 + level  # in place: that is the plug-in's own copy
        return values

    @register_corruption("sparkle", levels=(0.0, 0.5), kind="points", statistics=True)
    def sparkle(values: Tensor, level: float, generator: Generator, mean: Tensor, std: Tensor) -> Tensor:
        assert mean.shape == std.shape == (4,)
        return values + level * torch.rand(values.shape, generator=generator) * std[:, None, None]


@pytest.mark.usefixtures("plugged")
def test_a_registered_corruption_is_of_each_modality_in_turn() -> None:
    data = altered(**dataset().inputs, thermal=dataset().inputs["lidar"][:, :1])
    by_name = {c.name: c for c in corruptions_of(data)}
    assert {"gain-rgb", "gain-lidar", "gain-thermal", "sparkle-lidar"} <= set(by_name)
    assert not {"gain", "sparkle-rgb", "sparkle-thermal"} & set(by_name)
    assert by_name["gain-rgb"].unit == "share"
    measured = data.batch()
    before = {modality: values.clone() for modality, values in measured.inputs.items()}
    moments = ChannelStatistics.of(lambda: [measured])
    doubled = corrupted(by_name["gain-rgb"], data, measured, 1.0, 51, moments)
    assert torch.equal(doubled[:, :3], before["rgb"][:, :3] * 2)
    assert torch.equal(doubled[:, 3:], before["rgb"][:, 3:])  # alpha is not measured
    assert not torch.equal(corrupted(by_name["sparkle-lidar"], data, measured, 0.5, 51, moments), before["lidar"])
    assert all(torch.equal(values, before[modality]) for modality, values in measured.inputs.items())


@pytest.mark.parametrize(
    ("corrupt", "fault"),
    [
        (lambda values, _, __: values[:, :1], r"returns \(40, 1, 64, 64\) for values \(40, 3, 64, 64\)"),
        (lambda _, __, ___: None, r"returns NoneType for values"),
        (lambda _, __: None, "raises TypeError: "),
    ],
)
def test_a_faulty_corruption_ends_in_a_sentence_with_its_file(corrupt: Any, fault: str) -> None:
    faulty = Corruption("faulty", corrupt, (0.0, 1.0), "rgb")
    with pytest.raises(PluginError, match=rf"test_corruptions\.py: the corruption 'faulty' {fault}"):
        corrupted(faulty, dataset(), pairs(), 1.0, 51, statistics())


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "rgb-noise", "levels": (0.0, 1.0)}, "the corruption 'rgb-noise' is already registered"),
        ({"name": "new", "levels": (1.0, 2.0)}, "levels of 'new' must rise from 0"),
        ({"name": "new", "levels": (0.0, 2.0, 1.0)}, "levels of 'new' must rise from 0"),
        (
            {"name": "new", "levels": (0.0, 1.0), "kind": "sound"},
            "the kind of 'new' is one of image, points, depth",
        ),
    ],
)
def test_what_cannot_be_registered_is_refused_with_the_file(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PluginError, match=rf"test_corruptions\.py: .*{message}"):
        register_corruption(**arguments)(lambda values, _, __: values)


def test_the_check_of_level_0_can_fail() -> None:
    careless = Corruption("careless", lambda values, _, __: values * 0.999, (0.0, 1.0), "rgb")
    changed = corrupted(careless, dataset(), pairs(), 0.0, 51, statistics())
    assert not torch.equal(changed, pairs().inputs["rgb"])


@pytest.mark.parametrize(
    ("values", "kind", "channels"),
    [
        (torch.zeros(1, 4, 2, 2, dtype=torch.uint8), "image", 3),
        (torch.zeros(1, 3, 2, 2, dtype=torch.uint8), "image", 3),
        (torch.zeros(1, 1, 2, 2, dtype=torch.uint8), "image", 1),
        (scan([10.0, 50.0]), "points", 4),
        (scan([10.0, 50.0]) * 0.5, "raw", 4),  # a validity of a half
        (scan([10.0, 50.0])[:, :3], "raw", 3),
    ],
)
def test_values_tell_their_kind(values: Tensor, kind: str, channels: int) -> None:
    info = DatasetInfo("one", ("a", "b"), {"m": values.shape[1]}, (values.shape[2], values.shape[3]))
    labels = torch.tensor([0, 1])
    data = PairedDataset(info, {"m": torch.cat([values, values])}, labels, labels, ("0", "1"))
    assert kind_of(data.modality("m")) == kind
    assert sensed_channels(data.modality("m")) == channels


def declared(**modalities: Modality) -> PairedDataset:
    """Pairs of 8 x 8 pixels with modalities of these kinds, full of ones (and of 255 in images)."""
    inputs = {
        name: torch.full((6, modality.channels, 8, 8), 255, dtype=torch.uint8)
        if modality.kind == "image"
        else torch.ones(6, modality.channels, 8, 8)
        for name, modality in modalities.items()
    }
    channels = {name: modality.channels for name, modality in modalities.items()}
    info = DatasetInfo("declared", ("a", "b"), channels, (8, 8), modalities)
    return PairedDataset(info, inputs, torch.tensor([0, 1] * 3), torch.arange(6), tuple("012345"))


def test_every_kind_has_corruptions_of_its_own() -> None:
    data = declared(
        nir=Modality("image", 4), tof=Modality("depth", 1), lwir=Modality("thermal", 1), other=Modality("raw", 2)
    )
    own = ["nir-noise", "nir-dimming", "tof-range-noise", "tof-dropped-returns", "lwir-noise"]
    by_name = {c.name: c for c in corruptions_of(data)}
    assert [name for name in by_name if not name.endswith(("shift", "rotation")) and name[:3] != "no-"] == own
    measured, moments = data.batch(), ChannelStatistics.of(lambda: [data.batch()])
    for name in own:
        corruption = by_name[name]
        clean, faulty = (
            corrupted(corruption, data, measured, level, 51, moments)
            for level in corruption.levels[:: len(corruption.levels) - 1]
        )
        assert torch.equal(clean, measured.inputs[corruption.modality])
        assert name == "lwir-noise" or not torch.equal(clean, faulty)
    assert not corrupted(by_name["tof-dropped-returns"], data, measured, 1.0, 51, moments).any()


@pytest.mark.parametrize("move", ["shift", "rotation"])
def test_what_enters_at_the_sides_is_as_the_kind_has_it(move: str) -> None:
    data = declared(
        rgb=Modality("raw", 3), nir=Modality("image", 4), tof=Modality("depth", 1), lwir=Modality("thermal", 1)
    )
    by_name = {c.name: c for c in corruptions_of(data)}
    measured, moments = data.batch(), ChannelStatistics.of(lambda: [data.batch()])
    for name, values in measured.inputs.items():
        corruption = by_name[f"{name}-{move}"]
        moved = corrupted(corruption, data, measured, corruption.levels[-2], 51, moments)
        assert torch.equal(moved, values) == (name in ("rgb", "lwir"))  # all are ones, so only gaps change them
        assert name not in ("nir", "tof") or not moved[:, 0].all()


def test_the_nearest_pixel_enters_where_0_is_a_value() -> None:
    before = image([1, 2, 3], [4, 5, 6], [7, 8, 9])
    assert shown(moved_by(before, torch.tensor([[1, 0]]), nearest=True)) == [[1, 2, 3], [1, 2, 3], [4, 5, 6]]
    assert shown(moved_by(before, torch.tensor([[0, -2]]), nearest=True)) == [[3, 3, 3], [6, 6, 6], [9, 9, 9]]
    # The corners of a raster that is turned by 45 degrees come from outside of it.
    turned = shown(turned_by(before, torch.tensor([45]), nearest=True))
    assert turned[1][1] == 5
    assert {turned[0][0], turned[0][2], turned[2][0], turned[2][2]} == {2, 4, 6, 8}


def test_every_subset_of_missing_modalities_is_a_corruption() -> None:
    data = declared(a=Modality("image", 4), b=Modality("thermal", 1), c=Modality("raw", 1))
    by_name = {c.name: c for c in corruptions_of(data) if c.name.startswith("no-") and c.name.endswith("-zeros")}
    assert list(by_name) == [f"no-{m}-zeros" for m in ("a", "b", "c", "a+b", "a+c", "b+c")]
    measured, moments = data.batch(), ChannelStatistics.of(lambda: [data.batch()])
    half = corrupted_together(by_name["no-b+c-zeros"], data, measured, 0.5, 51, moments)
    assert set(half) == {"b", "c"}
    gone = [~values.flatten(1).any(dim=1) for values in half.values()]
    assert 0 < gone[0].sum() < 6
    assert torch.equal(*gone)  # the same pairs lack both
