"""A seed draws its own world, the same one always, and no pair is in two of its parts."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from data_utils import DataError, DrawnPairs, PairedDataset, Shares, World, open_source, register_dataset
from data_utils.loading import _seed_of_draw
from data_utils.simulator.levels import LEVELS
from data_utils.worlds import split_world
from tests.data_utils.samples import shapes, tiny_dataset

FEW = Shares(valid=0.25, test=0.25, pairs=40, test_pairs=20)
REPOSITORY = Path(__file__).parents[2]


def hashes(world: World) -> list[str]:
    return [part.sha256 for part in world.parts.values()]


def contents(world: World) -> list[set[bytes]]:
    return [{part.dataset.digests[pair] for pair in part.indices.tolist()} for part in world.parts.values()]


def sizes(world: World) -> list[int]:
    return [len(part) for part in world.parts.values()]


# --- drawn from the seed


def test_parts_and_seeds_share_no_scene() -> None:
    source = open_source("shapes-four")
    parts = [part for seed in (51, 52, 53) for part in contents(source.world(FEW, seed))]
    assert [len(train) + len(valid) for train, valid in zip(parts[::3], parts[1::3], strict=True)] == [40] * 3
    assert [len(test) for test in parts[2::3]] == [20] * 3
    assert len(set.union(*parts)) == sum(map(len, parts))


def test_a_source_that_was_sent_to_another_process_reports_nothing_there() -> None:
    told: list[object] = []
    source = open_source("shapes", progress=lambda *done: told.append(done), announce=told.append)
    sent = pickle.loads(pickle.dumps(source))  # noqa: S301 - made here
    assert sent == source
    assert hashes(sent.world(FEW, 51)) == hashes(open_source("shapes").world(FEW, 51))
    assert told == []
    source.world(FEW, 51)
    assert told


def test_twins_of_a_scene_are_in_one_part() -> None:
    world = open_source("shapes").world(FEW, 51)
    train, valid = ({name.partition("/")[2] for name in part.names} for part in (world.train, world.valid))
    assert not train & valid


def test_a_world_is_the_same_whatever_was_drawn_before_and_from_the_cache(tmp_path: Path) -> None:
    expected = hashes(open_source("shapes-hard").world(FEW, 51))
    source = open_source("shapes-hard", cache=tmp_path)
    for seed in (52, 50):
        source.world(replace(FEW, pairs=60), seed)
    torch.rand(3)
    assert hashes(source.world(FEW, 51)) == expected
    assert hashes(open_source("shapes-hard", cache=tmp_path).world(FEW, 51)) == expected
    program = (
        "from data_utils import Shares, open_source\n"
        f"world = open_source('shapes-hard').world({FEW}, 51)\n"
        "print(*(part.sha256 for part in world.parts.values()))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected


def test_test_pairs_do_not_depend_on_the_training_pairs() -> None:
    source = open_source("shapes")
    few, more = source.world(FEW, 51), source.world(replace(FEW, pairs=60, valid=0.5), 51)
    assert few.test.sha256 == more.test.sha256
    assert few.train.sha256 != more.train.sha256


def test_a_level_of_few_pairs_has_any_number_of_test_pairs() -> None:
    world = open_source("shapes-few").world(Shares(valid=0.2, pairs=400, test_pairs=200), 51)
    assert sizes(world) == [128, 32, 200]


def test_without_test_pairs_there_is_no_test_part() -> None:
    world = open_source("shapes").world(replace(FEW, test_pairs=0), 51)
    assert (sizes(world), world.drawn) == ([30, 10, 0], True)
    assert world.mapped(lambda _, part: part).drawn
    assert world.reported is world.valid
    assert [*world.test.chunks(8)] == []


@pytest.mark.parametrize("name", LEVELS)
def test_every_level_describes_what_it_makes(name: str) -> None:
    source = open_source(name)
    assert source.info == source.world(replace(FEW, pairs=56, test_pairs=28), 51).info


def test_the_source_is_known_by_its_settings_and_not_by_the_seed(tmp_path: Path) -> None:
    one, other = open_source("shapes"), open_source("shapes-dim")
    assert one.sha256 == open_source("shapes", cache=tmp_path).sha256 != other.sha256
    assert one.sha256 != open_source("shapes", image_size=32).sha256
    assert one == open_source("shapes")
    assert hash(one) == hash(open_source("shapes"))
    assert one != other


def test_every_draw_has_a_seed_of_its_own_far_from_the_next() -> None:
    seeds = [_seed_of_draw(seed, draw) for seed in range(2000) for draw in (0, 1)]
    assert len(set(seeds)) == len(seeds)
    assert 0 <= min(seeds) < max(seeds) < 2**32
    assert min(b - a for a, b in pairwise(sorted(seeds))) > 50_000


# --- made by plug-ins


def register(make: object) -> DrawnPairs:
    register_dataset("mine")(make)  # type: ignore[arg-type]
    source = open_source("mine")
    assert isinstance(source, DrawnPairs)
    return source


@pytest.mark.usefixtures("registries")
def test_a_function_gets_other_seeds_for_other_worlds_and_parts() -> None:
    calls: list[tuple[int, int]] = []

    def make(pairs: int, seed: int) -> PairedDataset:
        calls.append((pairs, seed))
        return shapes(pairs, seed, image_size=16)

    source = register(make)
    worlds = [source.world(FEW, seed) for seed in (51, 52)]
    assert [pairs for pairs, _ in calls] == [40, 20, 40, 20]
    assert len({seed for _, seed in calls}) == 4
    assert [(sizes(world), world.drawn) for world in worlds] == [([30, 10, 20], True)] * 2
    assert worlds[0].info == source.info == replace(worlds[0].info, name="mine")
    assert open_source("mine").info == source.info  # known, so that nothing is made to find it out
    assert len(calls) == 4


def shuffled(seed: int) -> torch.Tensor:
    return torch.randperm(80, generator=torch.Generator().manual_seed(seed))


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    "choose",
    [
        pytest.param(lambda *_: torch.arange(80), id="all of them"),
        pytest.param(lambda pairs, _: torch.arange(min(pairs, 80)), id="the first ones"),
        pytest.param(lambda pairs, seed: shuffled(seed)[:pairs], id="drawn from a fixed set"),
    ],
)
def test_pairs_that_exist_already_are_split(choose: Callable[[int, int], torch.Tensor]) -> None:
    fixed = shapes(80, 0, image_size=16)
    source = register(lambda pairs, seed: fixed.take(choose(pairs, seed)))
    world = source.world(FEW, 51)
    train, valid, test = contents(world)
    assert not (train | valid) & test
    assert not train & valid
    assert len(test) > 0
    assert world.notes == ("mine returns some pairs for several seeds, so its test pairs are some of its pairs.",)
    assert not world.drawn
    assert not source.world(replace(FEW, test_pairs=0), 51).drawn


@pytest.mark.usefixtures("registries")
def test_a_split_that_a_function_makes_is_kept() -> None:
    assigned = ("train",) * 20 + ("valid",) * 10 + ("test",) * 10
    source = register(lambda pairs, seed: replace(shapes(40, seed, image_size=16), assigned=assigned))  # noqa: ARG005
    world = source.world(FEW, 51)
    assert (sizes(world), world.drawn) == ([20, 10, 10], False)


@pytest.mark.usefixtures("registries")
def test_other_classes_for_another_seed_are_refused() -> None:
    def make(pairs: int, seed: int) -> PairedDataset:
        dataset = shapes(pairs, seed, image_size=16)
        return replace(dataset, info=replace(dataset.info, classes=("cubes", f"kind {seed}")))

    with pytest.raises(DataError, match="return the same classes, channels and image size for every seed"):
        register(make).world(FEW, 51)


# --- split


def test_a_data_set_in_memory_is_split_by_the_seed() -> None:
    dataset = shapes(80, 0, image_size=16)
    worlds = [dataset.world(Shares(valid=0.25, test=0.2), seed) for seed in (51, 51, 52)]
    assert [(sizes(world), world.drawn) for world in worlds] == [([48, 16, 16], False)] * 3
    assert hashes(worlds[0]) == hashes(worlds[1])
    assert not set(hashes(worlds[0])) & set(hashes(worlds[2]))
    pairs = torch.cat([part.indices for part in worlds[0].parts.values()])
    assert pairs.sort().values.tolist() == list(range(80))


def test_a_class_too_rare_to_be_tested_is_noted() -> None:
    dataset = tiny_dataset([0] * 50 + [1, 1])
    world = split_world(dataset, Shares(valid=0.2, test=0.2), 51)
    assert [int((part.labels == 1).sum()) for part in world.parts.values()] == [1, 1, 0]
    assert world.notes[-1] == "There are no test pairs of class 'class 1', which has too few groups."


def test_classes_that_a_declared_split_leaves_out_are_noted() -> None:
    parts = ["train"] * 6 + ["valid"] * 2 + ["test"] * 2
    dataset = replace(tiny_dataset([0] * 10 + [1] * 10), assigned=(*parts, *(["train"] * 10)))
    world = split_world(dataset, Shares(valid=0.2, test=0.2), 51)
    assert world.notes[1:] == (
        "There are no validation pairs of class 'class 1', in the split that comes with the data.",
        "There are no test pairs of class 'class 1', in the split that comes with the data.",
    )
    only_tested = replace(dataset, assigned=(*parts, *(["test"] * 10)))
    with pytest.raises(DataError, match="none of them in training, as the data come with a split"):
        split_world(only_tested, Shares(valid=0.2, test=0.2), 51)


@pytest.mark.parametrize(("test_pairs", "noted"), [(None, True), (5, True), (0, False)])
def test_that_no_class_can_be_tested_is_noted(test_pairs: int | None, noted: bool) -> None:
    world = split_world(tiny_dataset([0, 0, 1, 1]), Shares(valid=0.2, test=0.2, test_pairs=test_pairs), 51)
    assert sizes(world) == [2, 2, 0]
    assert any("There are no test pairs, as no class has enough groups" in note for note in world.notes) == noted


@pytest.mark.parametrize("seed", range(10))
def test_tiny_sets_train_and_validate_and_test_what_they_can(seed: int) -> None:
    for groups, expected in ((2, [1, 1, 0]), (3, [1, 1, 1])):
        dataset = tiny_dataset([0, 1, 2] * groups)
        world = split_world(dataset, Shares(valid=0.2, test=0.2), seed)
        assert [part.labels.bincount(minlength=3).tolist() for part in world.parts.values()] == [
            [count] * 3 for count in expected
        ]
    with pytest.raises(DataError, match=r"has 1 pair\(s\) in 1 group\(s\)"):
        split_world(tiny_dataset([0, 1, 2]), Shares(valid=0.2, test=0.2), seed)


def test_a_test_part_is_limited_and_the_rest_trains() -> None:
    dataset = tiny_dataset([0, 1] * 100)
    world = split_world(dataset, Shares(valid=0.2, test=0.5, test_pairs=20), 51)
    assert sizes(world) == [144, 36, 20]
    assert sizes(split_world(dataset, Shares(valid=0.2, test=0.5, test_pairs=0), 51)) == [160, 40, 0]


def test_test_groups_stay_whole_where_others_are_split_apart() -> None:
    dataset = tiny_dataset([0, 1] * 100, [pair // 2 for pair in range(200)])
    world = split_world(dataset, Shares(valid=0.2, test=0.2, keep_groups=False), 51)
    train, valid, test = (set(dataset.groups[part.indices].tolist()) for part in world.parts.values())
    assert train & valid
    assert not (train | valid) & test


# --- a split that comes with the data


def assigned(counts: dict[str, int], **changes: object) -> PairedDataset:
    """So many pairs of two classes in each part, one group per pair."""
    words = tuple(part for part, count in counts.items() for _ in range(count))
    return replace(tiny_dataset([0, 1] * (len(words) // 2)), assigned=words, **changes)  # type: ignore[arg-type]


HALVES = Shares(valid=0.5, test=0.5)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"train": 40, "valid": 20, "test": 10}, [40, 20, 10]),
        ({"test": 10, "train": 40, "valid": 20}, [40, 20, 10]),
        ({"train": 40, "test": 10}, [20, 20, 10]),  # half of the training pairs validate
        ({"train": 40, "valid": 20}, [20, 20, 20]),  # half of the training pairs test
        ({"train": 40}, [10, 10, 20]),
    ],
)
def test_declared_parts_are_kept_and_the_others_drawn_from_training(
    counts: dict[str, int], expected: list[int]
) -> None:
    dataset = assigned(counts)
    for seed in (51, 52):
        world = split_world(dataset, HALVES, seed)
        assert sizes(world) == expected
        for name, part in world.parts.items():
            assert {dataset.assigned[pair] for pair in part.indices.tolist()} == {
                name if name in counts else "train"
            }


def test_the_numbers_of_pairs_limit_declared_parts_in_proportion() -> None:
    dataset = assigned({"train": 80, "valid": 40, "test": 40})
    world = split_world(dataset, Shares(valid=0.5, test=0.5, pairs=60, test_pairs=10), 51)
    assert sizes(world) == [40, 20, 10]
    assert sizes(split_world(dataset, Shares(valid=0.5, pairs=60, test_pairs=0), 51)) == [40, 20, 0]


def test_a_declared_split_without_training_pairs_is_refused() -> None:
    with pytest.raises(DataError, match="has no training pairs, only valid and test; name the part 'train'"):
        split_world(assigned({"valid": 20, "test": 20}), HALVES, 51)


def test_a_declared_split_of_a_group_is_refused_unless_groups_may_be_split() -> None:
    dataset = assigned({"train": 40, "test": 10}, groups=torch.arange(50) % 45)
    with pytest.raises(DataError, match="has '0' in train, and '45' of the same group in test; put every group"):
        split_world(dataset, HALVES, 51)
    world = split_world(dataset, replace(HALVES, keep_groups=False), 51)
    assert len(world.test) == 10
    assert not set(world.test.indices.tolist()) & {*world.train.indices.tolist(), *world.valid.indices.tolist()}


def test_a_declared_part_may_lack_a_class_but_training_may_not() -> None:
    dataset = tiny_dataset([0, 1] * 10 + [0] * 5)
    kept = replace(dataset, assigned=("train",) * 20 + ("valid",) * 5)
    assert sizes(split_world(kept, Shares(valid=0.5), 51)) == [20, 5, 0]
    lost = replace(dataset, assigned=("valid",) * 20 + ("train",) * 5)
    with pytest.raises(DataError, match=r"'class 1' .* none of them in training"):
        split_world(lost, Shares(valid=0.5), 51)


@pytest.mark.parametrize("words", [("train",), ("train", "other", "test", "test")])
def test_every_pair_is_assigned_to_a_part_or_none_is(words: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="give every pair one of train, valid, test, or none any"):
        replace(tiny_dataset([0, 1, 0, 1]), assigned=words)


@pytest.mark.parametrize(
    "changes",
    [{"valid": 0.0}, {"valid": 1.0}, {"test": 1.0}, {"test": -0.1}, {"pairs": 0}, {"test_pairs": -1}],
)
def test_shares_outside_their_range_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(DataError):
        Shares(**{"valid": 0.2, **changes})  # type: ignore[arg-type]


def test_a_part_knows_its_pairs() -> None:
    dataset = shapes(40, 0, image_size=16)
    part = split_world(dataset, Shares(valid=0.5), 51).valid
    assert torch.equal(part.batch().inputs["lidar"], dataset.batch(part.indices).inputs["lidar"])
    assert part.names == [dataset.names[pair] for pair in part.indices.tolist()]
    chunks = [*part.chunks(8)]
    assert [len(chunk) for chunk in chunks] == [8, 8, 4]
    assert torch.equal(torch.cat([chunk.indices for chunk in chunks]), part.indices)
    fewer = part.at_most(10, 1)
    assert len(fewer) == 10
    assert set(fewer.indices.tolist()) < set(part.indices.tolist())
    assert fewer.labels.bincount().tolist() == [5, 5]
    assert part.at_most(20, 1).sha256 == part.sha256 != fewer.sha256
