"""Which shard has which cells: by hand, as properties, and as pytest lists them."""

import re
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from bench.config import OptionError
from bench.harness.options import resolve
from bench.harness.sharding import check_options
from bench.harness.shards import Shard, ShardPlan, parse_shard, read_plans, write_plan
from bench.records import append
from tests.bench.analysis.claim_runs import declared
from tests.bench.analysis.samples import around, seeds
from tests.bench.nested import nested
from tests.bench.samples import cropped


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
    assert only.endswith("test_training[robustness:wide-rgb-strided-seed52]")


def test_a_shard_without_cells_passes_and_leaves_its_plan(tmp_path: Path) -> None:
    words = ("--study", "fusion-compact", "-k", "test_training and late", "--results-dir", str(tmp_path / "run"))
    ended = nested(["bench", *words, "--device", "cpu", "--shard", "2/2"])
    assert ended.code == 0, ended.output
    assert "shard 2/2: 0 of 1 benchmarks, 0.0% of the expected time" in ended.output
    assert read_plans(tmp_path / "run") == [
        ShardPlan(
            2,
            2,
            {"fusion-compact:compact-late-concat-maxpool": 1},
            groups=[("fusion-compact", "shapes", "quick", "cpu")],
        )
    ]


def test_a_shard_needs_no_terminal(tmp_path: Path) -> None:
    words = ("--study", "fusion-compact", "-k", "test_training and late", "--results-dir", str(tmp_path / "run"))
    ended = nested(["bench", *words, "--device", "cpu", "--shard", "2/2", "-p", "no:terminal"])
    assert (ended.code, ended.output) == (0, "")
    assert len(read_plans(tmp_path / "run")) == 1


@pytest.mark.parametrize(("name", "word"), [("lf", "--lf"), ("stepwise", "--sw"), ("stepwise_skip", "--sw-skip")])
def test_what_selects_by_earlier_sessions_is_refused(name: str, word: str) -> None:
    config: Any = SimpleNamespace(option=SimpleNamespace(**{name: True}))
    with pytest.raises(OptionError, match=f"^{word} selects by what failed before, .*; leave it out with --shard"):
        check_options(config)
    config.option = SimpleNamespace(**{name: False}, failedfirst=True)
    check_options(config)


# Until decided


A, B = "compact-late-concat-maxpool", "compact-late-concat-strided"
DECIDE = ("--compare-models", A, B, "--until-decided", "--max-seeds", "12", "--profile", "smoke")


def of_look(*arguments: str) -> list[str]:
    """The ids of the next look's cells in one of two shards."""
    ended = nested(["bench", "--collect-only", "-q", *DECIDE, *arguments])
    assert ended.code == 0, ended.output
    return [id_.partition("[")[2].removesuffix("]") for id_ in ended.ids]


def looked(folder: Path, losses_b: list[float]) -> Path:
    """The merged run of the first look: ten seeds of both models."""
    options = resolve(
        root=folder, device="cpu", profile="smoke", compare_models=(A, B), until_decided=True, max_seeds="12"
    )
    (config,) = {cell.config.variant: cell.config for cell in options.cells()}.values()
    folder.mkdir()
    for model, losses in ((A, around(0.1, 10)), (B, losses_b)):
        for i, run in enumerate(seeds(model, "standard", losses=losses, variant=config.variant)):
            told = replace(run, profile="smoke", seed=51 + i, train_sha256=f"seed {51 + i}")
            append(folder / "records.jsonl", *declared([told], options.claims))
    return folder


def test_a_plan_replaces_those_of_another_division_of_the_same_cells(tmp_path: Path) -> None:
    groups = [("standard", "shapes", "full", "cpu")]
    plan = ShardPlan(3, 8, {A: 3, B: 8}, groups=groups)
    beside = [
        ShardPlan(8, 8, plan.cells, groups=groups),  # another shard of the same division
        ShardPlan(3, 16, plan.cells, look=2, groups=groups),
        ShardPlan(3, 15, plan.cells, groups=[("standard", "shapes", "smoke", "cpu")]),
    ]
    for other in (ShardPlan(3, 16, {A: 3, B: 16}, groups=groups), *beside, plan):
        write_plan(tmp_path, other)
    found = read_plans(tmp_path)
    assert len(found) == 4
    assert all(other in found for other in (*beside, plan))


def test_of_the_looks_the_first_is_sharded_first() -> None:
    cells = [cell for number in (1, 2) for cell in of_look("--shard", f"{number}/2")]
    expected = {f"{model}{'' if seed == 51 else f'-seed{seed}'}" for model in (A, B) for seed in range(51, 61)}
    assert len(cells) == 20
    assert set(cells) == expected


