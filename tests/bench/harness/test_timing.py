"""Options of pytest-benchmark and its stored runs, without a run."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_benchmark.utils import get_machine_id

from bench.config import OptionError
from bench.harness import timing
from bench.harness.ending import Ending
from bench.harness.saved import facts
from bench.harness.timing import Timing, check_options, choose_earlier_run
from tests.bench.samples import record

OPTIONS: dict[str, Any] = {
    "benchmark_compare": [],
    "benchmark_compare_fail": None,
    "benchmark_group_by": "group",
    "benchmark_histogram": [],
    "benchmark_storage": timing.DEFAULT_STORAGE,
}


def configured(**options: Any) -> Any:
    """A configuration of pytest, as far as it is looked at."""
    plugins = SimpleNamespace(hasplugin=lambda name: name in ("benchmark", "terminal"))
    return SimpleNamespace(option=SimpleNamespace(**{**OPTIONS, **options}), pluginmanager=plugins, stash={})


@pytest.mark.parametrize(
    "options", [{}, {"numprocesses": 0, "dist": "no", "tx": []}, {"benchmark_group_by": "param:x,func"}]
)
def test_options_that_can_be_used_are_not_refused(options: dict[str, Any]) -> None:
    check_options(configured(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"numprocesses": 2}, "in parallel; leave -n out"),
        ({"dist": "load"}, "in parallel; leave -n out"),
        ({"dist": "each", "tx": ["popen"]}, "in parallel; leave -n out"),
        ({"benchmark_compare_fail": ["mean:1%"]}, "add --benchmark-compare"),
        (
            {"benchmark_compare": ["1"], "benchmark_compare_fail": ["mean:1%"], "no_summary": True},
            "leave --no-summary and -p no:terminal out",
        ),
        ({"log_file": "/proc/nothing/x.log"}, "--log-file /proc/nothing/x.log: this file cannot be written"),
        ({"benchmark_group_by": "func,nonsense"}, "--benchmark-group-by nonsense: give one of group, name"),
        ({"benchmark_group_by": "param:"}, "--benchmark-group-by param:: give one of"),
        (
            {"benchmark_histogram": ["x"]},
            "--benchmark-histogram: the package pygal is not installed; .* pip install pygal",
        ),
        ({"benchmark_storage": "elasticsearch+http://x"}, "the package elasticsearch is not installed"),
    ],
)
def test_options_that_would_fail_at_the_end_are_refused(
    options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(OptionError, match=message):
        check_options(configured(**options))


def test_without_pytest_benchmark_the_remedy_is_named() -> None:
    config = configured()
    config.pluginmanager.hasplugin = lambda _: False
    with pytest.raises(OptionError, match=r"-p no:benchmark out; .* PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        check_options(config)


WHOLE = {
    "machine_info": {},
    "benchmarks": [
        {
            "fullname": "bench/test_training.py::test_training[x]",
            "extra_info": facts(record()),
            "stats": {"min": 1, "max": 1, "mean": 1, "median": 1, "stddev": 0, "rounds": 1},
        }
    ],
}
"""What pytest-benchmark stores of a run, as far as it is looked at."""

Store = Callable[[str, bytes], Path]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    folder = tmp_path / get_machine_id()
    folder.mkdir()

    def stored(name: str, content: bytes) -> Path:
        path: Path = folder / name
        path.write_bytes(content)
        return path

    return stored


DAMAGED = {
    "cut off": json.dumps(WHOLE).encode()[:900],
    "empty": b"",
    "binary": bytes(range(256)),
    "a list": b"[]",
    "a number": b"1",
    "without benchmarks": b"{}",
    "without a machine": json.dumps({"benchmarks": WHOLE["benchmarks"]}).encode(),
    "of another record": json.dumps(WHOLE).replace('"seed": 51', '"seed": "many"').encode(),
    "without times": json.dumps(WHOLE).replace('"median": 1', '"median": null').encode(),
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_the_latest_whole_file_is_compared_with_and_damaged_ones_are_named(
    content: bytes, store: Store, tmp_path: Path
) -> None:
    store("0001_a.json", json.dumps(WHOLE).encode())
    whole, damaged = store("0002_b.json", json.dumps(WHOLE).encode()), store("0003_c.json", content)
    config = configured(benchmark_compare=True, benchmark_storage=f"file://{tmp_path}")
    (note,) = choose_earlier_run(config)
    assert config.option.benchmark_compare == str(whole)
    assert note.startswith(f"--benchmark-compare: passed over {damaged}, which is not a stored run (")
    assert note.endswith("); remove it")


def test_without_a_whole_file_nothing_is_compared(store: Store, tmp_path: Path) -> None:
    store("0001_a.json", b"")
    config = configured(benchmark_compare=True, benchmark_storage=f"file://{tmp_path}")
    assert len(choose_earlier_run(config)) == 1
    assert config.option.benchmark_compare == []
    assert config.stash[timing.COMPARED]


@pytest.mark.parametrize("chosen", [[], "", "0001", "000", "*/0001", "FILE"])
def test_a_run_that_is_named_is_left_to_pytest_benchmark(chosen: Any, store: Store, tmp_path: Path) -> None:
    file = store("0001_a.json", json.dumps(WHOLE).encode())
    chosen = str(file) if chosen == "FILE" else chosen
    config = configured(benchmark_compare=chosen, benchmark_storage=f"file://{tmp_path}")
    assert choose_earlier_run(config) == []
    assert config.option.benchmark_compare == chosen


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("0099", r"has no such run; give one of 0002_b, 0001_a, or no value for the latest"),
        ("/gone/0001_a.json", "has no such run"),
        ("/gone", "has no such run"),
        ("0002", r"0002_b.json is not a stored run \(.*\); give one of"),
        ("000", r"0002_b.json is not a stored run"),
    ],
)
def test_a_run_that_is_named_and_cannot_be_compared_with_is_refused(
    chosen: str, message: str, store: Store, tmp_path: Path
) -> None:
    store("0001_a.json", json.dumps(WHOLE).encode())
    store("0002_b.json", DAMAGED["cut off"])
    config = configured(benchmark_compare=chosen, benchmark_storage=f"file://{tmp_path}")
    with pytest.raises(OptionError, match=f"^--benchmark-compare {chosen}: .*{message}"):
        choose_earlier_run(config)
    with pytest.raises(OptionError, match="leave the value out for a first run"):
        choose_earlier_run(configured(benchmark_compare="0001", benchmark_storage=f"file://{tmp_path / 'new'}"))


class Noting:
    """An ending that only takes notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.failures: list[str] = []
        self.violations: list[str] = []
        self.interrupted = False
        self._session = self

    noting = Ending.noting

    def note(self, text: str) -> None:
        self.notes.append(text)


