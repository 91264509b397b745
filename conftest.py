"""Options, fixtures and hooks of the benchmarks: they resolve the options once and call into ``bench``.

pytest bench -k stride             MaxPool beside strided convolutions, every strategy
pytest bench -k "compact and late" any choice by words of the ids (--collect-only -q lists them)
pytest --benchmark-compare         everything, compared with the latest saved run of the same conditions
pytest bench --resume              the rest of a run that was cut short
pytest tests                       the proving tests; none of the options matters to them
"""

import re
from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.analysis import gate
from bench.analysis.comparison import facts, from_benchmarks
from bench.config import PROFILES
from bench.harness.cell import Cell
from bench.harness.options import DATASET_HELP, OptionError, history_folder, resolve
from bench.harness.progress import Progress
from bench.harness.session import FolderError, Session
from bench.harness.summary import summary
from bench.probes import PROBES
from bench.probes.subject import Subject
from bench.records.probe import ProbeRecord
from bench.records.run import RecordError, RunRecord, environment
from bench.studies import DEFAULT_STUDY, STUDIES
from bench.tables import EMBEDDER_TITLES
from bench.tracking import TRACKERS
from bench.training.allocator import keep_freed_memory
from bench.training.runs import drive
from data_utils import DataError
from fusion_models import MODELS

# `-k stride` means the comparison: the trainings of both sides, and not whatever has "strided" in its id.
STRIDE = f"(test_training and ({' or '.join(EMBEDDER_TITLES)}))"

SESSION = pytest.StashKey[Session]()
PROGRESS = pytest.StashKey[Progress]()
RULES = pytest.StashKey[tuple[gate.Rule, ...]]()
EARLIER = pytest.StashKey[list[RunRecord]]()
LINE_BROKEN_IN = pytest.StashKey[object]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fusiongauge", "FusionGauge benchmarks")
    group.addoption(
        "--profile",
        default="",
        choices=["", *PROFILES],
        metavar="{" + ",".join(PROFILES) + "}",
        help="how much of the protocol is run: smoke (does it run), quick (minutes on a CPU) or full; "
        "default: full on CUDA, quick on a CPU",
    )
    group.addoption(
        "--dataset",
        default="",
        metavar="NAME-or-PATH",
        help=DATASET_HELP,
    )
    group.addoption("--device", default="", help="cpu, cuda or cuda:N; default: CUDA where there is one")
    group.addoption(
        "--seeds",
        default="1",
        metavar="N-or-LIST",
        help="how many seeds (from the published 51 on), or a list such as 51,60; default: %(default)s",
    )
    group.addoption(
        "--seeds-together",
        action="store_true",
        help="train the seeds of a row side by side where that takes less time, as on a GPU: for losses over many "
        "seeds; their epochs have equal shares of the time and none of their own",
    )
    group.addoption(
        "--results-dir",
        default="",
        metavar="DIR",
        help="folder for records, tables and checkpoints; default: a new one in results/runs",
    )
    group.addoption(
        "--resume",
        action="store_true",
        help="take finished cells from their records where code, data, protocol and machine are the same; "
        "continues --results-dir, or the latest folder of this kind in results/runs",
    )
    group.addoption(
        "--fail-on", default="", metavar="RULES", help=f"with --benchmark-compare: {gate.FAIL_ON_HELP}"
    )
    group.addoption(
        "--track",
        default="none",
        metavar="NAMES",
        help=f"mirror every cell as a run in trackers: {', '.join(TRACKERS)} (several with commas between them), "
        "or none; wandb works offline without a key or network; default: %(default)s",
    )
    group.addoption(
        "--study",
        default=DEFAULT_STUDY,
        metavar="NAMES",
        help=f"what is run: {', '.join(STUDIES)} (several with commas between them), "
        "claims (those that decide the published claims), or all; default: %(default)s",
    )
    group.addoption(
        "--as-published",
        action="store_true",
        help="run the protocols of published studies with their mistakes (twins split apart, pairs left out)",
    )


