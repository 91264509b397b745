import json
import math
from pathlib import Path

import pytest

from bench.records.files import RecordError
from bench.records.probe import ProbeRecord, append, read
from tests.bench.probes.samples import probe_record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "probes.jsonl"


def test_probes_come_back_as_they_were_written(path: Path) -> None:
    written = [probe_record(), probe_record(level=None, layer="stems.rgb.0.0", other_seed=52, commit="abc")]
    for each in written:
        append(path, each)
    assert read(path) == written
    assert path.read_bytes().count(b"\n") == 2


def test_no_file_holds_no_probes(path: Path) -> None:
    assert read(path) == []


def test_a_value_that_is_not_finite_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        append(path, probe_record(value=math.nan))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 2}, "schema version 2, this FusionGauge reads probes of version 1; run the probes"),
        ({"color": "red"}, "unknown fields: color"),
        ({"value": None}, "lacks fields: .*'value'"),
    ],
)
def test_a_line_that_is_no_probe_is_named(path: Path, changes: dict[str, object], message: str) -> None:
    values = {**probe_record().to_dict(), **changes}
    line = json.dumps({name: value for name, value in values.items() if (name, value) != ("value", None)})
    append(path, probe_record())
    with path.open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(RecordError, match=rf"probes\.jsonl, line 2: .*{message}"):
        read(path)


def test_a_probe_as_a_dict_is_plain_json_and_comes_back() -> None:
    original = probe_record()
    assert ProbeRecord.from_dict(json.loads(json.dumps(original.to_dict()))) == original
