from pathlib import Path

import pytest

from bench.records import FAILED, InferenceRecord, ProbeRecord, RecordError, RunRecord, append
from bench.records.reading import Run, read_run, read_runs
from tests.bench.report.pages import inference, probe
from tests.bench.samples import MODEL, TWIN, record


def write_run(folder: Path, model: str = MODEL, stem: str = "") -> Path:
    """A run of one cell, run twice, with a probe and a measurement; with a stem, as committed records are."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem or 'records'}.jsonl"
    append(path, record(model, best_valid_loss=0.5))
    append(path, record(model, best_valid_loss=0.25))
    before = f"{stem}." if stem else ""
    append(folder / f"{before}probes.jsonl", probe(model))
    append(folder / f"{before}costs.jsonl", inference(model))
    return path


def contents(run: Run) -> tuple[list[RunRecord], list[ProbeRecord], list[InferenceRecord]]:
    return run.records, run.probes, run.costs  # type: ignore[return-value]


EVERYTHING = ([record(best_valid_loss=0.25)], [probe(MODEL)], [inference(MODEL)])


@pytest.mark.parametrize("name", ["", "records.jsonl", "probes.jsonl", "costs.jsonl"])
def test_a_run_is_its_folder_or_any_of_its_files(tmp_path: Path, name: str) -> None:
    write_run(tmp_path)
    run = read_run(tmp_path / name)
    assert (run.name, run.folder) == (str(tmp_path / name), tmp_path)
    assert contents(run) == EVERYTHING


@pytest.mark.parametrize("name", ["a.jsonl", "a.probes.jsonl", "a.costs.jsonl"])
def test_files_of_records_have_their_own_probes_and_costs(tmp_path: Path, name: str) -> None:
    write_run(tmp_path, MODEL, "a")
    write_run(tmp_path, TWIN, "b")
    assert contents(read_run(tmp_path / name)) == EVERYTHING


def test_a_folder_of_files_is_read_together(tmp_path: Path) -> None:
    write_run(tmp_path, MODEL, "a")
    write_run(tmp_path, TWIN, "b")
    (tmp_path / "tables").mkdir()
    (run,) = read_runs([tmp_path])
    for part in contents(run):
        assert [entry.model for entry in part] == [MODEL, TWIN]


def test_a_copy_of_a_run_beside_it_is_not_taken_for_the_run(tmp_path: Path) -> None:
    path = write_run(tmp_path)
    copy = tmp_path / "records_before.jsonl"
    append(copy, record(best_valid_loss=0.25, epoch_seconds=[9.0]))  # the same result counts once
    assert read_run(tmp_path).records == EVERYTHING[0]
    append(copy, record(weights_sha256="1" * 64))
    with pytest.raises(RecordError, match=f"^{path} and {copy} have different results of {MODEL}, seed 51; pass"):
        read_run(tmp_path)
    assert read_run(path).records == EVERYTHING[0]


def test_a_folder_of_runs_stands_for_each_of_them(tmp_path: Path) -> None:
    write_run(tmp_path / "a", MODEL)
    write_run(tmp_path / "b", TWIN)
    (tmp_path / "history").mkdir()
    (tmp_path / "report.html").touch()
    runs = read_runs([tmp_path, tmp_path / "b"])
    assert [run.folder for run in runs] == [tmp_path / "a", tmp_path / "b", tmp_path / "b"]
    with pytest.raises(RecordError, match=r"a folder of 2 runs; pass one of them, such as .*a$"):
        read_run(tmp_path)


def test_a_run_in_which_nothing_has_ended_is_not_one_of_a_folder(tmp_path: Path) -> None:
    for name, content in (("a", b""), ("c", b'{"cut')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "records.jsonl").write_bytes(content)
    with pytest.raises(RecordError, match=f"{tmp_path}: holds no records; pass the folder of a run"):
        read_runs([tmp_path])
    write_run(tmp_path / "b")
    assert [run.folder for run in read_runs([tmp_path])] == [tmp_path / "b"]
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "records.jsonl").write_text("garbage\n")
    with pytest.raises(RecordError, match=r"d/records\.jsonl, line 1: not a RunRecord"):
        read_runs([tmp_path])


def test_probes_are_of_the_weights_of_the_records_and_each_value_counts_once(tmp_path: Path) -> None:
    write_run(tmp_path)
    again = probe(MODEL, value=0.25)
    append(tmp_path / "probes.jsonl", again)
    assert read_run(tmp_path).probes == [again]
    append(tmp_path / "probes.jsonl", alone := probe(TWIN, weights_sha256="1" * 64))  # of a cell without a record
    append(tmp_path / "records.jsonl", record(weights_sha256="2" * 64))
    assert read_run(tmp_path).probes == [alone]
    append(tmp_path / "probes.jsonl", new := probe(MODEL, weights_sha256="2" * 64, level=0.5))
    assert read_run(tmp_path).probes == [alone, new]
    append(tmp_path / "records.jsonl", record(status=FAILED, weights_sha256=None))
    assert read_run(tmp_path).probes == [alone]


def test_a_folder_of_one_run_is_that_run(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    assert read_run(tmp_path).folder == tmp_path / "a"


def test_a_run_may_have_only_measured_costs(tmp_path: Path) -> None:
    append(tmp_path / "costs.jsonl", inference(MODEL))
    assert contents(read_run(tmp_path)) == ([], [], [inference(MODEL)])


def test_a_run_whose_records_are_gone_is_not_its_samples(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "one.jsonl").write_text("{}\n")
    with pytest.raises(RecordError, match=f"{tmp_path}: holds no records; pass the folder of a run"):
        read_run(tmp_path)


def test_what_cannot_be_read_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="there is no file or folder of this name; pass the folder of a run"):
        read_run(tmp_path / "gone")
    with pytest.raises(RecordError, match=r"holds no records; pass the folder of a run"):
        read_run(tmp_path)
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(RecordError, match=r"empty\.jsonl: holds no records"):
        read_run(tmp_path / "empty.jsonl")
    (tmp_path / "costs.jsonl").write_text('{"kind":"horsepower"}\n')
    with pytest.raises(RecordError, match=r"costs\.jsonl, line 1: not a .*horsepower.*; remove the line"):
        read_run(tmp_path)
