from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.harness.resume import reason_to_rerun, resume
from bench.records.run import DIVERGED, FAILED, RunRecord
from tests.bench.samples import MODEL, TWIN, record

FINISHED = record(data_sha256="a" * 64, code_sha256="c" * 64)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    for model in (MODEL, TWIN):
        (tmp_path / f"standard-{model}-seed51.safetensors").touch()
    return tmp_path


def asked(finished: RunRecord = FINISHED, **changes: Any) -> dict[str, Any]:
    return {**finished.to_dict(), **changes}


def test_a_finished_record_stands_for_a_run_that_is_asked_for_in_the_same_way(checkpoints: Path) -> None:
    assert reason_to_rerun(FINISHED, asked(started_at="later"), checkpoints) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code_sha256": "d" * 64}, "code changed"),
        ({"data_sha256": "d" * 64}, "data changed"),
        ({"profile": "full"}, "profile changed (profile: quick -> full)"),
        ({"protocol": {"epochs": 4, "keep_groups": True}}, "protocol changed (epochs: 3 -> 4)"),
        (
            {"environment": {"device_name": "another", "threads": 2, "packages": {"torch": "2.0"}}},
            "machine changed (device_name: a processor -> another)",
        ),
        (
            {"environment": {"device_name": "a processor", "threads": 1, "packages": {"torch": "2.1"}}},
            "machine changed (threads: 2 -> 1, torch: 2.0 -> 2.1)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_decides_a_result_has_to_be_the_same(changes: dict[str, Any], reason: str, checkpoints: Path) -> None:
    assert reason_to_rerun(FINISHED, asked(**changes), checkpoints) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": DIVERGED}, "it had diverged"),
        ({"status": FAILED}, "it had failed"),
        ({"code_sha256": None}, "the record does not say which code"),
        ({"data_sha256": None}, "the record does not say which data"),
        ({"checkpoint": "gone.safetensors"}, "its checkpoint is missing"),
        ({"checkpoint": None}, "its checkpoint is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_record_that_is_not_whole_does_not_stand(
    changes: dict[str, Any], reason: str, checkpoints: Path
) -> None:
    assert reason_to_rerun(replace(FINISHED, **changes), asked(), checkpoints) == reason


def test_what_else_differs_in_the_environment_does_not_matter(checkpoints: Path) -> None:
    environment = FINISHED.environment | {"commit": "other", "dirty": True, "platform": "other"}
    assert reason_to_rerun(FINISHED, asked(environment=environment), checkpoints) == ""


def test_cells_are_sorted_by_what_the_last_of_their_records_says(checkpoints: Path) -> None:
    old, twin = replace(FINISHED, code_sha256="0" * 64), replace(FINISHED, model=TWIN, code_sha256="0" * 64)
    wanted = {
        "one": asked(),
        "two": asked(replace(FINISHED, model=TWIN)),
        "three": asked(replace(FINISHED, seed=52)),
        "four": asked(replace(FINISHED, dataset="other")),
    }
    twin = replace(twin, checkpoint=f"standard-{TWIN}-seed51.safetensors")
    found = resume([old, twin, FINISHED], wanted, checkpoints)
    assert found.finished == {"one": FINISHED}
    assert found.reruns == {"code changed": ["two"]}
    assert found.describe() == ["from records: 1 finished cell", "rerun, code changed: two"]
    assert resume([], wanted, checkpoints).describe() == ["from records: no finished cells"]
