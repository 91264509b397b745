import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from safetensors.numpy import save

from bench.harness.resume import probed_before, reason_to_rerun, resume, row_of, unlike
from bench.records import DIVERGED, FAILED, ProbeRecord, RunRecord, cell_key
from tests.bench.probes.samples import probe_record
from tests.bench.samples import MODEL, TWIN, record

FINISHED = record(data_sha256="a" * 64, code_sha256="c" * 64)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    for model in (MODEL, TWIN):
        (tmp_path / f"standard-{model}-seed51.safetensors").write_bytes(checkpoint_of(FINISHED.weights_sha256))
    return tmp_path


def checkpoint_of(weights_sha256: str | None) -> bytes:
    description = json.dumps({"model": MODEL, **({"weights_sha256": weights_sha256} if weights_sha256 else {})})
    return save({"w": np.ones(3, np.float32)}, {"fusiongauge": description})


def described(finished: RunRecord = FINISHED, **changes: Any) -> dict[str, Any]:
    """The fields of the record that a run would have, as far as they are known before training."""
    return {**msgspec.to_builtins(finished), **changes}


def test_a_finished_record_stands_for_a_run_of_the_same_cell(checkpoints: Path) -> None:
    assert reason_to_rerun(FINISHED, described(started_at="later"), checkpoints) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code_sha256": "d" * 64}, "code changed"),
        ({"data_sha256": "d" * 64}, "data changed"),
        ({"protocol": {**FINISHED.protocol, "epochs": 4}}, "protocol changed (epochs: 3 -> 4)"),
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
    assert reason_to_rerun(FINISHED, described(**changes), checkpoints) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": FAILED}, "it had failed"),
        ({"code_sha256": None}, "the record does not tell which code"),
        ({"data_sha256": None}, "the record does not tell which data"),
        ({"checkpoint": "gone.safetensors"}, "its checkpoint is missing"),
        ({"checkpoint": None}, "its checkpoint is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_record_that_lacks_something_does_not_stand(
    changes: dict[str, Any], reason: str, checkpoints: Path
) -> None:
    assert reason_to_rerun(replace(FINISHED, **changes), described(), checkpoints) == reason


def test_a_run_that_diverged_would_diverge_again(checkpoints: Path) -> None:
    diverged = replace(FINISHED, status=DIVERGED, checkpoint=None)
    assert reason_to_rerun(diverged, described(), checkpoints) == ""
    assert reason_to_rerun(diverged, described(code_sha256="d" * 64), checkpoints) == "code changed"


WHOLE = checkpoint_of("f" * 64)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (WHOLE, "another run has replaced its checkpoint"),
        (checkpoint_of(None), ""),  # of an earlier version, which did not tell
        (b"", "its checkpoint is damaged"),
        (WHOLE[:-4], "its checkpoint is damaged"),
        (bytes(len(WHOLE)), "its checkpoint is damaged"),
        (b"not weights " * 20, "its checkpoint is damaged"),
    ],
    ids=["replaced", "older", "empty", "cut off", "zeros", "foreign"],
)
def test_a_checkpoint_holds_the_weights_of_its_record(content: bytes, reason: str, checkpoints: Path) -> None:
    assert FINISHED.checkpoint is not None
    (checkpoints / FINISHED.checkpoint).write_bytes(content)
    assert reason_to_rerun(FINISHED, described(), checkpoints) == reason


def test_an_earlier_look_has_to_be_of_the_same_code_data_and_protocol() -> None:
    earlier = [replace(FINISHED, seed=seed) for seed in (51, 52)]
    later = described(seed=61)
    rows = {row_of(cell_key(FINISHED)): later}
    assert unlike(earlier, rows) == ("", [])
    assert unlike([replace(FINISHED, model=TWIN, code_sha256="d" * 64)], rows) == ("", [])  # is not run now
    assert unlike([*earlier, replace(FINISHED, seed=53, code_sha256="d" * 64)], rows) == (
        f"{MODEL} (seed 53): code changed",
        [],
    )
    assert unlike([replace(FINISHED, seed=53, code_sha256="d" * 64, status=FAILED)], rows) == ("", [])
    rows = {row_of(cell_key(FINISHED)): {**later, "environment": {**later["environment"], "threads": 1}}}
    assert unlike(earlier, rows) == ("", ["machine changed (threads: 2 -> 1)"])