class Benchmark:
    has_error = False


class Saved:
    """A session of pytest-benchmark in which everything fails at the end."""

    json: Path | None = None
    save: str | None = None
    autosave: str | None = None
    group_by = "group"
    histogram = cprofile_dump = cprofile_sort_by = None
    skip = disabled = False
    compare_fail: list[str] | None = None
    compared_mapping: dict[str, object] = {}  # noqa: RUF012
    storage = SimpleNamespace()

    def __init__(self, *benchmarks: Benchmark) -> None:
        self.benchmarks = list(benchmarks)
        self.storage = SimpleNamespace(save=self.fail)

    def fail(self, *_: Any) -> None:
        warnings.warn("notices of pytest-benchmark are errors in our tests", UserWarning, stacklevel=1)

    save_json = handle_saving = finish = display = fail


def timed(saved: Saved, *, items: int = 1) -> Timing:
    item = SimpleNamespace(fixturenames=["benchmark"])
    return Timing(SimpleNamespace(_benchmarksession=saved, option=SimpleNamespace()), [item] * items)  # type: ignore[arg-type, list-item]


def test_what_pytest_benchmark_raises_at_the_end_is_a_note() -> None:
    saved, ending = Saved(Benchmark()), Noting()
    timed(saved).end(ending)  # type: ignore[arg-type]
    for call in (saved.save_json, saved.storage.save, saved.handle_saving, saved.finish, saved.display):
        call()
    assert [note.partition(" (")[0] for note in ending.notes] == [
        "the times could not be written to None",
        "the times could not be saved, so no later run is compared with this one",
        "the times could not be saved",
        "the times could not be prepared for their table",
        "the times could not be shown",
    ]
    assert ending.failures == []


def test_files_that_were_asked_for_fail_the_run(tmp_path: Path) -> None:
    saved, ending = Saved(Benchmark()), Noting()
    saved.json, saved.save = tmp_path / "x.json", "mine"
    timed(saved).end(ending)  # type: ignore[arg-type]
    saved.save_json()
    saved.storage.save()
    assert len(ending.failures) == 2
    assert ending.notes == []


def test_benchmarks_that_failed_are_not_results() -> None:
    failed = Benchmark()
    failed.has_error = True
    saved = Saved(failed)
    saved.json = Path("x.json")
    timed(saved).end(Noting())  # type: ignore[arg-type]
    assert not saved.benchmarks
    assert not saved.json


@pytest.mark.parametrize("stopped", [True, False])
def test_a_run_that_was_stopped_is_not_compared_with_later(*, stopped: bool) -> None:
    saved, ending = Saved(Benchmark()), Noting()
    saved.json, saved.autosave = Path("x.json"), "now"
    timed(saved).end(ending, stopped=stopped)  # type: ignore[arg-type]
    assert saved.json  # the times of what ended are in its own folder
    assert (saved.autosave, ending.notes) == (
        (None, ["as it was stopped, this run is not kept for later comparisons"]) if stopped else ("now", [])
    )


def test_parameters_that_no_benchmark_has_cannot_group() -> None:
    saved = Saved()
    saved.group_by = "param:cell"
    with pytest.raises(OptionError, match="param:cell: no selected benchmark has this parameter; they have none"):
        timed(saved)


def test_a_history_that_cannot_be_written_is_a_note_and_named_files_are_refused(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    saved = Saved()
    saved.storage = SimpleNamespace(get=lambda name: tmp_path / "file" / name, save=None)
    (note,) = timed(saved).start(tmp_path)
    assert note.startswith("this run is not kept for later comparisons, as its history cannot be written to ")
    assert (saved.json, saved.autosave) == (tmp_path / "benchmark.json", None)
    saved.save = "mine"
    with pytest.raises(OptionError, match=r"--benchmark-save: .* cannot be written \(File exists\)"):
        timed(saved).check_files()
    saved.save, saved.json = None, tmp_path / "file" / "x.json"
    with pytest.raises(OptionError, match=r"--benchmark-json .*: this file cannot be written \(File exists\)"):
        timed(saved).check_files()
