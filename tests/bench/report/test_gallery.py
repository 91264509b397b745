from pathlib import Path
from typing import Any

import pytest

from bench.records import RunRecord, SampleRecord, append
from bench.report.gallery import Samples, gallery
from tests.bench.report.pages import THIRD, sample
from tests.bench.samples import MODEL, TWIN, record


def save(folder: Path, run: RunRecord, *samples: SampleRecord) -> None:
    (folder / "samples").mkdir(exist_ok=True)
    for each in samples:
        append(folder / "samples" / f"{Path(str(run.checkpoint)).stem}.jsonl", each)


def of_one_run(records: list[RunRecord], folder: Path | None) -> list[Samples]:
    return gallery(records, [folder] * len(records))


def test_the_best_and_the_worst_model_of_the_first_seed_are_shown(tmp_path: Path) -> None:
    losses = {MODEL: 0.25, THIRD: 0.3, TWIN: 0.5}
    records = [record(model, best_valid_loss=loss) for model, loss in losses.items()]
    later = record(THIRD, seed=52, best_valid_loss=0.01)
    for run in records:
        save(tmp_path, run, sample(run.model), sample("another"))
    best, worst = of_one_run([later, *records], tmp_path)
    assert best.title == f"{MODEL}, seed 51: the lowest validation loss of this seed, 0.2500"
    assert worst.title == f"{TWIN}, seed 51: the highest validation loss of this seed, 0.5000"
    assert best.predictions == [sample(MODEL), sample("another")]
    assert worst.predictions == [sample(TWIN), sample("another")]
    (only,) = of_one_run([later], tmp_path)
    assert only.title.startswith(f"{THIRD}, seed 52: the only validation loss")


def test_samples_are_read_from_the_run_of_the_record(tmp_path: Path) -> None:
    records = [record(MODEL, best_valid_loss=0.25), record(TWIN, best_valid_loss=0.5)]
    save(tmp_path, records[1], sample(TWIN))
    here, there = gallery(records, [None, tmp_path])
    assert here.predictions == []
    assert there.predictions == [sample(TWIN)]


def test_there_is_a_reason_where_there_are_no_samples(tmp_path: Path) -> None:
    (without_files,) = of_one_run([record()], None)
    assert without_files.reason == ("These records come without sample predictions; the folder of a run has them.")
    (without_checkpoint,) = of_one_run([record(checkpoint=None)], tmp_path)
    assert without_checkpoint.reason == without_files.reason
    (not_saved,) = of_one_run([record()], tmp_path)
    assert not_saved.reason == f"{tmp_path} has no samples of these models; a run saves them when it ends."
    save(tmp_path, record(), sample("of other weights"))
    (other,) = of_one_run([record(weights_sha256="1" * 64)], tmp_path)
    assert "of other weights than the record; run the cell again" in other.reason
    (tmp_path / "samples" / f"{Path(str(record().checkpoint)).stem}.jsonl").write_text("{}\n")
    (broken,) = of_one_run([record()], tmp_path)
    assert "line 1: not a SampleRecord" in broken.reason
    reasons = (without_files, without_checkpoint, not_saved, other, broken)
    assert not any(samples.predictions for samples in reasons)


def test_a_checkpoint_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    save(tmp_path, record(), sample("outside"))
    outside = record(checkpoint=f"../../samples/{record().checkpoint}")
    (samples,) = of_one_run([outside], tmp_path / "run")
    assert samples.predictions == []


@pytest.mark.parametrize("changes", [{"status": "failed"}, {"best_valid_loss": None}])
def test_runs_without_a_loss_have_no_samples(changes: dict[str, Any]) -> None:
    assert of_one_run([record(**changes)], None) == []
