"""pytest-benchmark, which keeps the time: its options are checked before the trainings, its files guarded after.

What it raises at the end of a session becomes a note there. Its session is ``config._benchmarksession``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.config import OptionError
from bench.harness.ending import Ending, reason_of
from bench.harness.saved import from_benchmarks
from bench.harness.writable import why_no_file, why_no_folder
from fusiongauge import some, user_path

if TYPE_CHECKING:
    from pytest_benchmark.storage.file import FileStorage

DEFAULT_STORAGE = "file://./.benchmarks"
"""pytest-benchmark's own."""

COLUMNS = ["median", "iqr", "min", "max", "rounds"]
"""Of the table of times, unless --benchmark-columns names others."""

COMPARED = pytest.StashKey[bool]()
"""Set where a comparison was requested and no earlier run was found."""

_NO_FILE = "{option} {path}: this file cannot be written ({reason}); give another one"

_GROUPINGS = ("group", "name", "func", "fullname", "fullfunc", "param")


def check_options(config: pytest.Config) -> None:
    """Refuse options that would only fail after everything is trained, or with which nothing can be timed.

    Raises:
        OptionError: One of them cannot be used.
    """
    option = config.option
    if not config.pluginmanager.hasplugin("benchmark"):
        raise OptionError(
            "the benchmarks need the plug-in pytest-benchmark, which is not loaded: leave -p no:benchmark out; "
            "where PYTEST_DISABLE_PLUGIN_AUTOLOAD is set, add -p pytest_benchmark.plugin"
        )
    parallel = getattr(option, "dist", "no") != "no" or getattr(option, "tx", None)
    if getattr(option, "numprocesses", None) or parallel:
        raise OptionError("benchmarks share the machine's cores when run in parallel; leave -n out")
    if option.benchmark_compare_fail and not option.benchmark_compare:
        raise OptionError("--benchmark-compare-fail compares with an earlier run; add --benchmark-compare")
    if option.benchmark_compare_fail and (
        getattr(option, "no_summary", False) or not config.pluginmanager.hasplugin("terminal")
    ):
        raise OptionError(
            "--benchmark-compare-fail is judged when the times are shown; leave --no-summary and -p no:terminal "
            "out, or use --fail-on"
        )
    log = getattr(option, "log_file", None)
    if log and (reason := why_no_file(Path(log))):  # pytest opens it before anything is collected
        raise OptionError(_NO_FILE.format(option="--log-file", path=log, reason=reason))
    for word in option.benchmark_group_by.split(","):
        if word not in _GROUPINGS and not re.fullmatch("param:.+", word):
            raise OptionError(f"--benchmark-group-by {word}: give one of {', '.join(_GROUPINGS)} or param:NAME")
    needs = {
        "--benchmark-histogram": ("pygal", option.benchmark_histogram),
        f"--benchmark-storage {option.benchmark_storage}": (
            "elasticsearch",
            option.benchmark_storage.startswith("elasticsearch+"),
        ),
    }
    for name, (package, used) in needs.items():
        if used and importlib.util.find_spec(package) is None:
            raise OptionError(
                f"{name}: the package {package} is not installed; install it with: pip install {package}"
            )


def choose_earlier_run(config: pytest.Config) -> list[str]:
    """Have ``--benchmark-compare`` without a value take the latest stored run that can be read.

    Returns:
        The files that are passed over, with the reason, a sentence each.

    Raises:
        OptionError: A run is named that does not exist or cannot be read.
    """
    storage, chosen = config.option.benchmark_storage, config.option.benchmark_compare
    if not chosen or storage.startswith("elasticsearch+"):
        return []
    from pytest_benchmark.storage.file import FileStorage
    from pytest_benchmark.utils import get_machine_id

    folder = FileStorage(storage.removeprefix("file://"), None, default_machine_id=get_machine_id())
    stored = folder.query("[0-9][0-9][0-9][0-9]_")[::-1]
    if chosen is not True:
        _require_run(folder, chosen, stored)
        return []
    notes: list[str] = []
    for file in stored:
        reason = _why_unusable(file)
        if not reason:
            config.option.benchmark_compare = str(file)
            return notes
        notes.append(f"--benchmark-compare: passed over {file}, which is not a stored run ({reason}); remove it")
    config.option.benchmark_compare = []
    config.stash[COMPARED] = True
    return notes


def _require_run(folder: FileStorage, chosen: str, stored: Sequence[Path]) -> None:
    """Refuse a name that stands for no run, or for a file that is none; pytest-benchmark would only warn.

    Raises:
        OptionError: It does; ``stored`` are the runs that there are, the latest first.
    """
    try:
        files = folder.query(chosen)
    except (ValueError, NotImplementedError):  # a path that does not exist
        files = []
    other = f"give one of {some([file.stem for file in stored])}, or no value for the latest"
    remedy = other if stored else "leave the value out for a first run"
    if not files:
        raise OptionError(f"--benchmark-compare {chosen}: {folder} has no such run; {remedy}")
    for file in files:
        if reason := _why_unusable(file):
            raise OptionError(f"--benchmark-compare {chosen}: {file} is not a stored run ({reason}); {remedy}")


def _why_unusable(file: Path) -> str:
    from pytest_benchmark.stats import normalize_stats

    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
        from_benchmarks(saved)
        for benchmark in saved["benchmarks"]:
            normalize_stats(benchmark["stats"])
            if not isinstance(benchmark["fullname"], str) or not benchmark["stats"]["median"] >= 0:
                return "a benchmark in it has no name or no times"
    except Exception as error:  # it may be any file
        return reason_of(error)
    return ""


