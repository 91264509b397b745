import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import msgspec
import pytest
import torch

from bench.analysis.claim_files import published_claims
from bench.config import OptionError, RunConfig
from bench.harness.cell import Cell
from bench.harness.data import misfit
from bench.harness.folder import FolderError
from bench.harness.options import resolve
from bench.harness.progress import Progress
from bench.harness.session import Session
from bench.harness.trainings import Trainings
from bench.records import (
    DIVERGED,
    FAILED,
    ProbeRecord,
    RecordError,
    RunRecord,
    SampleRecord,
    read,
    read_costs,
)
from bench.records.sample import samples_path
from bench.tracking import register_tracker
from bench.training import preparation, runs
from bench.training.load import Others
from bench.training.runs import drive, silent
from bench.training.trainer import Observer
from data_utils import DataError, PairedDataset, register_dataset
from fusion_models import ModelSpec, find_model, register_model
from tests.bench.harness.faults import largest_file
from tests.bench.probes.samples import probe_record
from tests.bench.report.pages import inference
from tests.bench.samples import MODEL, TWIN, record, small_dataset
from tests.bench.tracking.session import FIRST, Notebook
from tests.data_utils.samples import shapes

pytestmark = pytest.mark.usefixtures("registries")


@pytest.fixture
def notebook(registries: None) -> Notebook:  # noqa: ARG001
    """A tracker with the name of this fixture."""
    tracker = Notebook()
    register_tracker("notebook", package="pytest")(lambda _: tracker)
    return tracker


@pytest.fixture
def simulated(registries: None) -> list[int]:  # noqa: ARG001
    """A data set called "small"; the list holds the numbers of pairs that were requested."""
    requested: list[int] = []

    def small(pairs: int, seed: int) -> PairedDataset:
        requested.append(pairs)
        return shapes(pairs, seed, image_size=16)

    register_dataset("small")(small)
    return requested


Make = Callable[..., Session]


@pytest.fixture
def make(tmp_path: Path, simulated: list[int]) -> Make:
    """Makes sessions that share a folder."""
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


def cell(session: Session, model: str = MODEL, *, seed: int = 51) -> Cell:
    """The session's cell of a model and a seed."""
    return next(cell for cell in session.cells if (cell.spec.name, cell.seed) == (model, seed))


