from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import tracking
from bench.config import RunConfig
from bench.costs.inference import InferenceTime, inference_table
from bench.harness import session
from bench.harness.cell import Cell
from bench.harness.options import resolve
from bench.harness.session import FolderError, Session
from bench.records import probe as probe_records
from bench.records import run as records
from bench.records.run import DIVERGED, FAILED, RecordError, RunRecord
from bench.studies import STUDIES, Study
from bench.tables import TextTable
from bench.tables.tabulation import write_tables
from bench.tracking import TrackerKind
from bench.training.runs import drive, run, silent
from bench.training.samples import Prediction
from bench.training.trainer import EpochResult, Observer
from data_utils import DATASETS, DataError, PairedDataset
from fusion_models import ModelSpec, find_model
from tests.bench.probes.samples import probe_record
from tests.bench.samples import MODEL, TWIN, record, small_dataset
from tests.bench.tracking.told import FIRST

STANDARD = STUDIES["standard"]


class Notebook:
    """A tracker that notes what it is told."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, Any]] = []

    def begin(self, name: str, config: Mapping[str, Any]) -> None:
        self.notes.append(("begin", (name, config["model"])))

    def epoch(self, result: EpochResult) -> None:
        self.notes.append(("epoch", result.epoch))

    def end(self, record: RunRecord | None, samples: Sequence[Prediction]) -> None:
        self.notes.append(("end", (record and record.status, len(samples))))

    def close(self, records: Sequence[RunRecord], tables: Mapping[str, Sequence[TextTable]]) -> list[str]:
        self.notes.append(("close", (len(records), {study: len(made) for study, made in tables.items()})))
        return ["noted"]


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    made = Notebook()
    monkeypatch.setitem(tracking.TRACKERS, "notebook", TrackerKind(lambda _: made, "pytest", "pytest"))
    return made


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A data set called "small"; the list holds the numbers of pairs that were asked for."""
    asked: list[int] = []

    def small(pairs: int, seed: int) -> PairedDataset:  # noqa: ARG001 - as simulators are called
        asked.append(pairs)
        return small_dataset()

    monkeypatch.setitem(DATASETS, "small", small)
    return asked


@pytest.fixture
def make(tmp_path: Path, simulated: list[int]) -> Callable[..., Session]:
    assert simulated == []

    def made(**words: Any) -> Session:
        defaults = {
            "root": tmp_path,
            "results_dir": str(tmp_path / "run"),
            "profile": "smoke",
            "device": "cpu",
            "dataset": "small",
        }
        return Session(resolve(**{**defaults, **words}))

    return made


def cell(model: str = MODEL, *, study: Study = STANDARD, variant: str = "", seed: int = 51) -> Cell:
    return Cell(study, variant, find_model(model), seed)


@pytest.mark.parametrize(
    ("one", "name"),
    [
        (cell(), MODEL),
        (cell(seed=52), f"{MODEL}-seed52"),
        (cell(study=STUDIES["fusion-wide"]), f"fusion-wide:{MODEL}"),
        (cell(study=STUDIES["input-scaling"], variant="raw", seed=7), f"input-scaling:raw:{MODEL}-seed7"),
    ],
)
def test_a_cell_is_called_by_its_model_and_by_what_is_not_the_default(one: Cell, name: str) -> None:
    assert one.name == name


def test_cells_are_every_model_of_every_study_and_seed(make: Callable[..., Session]) -> None:
    names = [one.name for one in make(study="downsampling-deep,input-scaling", seeds="2").cells]
    assert names[:4] == [
        "downsampling-deep:deep-intermediate-concat-maxpool",
        "downsampling-deep:deep-intermediate-concat-strided",
        "downsampling-deep:deep-intermediate-concat-maxpool-seed52",
        "downsampling-deep:deep-intermediate-concat-strided-seed52",
    ]
    assert len(names) == len(set(names)) == 2 * 2 + 2 * 2 * 8  # seeds times models, and times the two variants


def test_opening_makes_the_folder_and_an_empty_file_of_records(make: Callable[..., Session]) -> None:
    made = make()
    made.open(made.cells)
    assert records.read(made.records_path) == []


