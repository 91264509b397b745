"""Every audit finds what is planted for it, and the suite itself has the one finding that it documents."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.cli import main
from bench.config import STANDARD
from bench.harness.audits import as_delivered, audit_models, audit_world
from bench.registry import find_study
from bench.training.preparation import world_of
from data_utils import DatasetInfo, load, open_source
from data_utils.audits.findings import Finding, Outcome
from data_utils.audits.leaks import audit_dataset
from data_utils.layouts.nvidia_tree import write_nvidia_tree
from data_utils.simulator.shapes import simulate
from fusion_models import MODELS

# The suite itself


def findings(outcomes: list[Outcome]) -> list[Finding]:
    return [finding for outcome in outcomes for finding in outcome.findings]


@pytest.mark.parametrize("seed", [51, 52])
def test_our_data_and_split_are_clean(seed: int) -> None:
    protocol = replace(STANDARD, pairs=400, test_pairs=100)
    world = world_of(open_source("shapes"), protocol, seed)
    assert findings(audit_dataset(world.train.dataset)) == []
    assert findings(audit_world(world, protocol)) == []


def test_the_parts_are_those_that_reach_the_models() -> None:
    protocol = replace(STANDARD, pairs=60, test_pairs=10)
    for source in (open_source("shapes"), load("shapes", pairs=80)):
        drawn = world_of(source, protocol, 51)
        for part, reached in zip(drawn.parts.values(), as_delivered(drawn, protocol).parts.values(), strict=True):
            assert reached.dataset is part.dataset
            assert torch.equal(reached.indices, part.indices)
        assert len(drawn.train) + len(drawn.valid) == pytest.approx(60, abs=2)
        assert len(drawn.test) == 10


def test_published_splits_separate_twins_and_leave_pairs_out() -> None:
    dataset = load("shapes", pairs=400)
    study = find_study("fusion-wide")
    corrected, published = (
        replace(protocol, pairs=399, valid_fraction=0.2, test_pairs=0)
        for protocol in (study.protocols[""], study.published_protocol(""))
    )
    worlds = {protocol: world_of(dataset, protocol, 51) for protocol in (corrected, published)}
    assert findings(audit_world(worlds[corrected], corrected)) == []
    by_audit = {finding.audit: finding for finding in findings(audit_world(worlds[published], published))}
    assert set(by_audit) == {"groups split apart", "validation pairs left out"}
    twins = by_audit["groups split apart"].message
    assert "cubes/" in twins
    assert "spheres/" in twins


def test_models_that_are_one_function_are_the_documented_ones() -> None:
    info = DatasetInfo("any", ("one", "other"), {"rgb": 4, "lidar": 4}, (16, 16))
    documented = [
        f"{name} = {name.replace('intermediate', 'late')}"
        for name in MODELS
        if name.startswith("wide-intermediate-concat-")
    ]
    outcomes = audit_models(list(MODELS.values()), info)
    assert documented
    assert [(finding.audit, finding.subject) for finding in findings(outcomes)] == [
        ("one function", name) for name in documented
    ]


# The command line


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "tree"
    write_nvidia_tree(folder, simulate(80, seed=0, image_size=16))
    return folder


def test_clean_data_exit_with_0(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--dataset", str(tree)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "tree, 80 pairs of 2 classes",
        "  ok     repeated pairs: 80 pairs",
        "  ok     label-dependent inputs: 2 of 2 classes have the 10 pairs needed to judge them",
        "tree, parts for standard, seed 51",
        "  ok     pairs in several parts: 50 training, 14 validation, 16 test pairs",
        "  ok     groups split apart: 50 training, 14 validation, 16 test pairs",
        "  ok     validation pairs left out: 50 training, 14 validation, 16 test pairs",
        "no findings",
    ]


def test_findings_exit_with_1(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--dataset", str(tree), "--study", "fusion-experts", "--as-published"]) == 1
    *_, groups, finding, _, last = capsys.readouterr().out.splitlines()
    assert groups.startswith("  FOUND  groups split apart: ")
    assert finding.startswith("         tree: ")
    assert last == "1 finding"


@pytest.mark.parametrize(("study", "count"), [("fusion-compact", 0), ("fusion-wide", 1)])
def test_models_are_audited_on_request(
    tree: Path, capsys: pytest.CaptureFixture[str], study: str, count: int
) -> None:
    assert main(["audit", "--dataset", str(tree), "--study", study, "--models"]) == count
    output = capsys.readouterr().out
    assert "tree, models built for it\n" in output
    assert output.count("wide-intermediate-concat-maxpool = wide-late-concat-maxpool: ") == count


def test_images_are_resized_on_request(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A size that models of the study cannot have, and one that they can; the picture has pairs of that size."""
    words = ["audit", "--dataset", str(tree), "--study", "fusion-compact", "--models", "--image-size"]
    assert main([*words, "12"]) == 2
    assert "not 12x12" in capsys.readouterr().err
    assert main([*words, "32"]) == 0
    sheets = [tmp_path / size for size in ("16", "32")]
    for sheet in sheets:
        words = ["corruptions", str(sheet), "--dataset", str(tree), "--image-size", sheet.name]
        assert main(words) == 0
    assert sheets[0].read_bytes() != sheets[1].read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "nowhere"], "error: 'nowhere' is neither a data set nor an existing path; "),
        (["--study", "nothing"], "error: --study nothing: give one of all, claims, standard, "),
        (["--seeds", "none"], "error: --seeds none: give a count "),
    ],
)
def test_unusable_words_exit_with_2(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", *words]) == 2
    assert capsys.readouterr().err.startswith(message)


def test_models_that_do_not_fit_exit_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_nvidia_tree(tmp_path, simulate(80, seed=0, image_size=12))
    assert main(["audit", "--dataset", str(tmp_path), "--study", "fusion-wide", "--models"]) == 2
    message = capsys.readouterr().err
    assert "must be multiples of 8, not 12x12; 8x8 or 16x16 would fit; choose a study of other models" in message