def pytest_configure(config: pytest.Config) -> None:
    try:
        options = resolve(
            root=config.rootpath,
            profile=config.getoption("profile"),
            study=config.getoption("study"),
            dataset=config.getoption("dataset"),
            device=config.getoption("device"),
            seeds=config.getoption("seeds"),
            seeds_together=config.getoption("seeds_together"),
            results_dir=config.getoption("results_dir"),
            tracker=config.getoption("track"),
            published=config.getoption("as_published"),
            resume=config.getoption("resume"),
        )
        config.stash[RULES] = gate.parse(config.getoption("fail_on"))
    except OptionError as error:
        raise pytest.UsageError(str(error)) from error
    if config.stash[RULES] and not config.getoption("benchmark_compare"):
        raise pytest.UsageError("--fail-on compares with an earlier run; add --benchmark-compare")
    config.stash[SESSION] = Session(options)
    config.stash[EARLIER] = []
    config.option.keyword = re.sub(r"\bstride\b", STRIDE, config.option.keyword)
    # pytest-benchmark is configured after this file, so it finds its storage where comparable runs are.
    if config.option.benchmark_storage == "file://./.benchmarks":
        config.option.benchmark_storage = f"file://{history_folder(options, config.rootpath)}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    cells = metafunc.config.stash[SESSION].cells
    probe = _probe(metafunc.definition.path)
    if probe:
        cells = [cell for cell in cells if probe in cell.study.probes]
    if "cell" in metafunc.fixturenames:
        metafunc.parametrize("cell", cells, ids=[cell.name for cell in cells])
    if "each_model" in metafunc.fixturenames:
        specs = {cell.spec.name: cell.spec for cell in cells}
        metafunc.parametrize("each_model", specs.values(), ids=specs.keys())


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The benchmark of a probe is there for the studies that ask for it."""
    probe, studies = _probe(collection_path), config.stash[SESSION].options.studies
    return True if probe and not any(probe in study.probes for study in studies) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Asked for a study, run its cells alone; the checks around them belong to the standard one.

    What is measured beside the trainings comes behind them, and probes last: they look at what has been trained.
    """

    def place(item: pytest.Item) -> tuple[bool, bool]:
        return bool(_probe(item.path)), "session" in _fixtures(item) and "cell" not in _fixtures(item)

    items.sort(key=place)
    if config.getoption("study") == DEFAULT_STUDY:
        return
    kept = [item for item in items if "cell" in _fixtures(item) or "session" not in _fixtures(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def pytest_collection_finish(session: pytest.Session) -> None:
    """Before the first benchmark: load the data, make the folder, have everything saved."""
    config = session.config
    terminal = _plugin(config, "terminalreporter")
    if not session.items and config.option.keyword:
        terminal.write_line(
            f"-k {config.option.keyword!r} matches no id; benchmarks are called after their models:"
        )
        terminal.write_line(", ".join(MODELS))
    benchmarks = [item for item in session.items if "session" in _fixtures(item)]
    if not benchmarks or config.option.collectonly:
        return
    if config.getoption("numprocesses", None):
        raise pytest.UsageError("benchmarks share the machine's cores when run in parallel; leave -n out")
    ours = config.stash[SESSION]
    cells = [item.callspec.params["cell"] for item in benchmarks if "cell" in _fixtures(item)]  # type: ignore[attr-defined]
    try:
        keep_freed_memory()
        ours.open(cells or ours.cells)
    except (DataError, FolderError, RecordError) as error:
        raise pytest.UsageError(str(error)) from error
    to_train = {cell.name for cell in cells}
    config.stash[PROGRESS] = Progress(partial(_show, config), live=terminal.isatty(), cells=len(to_train))
    for line in ours.describe(cells or ours.cells):
        terminal.write_line(line)
    saved = config._benchmarksession  # type: ignore[attr-defined]
    timed = any("benchmark" in _fixtures(item) for item in benchmarks)
    if timed and not saved.disabled:
        saved.autosave = saved.autosave or f"{datetime.now(UTC):%Y%m%d_%H%M%S}"
        saved.json = saved.json or ours.folder / "benchmark.json"


def _probe(path: Path) -> str:
    """The probe that a file of benchmarks runs, "" for none."""
    name = path.stem.removeprefix("test_")
    return name if path.parent.name == "bench" and name in PROBES else ""


def _fixtures(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])


def _plugin(config: pytest.Config, name: str) -> Any:
    return config.pluginmanager.get_plugin(name)


def _show(config: pytest.Config, text: str) -> None:
    """Put text on the terminal in the middle of a test."""
    terminal = _plugin(config, "terminalreporter")
    with _plugin(config, "capturemanager").global_and_fixture_disabled():
        # pytest names a file when it enters it: break that line once, and do not make pytest name it again.
        file = terminal.currentfspath
        if config.stash.get(LINE_BROKEN_IN, None) != file:
            terminal.ensure_newline()
            config.stash[LINE_BROKEN_IN] = file
        terminal.write(text, flush=True)
        terminal.currentfspath = file


def _replay(benchmark: Any, seconds: Sequence[float]) -> None:
    """Give pytest-benchmark the epochs of a record, so that its table and its file have the cell as well."""
    benchmark.pedantic(lambda: None, rounds=max(len(seconds), 1))
    if seconds and not benchmark.disabled:
        benchmark.stats.stats.data[:] = seconds


@pytest.fixture(scope="session")
def session(pytestconfig: pytest.Config) -> Session:
    """The session of this invocation."""
    return pytestconfig.stash[SESSION]


@pytest.fixture
def show(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Puts a line on the terminal while a long test runs."""
    return lambda line: _show(pytestconfig, f"{line}\n")


@pytest.fixture
def run_cell(session: Session, benchmark: Any, pytestconfig: pytest.Config) -> Callable[[Cell], RunRecord]:
    """Runs a cell under pytest-benchmark's clock, one round an epoch, and shows its progress."""
    progress = pytestconfig.stash[PROGRESS]

    def driver(train_epoch: Callable[[], None], finish_epoch: Callable[[], None], epochs: int) -> None:
        try:
            if benchmark.disabled:  # then pedantic calls its target once, so that is all the epochs
                benchmark.pedantic(drive, args=(train_epoch, finish_epoch, epochs))
            else:
                benchmark.pedantic(train_epoch, teardown=finish_epoch, rounds=epochs)
        except BaseException:
            benchmark.has_error = True  # also when interrupted: half a run is no result
            raise

    def run(cell: Cell) -> RunRecord:
        progress.begin(cell.name)
        if recalled := session.recall(cell):
            record, origin = recalled
            _replay(benchmark, record.epoch_seconds)
            benchmark.extra_info.update(facts(record))
            progress.recall(record, origin)
            return record
        try:
            record = session.run_cell(cell, driver, progress.epoch)
        except BaseException:
            benchmark.skipped = True  # else it complains that the clock was not used, in place of what went wrong
            raise
        if record.seeds_together > 1:
            _replay(benchmark, record.epoch_seconds)
        benchmark.extra_info.update(facts(record))
        progress.end(record)
        return record

    return run


@pytest.fixture
def subject(cell: Cell, session: Session, pytestconfig: pytest.Config) -> Subject:
    """The cell's trained model; trained without a clock if the session has not done so yet."""
    if session.record_of(cell) is None and session.recall(cell) is None:
        progress = pytestconfig.stash[PROGRESS]
        progress.begin(cell.name)
        progress.end(session.run_cell(cell, drive, progress.epoch))
    return session.subject(cell)


@pytest.fixture
def keep_probes(cell: Cell, session: Session, pytestconfig: pytest.Config) -> Callable[[list[ProbeRecord]], None]:
    """Has what a probe found of the cell's model written, and shows that it has."""

    def keep(found: list[ProbeRecord]) -> None:
        session.keep_probes(found)
        pytestconfig.stash[PROGRESS].probed(cell.name, found[0].benchmark, len(found))

    return keep


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> tuple[str, str, str] | None:
    """A cell that passed has shown its own line already."""
    showing = any(f"test_{name}.py" in report.nodeid for name in ("training", *PROBES))
    own_line = report.when == "call" and report.passed and showing
    return ("passed", "", "PASSED") if own_line and config.option.verbose <= 0 else None


def pytest_benchmark_generate_machine_info(config: pytest.Config) -> dict[str, Any]:
    """Only what stays the same between two runs of one machine, so that a difference means something."""
    found = environment(torch.device(config.stash[SESSION].options.device))
    return {name: value for name, value in found.items() if name not in ("commit", "dirty")}


@pytest.hookimpl(tryfirst=True)
def pytest_benchmark_compare_machine_info(
    config: pytest.Config, machine_info: dict[str, Any], compared_benchmark: dict[str, Any]
) -> None:
    """Keep the earlier run for the summary, which says how its machine differs, in place of a dump of both."""
    try:
        config.stash[EARLIER] += from_benchmarks(compared_benchmark)
    except RecordError as error:
        raise pytest.UsageError(f"--benchmark-compare: the earlier run {error}") from error
    compared_benchmark["machine_info"] = machine_info


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Before pytest-benchmark saves it: a run that breaks a rule fails, and no later one is compared with it."""
    stash = session.config.stash
    rules, earlier = stash[RULES], stash[EARLIER]
    if gate.violations(rules, earlier, stash[SESSION].records):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        session.config._benchmarksession.autosave = None  # type: ignore[attr-defined]
    yield


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Generator[None]:
    """Below pytest-benchmark's times, even where it raises as they regressed: changes, tables, their place."""
    rules, earlier = config.stash[RULES], config.stash[EARLIER]
    try:
        yield
    finally:
        said = summary(
            config.stash[SESSION],
            earlier=earlier if config.option.benchmark_compare else None,
            rules=rules,
            color=terminalreporter.isatty(),
        )
        for number, text in enumerate(said):
            if number == 0:
                terminalreporter.section("FusionGauge")
            terminalreporter.write_line(text)