class Reversing:
    """Moves what comes last to the front, as ``--ff`` moves what failed."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        yield
        items.reverse()


def test_no_cell_is_moved_before_those_of_earlier_looks() -> None:
    ended = nested(["bench", "--collect-only", "-q", *DECIDE], plugins=[Reversing()])
    seeds = [int((re.findall(r"seed(\d+)", id_) or [51])[0]) for id_ in ended.ids]
    assert seeds[:20] == sorted([*range(51, 61)] * 2, reverse=True)
    assert seeds[20:] == [62, 62, 61, 61]


def test_no_probe_is_moved_before_the_trainings() -> None:
    words = ["bench", "--collect-only", "-q", "--study", "robustness", "-k", "wide"]
    ids = nested(words, plugins=[Reversing()]).ids
    trainings = [id_.startswith("bench/test_training.py") for id_ in ids]
    assert trainings == [*[True] * (len(ids) // 3), *[False] * (len(ids) * 2 // 3)]


def test_the_next_look_has_the_seeds_that_an_open_claim_needs(tmp_path: Path) -> None:
    earlier = looked(tmp_path / "run", [0.1, 0.3] * 5)
    cells = [cell for number in (1, 2) for cell in of_look("--shard", f"{number}/2", "--earlier", str(earlier))]
    assert set(cells) == {f"{model}-seed{seed}" for model in (A, B) for seed in (61, 62)}


def test_an_earlier_run_of_other_data_or_another_profile_is_refused(tmp_path: Path) -> None:
    earlier = looked(tmp_path / "run", [0.1, 0.3] * 5)
    for words, here in (
        (("--dataset", "shapes-hard"), "standard, shapes-hard, smoke"),
        (("--profile", "quick"), "standard, shapes, quick"),
    ):
        shard = ("--shard", "1/2", "--earlier", str(earlier))
        ended = nested(["bench", "--collect-only", "-q", *DECIDE, *words, *shard])
        assert ended.code == 4
        assert f"it has no record of the study, data set and profile that are run here ({here})" in ended.output


ONE_FITS = """
looks = [10, 12]
published = false

[settings]
"standard protocol" = ["standard"]
"""


@pytest.mark.usefixtures("registries")
def test_models_that_do_not_fit_the_data_hold_no_look_up(tmp_path: Path) -> None:
    cropped(16, 8)  # which are no square maps, as matmul needs
    claims, records = tmp_path / "mine.toml", tmp_path / "records.jsonl"
    models = ("wide-rgb", "wide-intermediate-matmul")
    declarations = (
        f"""
[[claims]]
name = "{model}"
words = "MaxPool is better"
[[claims.tests]]
estimand = "loss"
comparisons = ["{model}-maxpool is better than {model}-strided"]
"""
        for model in models
    )
    claims.write_text(ONE_FITS + "".join(declarations))
    words = ("--dataset", "cropped", "--device", "cpu", "--profile", "smoke", "--claims", str(claims))
    options = resolve(
        root=tmp_path,
        dataset="cropped",
        device="cpu",
        profile="smoke",
        claims=[str(claims)],
        until_decided=True,
        max_seeds="12",
    )
    for model, losses in (("wide-rgb-maxpool", around(0.1, 10)), ("wide-rgb-strided", [0.1, 0.3] * 5)):
        for i, run in enumerate(seeds(model, "standard", losses=losses)):
            told = replace(run, dataset="cropped", profile="smoke", seed=51 + i, train_sha256=f"seed {51 + i}")
            append(records, *declared([told], options.claims))
    shard = ("--shard", "1/1", "--earlier", str(records), "-k", "wide-rgb or matmul")
    ended = nested(["bench", "--collect-only", "-q", "--until-decided", "--max-seeds", "12", *words, *shard])
    assert ended.code == 0, ended.output
    assert {id_.partition("[")[2].removesuffix("]") for id_ in ended.ids} == {
        f"{model}-{embedder}-seed{seed}"
        for model in models
        for embedder in ("maxpool", "strided")
        for seed in (61, 62)
    }


def test_where_all_is_decided_nothing_is_left_to_run(tmp_path: Path) -> None:
    earlier = looked(tmp_path / "run", around(0.5, 10))
    ended = nested(["bench", "--collect-only", "-q", *DECIDE, "--shard", "1/2", "--earlier", str(earlier)])
    assert (ended.code, ended.ids) == (0, [])
    assert "nothing is left to run: no undecided claim needs another cell" in ended.output


def test_an_earlier_run_that_cannot_be_read_is_refused_before_anything_is_collected(tmp_path: Path) -> None:
    ended = nested(["bench", "--collect-only", *DECIDE, "--shard", "1/2", "--earlier", str(tmp_path / "gone")])
    assert (ended.code, ended.ids) == (4, [])
    assert "gone: there is no file or folder of this name" in ended.output
