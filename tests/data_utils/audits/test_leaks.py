"""Every audit finds the problem that is planted for it, and nothing in sound data."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from data_utils import DatasetInfo, PairedDataset, Part, Shares, World
from data_utils.audits.leaks import (
    JUDGED_PAIRS,
    groups_split_apart,
    label_dependent_inputs,
    pairs_in_several_parts,
    repeated_pairs,
    validation_left_out,
)
from data_utils.geometry import depth_to_xyza, range_to_xyza
from data_utils.worlds import split_world
from tests.data_utils.samples import tiny_dataset

# --- pairs and groups


def split_at(pair: int, dataset: PairedDataset, tested: int = 0) -> World:
    """The first pairs train, the last ones test, those between validate."""
    counts = (pair, len(dataset) - pair - tested, tested)
    train, valid, test = (Part(dataset, pairs) for pairs in torch.arange(len(dataset)).split(counts))
    return World(train, valid, test)


def test_pairs_that_share_one_modality_are_not_copies() -> None:
    dataset = tiny_dataset([0, 1, 0, 1])
    one_image = replace(dataset, inputs={**dataset.inputs, "rgb": torch.zeros(4, 1, 1, 1, dtype=torch.uint8)})
    assert not [*repeated_pairs(one_image)]
    assert not [*pairs_in_several_parts(split_at(2, one_image))]


def test_repeated_pairs_are_found_with_other_names_and_labels() -> None:
    twice = tiny_dataset([0, 1, 0, 1]).take(torch.tensor([0, 1, 2, 3, 1, 2]))
    renamed = replace(twice, names=("a", "b", "c", "d", "e", "f"), labels=torch.tensor([0, 1, 0, 1, 1, 1]))
    (finding,) = repeated_pairs(renamed)
    assert (finding.audit, finding.subject) == ("repeated pairs", "tiny")
    assert finding.message == (
        "2 pairs have the same content as an earlier one, 1 of them another label (e = b, f = c); "
        "keep every pair once."
    )


def test_pairs_in_several_parts_are_found_if_every_pair_is_listed_once_per_class() -> None:
    """As in a published loader, whose loop over classes starts from all files each time."""
    dataset = tiny_dataset([0, 1] * 20).take(torch.arange(40).repeat(2))
    world = split_world(replace(dataset, groups=torch.arange(80)), Shares(0.2), seed=51)
    (finding,) = pairs_in_several_parts(world)
    train, valid = (set(part.indices.remainder(40).tolist()) for part in (world.train, world.valid))
    twice = len(train & valid)
    assert twice > 5
    assert finding.message.startswith(f"{twice} of 16 validation pairs are also training pairs (")


def test_pairs_in_several_parts_are_found_with_another_name() -> None:
    dataset = tiny_dataset([0, 1, 0, 1]).take(torch.tensor([0, 1, 3, 1]))
    renamed = replace(dataset, names=("a", "b", "c", "d"))
    (finding,) = pairs_in_several_parts(split_at(2, renamed))
    assert "1 of 2 validation pairs are also training pairs (d = b)" in finding.message
    (finding,) = pairs_in_several_parts(split_at(2, renamed, tested=1))
    assert "1 of 1 test pairs are also training pairs (d = b)" in finding.message


def test_test_pairs_of_another_data_set_are_compared_by_content() -> None:
    dataset, other = tiny_dataset([0, 1, 0, 1]), tiny_dataset([0, 1, 0, 1, 0, 1])
    fresh, known = (
        replace(split_at(2, dataset), test=Part(other, pairs)) for pairs in torch.arange(6).split(3)[::-1]
    )
    assert [*pairs_in_several_parts(split_at(2, dataset))] == []
    (finding,) = pairs_in_several_parts(fresh)
    assert "1 of 3 test pairs are also validation pairs (3 = 3)" in finding.message
    assert len([*pairs_in_several_parts(known)]) == 2
    assert not [*groups_split_apart(known)]  # their groups have the numbers of other groups


def test_groups_split_apart_are_found() -> None:
    dataset = tiny_dataset([0, 1, 0, 1, 0, 1], groups=[7, 7, 8, 8, 9, 9])
    assert not [*groups_split_apart(split_at(2, dataset))]
    (finding,) = groups_split_apart(split_at(3, dataset))
    assert "1 of 3 groups have pairs both in training and in validation (3 from 2)" in finding.message
    (finding,) = groups_split_apart(split_at(2, dataset, tested=1))
    assert "1 of 2 groups have pairs both in validation and in test (5 from 4)" in finding.message


def test_validation_pairs_left_out_are_found() -> None:
    dataset = tiny_dataset([0, 1, 0, 1, 0])
    drawn = split_at(2, dataset)
    assert not [*validation_left_out(drawn, drawn)]
    (finding,) = validation_left_out(drawn, replace(drawn, valid=Part(dataset, drawn.valid.indices[:2])))
    assert "1 of 3 validation pairs reach no metric (4)" in finding.message


# --- inputs that reveal the label


def random_dataset(classes: int = 2, pairs: int = JUDGED_PAIRS, *, size: int = 4) -> PairedDataset:
    """Random images, and points at random ranges without misses, from one sensor."""
    generator = torch.Generator().manual_seed(0)
    count = classes * pairs
    names = tuple(f"class {label}" for label in range(classes))
    range_m = ranges(count, size)
    return PairedDataset(
        info=DatasetInfo("random", names, {"rgb": 4, "lidar": 4}, (size, size)),
        inputs={
            "rgb": torch.randint(256, (count, 4, size, size), generator=generator, dtype=torch.uint8),
            "lidar": range_to_xyza(range_m, angles(size), angles(size)),
        },
        labels=torch.arange(count) % classes,
        groups=torch.arange(count),
        names=tuple(str(pair) for pair in range(count)),
    )


def ranges(count: int, size: int = 4) -> Tensor:
    return 1 + 40 * torch.rand(count, size, size, generator=torch.Generator().manual_seed(1))


def angles(size: int = 4) -> Tensor:
    return torch.linspace(-0.2, 0.2, size, dtype=torch.float64)


def with_input(dataset: PairedDataset, modality: str, values: Tensor) -> PairedDataset:
    return replace(dataset, inputs={**dataset.inputs, modality: values})


def per_class(dataset: PairedDataset, *of_class: Tensor) -> Tensor:
    """The pairs of each class, taken from its own tensor (N, ...)."""
    return torch.stack([of_class[label][pair] for pair, label in enumerate(dataset.labels.tolist())])


def with_angles(dataset: PairedDataset, *azimuths: Tensor) -> PairedDataset:
    """The same ranges, with one array of azimuths per class."""
    points = [range_to_xyza(ranges(len(dataset)), azimuth, angles()) for azimuth in azimuths]
    return with_input(dataset, "lidar", per_class(dataset, *points))


def test_values_that_vary_in_all_classes_reveal_nothing() -> None:
    assert not [*label_dependent_inputs(random_dataset(classes=3))]


def test_values_that_are_the_same_everywhere_reveal_nothing() -> None:
    dataset = random_dataset()
    rgb = dataset.inputs["rgb"].clone()
    rgb[:, 3] = 255
    assert not [*label_dependent_inputs(with_input(dataset, "rgb", rgb))]


def test_angles_per_class_are_found_although_no_value_is_constant() -> None:
    dataset = random_dataset()
    (finding,) = label_dependent_inputs(with_angles(dataset, angles(), angles() + 0.001))
    assert (finding.audit, finding.subject) == ("label-dependent inputs", "lidar")
    assert "directions of points are the same in all pairs of one class" in finding.message


def test_angles_that_differ_by_rounding_are_one_sensor() -> None:
    assert not [*label_dependent_inputs(with_angles(random_dataset(), angles(), angles().float().double()))]


def test_a_camera_per_class_is_found_even_if_depth_has_gaps() -> None:
    dataset = random_dataset(pairs=4 * JUDGED_PAIRS)
    depth_m = ranges(len(dataset))
    depth_m[depth_m < 20] = 0  # nothing measured, in about half of the pixels
    cx = cy = torch.full((len(dataset),), 2.0)
    focal = [torch.full((len(dataset),), length) for length in (4.0, 5.0)]
    one_camera = depth_to_xyza(depth_m, focal[0], focal[0], cx, cy)
    assert not [*label_dependent_inputs(with_input(dataset, "lidar", one_camera))]
    cameras = [depth_to_xyza(depth_m, f, f, cx, cy) for f in focal]
    (finding,) = label_dependent_inputs(with_input(dataset, "lidar", per_class(dataset, *cameras)))
    assert "directions of points" in finding.message


def test_a_camera_per_pair_cannot_be_judged() -> None:
    dataset = random_dataset()
    focal = torch.linspace(4, 5, len(dataset))
    points = depth_to_xyza(ranges(len(dataset)), focal, focal, torch.zeros_like(focal), torch.zeros_like(focal))
    assert not [*label_dependent_inputs(with_input(dataset, "lidar", points))]


@pytest.mark.parametrize(("mark", "others"), [(0, (1, 255)), (255, (0, 254))])
def test_a_mark_in_one_of_three_classes_is_found(mark: int, others: tuple[int, int]) -> None:
    dataset = random_dataset(classes=3, pairs=50)
    rgb = dataset.inputs["rgb"].clamp(*others)
    assert not [*label_dependent_inputs(with_input(dataset, "rgb", rgb))]
    rgb[dataset.labels == 1, 2, 3, 0] = mark
    (finding,) = label_dependent_inputs(with_input(dataset, "rgb", rgb))
    assert finding.subject == "rgb"
    assert finding.message.startswith("1 of 64 values are the same in all pairs of one class")
    assert f"(channel 2, row 3, column 0: {mark} in 'class 1', " in finding.message


def test_few_pairs_are_not_judged() -> None:
    alpha = torch.tensor([255, 254], dtype=torch.uint8)
    for pairs, findings in ((JUDGED_PAIRS - 1, 0), (JUDGED_PAIRS, 1)):
        dataset = random_dataset(pairs=pairs)
        rgb = dataset.inputs["rgb"].clone()
        rgb[:, 3] = alpha[dataset.labels][:, None, None]
        assert len([*label_dependent_inputs(with_input(dataset, "rgb", rgb))]) == findings


def test_a_class_of_few_pairs_is_not_judged() -> None:
    dataset = random_dataset(pairs=JUDGED_PAIRS)
    assert not [*label_dependent_inputs(dataset.take(torch.arange(len(dataset) - 1)))]
