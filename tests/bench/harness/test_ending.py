"""What a session prints at its end, from hand-made records."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from bench.analysis import gate
from bench.harness.ending import Ending
from bench.harness.looks import LATE
from bench.harness.options import resolve
from bench.harness.session import Session
from bench.records import FAILED, RunRecord
from bench.tables.text import as_text
from tests.bench.report.pages import inference
from tests.bench.samples import MODEL, TWIN, record

Make = Callable[..., Session]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes sessions in which these records have ended."""

    def made(*records: RunRecord, **words: Any) -> Session:
        options = resolve(root=tmp_path, results_dir=str(tmp_path / "run"), profile="smoke", device="cpu", **words)
        options.results_dir.mkdir()
        return Session(options, records=list(records))

    return made


def printed(ending: Ending) -> str:
    return "\n".join(ending.lines(partial(as_text, color=False)))


def test_tables_figures_and_their_places_are_printed(make: Make) -> None:
    session = make(record(TWIN), record(MODEL))
    session.notes.append("a note")
    ending = Ending(session, None, ())
    assert not ending.failed
    lines = printed(ending).splitlines()
    assert lines[0].startswith("data: shapes, 2 classes")
    assert lines[-3:] == [
        f"figures are in {session.folder / 'plots'}",
        f"2 records are in {session.folder}",
        "a note",
    ]
    assert MODEL in printed(ending)
    assert "earlier run" not in printed(ending)
    assert (session.folder / "tables" / "predictions.md").is_file()
    assert "fusion architectures" in printed(ending)
    assert "further metrics" not in printed(ending)


def test_records_of_several_studies_have_no_common_conditions(make: Make) -> None:
    session = make(record(), record(study="fusion-compact", dataset="moons"), study="standard,fusion-compact")
    text = printed(Ending(session, None, ()))
    assert not text.startswith("data: ")
    assert f"2 records are in {session.folder}" in text


def test_measurements_alone_are_tables(make: Make) -> None:
    session = make()
    session.keep_cost(inference(MODEL))
    text = printed(Ending(session, [], ()))
    assert text.endswith(f"tables are in {session.folder}")
    assert "records are" not in text
    assert "earlier run" not in text


def test_without_anything_measured_only_notes_are_printed(make: Make) -> None:
    session = make()
    assert printed(Ending(session, None, ())) == ""
    session.notes.append("a note")
    ending = Ending(session, [], ())
    assert (printed(ending), ending.failed, ending.comparison) == ("a note", False, None)


def test_what_could_not_be_written_comes_last_and_tables_fail_the_run(make: Make) -> None:
    session = make(record())
    for name in ("plots", "tables"):
        (session.folder / name).touch()  # files where folders should be
    ending = Ending(session, None, ())
    assert ending.failed
    *shown, counted, note, failure = printed(ending).splitlines()
    assert MODEL in "".join(shown)  # the tables are shown all the same
    assert counted == f"1 record is in {session.folder}"
    assert note.startswith("the figures could not be written (FileExistsError: ")
    assert note.endswith(f"try again: python -m bench plots {session.folder}")
    assert failure.startswith("FAILED: the tables could not be written (FileExistsError: ")
    assert failure.endswith(f"try again: python -m bench tables {session.folder}")


def test_figures_alone_do_not_fail_the_run(make: Make) -> None:
    session = make(record())
    (session.folder / "plots").touch()
    assert not Ending(session, None, ()).failed


def test_the_reasons_of_cells_that_failed_or_were_skipped_are_printed(make: Make) -> None:
    session = make(record(), record(TWIN, status=FAILED, error="RuntimeError: no memory"))
    session.skipped["wide"] = "wide needs multiples of 8"
    lines = printed(Ending(session, None, ())).splitlines()
    assert f"failed: {TWIN} (seed 51): RuntimeError: no memory" in lines
    assert lines[-1] == "skipped: wide needs multiples of 8"


def test_an_interrupted_session_says_what_is_kept(make: Make) -> None:
    session = make()
    assert printed(Ending(session, None, (), 2)) == (
        f"interrupted before any cell was finished; {session.folder} has no records"
    )
    session.records_path.write_text("{}\n")
    assert printed(Ending(session, None, (), 2)).endswith(f"{session.folder} has only records of earlier sessions")
    session.records.append(record())
    last = printed(Ending(session, None, (), 2)).splitlines()[-1]
    assert last == (
        "interrupted; 2 of 3 cells are unfinished; the others are kept, and the same command with --resume "
        f"--results-dir {session.folder} runs the rest"
    )


def test_a_session_that_ran_out_of_time_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "my run"
    words: dict[str, Any] = {"until_decided": True, "compare_models": (MODEL, TWIN), "budget": "1h"}
    session = Session(resolve(root=tmp_path, results_dir=str(folder), profile="smoke", device="cpu", **words))
    session.skipped = {session.cells[0].name: LATE, session.cells[1].name: "decided", "bench/test.py::id": LATE}
    lines = printed(Ending(session, None, ())).splitlines()
    assert lines[0] == (
        "the time of --budget was used up before 1 cell began; the same command with --resume "
        f"--results-dir '{folder}' goes on"
    )


@pytest.mark.parametrize("error", [ZeroDivisionError("no seeds"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_whatever_is_raised_at_the_end_is_a_sentence(error: BaseException, make: Make) -> None:
    session = make(record())
    ending = Ending(session, None, ())
    with ending.noting("the times could not be shown"):
        raise error
    assert printed(ending).splitlines()[-1].startswith(f"the times could not be shown ({type(error).__name__}")
    assert not ending.failed
    assert session.interrupted == isinstance(error, KeyboardInterrupt)
    with ending.noting("this is not written", fails=True):
        raise error
    assert ending.failed


def test_a_comparison_that_cannot_be_made_costs_no_table(make: Make) -> None:
    foreign = record(train_pairs=cast(Any, "many"), started_at=cast(Any, None))
    ending = Ending(make(record()), [foreign], ())
    assert "this run could not be compared with the earlier one (" in printed(ending)
    assert MODEL in printed(ending)


RULES = gate.parse("valid_accuracy:-0.01")


def test_a_first_run_is_compared_with_none_and_passes(make: Make) -> None:
    ending = Ending(make(record()), [], RULES)
    assert not ending.failed
    assert "no earlier run of this kind to compare with; this one is kept as the first" in printed(ending)
    assert "--fail-on: " in printed(ending)


def test_changes_from_an_earlier_run_are_printed(make: Make) -> None:
    ending = Ending(make(record(best_valid_loss=0.125)), [record(best_valid_loss=0.25)], RULES)
    assert not ending.failed
    text = printed(ending)
    assert "Compared with the earlier run" in text
    assert "-0.125" in text
    assert text.index("Compared with") < text.index("--fail-on") < text.index("record is in")


def test_a_broken_rule_fails_the_run_and_is_printed(make: Make) -> None:
    ending = Ending(make(record(valid_accuracy=0.5)), [record(valid_accuracy=0.75)], RULES)
    assert ending.failed
    (violation,) = ending.violations
    assert violation in printed(ending)
    assert "FAILED --fail-on: worse than the earlier run" in printed(ending)


def test_warnings_of_the_comparison_are_printed(make: Make) -> None:
    other = {**record().environment, "device_name": "another processor"}
    ending = Ending(make(record()), [record(environment=other)], ())
    assert "device_name: another processor -> a processor" in printed(ending)
