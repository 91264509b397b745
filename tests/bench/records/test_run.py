import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.records.run import (
    DIVERGED,
    SCHEMA_VERSION,
    Pretraining,
    RecordError,
    RunRecord,
    append,
    device_name,
    environment,
    latest,
    read,
)
from tests.bench.samples import record

EXPERT = Pretraining(
    modality="rgb",
    train_losses=[0.5],
    valid_losses=[0.25],
    best_epoch=1,
    valid_accuracy=0.75,
    epoch_seconds=[2.0],
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.jsonl"


def line(**changes: Any) -> str:
    return json.dumps({**record().to_dict(), **changes})


def test_records_come_back_as_they_were_written(path: Path) -> None:
    written = [
        record(pretraining=[EXPERT], dataset_notes=["Bäume, 樹 and \u2028 in a name"]),
        record(status=DIVERGED, error="the loss is not finite", valid_losses=[None], best_epoch=None),
    ]
    for each in written:
        append(path, each)
    assert read(path) == written


def test_append_adds_exactly_one_line(path: Path) -> None:
    append(path, record(dataset_notes=["two\nlines"]))
    first = path.read_bytes()
    append(path, record(seed=52))
    assert path.read_bytes().startswith(first)
    assert first.count(b"\n") == 1
    assert path.read_bytes().count(b"\n") == 2
    assert path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_json_lacks_is_refused_and_leaves_the_file_alone(path: Path, value: float) -> None:
    append(path, record())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        append(path, record(best_valid_loss=value))
    assert path.read_bytes() == before


def test_a_file_without_lines_holds_no_records(path: Path) -> None:
    path.touch()
    assert read(path) == []


@pytest.mark.parametrize("bytes_left", [1, 20, -1])
def test_a_last_line_that_was_cut_off_is_left_out(path: Path, bytes_left: int) -> None:
    append(path, record())
    path.write_bytes(path.read_bytes() + line(seed=52).encode()[:bytes_left])
    assert read(path) == [record()]


def test_a_line_may_be_cut_off_inside_a_letter(path: Path) -> None:
    append(path, record())
    path.write_bytes(path.read_bytes() + '{"class_names": ["Bä'.encode()[:-1])
    assert read(path) == [record()]


def test_a_file_of_one_line_that_was_cut_off_holds_no_record(path: Path) -> None:
    path.write_text(line()[:20])
    assert read(path) == []


def test_records_go_on_behind_a_line_that_was_cut_off(path: Path) -> None:
    append(path, record())
    path.write_bytes(path.read_bytes() + line(seed=52).encode()[:20])
    append(path, record(seed=53))
    assert read(path) == [record(), record(seed=53)]


def test_a_record_of_version_1_is_read_and_lacks_what_came_later(path: Path) -> None:
    costs = ("target_accuracy", "seconds_to_target", "flops_per_step", "ceiling", "peak_reserved_bytes")
    values = {**record().to_dict(), "schema_version": 1}
    for field in (*costs, "data_sha256", "code_sha256", "channels", "image_size"):
        del values[field]
    path.write_text(json.dumps(values) + "\n")
    (found,) = read(path)
    assert found == record(target_accuracy=0.95, channels=None, image_size=None)
    assert found.flops_per_step is None


def test_a_record_of_version_2_is_read_and_lacks_the_shape_of_its_inputs(path: Path) -> None:
    values = {**record(flops_per_step=7).to_dict(), "schema_version": 2}
    for field in ("channels", "image_size"):
        del values[field]
    path.write_text(json.dumps(values) + "\n")
    (found,) = read(path)
    assert found == record(flops_per_step=7, channels=None, image_size=None)


def test_a_record_of_version_1_tells_its_time_to_the_target_by_its_epochs(path: Path) -> None:
    reached = record(pretraining=[EXPERT], valid_accuracies=[0.5, 0.96, 0.9]).to_dict()
    for field in ("target_accuracy", "seconds_to_target"):
        del reached[field]
    path.write_text(json.dumps({**reached, "schema_version": 1}) + "\n")
    (found,) = read(path)
    assert (found.target_accuracy, found.seconds_to_target) == (0.95, 2.0 + 1.0 + 3.0)


def without(field: str) -> str:
    values = record().to_dict()
    del values[field]
    return json.dumps(values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("garbage", "not JSON"),
        ("\udcff", "not JSON"),
        ("[1, 2]", "is not a record"),
        (
            line(schema_version=SCHEMA_VERSION + 1),
            f"schema version {SCHEMA_VERSION + 1}, this FusionGauge reads versions up to",
        ),
        (without("schema_version"), "schema version None"),
        (line(color="red", shape="round"), "unknown fields: color, shape"),
        (without("model"), "lacks fields .*'model'"),
        (without("pretraining"), "lacks fields .*'pretraining'"),
        (line(pretraining=[{"modality": "rgb"}]), "lacks fields .*'train_losses'"),
    ],
)
def test_a_line_that_is_no_record_is_named(path: Path, content: str, message: str) -> None:
    append(path, record())
    path.write_bytes(path.read_bytes() + f"{content}\n{line()}\n".encode(errors="surrogateescape"))
    with pytest.raises(RecordError, match=rf"records\.jsonl, line 2: .*{message}"):
        read(path)


def test_a_missing_file_is_named_with_the_remedy(path: Path) -> None:
    with pytest.raises(RecordError, match=r"records\.jsonl: no such file; give the folder of a run"):
        read(path)


def test_a_record_as_a_dict_is_plain_json_and_comes_back() -> None:
    original = record(pretraining=[EXPERT])
    assert RunRecord.from_dict(json.loads(json.dumps(original.to_dict()))) == original


def test_the_environment_is_json_and_says_what_a_result_depends_on() -> None:
    found = environment(torch.device("cpu"))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["packages"]["torch"] == version("torch")
    assert found["threads"] == torch.get_num_threads()
    assert found["device_name"] == device_name(torch.device("cpu")) != ""


def test_the_environment_does_not_change_between_two_cells() -> None:
    assert environment(torch.device("cpu")) == environment(torch.device("cpu"))


def test_a_rerun_takes_the_place_of_the_record_it_repeats() -> None:
    first, other, rerun = record(status="failed"), record(seed=52), record()
    elsewhere = record(device="cuda")
    assert latest([first, other, elsewhere, rerun]) == [rerun, other, elsewhere]
