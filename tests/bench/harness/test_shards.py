"""Which shard has which cells: by hand, as properties, and as pytest lists them."""

import re
from pathlib import Path

import pytest

from bench.config import OptionError
from bench.harness.merging import read_plans
from bench.harness.shards import Shard, ShardPlan, parse_shard
from tests.bench.nested import nested


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
