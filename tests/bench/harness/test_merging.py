"""Runs put together: what counts once, what is refused, and what is missing."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.cli import main
from bench.harness.merging import merge, write
from bench.harness.shards import ShardPlan, read_plans
from bench.records import (
    DIVERGED,
    FAILED,
    RecordError,
    RunRecord,
    SampleRecord,
    append,
    read,
    write_records,
)
from bench.records.cost import read_costs
from bench.records.reading import read_run
from bench.records.sample import samples_path
from tests.bench.probes.samples import probe_record
from tests.bench.report.pages import inference, sample
from tests.bench.samples import MODEL, TWIN, record

SHARDS = {MODEL: 1, TWIN: 2, f"{MODEL}-seed52": 2}


def run(folder: Path, *records: RunRecord, plan: ShardPlan | None = None) -> Path:
    folder.mkdir(parents=True)
    for one in records:
        append(folder / "records.jsonl", one)
        if one.checkpoint:
            (folder / "checkpoints").mkdir(exist_ok=True)
            (folder / "checkpoints" / one.checkpoint).write_bytes(str(one.weights_sha256).encode())
    if plan is not None:
        (folder / plan.file_name).write_bytes(msgspec.json.encode(plan))
    return folder


def other(model: str = MODEL, **changes: Any) -> RunRecord:
    return record(model, seed=52, checkpoint=f"standard-{model}-seed52.safetensors", **changes)


def test_two_shards_are_one_run_in_the_order_of_the_selection(tmp_path: Path) -> None:
    second = run(tmp_path / "2", other(), record(TWIN), plan=ShardPlan(2, 2, SHARDS))
    first = run(tmp_path / "1", record(), plan=ShardPlan(1, 2, SHARDS))
    merged = merge([second, first])
    assert (merged.notes, merged.missing) == ([], [])
    write(merged, tmp_path / "run")
    assert read_run(tmp_path / "run").records == [record(), record(TWIN), other()]
    assert {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()} == {
        one.checkpoint for one in (record(), record(TWIN), other())
    }


def test_probes_costs_and_samples_are_taken_along(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", record()), run(tmp_path / "b", record(TWIN))
    for folder in (a, b):
        append(folder / "probes.jsonl", probe_record())
        append(folder / "costs.jsonl", inference(MODEL))
    path = samples_path(a, str(record().checkpoint))
    path.parent.mkdir()
    path.write_text("a sample\n")
    write(merge([a, b]), tmp_path / "run")
    merged = read_run(tmp_path / "run")
    assert merged.probes == [probe_record()]
    assert read_costs(tmp_path / "run" / "costs.jsonl") == [inference(MODEL)]
    assert samples_path(tmp_path / "run", str(record().checkpoint)).read_text() == "a sample\n"


def test_the_same_result_counts_once_whatever_it_took(tmp_path: Path) -> None:
    a = run(tmp_path / "a", record())
    b = run(tmp_path / "b", record(epoch_seconds=[9.0, 9.0, 9.0], environment={"device_name": "another"}))
    merged = merge([a, b])
    assert [one for one, _ in merged.records] == [record()]
    assert merged.notes == ["1 cell was found more than once, with the same result"]
    assert merge([a, a]).records == merge([a]).records


@pytest.mark.parametrize(
    "changes",
    [{"weights_sha256": "1" * 64}, {"valid_losses": [0.6, 0.25, 0.31]}, {"status": DIVERGED}, {"test_loss": 0.5}],
    ids=["weights", "losses", "status", "test"],
)
def test_different_results_of_a_cell_are_refused_with_both_names(changes: dict[str, Any], tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", record()), run(tmp_path / "b", record(**changes))
    (name,) = changes
    message = rf"^{a} and {b} contradict each other on {MODEL}: .* \(fields that differ: {name}\); leave one"
    with pytest.raises(RecordError, match=message):
        merge([a, b])


def test_different_values_of_a_probe_are_refused(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", record()), run(tmp_path / "b", record(TWIN))
    append(a / "probes.jsonl", probe_record(value=0.5))
    append(b / "probes.jsonl", probe_record(value=0.75))
    with pytest.raises(RecordError, match=rf"^{a} and {b} contradict each other on .*: 0\.5 and 0\.75"):
        merge([a, b])


def test_a_probe_that_a_run_has_measured_again_contradicts_nothing(tmp_path: Path) -> None:
    a = run(tmp_path / "a", record())
    for value in (0.5, 0.75):
        append(a / "probes.jsonl", probe_record(value=value))
    assert [probe.value for probe in merge([a]).probes] == [0.75]
    b = run(tmp_path / "b", record(TWIN))
    append(b / "probes.jsonl", probe_record(value=0.75))
    assert merge([a, b]).probes == [probe_record(value=0.75)]


def test_cells_of_other_data_keep_their_own_checkpoints_and_samples(tmp_path: Path) -> None:
    cells = [
        record(),
        record(dataset="hard", weights_sha256="1" * 64),
        record(profile="full", weights_sha256="2" * 64),
        record(dataset="empty", weights_sha256="3" * 64),
    ]
    paths = [run(tmp_path / str(i), cell) for i, cell in enumerate(cells)]
    (paths[3] / "checkpoints" / str(cells[3].checkpoint)).unlink()
    for path, cell in zip(paths[:2], cells, strict=False):
        shown = sample("0001", weights_sha256=cell.weights_sha256)
        write_records(samples_path(path, str(cell.checkpoint)), [shown])
    out = tmp_path / "run"
    for _ in range(2):  # also again
        write(merge(paths), out)
        merged = read_run(out).records
        assert [one.dataset for one in merged] == ["shapes", "hard", "shapes", "empty"]
        assert len({one.checkpoint for one in merged}) == 4
        assert [(out / "checkpoints" / str(one.checkpoint)).read_text() for one in merged[:3]] == [
            one.weights_sha256 for one in cells[:3]
        ]
        assert not (out / "checkpoints" / str(merged[3].checkpoint)).exists()
        for one in merged[:2]:
            (shown,) = read(samples_path(out, str(one.checkpoint)), SampleRecord)
            assert shown.weights_sha256 == one.weights_sha256
    assert merged[0] == cells[0]  # the first keeps its name


@pytest.mark.parametrize("reverse", [False, True])
def test_a_cell_that_failed_elsewhere_counts_as_ended(tmp_path: Path, *, reverse: bool) -> None:
    failed = record(status=FAILED, error="OutOfMemoryError", weights_sha256=None, checkpoint=None)
    paths = [run(tmp_path / "a", failed), run(tmp_path / "b", record())]
    merged = merge(paths[::-1] if reverse else paths)
    assert [one for one, _ in merged.records] == [record()]


@pytest.mark.parametrize(
    ("what", "changes", "how"),
    [
        ("code", {"code_sha256": "b" * 64}, "aaaaaaaaaaaa and bbbbbbbbbbbb"),
        ("data", {"data_sha256": "b" * 64}, "aaaaaaaaaaaa and bbbbbbbbbbbb"),
        ("pairs of one seed", {"test_sha256": "b" * 64}, f"test: {'a' * 64} -> {'b' * 64}"),
        ("protocol", {"protocol": {"epochs": 4, "batch_size": 32, "drop_last": False}}, "epochs: 3 -> 4"),
    ],
)
def test_runs_of_other_code_data_or_protocol_are_refused(
    what: str, changes: dict[str, Any], how: str, tmp_path: Path
) -> None:
    names = ("code", "data", "train", "valid", "test")
    hashes = {f"{name}_sha256": "a" * 64 for name in names}
    a, b = run(tmp_path / "a", record(**hashes)), run(tmp_path / "b", record(TWIN, **{**hashes, **changes}))
    message = (
        rf"^{a} \({MODEL}\) and {b} \({TWIN}\) have different {what}: {re.escape(how)}; merge runs of one {what}"
    )
    with pytest.raises(RecordError, match=message):
        merge([a, b])


def test_models_of_plugins_have_code_of_their_own(tmp_path: Path) -> None:
    custom = {"family": "custom", "stage": "custom"}
    records = [record(code_sha256="a" * 64), record(TWIN, code_sha256="b" * 64, **custom)]
    a = run(tmp_path / "a", *records)
    assert [one for one, _ in merge([a]).records] == records
    b = run(tmp_path / "b", record(TWIN, seed=52, code_sha256="c" * 64, **custom))
    with pytest.raises(RecordError, match="have different code: bbbbbbbbbbbb and cccccccccccc"):
        merge([a, b])


def test_devices_that_differ_are_noted(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", record()), run(tmp_path / "b", record(TWIN, environment={"device_name": "another"}))
    assert merge([a, b]).notes == ["2 device models, whose times are not compared: a processor, another"]


def test_missing_shards_and_cells_are_named(tmp_path: Path) -> None:
    first = run(tmp_path / "1", plan=ShardPlan(1, 3, {**SHARDS, "skipped": 1, "gone": 1}, ["skipped"]))
    second = run(tmp_path / "2", record(TWIN), other(), plan=ShardPlan(2, 3, {**SHARDS, "skipped": 1, "gone": 1}))
    assert merge([first, second]).missing == [
        f"shard 1/3 has no record of 2 cells: {MODEL}, gone; continue it with --resume"
    ]
    assert merge([second]).missing == [f"shard 1/3 is missing, with 3 cells: {MODEL}, skipped, gone"]


def test_shards_of_different_selections_are_refused(tmp_path: Path) -> None:
    a = run(tmp_path / "a", record(), plan=ShardPlan(1, 2, SHARDS))
    b = run(tmp_path / "b", record(TWIN), plan=ShardPlan(2, 2, {TWIN: 2}))
    with pytest.raises(
        RecordError, match=f"^{a} and {b} are shards of different selections; give the same options"
    ):
        merge([a, b])


def test_shards_of_two_data_sets_do_not_complete_each_other(tmp_path: Path) -> None:
    def plan(number: int, dataset: str) -> ShardPlan:
        return ShardPlan(number, 2, {MODEL: 1, TWIN: 2}, groups=[("standard", dataset, "full", "cpu")])

    paths = {
        (dataset, number): run(
            tmp_path / f"{dataset}-{number}",
            record(model, dataset=dataset, profile="full", checkpoint=None),
            plan=plan(number, dataset),
        )
        for dataset in ("here", "there")
        for number, model in ((1, MODEL), (2, TWIN))
    }
    assert merge(paths.values()).missing == []
    assert merge([paths["here", 1], paths["there", 2]]).missing == [
        f"shard 2/2 of here, full, cpu is missing, with 1 cell: {TWIN}",
        f"shard 1/2 of there, full, cpu is missing, with 1 cell: {MODEL}",
    ]


def test_a_damaged_plan_is_named(tmp_path: Path) -> None:
    (tmp_path / "shard-1-of-2.json").write_text("{")
    with pytest.raises(RecordError, match=r"shard-1-of-2\.json: not the plan of a shard .*; run the shard again"):
        read_plans(tmp_path)


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="there is no file or folder of this name"):
        merge([tmp_path / "nowhere"])


def test_the_command_writes_tables_plots_and_page_and_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.plots.write_figures", lambda *_: [])  # they have tests of their own
    monkeypatch.setattr("bench.report.writing.write_page", lambda _, path, __: path.write_text("a page"))
    first = run(tmp_path / "1", record(), plan=ShardPlan(1, 2, SHARDS))
    second = run(tmp_path / "2", record(TWIN), plan=ShardPlan(2, 2, SHARDS))
    out = tmp_path / "run"
    assert main(["merge", str(first), str(second), "--out", str(out)]) == 1
    printed = capsys.readouterr().out
    assert f"shard 2/2 has no record of 1 cell: {MODEL}-seed52; continue it with --resume" in printed
    assert f"2 records written to {out}" in printed
    assert MODEL in (out / "tables" / "fusion.md").read_text()
    assert (out / "report.html").is_file()
    assert main(["merge", str(first), "--out", str(out)]) == 2
    assert "there are other records in this folder already; give a new one" in capsys.readouterr().err
    assert main(["merge", str(out), "--out", str(out)]) == 2
    assert f"{out} is one of the runs to merge; give a new folder" in capsys.readouterr().err
    assert read(out / "records.jsonl", RunRecord) == [record(), record(TWIN)]


def test_looks_have_plans_of_their_own(tmp_path: Path) -> None:
    first = ShardPlan(1, 1, {MODEL: 1}, look=1)
    second = ShardPlan(1, 2, {f"{MODEL}-seed52": 1, TWIN: 2}, look=2)
    assert (first.file_name, second.file_name) == ("shard-1-of-1-look-1.json", "shard-1-of-2-look-2.json")
    folder = run(tmp_path / "1", record(), other(), plan=first)
    (folder / second.file_name).write_bytes(msgspec.json.encode(second))
    assert merge([folder]).missing == [f"shard 2/2 of look 2 is missing, with 1 cell: {TWIN}"]


def test_an_interrupted_merge_leaves_no_run_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, out = run(tmp_path / "a", record(), record(TWIN)), tmp_path / "run"
    append(a / "probes.jsonl", probe_record())
    merged = merge([a])

    def interrupted(path: Path, _: object) -> None:
        raise KeyboardInterrupt(path.name)

    with monkeypatch.context() as patched:
        patched.setattr("bench.harness.merging.write_records", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(merged, out)
    assert not (out / "records.jsonl").exists()
    for _ in range(2):
        write(merged, out)
        again = read_run(out)
        assert (len(again.records), again.probes) == (2, [probe_record()])


def test_a_merge_that_is_interrupted_after_its_records_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.plots.write_figures", lambda *_: [])
    monkeypatch.setattr("bench.report.writing.write_page", lambda *_: None)
    words = ["merge", str(run(tmp_path / "a", record())), "--out", str(tmp_path / "run")]
    with monkeypatch.context() as patched:
        patched.setattr("bench.tables.tabulation.write_tables", interrupted)
        assert main(words) == 130
    assert (tmp_path / "run" / "records.jsonl").exists()
    assert not (tmp_path / "run" / "tables").exists()
    assert main(words) == 0
    assert (tmp_path / "run" / "tables" / "fusion.md").is_file()


def test_claims_that_cannot_be_used_are_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "typo.toml"
    own.write_text("lokes = [6]")
    words = ["merge", str(run(tmp_path / "a", record())), "--out", str(tmp_path / "run")]
    assert main([*words, "--claims", str(own)]) == 2
    assert f"error: {own}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
