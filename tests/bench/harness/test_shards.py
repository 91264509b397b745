"""Which shard has which cells: by hand, as properties, and as pytest lists them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.config import OptionError
from bench.harness.merging import read_plans
from bench.harness.shards import Shard, ShardPlan, parse_shard, partition
from tests.bench.nested import nested

SECONDS = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.floats(0, 100), max_size=20)


def test_the_costliest_part_goes_first_to_the_shard_with_the_least() -> None:
    seconds = {"a": 5.0, "b": 4.0, "c": 3.0, "d": 3.0, "e": 3.0}
    # a and b open two shards; c joins b (4 < 5), d joins a (5 < 7), e joins b (7 < 8).
    assert partition(seconds, 2) == {"a": 1, "b": 2, "c": 2, "d": 1, "e": 2}


@given(SECONDS, st.integers(1, 8))
def test_every_part_is_in_one_shard_in_whatever_order_parts_come(seconds: dict[str, float], shards: int) -> None:
    placed = partition(seconds, shards)
    assert placed.keys() == seconds.keys()
    assert set(placed.values()) <= set(range(1, shards + 1))
    assert placed == partition(dict(reversed(seconds.items())), shards)


@given(SECONDS, st.integers(1, 8))
def test_no_shard_is_longer_than_the_mean_and_one_part(seconds: dict[str, float], shards: int) -> None:
    loads = dict.fromkeys(range(1, shards + 1), 0.0)
    for name, shard in partition(seconds, shards).items():
        loads[shard] += seconds[name]
    assert max(loads.values()) <= sum(seconds.values()) / shards + max(seconds.values(), default=0.0) + 1e-9


@pytest.mark.parametrize(
    ("text", "shard"), [("", None), ("1/1", Shard(1, 1)), ("3/16", Shard(3, 16)), (" 2/2 ", Shard(2, 2))]
)
def test_a_shard_is_a_number_and_how_many_there_are(text: str, shard: Shard | None) -> None:
    assert parse_shard(text) == shard


@pytest.mark.parametrize("text", ["3", "0/4", "5/4", "1/0", "a/b", "1/2/3", "-1/4", "1.5/4"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=f"^--shard {re.escape(text)}: give a number and how many there are"):
        parse_shard(text)


def listed(*arguments: str) -> list[str]:
    """The ids that pytest would run."""
    ended = nested(["bench", "--collect-only", "-q", "--study", "robustness", "--seeds", "2", *arguments])
    assert ended.code == 0, ended.output
    return ended.ids


def test_every_benchmark_is_in_one_shard_and_probes_are_where_their_models_are_trained() -> None:
    selection = ("-k", "wide-rgb or wide-late")
    whole = listed(*selection)
    shards = [listed(*selection, "--shard", f"{number}/3") for number in (1, 2, 3)]
    assert len(whole) == 18  # three models, two seeds, a training and two probes each
    assert sorted(id_ for shard in shards for id_ in shard) == sorted(whole)
    for shard in shards:
        assert shard == [id_ for id_ in whole if id_ in shard]  # in the same order
        # The features of one seed are compared with those of the other, so both seeds are in one shard.
        models = [
            {id_.partition("[")[2].removesuffix("-seed52]").removesuffix("]") for id_ in shard if test in id_}
            for test in ("test_training", "test_robustness", "test_features")
        ]
        assert models[0] == models[1] == models[2]
        assert len(shard) == 6 * len(models[0])


def test_a_shard_is_what_is_left_of_what_k_selects() -> None:
    (only,) = listed("-k", "wide-rgb-strided and test_training and seed52", "--shard", "1/2")
    assert listed("-k", "wide-rgb-strided and test_training and seed52", "--shard", "2/2") == []
    assert only.endswith("test_training[robustness:wide-rgb-strided-seed52]")


def test_a_shard_without_cells_passes_and_leaves_its_plan(tmp_path: Path) -> None:
    words = ("--study", "fusion-compact", "-k", "test_training and late", "--results-dir", str(tmp_path / "run"))
    ended = nested(["bench", *words, "--device", "cpu", "--shard", "2/2"])
    assert ended.code == 0, ended.output
    assert "shard 2/2: 0 of 1 benchmarks, 0.0% of the expected time" in ended.output
    assert read_plans(tmp_path / "run") == [ShardPlan(2, 2, {"fusion-compact:compact-late-concat-maxpool": 1})]
