"""The workflows: what they run exists here, and the commands of the nightly job work in sequence."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from bench.cli import main
from bench.records import RunRecord, append, read
from tests.bench.nested import nested
from tests.bench.samples import MODEL

ROOT = Path(__file__).parents[1]
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*")}
JOBS = {f"{name}:{key}": job for name, workflow in WORKFLOWS.items() for key, job in workflow["jobs"].items()}
STEPS = [
    (f"{name}: {step.get('name', step.get('uses'))}", step) for name, job in JOBS.items() for step in job["steps"]
]
SUITE = JOBS["nightly:suite"]

SMALLER = {"--profile full": "--profile smoke", "--device cuda": f"--device cpu -k 'test_training and {MODEL}'"}
"""What is replaced in the command of the nightly suite so that it runs anywhere, in seconds."""


def commands(step: dict[str, Any]) -> list[str]:
    return [line.strip() for line in step.get("run", "").splitlines()]


MAKE = sorted({command for _, step in STEPS for command in commands(step) if command.startswith("make ")})


def test_there_is_something_to_check() -> None:
    assert set(JOBS) == {"ci:check", "ci:workflows", "nightly:suite", "nightly:history"}
    assert {"make install", "make lint", "make smoke", "make test", "make test-slow"} == set(MAKE)


@pytest.mark.parametrize("command", MAKE)
def test_targets_of_make_exist(command: str) -> None:
    done = subprocess.run(
        [*shlex.split(command), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert subprocess.run(
        ["make", "--dry-run", "no-such-rule"], cwd=ROOT, capture_output=True, check=False
    ).returncode


def test_a_push_requires_what_the_checks_of_a_pull_request_run() -> None:
    commands_of_a_push = [
        line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("make ")
    ]
    assert commands_of_a_push
    assert set(commands_of_a_push) <= {command for step in JOBS["ci:check"]["steps"] for command in commands(step)}


@pytest.mark.parametrize("step", [pytest.param(step, id=name) for name, step in STEPS if "uses" in step])
def test_actions_are_pinned(step: dict[str, Any]) -> None:
    assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+|docker://[\w/-]+:\d+\.\d+\.\d+", step["uses"])


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_may_read_and_do_not_pile_up(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    assert WORKFLOWS[name]["concurrency"]["group"]


@pytest.mark.parametrize("name", JOBS)
def test_jobs_end_and_only_the_history_may_write(name: str) -> None:
    assert JOBS[name]["timeout-minutes"] > 0
    assert JOBS[name].get("permissions") == ({"contents": "write"} if name == "nightly:history" else None)


def test_strangers_cannot_start_anything_on_our_own_runner() -> None:
    """A pull request may come from anybody; a schedule and a button do not."""
    own = {name for name, workflow in WORKFLOWS.items() if "self-hosted" in json.dumps(workflow)}
    assert own == {"nightly"}
    assert set(WORKFLOWS["nightly"][True]) == {"schedule", "workflow_dispatch"}  # YAML 1.1 reads `on` as true


def perform(step: dict[str, Any], environment: dict[str, str]) -> int:
    """Run a step's commands, without the installation, and return the exit status of the first that fails.

    Those of Python are run in this process, as loading torch anew takes longer than most of them.
    """
    for command in commands(step):
        for full, small in SMALLER.items():
            command = command.replace(full, small)
        words = shlex.split(Template(command).safe_substitute(environment))
        if words[:3] == ["python", "-m", "bench"]:
            status = main(words[3:])
        elif words[:3] == ["python", "-m", "pytest"]:
            status = nested([*words[3:], "--benchmark-storage", f"file://{environment['HISTORY']}"]).code
        elif words[0] == "make":
            continue
        else:
            status = subprocess.run(["bash", "-ec", command], cwd=ROOT, env=environment, check=False).returncode
        if status:
            return status
    return 0


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """That of the job, with what depends on the runner in a folder of this test."""
    folder = tmp_path_factory.mktemp("runner")
    names = ("RUN", "LAST_GOOD", "HISTORY", "GITHUB_STEP_SUMMARY", "GITHUB_PATH")
    here = {name: str(folder / name) for name in names}
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**ours, **SUITE["env"], **here}


@pytest.fixture(scope="module")
def statuses(environment: dict[str, str]) -> dict[str, int]:
    """Exit status of every step of a first night."""
    return {step["name"]: perform(step, environment) for step in SUITE["steps"] if "run" in step}


def step_named(name: str) -> dict[str, Any]:
    (step,) = (step for step in SUITE["steps"] if step.get("name") == name)
    return dict(step)


def test_the_suite_is_run_in_full_on_a_gpu() -> None:
    (command,) = commands(step_named("Run the suite"))
    assert all(command.count(full) == 1 for full in SMALLER)


@pytest.mark.slow
def test_every_step_of_a_first_night_passes(statuses: dict[str, int]) -> None:
    assert len(statuses) >= 7
    assert set(statuses.values()) == {0}, statuses


@pytest.mark.slow
@pytest.mark.usefixtures("statuses")
def test_the_summary_is_shown(environment: dict[str, str]) -> None:
    shown = Path(environment["GITHUB_STEP_SUMMARY"]).read_text()
    assert shown.startswith("## A good run")
    assert MODEL in shown


@pytest.mark.slow
@pytest.mark.usefixtures("statuses")
def test_every_artifact_is_there_and_the_history_is_one(environment: dict[str, str]) -> None:
    (upload,) = (step["with"] for step in SUITE["steps"] if "upload-artifact" in step.get("uses", ""))
    paths = [Path(path.replace("${{ env.RUN }}", environment["RUN"])) for path in upload["path"].splitlines()]
    assert [path for path in paths if not path.is_file()] == []
    *_, download, publish = (step["with"] for step in JOBS["nightly:history"]["steps"] if "with" in step)
    assert download["name"] == upload["name"]
    assert publish["output-file-path"] in {f"{download['path']}/{path.name}" for path in paths}


@pytest.mark.slow
@pytest.mark.usefixtures("statuses")
def test_a_night_that_is_worse_than_the_last_good_one_fails(environment: dict[str, str]) -> None:
    (kept,) = Path(environment["LAST_GOOD"]).iterdir()
    (good,) = read(kept, RunRecord)
    kept.unlink()
    assert good.peak_memory_bytes is not None
    append(kept, replace(good, peak_memory_bytes=good.peak_memory_bytes // 2))
    assert perform(step_named("Compare with the last good run"), environment) == 1
    assert "Not a good run" in (Path(environment["RUN"]) / "summary.md").read_text()
