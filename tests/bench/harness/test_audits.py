"""Every audit finds what is planted for it, and the suite itself has the one finding that it documents."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.cli import main
from bench.config import STANDARD
from bench.harness.audits import audit_models, audit_split, splits
from bench.registry import find_study
from data_utils import DatasetInfo, load
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
    dataset = load("shapes", pairs=400)
    assert findings(audit_dataset(dataset)) == []
    assert findings(audit_split(dataset, STANDARD, seed)) == []


def test_the_split_is_the_one_that_reaches_the_models() -> None:
    dataset = load("shapes", pairs=80)
    asked, delivered = splits(dataset, replace(STANDARD, pairs=60), seed=51)
    assert torch.equal(asked.train, delivered.train)
    assert torch.equal(asked.valid, delivered.valid)
    assert len(delivered.train) + len(delivered.valid) == pytest.approx(60, abs=2)


def test_published_splits_separate_twins_and_leave_pairs_out() -> None:
    dataset = load("shapes", pairs=400)
    study = find_study("fusion-wide")
    corrected, published = (
        replace(protocol, pairs=399, valid_fraction=0.2)
        for protocol in (study.protocols[""], study.published_protocol(""))
    )
    assert findings(audit_split(dataset, corrected, seed=51)) == []
    found = {finding.audit: finding for finding in findings(audit_split(dataset, published, seed=51))}
    assert set(found) == {"groups split apart", "validation pairs left out"}
    twins = found["groups split apart"].message
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
        "tree, split for standard, seed 51",
        "  ok     pairs in both splits: 64 training and 16 validation pairs",
        "  ok     groups split apart: 64 training and 16 validation pairs",
        "  ok     validation pairs left out: 64 training and 16 validation pairs",
        "no findings",
    ]


def test_findings_exit_with_1(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--dataset", str(tree), "--study", "fusion-experts", "--as-published"]) == 1
    *_, groups, finding, _, last = capsys.readouterr().out.splitlines()
    assert groups.startswith("  FOUND  groups split apart: ")
    assert finding.startswith("         tree: ")
    assert last == "1 finding"


@pytest.mark.parametrize(("study", "found"), [("fusion-compact", 0), ("fusion-wide", 1)])
def test_models_are_audited_on_request(
    tree: Path, capsys: pytest.CaptureFixture[str], study: str, found: int
) -> None:
    assert main(["audit", "--dataset", str(tree), "--study", study, "--models"]) == found
    output = capsys.readouterr().out
    assert "tree, models built for it\n" in output
    assert output.count("wide-intermediate-concat-maxpool = wide-late-concat-maxpool: ") == found


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
    assert "height and width must be multiples of 8, not 12x12; choose a study of other models" in message