def test_data_are_simulated_once_as_many_as_the_protocol_asks_for(
    make: Callable[..., Session], simulated: list[int]
) -> None:
    made = make(seeds="3")
    made.open(made.cells)
    made.describe(made.cells)
    assert simulated == [80]


def test_a_second_session_finds_what_the_first_simulated(
    make: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("simulated again")

    first, second = make(dataset="shapes"), make(dataset="shapes")
    dataset = first.any_dataset()
    monkeypatch.setattr("data_utils.simulator.shapes.simulate", refuse)
    again = second.any_dataset()
    assert all(torch.equal(values, again.inputs[modality]) for modality, values in dataset.inputs.items())
    assert list(first.options.simulated_dir.iterdir())


def test_a_data_set_smaller_than_a_batch_is_refused(
    make: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    first_pairs = small_dataset().take(torch.arange(20))
    monkeypatch.setitem(DATASETS, "small", lambda pairs, seed: first_pairs)  # noqa: ARG005
    made = make()
    with pytest.raises(DataError, match="16 training pairs are fewer than one batch of 32; add pairs"):
        made.open(made.cells)
    assert not made.folder.exists()


def test_a_folder_that_cannot_be_made_is_refused_with_the_remedy(
    make: Callable[..., Session], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    made = make(results_dir=str(tmp_path / "file" / "run"))
    with pytest.raises(FolderError, match=r"cannot write results to .*run \(.*\); give another .*--results-dir"):
        made.open(made.cells)


def test_the_description_names_study_data_seeds_and_folder(make: Callable[..., Session]) -> None:
    made = make(seeds="2")
    first, *_, last = made.describe(made.cells)
    assert first == "standard: 80 pairs of shapes (2 classes), profile smoke, 2 epochs, seeds 51, 52"
    assert last == f"results: {made.folder}"


def test_what_the_reader_noticed_is_described_once(
    make: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = replace(small_dataset(), notes=("two files are broken.",))
    monkeypatch.setitem(DATASETS, "small", lambda pairs, seed: noted)  # noqa: ARG005
    made = make(study="input-scaling")
    assert made.describe(made.cells).count("note: two files are broken.") == 1


def test_a_cell_that_ended_is_on_the_disk_and_the_tracker_knows(
    make: Callable[..., Session], notebook: Notebook
) -> None:
    made, observed = make(tracker="notebook"), list[int]()
    made.open(made.cells)
    ended = made.run_cell(cell(), drive, lambda result: observed.append(result.epoch))
    assert records.read(made.records_path) == made.records == [ended]
    assert notebook.notes == [
        ("begin", (MODEL, MODEL)),
        ("epoch", 1),
        ("epoch", 2),
        ("end", ("completed", 8)),
    ]
    assert observed == [1, 2]


def fail(*_: Any, **__: Any) -> RunRecord:
    raise RuntimeError("out of memory")


def test_a_cell_that_raised_is_on_the_disk_and_raises(
    make: Callable[..., Session], notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "run", fail)
    made = make(tracker="notebook")
    made.open(made.cells)
    with pytest.raises(RuntimeError, match="out of memory"):
        made.run_cell(cell(), drive, silent)
    (kept,) = records.read(made.records_path)
    assert (kept.status, kept.error) == (FAILED, "RuntimeError: out of memory")
    assert (kept.model, kept.seed, kept.train_losses, kept.valid_accuracy) == (MODEL, 51, [], None)
    assert notebook.notes == [("begin", (MODEL, MODEL)), ("end", (None, 0))]


def interrupt(*_: Any, **__: Any) -> RunRecord:
    raise KeyboardInterrupt


def test_a_cell_that_was_interrupted_leaves_no_record(
    make: Callable[..., Session], notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "run", interrupt)
    made = make(tracker="notebook")
    made.open(made.cells)
    with pytest.raises(KeyboardInterrupt):
        made.run_cell(cell(), drive, silent)
    assert records.read(made.records_path) == made.records == []
    assert notebook.notes[-1] == ("end", (None, 0))


ROBUSTNESS = STUDIES["robustness"]
ROW = "wide-early-concat-strided"


def test_a_trained_cell_can_be_probed_and_one_that_was_not_cannot(make: Callable[..., Session]) -> None:
    made = make(study="robustness", seeds="3")
    made.open(made.cells)
    first, second, third = (cell(ROW, study=ROBUSTNESS, seed=seed) for seed in (51, 52, 53))
    assert made.record_of(first) is None
    with pytest.raises(RecordError, match=f"robustness:{ROW} has not been trained in this session; run its cell"):
        made.subject(first)
    records_of = [made.run_cell(each, drive, silent) for each in (first, second)]
    assert [made.record_of(each) for each in (first, second, third)] == [*records_of, None]
    assert made.subject(second).record == records_of[1]
    earlier = [[subject.record.seed for subject in made.earlier_subjects(each)] for each in (first, second, third)]
    assert earlier == [[], [51], [51, 52]]


def test_what_a_probe_found_is_on_the_disk_and_in_the_tables(make: Callable[..., Session]) -> None:
    made = make()
    made.open(made.cells)
    made.records.append(record())
    found = [probe_record(level=level) for level in (0.0, 0.5, 0.9, 1.0)]
    made.keep_probes(found)
    assert probe_records.read(made.folder / "probes.jsonl") == made.probes == found
    assert "robustness" in [table.name for table in made.close()]
    assert "| dropped-returns" in (made.folder / "tables" / "robustness-robustness.md").read_text()


def test_closing_writes_the_tables_of_what_has_ended(make: Callable[..., Session]) -> None:
    made = make()
    made.open(made.cells)
    made.records += [record(TWIN), record(MODEL)]
    tables = made.close()
    assert [table.name for table in tables] == ["fusion", "cost", "thresholds", "downsampling"]
    assert sorted(path.name for path in (made.folder / "tables").iterdir()) == sorted(
        f"{table.name}.{suffix}" for table in tables for suffix in ("md", "tex", "csv")
    )
    for table in tables:
        assert (made.folder / "tables" / f"{table.name}.md").read_text() == table.markdown()
        assert (made.folder / "tables" / f"{table.name}.tex").read_text() == table.latex()
        header, *lines = (made.folder / "tables" / f"{table.name}.csv").read_text().splitlines()
        assert header.split(",") == list(table.data.columns)
        assert len(lines) == len(table.data)


def test_the_tracker_is_told_of_the_end_and_what_it_says_is_kept(
    make: Callable[..., Session], notebook: Notebook
) -> None:
    made = make(tracker="notebook")
    made.open(made.cells)
    made.records += [record(TWIN), record(MODEL)]
    made.close()
    assert notebook.notes == [("close", (2, {"standard": 4}))]
    assert made.trackers.notes == ["noted"]


def test_a_cell_that_diverged_has_no_sample_predictions(
    make: Callable[..., Session], notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "run", lambda *_, **__: record(status=DIVERGED, checkpoint=None))
    made = make(tracker="notebook")
    made.open(made.cells)
    made.run_cell(cell(), drive, silent)
    assert notebook.notes[-1] == ("end", (DIVERGED, 0))
    assert made.trackers.notes == []


def test_a_tracker_that_fails_leaves_the_record_and_is_said(
    make: Callable[..., Session], notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ConnectionError("no server")

    def run_one_epoch(*_: Any, observe: Observer, **__: Any) -> RunRecord:
        observe(FIRST)
        return record(status=DIVERGED)

    monkeypatch.setattr(session, "run", run_one_epoch)
    for method in ("begin", "epoch", "end", "close"):
        with monkeypatch.context() as patch:
            patch.setattr(notebook, method, fail)
            made = make(tracker="notebook")
            made.open(made.cells)
            ended = made.run_cell(cell(), drive, silent)
            made.close()
        assert made.records == [ended]
        assert made.trackers.notes == [
            "--track notebook failed and was off from then on: ConnectionError: no server"
        ]


def test_an_added_table_is_written_at_once_and_returned_at_the_end(make: Callable[..., Session]) -> None:
    made = make()
    made.open(made.cells)
    table = inference_table(
        [InferenceTime(MODEL, 1_000, 1, (0.002,))], made.any_dataset().info, made.measured_on()
    )
    made.add_table(table)
    assert (made.folder / "tables" / "inference.md").read_text() == table.markdown()
    assert (made.folder / "tables" / "inference.csv").exists()
    assert "profile: smoke" in table.conditions
    assert made.close() == [table]


def test_figures_are_drawn_of_what_has_ended(make: Callable[..., Session]) -> None:
    made = make()
    made.open(made.cells)
    made.records += [record(TWIN), record(MODEL)]
    assert made.draw() == f"figures are in {made.folder / 'plots'}"
    assert sorted(path.name for path in (made.folder / "plots").glob("*.svg")) == [
        "cost.svg",
        "curves.svg",
        "downsampling.svg",
    ]


def test_figures_that_cannot_be_drawn_are_said_and_end_nothing(make: Callable[..., Session]) -> None:
    made = make()
    made.open(made.cells)
    made.records.append(record())
    (made.folder / "plots").touch()  # a file where the folder should be
    said = made.draw()
    assert said.startswith("the figures could not be drawn (FileExistsError: ")
    assert said.endswith(f"try again: python -m bench plots {made.folder}")


def test_closing_without_a_record_writes_nothing(make: Callable[..., Session]) -> None:
    made = make()
    made.open(made.cells)
    assert made.close() == []
    assert made.draw() == ""
    assert not (made.folder / "tables").exists()
    assert not (made.folder / "plots").exists()


def test_each_study_has_tables_of_its_own(tmp_path: Path) -> None:
    mixed = [record(), record(study="input-scaling", variant="raw"), record(TWIN)]
    write_tables(mixed, tmp_path)
    ours = (tmp_path / "fusion.md").read_text()
    assert TWIN in ours
    assert MODEL in ours
    assert "raw" not in ours
    assert f"| raw {MODEL} | 1 |" in (tmp_path / "input-scaling-fusion.md").read_text()


def test_studies_that_decide_claims_leave_a_ledger(tmp_path: Path) -> None:
    rows = (TWIN, "compact-intermediate-concat-maxpool")
    made = write_tables([record(model, study="fusion-compact") for model in rows], tmp_path)
    assert [table.name for table in made] == ["fusion", "cost", "published", "claims"]
    assert "[fusion-compact](../records.jsonl)" in (tmp_path / "claims.md").read_text()
    standard = write_tables([record()], tmp_path / "standard")
    assert "claims" not in [table.name for table in standard]
    assert not (tmp_path / "standard" / "claims.md").exists()


def test_configs_and_specs_reach_the_run(make: Callable[..., Session], monkeypatch: pytest.MonkeyPatch) -> None:
    def remember(spec: ModelSpec, dataset: PairedDataset, seed: int, config: RunConfig, **_: Any) -> RunRecord:
        asked.append((spec.name, dataset.info.name, seed, config.study, config.variant))
        return record()

    asked: list[tuple[str, str, int, str, str]] = []
    monkeypatch.setattr(session, "run", remember)
    made = make(study="input-scaling")
    made.open(made.cells)
    made.run_cell(cell(study=STUDIES["input-scaling"], variant="raw", seed=7), drive, silent)
    assert asked == [(MODEL, "shapes", 7, "input-scaling", "raw")]


def count_runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the sessions to come note which models they train."""
    trained: list[str] = []

    def noting(spec: ModelSpec, *arguments: Any, **words: Any) -> RunRecord:
        trained.append(spec.name)
        return run(spec, *arguments, **words)

    monkeypatch.setattr(session, "run", noting)
    return trained


def test_a_resumed_session_takes_finished_cells_from_their_records(
    make: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make()
    first.open([cell()])
    ended = first.run_cell(cell(), drive, silent)
    first.close()
    trained = count_runs(monkeypatch)
    second = make(resume=True)
    second.open([cell(), cell(TWIN)])
    assert second.recall(cell()) == (ended, "from records")
    assert second.recall(cell(TWIN)) is None
    second.run_cell(cell(TWIN), drive, silent)
    assert trained == [TWIN]
    assert second.records == records.read(second.records_path)
    assert "from records: 1 finished cell" in second.describe([cell()])
    assert [table.name for table in second.close()][-1] == "downsampling"


def test_seeds_side_by_side_are_trained_with_the_first_and_recalled(
    make: Callable[..., Session], notebook: Notebook
) -> None:
    made, seen = make(seeds="3", seeds_together=True, tracker="notebook"), list[str]()
    made.open([cell(seed=51), cell(seed=52), cell(TWIN)])
    first = made.run_cell(cell(), drive, lambda result: seen.append(f"{result.stage} {result.epoch}"))
    second, origin = made.recall(cell(seed=52)) or (None, "")
    assert records.read(made.records_path) == made.records == [first, second]
    assert (first.seed, second and second.seed, origin) == (51, 52, "beside seed 51")
    assert first.seeds_together == 2  # the third seed was not asked for
    assert made.recall(cell(seed=53)) is None
    assert seen == ["seed 51 1", "seed 52 1", "seed 51 2", "seed 52 2"]
    told = [("epoch", 1), ("epoch", 2), ("end", ("completed", 8))]
    assert notebook.notes == [("begin", (MODEL, MODEL)), *told, ("begin", (f"{MODEL}-seed52", MODEL)), *told]
    assert made.run_cell(cell(TWIN), drive, silent).seeds_together == 1


def test_seeds_that_are_finished_are_not_trained_beside_others(make: Callable[..., Session]) -> None:
    first = make()
    first.open([cell(seed=52)])
    first.run_cell(cell(seed=52), drive, silent)
    first.close()
    second = make(seeds="3", seeds_together=True, resume=True)
    asked = [cell(seed=51), cell(seed=52), cell(seed=53)]
    second.open(asked)
    assert second.run_cell(asked[0], drive, silent).seeds_together == 2
    assert [origin for _, origin in filter(None, map(second.recall, asked[1:]))] == [
        "from records",
        "beside seed 51",
    ]


def test_seeds_side_by_side_that_raise_leave_a_record_of_the_first(
    make: Callable[..., Session], notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "run_together", fail)
    made = make(seeds="2", seeds_together=True, tracker="notebook")
    asked = [cell(seed=51), cell(seed=52)]
    made.open(asked)
    with pytest.raises(RuntimeError, match="out of memory"):
        made.run_cell(asked[0], drive, silent)
    (kept,) = records.read(made.records_path)
    assert (kept.status, kept.seed) == (FAILED, 51)
    assert made.recall(asked[1]) is None
    assert notebook.notes == [("begin", (MODEL, MODEL)), ("end", (None, 0))]


def test_without_resume_and_for_other_data_nothing_is_taken_from_records(make: Callable[..., Session]) -> None:
    first = make()
    first.open([cell()])
    first.run_cell(cell(), drive, silent)
    first.close()
    again = make()
    again.open([cell()])
    assert again.recall(cell()) is None
    again.close()
    other = make(resume=True, dataset="shapes")
    other.open([cell()])
    assert other.recall(cell()) is None
    assert "rerun, data changed: " + MODEL in other.describe([cell()])


def test_two_sessions_do_not_share_a_folder_at_the_same_time(make: Callable[..., Session]) -> None:
    first, second = make(), make()
    first.open([cell()])
    with pytest.raises(FolderError, match=r"another run is writing to .*run; wait until it ends, or give another"):
        second.open([cell()])
    first.close()
    second.open([cell()])


def test_a_folder_whose_records_cannot_be_read_is_refused(make: Callable[..., Session]) -> None:
    made = make()
    made.folder.mkdir()
    made.records_path.write_text("garbage\n")
    with pytest.raises(RecordError, match="line 1: not JSON"):
        made.open([cell()])


def test_a_record_that_was_cut_off_is_run_again(make: Callable[..., Session]) -> None:
    made = make()
    made.open([cell()])
    ended = made.run_cell(cell(), drive, silent)
    made.close()
    made.records_path.write_bytes(made.records_path.read_bytes()[:-20])
    again = make(resume=True)
    again.open([cell()])
    assert again.recall(cell()) is None
    rerun = again.run_cell(cell(), drive, silent)
    assert records.read(again.records_path) == [rerun]
    assert rerun.weights_sha256 == ended.weights_sha256
