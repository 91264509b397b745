import gzip
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.records import (
    DIVERGED,
    CostRecord,
    InferenceRecord,
    Metric,
    Outbox,
    Pretraining,
    ProbeRecord,
    RecordError,
    RunRecord,
    append,
    convert,
    escaped,
    read,
    write_file,
    write_records,
)
from bench.records.cost import read_costs
from tests.bench.harness.faults import largest_file
from tests.bench.probes.samples import probe_record
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


def builtins(one: msgspec.Struct) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(one)
    return values


def line(without: str = "", **changes: Any) -> str:
    """A record as a line of JSON, with changes and perhaps without a field."""
    return json.dumps(
        {name: value for name, value in {**builtins(record()), **changes}.items() if name != without}
    )


@pytest.mark.parametrize(
    "one",
    [
        record(pretraining=[EXPERT], dataset_notes=["Bäume, 樹 and \u2028 in a name", "two\nlines"]),
        record(status=DIVERGED, error="the loss is not finite", valid_losses=[None], best_epoch=None),
        record(metrics=[Metric(name="brier", title="Brier score", higher_is_better=False)]),
        probe_record(),
        probe_record(level=None, layer="stems.rgb.0.0", other_seed=52, commit="abc"),
    ],
)
def test_a_record_comes_back_as_it_was_written(one: RunRecord | ProbeRecord, path: Path) -> None:
    append(path, one)
    assert read(path, type(one)) == [one]
    assert path.read_bytes().count(b"\n") == 1


def test_a_cost_comes_back_as_its_own_kind(path: Path) -> None:
    cost: CostRecord = InferenceRecord(
        profile="full",
        device="cpu",
        conditions=["idle"],
        environment={},
        model="m",
        parameters=1,
        batch_size=1,
        seconds=[0.5],
        inputs="rgb",
    )
    append(path, cost)
    assert read_costs(path) == [cost]


def test_append_adds_to_what_is_there(path: Path) -> None:
    append(path, record())
    first = path.read_bytes()
    append(path, record(seed=52))
    assert path.read_bytes().startswith(first)
    assert [one.seed for one in read(path, RunRecord)] == [51, 52]


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("make", [lambda value: record(best_valid_loss=value), lambda v: probe_record(value=v)])
def test_a_number_that_json_lacks_is_refused_and_leaves_the_file_alone(
    make: Any, value: float, path: Path
) -> None:
    append(path, record())
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"JSON compliant|Expected `float`"):
        append(path, make(value))
    assert path.read_bytes() == before


def test_a_file_without_lines_holds_no_records(path: Path) -> None:
    path.touch()
    assert read(path, RunRecord) == []


@pytest.mark.parametrize("bytes_left", [1, 20, -1])
def test_a_last_line_that_was_cut_off_is_left_out_and_replaced(path: Path, bytes_left: int) -> None:
    append(path, record())
    path.write_bytes(path.read_bytes() + line(seed=52).encode()[:bytes_left])
    assert read(path, RunRecord) == [record()]
    append(path, record(seed=53))
    assert read(path, RunRecord) == [record(), record(seed=53)]


def test_a_last_line_without_its_end_is_kept(path: Path) -> None:
    """Some editors leave it out."""
    path.write_text(f"{line()}\n{line(seed=52)}")
    assert [one.seed for one in read(path, RunRecord)] == [51, 52]
    append(path, record(seed=53))
    assert [one.seed for one in read(path, RunRecord)] == [51, 52, 53]


@pytest.mark.parametrize(
    "content", ["{0}\n\n{1}\n", "\n{0}\n{1}\n \n", "\ufeff{0}\n{1}\n", "{0}\r\n{1}\r\n", "{0}\n{1}\n\0\0\0"]
)
def test_what_editors_and_file_systems_add_is_nothing(content: str, path: Path) -> None:
    path.write_text(content.format(line(), line(seed=52)), encoding="utf-8", newline="")
    assert [one.seed for one in read(path, RunRecord)] == [51, 52]
    append(path, record(seed=53))
    assert [one.seed for one in read(path, RunRecord)] == [51, 52, 53]


def test_a_line_may_be_cut_off_inside_a_letter(path: Path) -> None:
    append(path, record())
    path.write_bytes(path.read_bytes() + '{"class_names": ["Bä'.encode()[:-1])
    assert read(path, RunRecord) == [record()]


def test_a_record_of_an_older_version_lacks_what_came_later(path: Path) -> None:
    values = builtins(record())
    for field in ("simulated", "metrics", "flops_per_step", "channels", "image_size", "command"):
        del values[field]
    path.write_text(json.dumps({**values, "schema_version": 1, "seeds_together": 2}) + "\n")
    (old,) = read(path, RunRecord)
    assert (old.schema_version, old.simulated, old.metrics, old.channels) == (1, None, [], None)
    assert old.train_losses == record().train_losses


def test_a_record_of_a_newer_version_is_read_without_what_is_unknown(path: Path) -> None:
    path.write_text(line(schema_version=99, color="red") + "\n")
    (new,) = read(path, RunRecord)
    assert msgspec.structs.replace(new, schema_version=record().schema_version) == record()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("garbage", "JSON is malformed"),
        ("\udcff", "not a RunRecord"),
        ("[1, 2]", "Expected `object`, got `array`"),
        (line(seed="many"), r"Expected `int`, got `str` - at `\$.seed`"),
        (line(without="model"), "missing required field `model`"),
        (line(pretraining=[{"modality": "rgb"}]), r"missing required field `train_losses` - at `\$.pretraining"),
    ],
)
def test_a_line_that_is_not_a_record_is_named_with_the_remedy(path: Path, content: str, message: str) -> None:
    append(path, record())
    path.write_bytes(path.read_bytes() + f"{content}\n{line()}\n".encode(errors="surrogateescape"))
    with pytest.raises(RecordError, match=rf"records\.jsonl, line 2: .*{message}.*; remove the line or rerun"):
        read(path, RunRecord)


