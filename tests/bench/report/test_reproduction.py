import shlex
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench.config import PROFILES
from bench.records.run import RunRecord
from bench.report.reproduction import reproduction
from bench.studies import STUDIES
from tests.bench.nested import nested
from tests.bench.samples import MODEL, TWIN, record

ROOT = Path(__file__).parents[3]


def as_run(
    study: str, model: str, *, variant: str = "", profile: str = "full", published: bool = False, **changes: object
) -> RunRecord:
    """The record of a cell under the protocol that its study asks for."""
    asked = STUDIES[study].published_protocol(variant) if published else STUDIES[study].protocols[variant]
    dataset = STUDIES[study].dataset
    protocol = asdict(PROFILES[profile].shorten(asked, simulated=True))
    protocol["normalized"] = list(protocol["normalized"])
    made = record(model, study=study, variant=variant, profile=profile, protocol=protocol, dataset=dataset)
    return replace(made, **changes)  # type: ignore[arg-type]


CELLS = {
    "standard": as_run("standard", MODEL, profile="quick"),
    "another seed": as_run("standard", TWIN, seed=7),
    "a study": as_run("fusion-compact", TWIN),
    "a study of two variants": as_run("input-scaling", TWIN, variant="raw"),
    "a variant's other seed": as_run("input-scaling", MODEL, variant="normalized", seed=52),
    "a name within others": as_run("standard", "wide-rgb-maxpool", profile="smoke"),
    "its own data": as_run("fusion-wide", "wide-early-concat-maxpool"),
    "other data": as_run("fusion-experts", "experts-late-logits-maxpool", dataset="shapes-rare"),
    "with mistakes": as_run("fusion-compact", TWIN, published=True),
}


def collected(test: str, *options: str) -> list[str]:
    """The ids of what pytest would run."""
    ended = nested([test, *options, "--collect-only", "-q"])
    assert ended.code == 0, ended.output
    return ended.ids


@pytest.mark.parametrize("asked", CELLS.values(), ids=CELLS.keys())
def test_the_command_selects_exactly_the_cell(asked: RunRecord) -> None:
    again = reproduction(asked)
    assert again.caveats == ()
    threads, program, *words = shlex.split(again.command)
    assert (threads, program) == ("OMP_NUM_THREADS=2", "pytest")
    found = collected(*words)
    assert len(found) == 1
    named = found[0].partition("[")[2].removesuffix("]")
    assert named.removesuffix(f"-seed{asked.seed}").split(":")[-1] == asked.model
    assert (f"-seed{asked.seed}" in named) == (asked.seed != 51)
    assert asked.variant in named


def test_every_cell_of_every_study_has_an_id_of_its_own() -> None:
    found = collected("bench/test_training.py", "--study", "all", "--seeds", "2", "--device", "cpu")
    named = [
        shlex.split(reproduction(as_run(study.name, model, variant=variant, seed=seed)).command)[2]
        for study in STUDIES.values()
        for variant in study.protocols
        for model in study.models
        for seed in (51, 52)
    ]
    assert sorted(named) == sorted(found)


def test_options_say_what_is_not_the_default() -> None:
    assert reproduction(CELLS["other data"]).command.endswith("--device cpu --dataset shapes-rare")
    assert "--dataset" not in reproduction(CELLS["its own data"]).command
    assert reproduction(CELLS["with mistakes"]).command.endswith(" --as-published")
    assert "--study" not in reproduction(CELLS["standard"]).command


def test_a_gpu_needs_no_number_of_threads() -> None:
    command = reproduction(as_run("standard", MODEL, device="cuda")).command
    assert command.startswith("pytest ")
    assert "--device cuda" in command


def test_files_have_no_path_in_a_record() -> None:
    again = reproduction(as_run("standard", MODEL, profile="smoke", dataset="mine; rm -r ."))
    assert "--dataset 'PATH-OF-mine; rm -r .'" in again.command
    assert again.caveats[0] == "PATH-OF-mine; rm -r . is where the files of mine; rm -r . lie."


@pytest.mark.parametrize(
    "changes", [{"study": "gone"}, {"variant": "gone"}, {"model": "gone"}], ids=["study", "variant", "model"]
)
def test_a_cell_of_another_version_has_no_command_here(changes: dict[str, str]) -> None:
    environment = CELLS["a study"].environment | {"commit": "0123456789abcdef"}
    again = reproduction(replace(CELLS["a study"], environment=environment, **changes))  # type: ignore[arg-type]
    assert again.command == ""
    assert again.caveats == ("This version has no such cell; check out commit 0123456789ab.",)


@pytest.mark.parametrize(
    "changes", [{"protocol": {"epochs": 3}}, {"profile": "gone"}], ids=["protocol", "profile"]
)
def test_a_protocol_that_has_changed_is_said(changes: dict[str, object]) -> None:
    again = reproduction(replace(CELLS["standard"], **changes))  # type: ignore[arg-type]
    assert again.caveats == ("The study's protocol has changed since; its commit is not known.",)


def test_changes_that_no_commit_holds_are_said() -> None:
    environment = CELLS["standard"].environment | {"dirty": True}
    again = reproduction(replace(CELLS["standard"], environment=environment))
    assert again.caveats == ("The checkout had changes that no commit holds.",)
