"""Each setting changes what it describes, and nothing else."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from data_utils import DataError, load
from data_utils.simulator.difficulty import Difficulty
from data_utils.simulator.levels import LEVELS
from data_utils.simulator.shapes import Simulation, simulate

PAIRS = 400


def measure(**settings: Any) -> Simulation:
    return simulate(PAIRS, 0, difficulty=Difficulty(**settings))


@pytest.fixture(scope="module")
def plain() -> Simulation:
    return measure()


def hits(raw: Simulation) -> npt.NDArray[np.int64]:
    return np.asarray((raw.range_m < 50).sum(axis=(1, 2)))


def same(one: Simulation, other: Simulation) -> tuple[bool, bool]:
    """Whether all images, and all range images, are equal."""
    return np.array_equal(one.rgb, other.rgb), np.array_equal(one.range_m, other.range_m)


@pytest.mark.parametrize(
    ("settings", "unchanged"),
    [
        ({}, (True, True)),
        ({"smallest": 0.5}, (False, False)),
        ({"dimmest": 0.1}, (False, True)),
        ({"image_noise": 1.0}, (False, True)),
        ({"range_noise_m": 0.1}, (True, False)),
        ({"dropped_returns": 0.5}, (True, False)),
        ({"clutter": 2}, (False, False)),
        ({"failures": 0.2}, (False, False)),
        ({"misalignment_deg": 2.0}, (True, False)),
    ],
)
def test_a_setting_changes_only_its_modality(
    plain: Simulation, settings: dict[str, Any], unchanged: tuple[bool, bool]
) -> None:
    assert same(plain, measure(**settings)) == unchanged


def test_hits_fall_with_the_square_of_the_size(plain: Simulation) -> None:
    ratio = hits(measure(smallest=0.3)) / hits(plain)
    assert 0.05 < ratio.min() < 0.15
    assert ratio.max() > 0.9
    assert ratio.mean() == pytest.approx((1 - 0.3**3) / 3 / 0.7, rel=0.1)  # of a uniform size


def test_dim_light_is_dimmer_and_never_brighter(plain: Simulation) -> None:
    dim = measure(dimmest=0.01)
    assert (dim.rgb <= plain.rgb).all()
    assert dim.rgb[..., :3].sum() < 0.5 * plain.rgb[..., :3].sum()


def test_noise_of_images_has_its_deviation_everywhere(plain: Simulation) -> None:
    gray = plain.rgb.astype(float)
    noise = (measure(image_noise=3.0).rgb - gray)[..., :3]
    background = noise[(gray[..., :3] == 0).all(axis=-1)]
    # Black cannot become darker: half of the normal distribution is clipped.
    assert np.sqrt((background**2).mean()) == pytest.approx(3 / np.sqrt(2), rel=0.05)
    assert (measure(image_noise=3.0).rgb[..., 3] == 255).all()


def test_noise_of_ranges_has_its_deviation_and_adds_no_returns(plain: Simulation) -> None:
    noisy = measure(range_noise_m=0.5)
    assert ((noisy.range_m < 50) == (plain.range_m < 50)).all()
    deviations = [(one - other)[other < 50].std() for one, other in zip(noisy.range_m, plain.range_m, strict=True)]
    assert max(deviations) == pytest.approx(0.5, rel=0.15)
    assert np.mean(deviations) == pytest.approx(0.25, rel=0.1)


def test_dropped_returns_are_lost_and_the_others_stay(plain: Simulation) -> None:
    dropped = measure(dropped_returns=0.8)
    lost = dropped.range_m == 50
    np.testing.assert_array_equal(dropped.range_m[~lost], plain.range_m[~lost])
    share = 1 - hits(dropped) / hits(plain)
    assert share.max() == pytest.approx(0.8, abs=0.07)
    assert share.mean() == pytest.approx(0.4, abs=0.05)


def test_clutter_hides_some_of_the_object_and_is_nearer(plain: Simulation) -> None:
    cluttered = measure(clutter=6)
    assert (cluttered.range_m <= plain.range_m).all()
    hidden = ((plain.range_m < 50) & (cluttered.range_m < plain.range_m)).sum() / (plain.range_m < 50).sum()
    assert 0.05 < hidden < 0.5
    assert hits(cluttered).mean() > hits(plain).mean()


def test_each_sensor_fails_in_its_share_of_scenes_and_never_both(plain: Simulation) -> None:
    failing = measure(failures=0.25)
    dark = (failing.rgb[..., :3] == 0).all(axis=(1, 2, 3)) & (plain.rgb[..., :3] > 0).any(axis=(1, 2, 3))
    blind = hits(failing) == 0
    assert dark.mean() == pytest.approx(0.25, abs=0.07)
    assert blind.mean() == pytest.approx(0.25, abs=0.07)
    assert not (dark & blind).any()
    seeing = ~dark & ~blind
    assert same(
        replace(failing, rgb=failing.rgb[seeing], range_m=failing.range_m[seeing]),
        replace(plain, rgb=plain.rgb[seeing], range_m=plain.range_m[seeing]),
    ) == (True, True)


def test_misalignment_moves_objects_and_keeps_their_ranges(plain: Simulation) -> None:
    rotated = measure(misalignment_deg=4.0)
    rows = np.arange(64)

    def middle(raw: Simulation) -> npt.NDArray[np.float64]:
        seen = raw.range_m < 50
        return np.stack([(seen.sum(axis=axis) * rows).sum(axis=1) / hits(raw) for axis in (1, 2)])

    moved = np.abs(middle(rotated) - middle(plain))
    assert 6 < np.quantile(moved, 0.98) < 9.5  # 4 degrees are 8 rows, and an object may move slightly more
    nearest = np.abs(rotated.range_m.min(axis=(1, 2)) - plain.range_m.min(axis=(1, 2)))
    assert np.median(nearest) < 0.1


def test_twins_have_different_noise() -> None:
    raw = measure(image_noise=5.0, dimmest=0.001)
    assert not np.array_equal(raw.rgb[0, :8], raw.rgb[1, :8])


@pytest.mark.parametrize("name", LEVELS)
def test_a_larger_data_set_begins_with_a_smaller_one(name: str) -> None:
    cycle = LEVELS[name].cycle
    small, large = load(name, pairs=4 * cycle, seed=3), load(name, pairs=8 * cycle, seed=3)
    assert large.names[: len(small)] == small.names
    for modality, values in small.inputs.items():
        assert torch.equal(large.inputs[modality][: len(small)], values)


def test_one_cube_for_four_spheres() -> None:
    uneven, even = load("shapes-uneven", pairs=23), load("shapes", pairs=38)
    assert uneven.labels.bincount().tolist() == [4, 19]
    assert uneven.groups[uneven.labels == 0].tolist() == [0, 4, 8, 12]
    chosen = torch.tensor([even.names.index(name) for name in uneven.names])
    assert torch.equal(uneven.inputs["lidar"], even.inputs["lidar"][chosen])


def test_the_number_of_pairs_is_limited() -> None:
    assert len(load("shapes-few", pairs=2000)) == LEVELS["shapes-few"].most_pairs


def test_four_classes_have_four_objects_in_one_place() -> None:
    four = load("shapes-four", pairs=400)
    assert four.info.classes == ("cones", "cubes", "cylinders", "spheres")
    seen = four.measured("lidar")[:, 3].sum(dim=(1, 2)).reshape(-1, 4)
    cones, cubes, cylinders, spheres = seen.mean(dim=0).tolist()
    assert spheres < cones < cubes
    assert spheres < cylinders < cubes


@pytest.mark.parametrize(
    ("pairs", "name", "message"),
    [
        (4, "shapes-uneven", "at least 5"),
        (13, "shapes-rare", "at least 14"),
        (6, "shapes-four", "a multiple of 4"),
    ],
)
def test_impossible_numbers_of_pairs_are_refused(pairs: int, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(name, pairs=pairs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": ("cubes",)}, "two or more different"),
        ({"classes": ("cubes", "cubes")}, "two or more different"),
        ({"smallest": 0.0}, "smallest and dimmest above 0"),
        ({"dimmest": 1.1}, "smallest and dimmest above 0"),
        ({"first_class_every": 0}, "first_class_every must be 1 or more"),
        ({"dropped_returns": 1.1}, "dropped_returns must be at most 1"),
        ({"failures": 0.6}, "failures at most 0.5"),
        ({"misalignment_deg": 11}, "misalignment_deg at most 10"),
        ({"image_noise": -1.0}, "No setting may be negative"),
        ({"clutter": -1}, "No setting may be negative"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Difficulty(**settings)


def test_an_unknown_solid_is_refused() -> None:
    with pytest.raises(DataError, match="Unknown solid 'tori'; the solids are: cubes, spheres, cylinders, cones"):
        simulate(4, 0, difficulty=Difficulty(classes=("cubes", "tori")))
