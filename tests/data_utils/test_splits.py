from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_utils import DataError, PairedDataset, Shares, split, subsample
from tests.data_utils.samples import tiny_dataset

SEEDS = st.integers(0, 2**32)
FRACTIONS = st.floats(0.2, 0.8)


def random_dataset(seed: int, mixed: bool) -> PairedDataset:
    """Three classes of 60 pairs in random order and in groups of a few pairs, of one class each if not mixed."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation([0, 1, 2] * 60)
    groups = generator.integers(0, 60, 180) if mixed else 100 * labels + generator.integers(0, 30, 180)
    return tiny_dataset(labels.tolist(), groups.tolist())


MIXED = st.builds(random_dataset, SEEDS, st.just(True))
UNMIXED = st.builds(random_dataset, SEEDS, st.just(False))


@settings(max_examples=50, deadline=None)
@given(MIXED, FRACTIONS, SEEDS)
def test_every_pair_is_on_one_side_with_its_whole_group(
    dataset: PairedDataset, fraction: float, seed: int
) -> None:
    parts = split(dataset, Shares(fraction), seed)
    assert sorted(parts.train.tolist() + parts.valid.tolist()) == list(range(len(dataset)))
    assert len(parts.test) == 0
    for part in (parts.train, parts.valid):
        assert part.tolist() == sorted(part.tolist())
    assert not set(dataset.groups[parts.train].tolist()) & set(dataset.groups[parts.valid].tolist())


@settings(max_examples=50, deadline=None)
@given(UNMIXED, FRACTIONS, SEEDS)
def test_a_class_deviates_by_less_than_its_largest_group(
    dataset: PairedDataset, fraction: float, seed: int
) -> None:
    parts = split(dataset, Shares(fraction), seed)
    for label in range(3):
        largest = int(dataset.groups[dataset.labels == label].bincount().max())
        in_valid = int((dataset.labels[parts.valid] == label).sum())
        assert abs(in_valid - fraction * int((dataset.labels == label).sum())) < largest


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_twins_are_split_exactly(fraction: float, seed: int) -> None:
    dataset = tiny_dataset([0, 1] * 100, [index // 2 for index in range(200)])
    in_valid = dataset.labels[split(dataset, Shares(fraction), seed).valid].bincount().tolist()
    assert in_valid == [round(100 * fraction)] * 2


@settings(max_examples=50, deadline=None)
@given(MIXED, FRACTIONS, SEEDS, st.integers(1, 40))
def test_appended_groups_change_no_earlier_decision(
    dataset: PairedDataset, fraction: float, seed: int, appended: int
) -> None:
    longer = tiny_dataset(
        dataset.labels.tolist() + [number % 3 for number in range(appended)],
        dataset.groups.tolist() + [1000 + number for number in range(appended)],
    )
    before, after = split(dataset, Shares(fraction), seed), split(longer, Shares(fraction), seed)
    assert [pair for pair in after.valid.tolist() if pair < len(dataset)] == before.valid.tolist()


def test_the_split_depends_on_the_seed_and_not_on_the_numbers_of_groups() -> None:
    dataset = tiny_dataset([0, 1] * 50)
    renamed = tiny_dataset([0, 1] * 50, [(37 * group) % 101 - 50 for group in range(100)])
    first = split(dataset, Shares(0.3), seed=1)
    torch.manual_seed(99)  # the global generator must not matter
    assert torch.equal(first.valid, split(dataset, Shares(0.3), seed=1).valid)
    assert torch.equal(first.valid, split(renamed, Shares(0.3), seed=1).valid)
    assert not torch.equal(first.valid, split(dataset, Shares(0.3), seed=2).valid)


def test_the_selection_follows_no_pattern() -> None:
    """Every group is equally likely: over many seeds none is always or never selected."""
    dataset = tiny_dataset([0, 1] * 20)
    counts = torch.zeros(40)
    for seed in range(400):
        counts[split(dataset, Shares(0.5), seed).valid] += 1
    assert counts.min() > 140
    assert counts.max() < 260


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, float("nan")])
def test_fraction_must_leave_two_parts(fraction: float) -> None:
    with pytest.raises(DataError, match="choose one between 0 and 1"):
        Shares(fraction)


@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        ([0] * 20 + [1] * 20, [*range(20), *[99] * 20], r"'class 1' of 'tiny' has 20 pair\(s\) in 1 group\(s\)"),
        ([0, 1] * 5, [3] * 10, r"'class 0' of 'tiny' has 5 pair\(s\) in 1 group\(s\)"),
    ],
)
def test_a_class_on_one_side_is_an_error(labels: Sequence[int], groups: Sequence[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        split(tiny_dataset(labels, groups), Shares(0.5), 0)


@pytest.mark.parametrize("seed", range(5))
def test_subsample_takes_whole_groups_of_every_class(seed: int) -> None:
    dataset = tiny_dataset([0, 0, 1] * 60, [index // 3 for index in range(180)])
    smaller = subsample(dataset, 60, seed)
    assert len(smaller) == 60
    assert smaller.labels.bincount().tolist() == [40, 20]
    assert set(smaller.groups.bincount().tolist()) == {0, 3}
    assert list(smaller.names) == sorted(smaller.names, key=int)


def test_subsample_and_split_have_separate_seeds() -> None:
    dataset = tiny_dataset([0, 1] * 50)
    kept = subsample(dataset, 30, 1)
    assert kept.names == subsample(dataset, 30, 1).names
    assert kept.names != subsample(dataset, 30, 2).names
    assert [int(name) for name in kept.names] != split(dataset, Shares(0.3), 1).valid.tolist()


@pytest.mark.parametrize("pairs", [4, 5])
def test_subsample_of_no_fewer_pairs_is_the_same_data_set(pairs: int) -> None:
    dataset = tiny_dataset([0, 1, 0, 1])
    assert subsample(dataset, pairs, 0) is dataset


@pytest.mark.parametrize("pairs", [0, 1])
def test_subsample_refuses_fewer_pairs_than_classes(pairs: int) -> None:
    with pytest.raises(DataError, match="request at least one pair per class"):
        subsample(tiny_dataset([0] * 50 + [1]), pairs, 0)


@pytest.mark.parametrize("seed", range(20))
def test_a_rare_class_keeps_what_a_split_needs(seed: int) -> None:
    """997 mugs and 3 boxes, of which 400 pairs are used: a box trains, one validates, one tests."""
    dataset = tiny_dataset([0] * 997 + [1] * 3)
    parts = split(dataset, Shares(0.2, test=0.2, pairs=400), seed)
    for part in (parts.train, parts.valid, parts.test):
        assert dataset.labels[part].sum() == 1
    assert len(parts.train) + len(parts.valid) == pytest.approx(400, abs=2)
    assert subsample(dataset, 400, seed).labels.sum() >= 2