@pytest.fixture
def opened(make: Make) -> Session:
    """A session that can run."""
    session = make()
    session.open(session.cells)
    return session


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that draw no figures, which take most of the time of their end."""
    monkeypatch.setattr("bench.plots.write_figures", lambda *_: [])


# Data and folder


def test_opening_makes_the_folder_and_an_empty_file_of_records(opened: Session) -> None:
    assert read(opened.records_path, RunRecord) == []


def test_simulated_data_are_loaded_once_with_the_pairs_that_the_protocol_uses(
    make: Make, simulated: list[int]
) -> None:
    session = make(seeds="2")
    session.open(session.cells)
    session.data.world(session.cells[-1].config, session.cells[-1].seed)
    session.data.world(session.cells[0].config, session.cells[0].seed)
    assert simulated == [80, 80, 80, 80]  # training and test pairs of two seeds


def test_data_that_cannot_be_split_are_refused_before_anything_is_made(make: Make) -> None:
    register_dataset("tiny")(lambda pairs, seed: small_dataset().take(torch.arange(20)))  # noqa: ARG005
    session = make(dataset="tiny", settings=["drop_last=true"])
    with pytest.raises(DataError, match="14 training pairs are fewer than one batch of 32; add pairs"):
        session.open(session.cells)
    assert not session.folder.exists()


def test_a_setting_that_the_data_cannot_have_is_refused(make: Make) -> None:
    session = make(settings=["normalized=rgb,lidr"])
    with pytest.raises(
        OptionError,
        match=r"^--set normalized=rgb,lidr: the data have no modality 'lidr'; they have rgb, lidar$",
    ):
        session.open(session.cells)
    assert not session.folder.exists()
    allowed = make(settings=["normalized=lidar"])
    allowed.open(allowed.cells)


def test_a_crop_as_large_as_the_images_is_refused_before_anything_is_made(make: Make) -> None:
    session = make(settings=["random_crop=64"])
    with pytest.raises(
        OptionError, match="random_crop=64 moves images of 16x16 pixels out of sight; set at most 15"
    ):
        session.open(session.cells)
    assert not session.folder.exists()


def test_a_setting_without_effect_is_noted_once(make: Make) -> None:
    data = small_dataset()
    info = replace(data.info, channels={"lidar": 4})
    points = replace(data, info=info, inputs={"lidar": data.inputs["lidar"]})
    register_dataset("points", modalities=["lidar"])(lambda pairs, seed: points)  # noqa: ARG005
    session = make(dataset="points", settings=["color_jitter=0.2"])
    session.load(session.cells)
    session.open(session.cells)
    assert [note for note in session.notes if "color_jitter" in note] == [
        "--set color_jitter=0.2: the data have no images, only lidar, so it changes nothing"
    ]


def test_a_folder_that_cannot_be_made_is_refused_with_the_remedy(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    session = make(results_dir=str(tmp_path / "file" / "run"))
    with pytest.raises(FolderError, match=r"cannot write results to .*run \(.*\); give another .*--results-dir"):
        session.open(session.cells)


def test_two_sessions_do_not_share_a_folder_at_the_same_time(make: Make) -> None:
    first, second = make(), make()
    first.open(first.cells)
    with pytest.raises(FolderError, match=r"another run is writing to .*run; wait until it ends, or give another"):
        second.open(second.cells)
    first.finish()
    second.open(second.cells)


def test_a_file_system_without_locks_is_refused(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """As filelock does before its version 4."""

    def acquire(*_: Any) -> None:
        raise NotImplementedError("no flock")

    monkeypatch.setattr("filelock.FileLock.acquire", acquire)
    session = make()
    with pytest.raises(FolderError, match=r"cannot write results to .*run \(no flock\); give another folder with"):
        session.open(session.cells)


def test_a_folder_whose_records_cannot_be_read_is_refused(make: Make) -> None:
    session = make()
    session.folder.mkdir()
    session.records_path.write_text("garbage\n")
    with pytest.raises(RecordError, match=r"records\.jsonl, line 1: not a RunRecord"):
        session.open(session.cells)


# What is described before


def test_the_description_names_study_data_seeds_and_folder(make: Make) -> None:
    session = make(seeds="2")
    first, *_, last = session.describe(session.cells)
    assert first == (
        "standard: 64 training, 16 validation and 80 test pairs of small (2 classes), profile smoke, 2 epochs, "
        "seeds 51, 52"
    )
    assert last == f"results: {session.folder}"


def test_the_description_names_the_seeds_that_are_selected(make: Make) -> None:
    session = make(seeds="9")
    selected = [cell for cell in session.cells if cell.seed in (52, 53, 54, 58)]
    assert session.describe(selected)[0].endswith(", seeds 52 to 54, 58")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            None,
            "note: this system does not report the load of other processes, so claims do not count the times "
            "of this run",
        ),
        (Others(0.1, 2, ()), "other processes: 0.1 of 2 cores busy"),
        (
            Others(1.1, 2, (("make", 7, 1.0),)),
            "note: THE MACHINE IS BUSY. Other processes: 1.1 of 2 cores busy: make (pid 7) 1.0. Times that they "
            "disturb are marked, and no claim counts them. End these processes and start again, or let this run "
            "finish and repeat the disturbed trainings with --resume on an idle machine",
        ),
    ],
)
def test_a_study_about_times_says_what_other_processes_do(
    found: Others | None, words: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.training.load.others", lambda: found)
    timed = make(study="costs")
    assert words in timed.describe(timed.cells[:1])
    other = make(study="downsampling-compact")
    assert not [line for line in other.describe(other.cells[:1]) if "other processes" in line]


def test_on_cuda_other_processes_may_keep_all_cores_but_one_busy(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make(study="costs")
    session.options = replace(session.options, device="cuda:1")
    for cores, words in ((15.0, "other processes: 15.0 of 16"), (15.5, "note: THE MACHINE IS BUSY")):
        monkeypatch.setattr("bench.training.load.others", lambda cores=cores: Others(cores, 16, ()))
        assert session._others().startswith(words)


def test_notes_of_the_data_are_described_once(make: Make) -> None:
    noted = replace(small_dataset(), notes=("two files are broken.",))
    register_dataset("noted")(lambda pairs, seed: noted)  # noqa: ARG005
    session = make(study="input-scaling", dataset="noted")
    assert session.describe(session.cells).count("note: two files are broken.") == 1


def test_a_cache_that_cannot_be_written_leaves_a_note(make: Make, tmp_path: Path) -> None:
    (tmp_path / "results" / "runs").mkdir(parents=True)
    (tmp_path / "results" / "runs" / "simulated").touch()  # a file where the folder should be
    session = make(dataset="shapes")
    session.open(session.cells)
    notes = [line for line in session.describe(session.cells) if line.startswith("note: ")]
    assert any("could not be written" in note for note in notes)
    assert session.failures == []


def test_a_model_that_does_not_fit_the_data_has_a_reason(opened: Session) -> None:
    info = opened.any_source().info
    assert misfit(find_model(MODEL), info) == ""
    without_lidar = replace(info, channels={"rgb": 4, "thermal": 1})
    assert "lidar" in misfit(find_model("wide-lidar-strided"), without_lidar)
    assert "multiples of 8, not 12x12" in misfit(
        find_model("wide-late-concat-strided"), replace(info, image_size=(12, 12))
    )


def test_the_function_of_a_plugin_is_not_called_to_see_whether_it_fits(opened: Session) -> None:
    register_model("mine")(lambda channels, image_size, classes: pytest.fail("it may take long"))  # noqa: ARG005
    assert misfit(find_model("mine"), opened.any_source().info) == ""


# Cells


def test_a_cell_that_ended_is_on_the_disk_and_the_tracker_knows(make: Make, notebook: Notebook) -> None:
    session, observed = make(tracker="notebook"), list[int]()
    session.open(session.cells)
    ended = session.run_cell(cell(session), drive, lambda result: observed.append(result.epoch))
    assert read(session.records_path, RunRecord) == session.records == [ended]
    assert notebook.notes == [
        ("begin", (MODEL, MODEL)),
        ("epoch", 1),
        ("epoch", 2),
        ("end", ("completed", 8)),
    ]
    assert observed == [1, 2]
    assert ended.command == session.options.command(cell(session), threads=torch.get_num_threads())
    assert ended.claims == published_claims().hashes(("standard", ""), MODEL)
    assert "downsampling-compact/1" in ended.claims
    assert len(read(samples_path(session.folder, str(ended.checkpoint)), SampleRecord)) == 8


def fail(*_: Any, **__: Any) -> RunRecord:
    raise RuntimeError("out of memory")


def test_a_cell_that_raised_is_on_the_disk_and_raises(
    make: Make, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "run_cell", fail)
    session = make(tracker="notebook")
    session.open(session.cells)
    with pytest.raises(RuntimeError, match="out of memory"):
        session.run_cell(cell(session), drive, silent)
    (kept,) = read(session.records_path, RunRecord)
    assert (kept.status, kept.error) == (FAILED, "RuntimeError: out of memory")
    assert (kept.model, kept.seed, kept.train_losses, kept.valid_accuracy) == (MODEL, 51, [], None)
    assert kept.command
    assert notebook.notes == [("begin", (MODEL, MODEL)), ("end", (None, 0))]
    progress = Progress(lambda _: None, live=False, cells=2)
    trainings = Trainings(session, [cell(session), cell(session, TWIN)], progress)
    assert trainings.unfinished == 1  # its record is one of those that are counted as kept


def interrupt(*_: Any, **__: Any) -> RunRecord:
    raise KeyboardInterrupt


def test_a_cell_that_was_interrupted_leaves_no_record(
    make: Make, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "run_cell", interrupt)
    session = make(tracker="notebook")
    session.open(session.cells)
    with pytest.raises(KeyboardInterrupt):
        session.run_cell(cell(session), drive, silent)
    assert read(session.records_path, RunRecord) == session.records == []
    assert notebook.notes[-1] == ("end", (None, 0))


def test_configs_and_specs_reach_the_run(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def remember(spec: ModelSpec, dataset: PairedDataset, seed: int, config: RunConfig, **_: Any) -> RunRecord:
        runs_of.append((spec.name, dataset.info.name, seed, config.study, config.variant, config.protocol.epochs))
        return record()

    runs_of: list[tuple[object, ...]] = []
    monkeypatch.setattr(runs, "run_cell", remember)
    session = make(study="input-scaling", seeds="7,", settings=["epochs=3"])
    session.open(session.cells)
    session.run_cell(cell(session, seed=7), drive, silent)
    assert runs_of == [(MODEL, "small", 7, "input-scaling", "raw,epochs=3", 3)]


@pytest.mark.usefixtures("undrawn")
def test_what_is_beside_a_result_and_fails_leaves_a_note(make: Make) -> None:
    session = make()
    session.open(session.cells)
    (session.folder / "samples").touch()  # a file where the folder should be
    completed = session.run_cell(cell(session), drive, silent)
    assert completed.status == "completed"
    (note,) = session.notes
    assert note.startswith("sample predictions could not be saved (")
    session.finish()
    assert session.failures == []


def test_a_checkpoint_that_finds_no_room_leaves_a_note_and_the_record(make: Make) -> None:
    session = make()
    session.open(session.cells)
    with largest_file(50_000):  # the weights are larger, the record is smaller
        completed = session.run_cell(cell(session), drive, silent)
    assert (completed.status, completed.checkpoint) == ("completed", None)
    assert read(session.records_path, RunRecord) == [completed]
    assert list((session.folder / "checkpoints").iterdir()) == []
    (note,) = session.notes
    assert "could not be saved, so this model is not resumed or probed (" in note


def test_a_cell_that_diverged_has_no_sample_predictions(
    make: Make, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "run_cell", lambda *_, **__: record(status=DIVERGED, checkpoint=None))
    session = make(tracker="notebook")
    session.open(session.cells)
    session.run_cell(cell(session), drive, silent)
    assert notebook.notes[-1] == ("end", (DIVERGED, 0))
    assert session.trackers.notes == []


@pytest.mark.usefixtures("undrawn")
def test_a_tracker_that_fails_leaves_the_record_and_a_note(
    make: Make, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ConnectionError("no server")

    def run_one_epoch(*_: Any, observe: Observer, **__: Any) -> RunRecord:
        observe(FIRST)
        return record(status=DIVERGED)

    monkeypatch.setattr(runs, "run_cell", run_one_epoch)
    for method in ("begin", "epoch", "end", "close"):
        with monkeypatch.context() as patch:
            patch.setattr(notebook, method, fail)
            session = make(tracker="notebook")
            session.open(session.cells)
            ended = session.run_cell(cell(session), drive, silent)
            session.finish()
        assert session.records == [ended]
        assert session.notes == ["--track notebook failed and was disabled: ConnectionError: no server"]
        assert session.failures == []


# Probes and costs

EARLY = "wide-early-concat-strided"


def test_a_trained_cell_can_be_probed_and_one_that_was_not_cannot(make: Make) -> None:
    session = make(study="robustness", seeds="3")
    session.open(session.cells)
    first, second, third = (cell(session, EARLY, seed=seed) for seed in (51, 52, 53))
    assert session.record_of(first) is None
    with pytest.raises(
        RecordError, match=f"robustness:{EARLY} has not been trained in this session; run its cell"
    ):
        session.subject(first)
    ended = [session.run_cell(one, drive, silent) for one in (first, second)]
    assert [session.record_of(one) for one in (first, second, third)] == [*ended, None]
    assert session.subject(second).record == ended[1]
    earlier = [[other.seed for other in session.earlier_seeds(one)] for one in (first, second, third)]
    assert earlier == [[], [51], [51, 52]]


@pytest.mark.usefixtures("undrawn")
def test_probes_are_on_the_disk_and_in_the_tables(opened: Session) -> None:
    opened.records.append(record())
    probes = [probe_record(level=level) for level in (0.0, 0.5, 0.9, 1.0)]
    kept = opened.keep_probes(probes)
    assert kept == [msgspec.structs.replace(probe, values=4) for probe in probes]
    assert read(opened.folder / "probes.jsonl", ProbeRecord) == opened.probes == kept
    assert "robustness" in [table.name for table in opened.finish()]
    assert "| dropped-returns" in (opened.folder / "tables" / "robustness-robustness.md").read_text()


def test_costs_are_on_the_disk_and_in_the_tables_also_alone(opened: Session) -> None:
    opened.keep_cost(inference(MODEL))
    assert read_costs(opened.folder / "costs.jsonl") == opened.costs == [inference(MODEL)]
    assert [table.name for table in opened.finish()] == ["inference"]
    assert MODEL in (opened.folder / "tables" / "inference.md").read_text()


# The end


def test_finishing_writes_tables_and_figures_of_what_has_ended(opened: Session) -> None:
    opened.records += [record(TWIN), record(MODEL)]
    tables = opened.finish()
    assert [table.name for table in tables] == ["fusion", "predictions", "cost", "thresholds", "downsampling"]
    assert sorted(path.name for path in (opened.folder / "tables").iterdir()) == sorted(
        f"{table.name}.{suffix}" for table in tables for suffix in ("md", "tex", "csv")
    )
    assert sorted(path.name for path in (opened.folder / "plots").glob("*.svg")) == [
        "cost.svg",
        "curves.svg",
        "downsampling.svg",
    ]
    assert opened.failures == opened.notes == []


def test_finishing_without_a_record_writes_nothing(opened: Session) -> None:
    assert opened.finish() == []
    assert not (opened.folder / "tables").exists()
    assert not (opened.folder / "plots").exists()


@pytest.mark.parametrize(
    ("folder", "failure", "others"),
    [
        ("tables", r"the tables could not be written \(FileExistsError: .*\)", ["plots/curves.png"]),
        ("plots", r"the figures could not be written \(FileExistsError: .*\)", ["tables/fusion.csv"]),
    ],
)
def test_tables_or_figures_that_cannot_be_written_are_said_and_the_rest_is_written(
    folder: str, failure: str, others: list[str], make: Make, notebook: Notebook
) -> None:
    session = make(tracker="notebook")
    session.open(session.cells)
    session.records.append(record())
    (session.folder / folder).touch()  # a file where the folder should be
    session.finish()
    (message,) = session.failures if folder == "tables" else session.notes[:1]
    remedy = f"; the records are in {session.folder}; try again: python -m bench {folder} {session.folder}"
    assert message.endswith(remedy)
    assert re.fullmatch(failure, message.removesuffix(remedy))
    assert [name for name in others if not (session.folder / name).is_file()] == []
    assert notebook.notes[-1][0] == "close"
    make().open(session.cells)  # the folder is released


def test_records_that_no_table_can_show_are_a_failure_and_trackers_are_closed(
    make: Make, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("no seeds")

    monkeypatch.setattr("bench.tables.tabulation.fusion_table", fail)
    session = make(tracker="notebook")
    session.open(session.cells)
    session.records.append(record())
    assert session.finish() == []
    (failure,) = session.failures
    assert failure.startswith("the tables could not be written (ZeroDivisionError: no seeds)")
    assert (session.folder / "plots" / "curves.png").is_file()
    assert notebook.notes == [("close", (1, {}))]


@pytest.mark.usefixtures("undrawn")
def test_a_record_that_cannot_be_written_waits_for_room(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    session = make()
    session.open([cell(session)])
    monkeypatch.setattr(runs, "run_cell", lambda *_, **__: record())
    with largest_file(100), pytest.raises(FolderError, match=r"cannot be written to .*records\.jsonl \(File too"):
        session.run_cell(cell(session), drive, silent)
    assert session.records_path.stat().st_size == 100  # cut off in its line
    assert read(session.records_path, RunRecord) == []
    session.run_cell(cell(session), drive, silent)
    assert read(session.records_path, RunRecord) == session.records == [record(), record()]
    session.finish()
    assert session.failures == []


@pytest.mark.usefixtures("undrawn")
def test_records_that_find_no_room_until_the_end_are_kept_elsewhere(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(runs, "run_cell", lambda *_, **__: record())
    session = make()
    session.open([cell(session)])
    rmtree(session.folder)
    with pytest.raises(FolderError, match=r"cannot be written to .* \(No such file or directory\)"):
        session.run_cell(cell(session), drive, silent)
    session.finish()
    (failure,) = session.failures
    (elsewhere,) = tmp_path.glob("fusiongauge-*/records.jsonl")
    assert failure.startswith(f"1 record could not be written to {session.folder} (No such file or directory); ")
    assert str(elsewhere.parent) in failure
    assert read(elsewhere, RunRecord) == [record()]
    assert (session.folder / "tables" / "fusion.md").is_file()


@pytest.mark.usefixtures("undrawn")
def test_records_that_find_no_room_anywhere_are_said_to_be_lost(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runs, "run_cell", lambda *_, **__: record())
    session = make()
    session.open([cell(session)])
    rmtree(session.folder)
    with pytest.raises(FolderError):
        session.run_cell(cell(session), drive, silent)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    session.finish()
    (failure,) = session.failures
    assert failure == (
        f"1 record could not be written to {session.folder} (No such file or directory); they are lost, apart "
        "from the tables; make room and run the benchmark again"
    )
    assert (session.folder / "tables" / "fusion.md").is_file()


@pytest.mark.usefixtures("undrawn")
def test_the_tracker_gets_the_tables_and_its_notes_are_kept(make: Make, notebook: Notebook) -> None:
    session = make(tracker="notebook")
    session.open(session.cells)
    session.records += [record(TWIN), record(MODEL)]
    session.finish()
    assert notebook.notes == [("close", (2, {"standard": 5}))]
    assert session.notes == ["noted"]


# Resuming


def count_runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lets sessions note which models they train."""
    trained: list[str] = []
    run_cell = runs.run_cell

    def noting(spec: ModelSpec, *arguments: Any, **words: Any) -> RunRecord:
        trained.append(spec.name)
        return run_cell(spec, *arguments, **words)

    monkeypatch.setattr(runs, "run_cell", noting)
    return trained


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the folder of a finished session is kept for all tests."""
    return tmp_path_factory.mktemp("kept") / "run"


@pytest.fixture
def ended(make: Make, kept: Path) -> RunRecord:
    """The record of a cell that an earlier session has completed in the folder."""
    session = make()
    if not kept.exists():
        session.open([cell(session)])
        session.run_cell(cell(session), drive, silent)
        session.finish()
        copytree(session.folder, kept)
    copytree(kept, session.folder, dirs_exist_ok=True)
    (record,) = read(session.records_path, RunRecord)
    return record


@pytest.mark.usefixtures("undrawn")
def test_a_resumed_session_takes_finished_cells_from_their_records(
    make: Make, ended: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = count_runs(monkeypatch)
    session = make(resume=True)
    cells = [cell(session), cell(session, TWIN)]
    session.open(cells)
    assert "from records: 1 finished cell" in session.describe(cells)
    assert session.records == [ended]  # also if the session is interrupted now
    assert [session.record_of(one) for one in cells] == [ended, None]
    assert session.recall(cells[0]) == ended
    assert session.recall(cells[1]) is None
    session.run_cell(cells[1], drive, silent)
    assert trained == [TWIN]
    assert session.records == read(session.records_path, RunRecord)
    assert [table.name for table in session.finish()][-1] == "downsampling"


@pytest.mark.usefixtures("ended")
def test_without_resume_nothing_is_taken_from_records(make: Make) -> None:
    session = make()
    session.open(session.cells)
    assert session.recall(cell(session)) is None


@pytest.mark.usefixtures("ended")
def test_other_settings_are_other_cells(make: Make) -> None:
    session = make(resume=True, settings=["epochs=1"])
    session.open([cell(session)])
    assert session.recall(cell(session)) is None
    assert "from records: no finished cells" in session.describe([cell(session)])


@pytest.mark.usefixtures("ended")
def test_changed_data_are_a_reason_to_rerun(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(pairs: int, seed: int, image_size: int) -> PairedDataset:
        dataset = original(pairs, seed, image_size)
        dataset.inputs["rgb"].flatten()[0] ^= 1
        return dataset

    original = shapes
    monkeypatch.setattr("tests.bench.harness.test_session.shapes", changed)
    preparation._worlds.clear()  # as in a new process
    session = make(resume=True)
    session.open([cell(session)])
    assert session.recall(cell(session)) is None
    assert f"rerun, data changed: 1 cell: {MODEL}" in session.describe([cell(session)])


def test_what_is_finished_is_never_skipped(make: Make, ended: RunRecord) -> None:
    session = make(resume=True, until_decided=True, compare_models=(MODEL, TWIN), budget="1h")
    session.open(session.cells)
    assert session.plan is not None
    session.plan.budget = -1.0
    assert session.recall(cell(session)) == ended
    assert session.why_skipped(cell(session)) == ""
    assert session.why_skipped(cell(session, TWIN)) == "the time of --budget is used up"


@pytest.mark.usefixtures("ended")
def test_a_look_that_could_not_be_merged_with_the_earlier_ones_is_refused(make: Make) -> None:
    def second_look(name: str) -> Session:
        words = {"earlier": str(path.parent), "results_dir": str(path.parent.parent / name)}
        return make(until_decided=True, shard="1/2", compare_models=(MODEL, TWIN), **words)

    path = make().records_path
    session = second_look("mergeable")
    session.open(session.cells)
    assert session.notes == []
    path.write_text(path.read_text().replace('"code_sha256":"', '"code_sha256":"0'))
    session = second_look("refused")
    with pytest.raises(OptionError, match=rf"run: {MODEL} \(seed 51\): code changed, so this look could not be"):
        session.open(session.cells)
    assert not session.folder.exists()


def test_models_that_do_not_fit_do_not_keep_a_session_from_resuming(make: Make) -> None:
    lidar_alone = small_dataset()
    info = replace(lidar_alone.info, channels={"lidar": 4})
    alone = replace(lidar_alone, info=info, inputs={"lidar": lidar_alone.inputs["lidar"]})
    register_dataset("alone")(lambda pairs, seed: alone)  # noqa: ARG005
    session = make(resume=True, dataset="alone")
    session.open(session.cells)
    assert "from records: no finished cells" in session.describe(session.cells)


def test_a_record_that_was_cut_off_is_run_again(make: Make, ended: RunRecord) -> None:
    path = make().records_path
    path.write_bytes(path.read_bytes()[:-20])
    session = make(resume=True)
    session.open([cell(session)])
    assert session.recall(cell(session)) is None
    rerun = session.run_cell(cell(session), drive, silent)
    assert read(path, RunRecord) == [rerun]
    assert rerun.weights_sha256 == ended.weights_sha256