class Timing:
    """The files that pytest-benchmark writes for a session.

    Args:
        config: Of pytest.
        benchmarks: What is going to be run.

    Raises:
        OptionError: The times cannot be grouped as requested.
    """

    def __init__(self, config: pytest.Config, benchmarks: Sequence[pytest.Item]) -> None:
        self._saved: Any = config._benchmarksession  # type: ignore[attr-defined]
        self._junitxml = os.path.expandvars(getattr(config.option, "xmlpath", None) or "")  # as pytest does
        self._timed = any("benchmark" in getattr(item, "fixturenames", ()) for item in benchmarks)
        self._asked_for = {"json": self._saved.json, "save": self._saved.save or self._saved.autosave}
        parameters = {name for item in benchmarks if hasattr(item, "callspec") for name in item.callspec.params}
        for word in self._saved.group_by.split(","):
            if word.startswith("param:") and word.removeprefix("param:") not in parameters:
                raise OptionError(
                    f"--benchmark-group-by {word}: no selected benchmark has this parameter; they have "
                    f"{', '.join(sorted(parameters)) or 'none'}"
                )

    @property
    def reports(self) -> bool:
        """Whether a file or a verdict that the command line asks for is made when pytest ends a session."""
        return bool(self._junitxml or self._saved.compare_fail)

    def check_files(self) -> None:
        """Find out whether the files that the command line names can be written.

        Raises:
            OptionError: One of them cannot.
        """
        named = {
            "--benchmark-json": (self._saved.json, why_no_file),
            "--benchmark-histogram": (self._saved.histogram, _why_no_prefix),
            "--benchmark-cprofile-dump": (self._saved.cprofile_dump, _why_no_prefix),
            "--junitxml": (self._junitxml, _why_no_report),
        }
        for option, (path, why_not) in named.items():
            if path and (reason := why_not(Path(path))):
                raise OptionError(_NO_FILE.format(option=option, path=path, reason=reason))
        if self._asked_for["save"] and (reason := self._why_not_kept()):
            raise OptionError(
                f"--benchmark-save: {self._saved.storage} cannot be written ({reason}); give another "
                "folder with --benchmark-storage"
            )

    def start(self, folder: Path) -> list[str]:
        """Have the times saved in the folder of the run, and kept for comparisons.

        Returns:
            What cannot be kept, a sentence each.
        """
        saved = self._saved
        if not self._timed or saved.disabled or saved.skip:
            return []
        saved.json = saved.json or folder / "benchmark.json"
        notes = []
        if saved.cprofile_sort_by:
            notes.append("--benchmark-cprofile: trainings are not profiled, as an epoch cannot be trained twice")
        if reason := self._why_not_kept():
            return [
                *notes,
                "this run is not kept for later comparisons, as its history cannot be written to "
                f"{saved.storage} ({reason}); name another folder with --benchmark-storage",
            ]
        saved.autosave = saved.autosave or f"{datetime.now(UTC):%Y%m%d_%H%M%S}"
        return notes

    def _why_not_kept(self) -> str:
        get = getattr(self._saved.storage, "get", None)  # of files
        return why_no_folder(get("0000").parent) if get else ""

    def end(self, ending: Ending, *, stopped: bool = False) -> None:
        """Before pytest-benchmark finishes: half a run is not a result, and what it raises becomes a note.

        A run that breaks a rule is not kept, so that no later one is compared with it. One that was stopped is not
        kept either: later ones would be compared with it in a part of their cells.

        Args:
            ending: Takes the notes.
            stopped: Whether the session ended before its last benchmark.
        """
        saved = self._saved
        saved.benchmarks = [benchmark for benchmark in saved.benchmarks if benchmark and not benchmark.has_error]
        if ending.violations:
            saved.autosave = None
        if not saved.benchmarks:  # it would warn
            saved.json = saved.save = saved.autosave = None
        if stopped and (saved.save or saved.autosave):
            saved.save = saved.autosave = None
            ending.note("as it was stopped, this run is not kept for later comparisons")
        if not saved.compared_mapping:
            saved.compare_fail = None
        storage = saved.storage
        asked = self._asked_for
        saved.save_json = _noting(
            ending, saved.save_json, f"the times could not be written to {saved.json}", fails=bool(asked["json"])
        )
        storage.save = _noting(
            ending,
            _whole(storage.save, storage),
            "the times could not be saved, so no later run is compared with this one",
            fails=bool(asked["save"]),
        )
        saved.handle_saving = _noting(ending, saved.handle_saving, "the times could not be saved")
        saved.finish = _noting(ending, saved.finish, "the times could not be prepared for their table")
        what = (
            "the times regressed, or could not be shown" if saved.compare_fail else "the times could not be shown"
        )
        saved.display = _noting(ending, saved.display, what, fails=bool(saved.compare_fail or saved.histogram))


def _why_no_report(path: Path) -> str:
    return why_no_file(user_path(str(path)))


def _why_no_prefix(prefix: Path) -> str:
    return why_no_folder(prefix.parent)


def _noting(ending: Ending, call: Callable[..., None], what: str, *, fails: bool = False) -> Callable[..., None]:
    def noting(*arguments: Any, **words: Any) -> None:
        with ending.noting(what, fails=fails):
            call(*arguments, **words)

    return noting


def _whole(save: Callable[..., None], storage: Any) -> Callable[..., None]:
    """A cut-off file would be in the way of every later comparison."""

    def files() -> set[Path]:
        return set(storage.query("*")) if hasattr(storage, "query") else set()

    def whole(*arguments: Any) -> None:
        before = files()
        try:
            save(*arguments)
        except BaseException:
            with suppress(OSError):
                for file in files() - before:
                    file.unlink()
            raise

    return whole