def test_probes_of_the_same_weights_and_code_stand_where_they_are_whole() -> None:
    finished = {"a cell": FINISHED}
    shared = {
        name: getattr(FINISHED, name) for name in ("study", "variant", "dataset", "profile", "device", "seed")
    }

    def measured(*levels: float, **changes: Any) -> list[ProbeRecord]:
        fields = {**shared, "model": MODEL, "weights_sha256": FINISHED.weights_sha256, "code_sha256": "p" * 64}
        fields |= {"values": 2, **changes}
        return [probe_record(level=level, **fields) for level in levels]

    whole = measured(0.0, 0.5)
    assert probed_before(whole, finished, "p" * 64) == {("a cell", "robustness"): whole}
    again = measured(0.0, 0.5, started_at="later")
    assert probed_before([*whole, *again], finished, "p" * 64) == {("a cell", "robustness"): again}
    for probes in (
        measured(0.0),  # the session ended while they were written
        [*whole, *measured(0.0, started_at="later")],
        measured(0.0, 0.5, values=None),  # of an earlier version
        measured(0.0, 0.5, code_sha256="q" * 64),
        measured(0.0, 0.5, weights_sha256="w" * 64),
        measured(0.0, 0.5, seed=52),  # of a model that is trained again
    ):
        assert probed_before(probes, finished, "p" * 64) == {}


def test_what_runs_again_is_counted_and_shortened(checkpoints: Path) -> None:
    seeds = range(51, 3051)
    wanted = {f"cell-{seed}": described(seed=seed, code_sha256="d" * 64) for seed in seeds}
    resumption = resume([replace(FINISHED, seed=seed) for seed in seeds], wanted, checkpoints)
    assert resumption.describe()[1] == (
        "rerun, code changed: 3000 cells: cell-51, cell-52, cell-53, cell-54, cell-55 and 2995 more"
    )


def test_a_setting_that_an_earlier_version_lacked_has_its_default(checkpoints: Path) -> None:
    protocol = {**FINISHED.protocol, "keep_groups": True, "valid_whole_batches": False}
    assert reason_to_rerun(FINISHED, described(protocol=protocol), checkpoints) == ""
    assert (
        reason_to_rerun(FINISHED, described(protocol={**protocol, "keep_groups": False}), checkpoints)
        == "protocol changed (keep_groups: True -> False)"
    )


def test_what_else_differs_in_the_environment_does_not_matter(checkpoints: Path) -> None:
    environment = FINISHED.environment | {"commit": "other", "dirty": True, "platform": "other"}
    assert reason_to_rerun(FINISHED, described(environment=environment), checkpoints) == ""


def test_the_last_record_of_a_cell_decides(checkpoints: Path) -> None:
    old, twin = replace(FINISHED, code_sha256="0" * 64), replace(FINISHED, model=TWIN, code_sha256="0" * 64)
    wanted = {
        "one": described(),
        "two": described(replace(FINISHED, model=TWIN)),
        "three": described(replace(FINISHED, seed=52)),
        "four": described(replace(FINISHED, dataset="other")),
        "five": described(replace(FINISHED, profile="full")),
    }
    twin = replace(twin, checkpoint=f"standard-{TWIN}-seed51.safetensors")
    resumption = resume([old, twin, FINISHED], wanted, checkpoints)
    assert resumption.finished == {"one": FINISHED}
    assert resumption.reruns == {"code changed": ["two"]}
    assert resumption.describe() == ["from records: 1 finished cell", "rerun, code changed: 1 cell: two"]
    assert resume([], wanted, checkpoints).describe() == ["from records: no finished cells"]


def test_records_of_a_cluster_may_be_of_any_device_model_but_not_of_other_versions(checkpoints: Path) -> None:
    elsewhere = {"device_name": "another", "cpu": "another", "threads": 2, "packages": {"torch": "2.0"}}
    assert reason_to_rerun(FINISHED, described(environment=elsewhere), checkpoints, any_device=True) == ""
    reason = "machine changed (threads: 2 -> 1, torch: 2.0 -> 2.1)"
    other = {**elsewhere, "threads": 1, "packages": {"torch": "2.1"}}
    assert reason_to_rerun(FINISHED, described(environment=other), checkpoints, any_device=True) == reason


def test_a_study_about_times_runs_again_what_was_disturbed(checkpoints: Path) -> None:
    calm, noisy = (
        FINISHED,
        replace(FINISHED, model=TWIN, other_load=0.9, checkpoint=f"standard-{TWIN}-seed51.safetensors"),
    )
    wanted = {MODEL: described(calm), TWIN: described(noisy)}
    assert resume([calm, noisy], wanted, checkpoints).finished.keys() == {MODEL, TWIN}
    found = resume([calm, noisy], wanted, checkpoints, undisturbed={MODEL, TWIN})
    assert found.finished.keys() == {MODEL}
    assert found.reruns == {"other processes disturbed its times": [TWIN]}