@pytest.mark.parametrize(
    "write", [gzip.compress, lambda text: text.decode().encode("utf-16")], ids=["gzip", "utf-16"]
)
def test_a_file_that_is_not_text_is_named_with_the_remedy(path: Path, write: Callable[[bytes], bytes]) -> None:
    path.write_bytes(write(f"{line()}\n".encode()))
    with pytest.raises(
        RecordError, match=r"records\.jsonl: not text in UTF-8; unpack the file if it is compressed"
    ):
        read(path, RunRecord)


def test_a_missing_file_is_named_with_the_remedy(path: Path) -> None:
    with pytest.raises(RecordError, match=r"records\.jsonl: this file does not exist; give the folder of a run"):
        read(path, RunRecord)


def test_plain_types_become_a_record_and_wrong_ones_an_error() -> None:
    assert convert(json.loads(line(pretraining=[builtins(EXPERT)])), RunRecord) == record(pretraining=[EXPERT])
    with pytest.raises(RecordError, match=r"not a RunRecord: .*missing required field `seed`"):
        convert(json.loads(line(without="seed")), RunRecord)


def test_bytes_of_names_that_are_not_utf_8_are_escaped(path: Path) -> None:
    name = b"M\xfctze".decode(errors="surrogateescape")
    raw = record(class_names=[name, "spheres"], environment={name: [name]}, error=f"no {name}")
    append(path, raw)
    (kept,) = read(path, RunRecord)
    assert kept == escaped(raw)
    assert (kept.class_names, kept.environment) == (["M\\xfctze", "spheres"], {"M\\xfctze": ["M\\xfctze"]})
    assert escaped(kept) is kept


def test_control_characters_are_escaped() -> None:
    kept = escaped(record(error="\x1b[31mred\x07\n\tmore", environment={"a\x00": "\x9b"}))
    assert (kept.error, kept.environment) == ("\\x1b[31mred\\x07\n\tmore", {"a\\x00": "\\x9b"})


def test_what_finds_no_room_is_written_with_a_later_record_in_order(path: Path) -> None:
    outbox = Outbox()
    outbox.add(path, record(seed=1))
    size = path.stat().st_size
    for seed in (2, 3):
        with largest_file(size + 10), pytest.raises(OSError, match="File too large"):
            outbox.add(path, record(seed=seed))
        assert [one.seed for one in read(path, RunRecord)] == [1]
    assert len(outbox) == 2
    outbox.add(path, record(seed=4))
    assert [one.seed for one in read(path, RunRecord)] == [1, 2, 3, 4]
    assert len(outbox) == 0


def test_a_record_whose_writing_is_interrupted_waits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        os.truncate(path, 100)  # in the middle of the line
        raise KeyboardInterrupt

    outbox = Outbox()
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            outbox.add(path, record())
    assert (read(path, RunRecord), len(outbox)) == ([], 1)
    outbox.send()
    assert (read(path, RunRecord), len(outbox)) == ([record()], 0)


def test_a_record_that_json_lacks_does_not_keep_others_waiting(path: Path) -> None:
    outbox = Outbox()
    with pytest.raises(ValueError, match="JSON compliant"):
        outbox.add(path, record(best_valid_loss=math.nan))
    outbox.add(path, record())
    assert read(path, RunRecord) == [record()]


def test_what_waits_can_go_to_another_folder(path: Path, tmp_path: Path) -> None:
    outbox = Outbox()
    with pytest.raises(OSError, match="No such file"):
        outbox.add(tmp_path / "gone" / "records.jsonl", record())
    outbox.redirect(tmp_path)
    outbox.send()
    assert read(path, RunRecord) == [record()]


def test_a_file_is_replaced_as_a_whole_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.md"
    for content in ("first, longer", "zweite: ü"):
        write_file(path, content)
        assert path.read_text(encoding="utf-8") == content
    assert list(path.parent.iterdir()) == [path]


def test_without_room_the_earlier_file_stays_and_the_error_names_it(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    write_file(path, "first")
    with largest_file(10), pytest.raises(OSError, match=rf"File too large: '{path}'"):
        write_file(path, "second" * 10)
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_the_earlier_records_stay(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_records(path, [record(seed=1), record(seed=2)])

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_records(path, [record(seed=3)])
    assert [one.seed for one in read(path, RunRecord)] == [1, 2]
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(ValueError, match="JSON compliant"):
        write_records(path, [record(seed=3), record(best_valid_loss=math.nan)])
    assert [one.seed for one in read(path, RunRecord)] == [1, 2]
    write_records(path, [])
    assert not path.exists()


def test_links_and_permissions_stay_and_what_is_not_a_file_is_written_to(tmp_path: Path) -> None:
    target, link, pipe = (tmp_path / name for name in ("target", "link", "pipe"))
    target.write_text("first")
    target.chmod(0o640)
    link.symlink_to(target)
    write_file(link, "second")
    assert link.is_symlink()
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("second", 0o640)
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file(pipe, "third")
    assert os.read(reader, 10) == b"third"
    os.close(reader)
