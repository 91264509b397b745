"""The pytest plug-in: options, fixtures and hooks of the benchmarks. Hooks are thin and call into ``bench``.

pytest bench -k stride             MaxPool beside strided convolutions, every strategy
pytest bench -k "compact and late" any choice by words of the ids (--collect-only -q lists them)
pytest --benchmark-compare         everything, compared with the latest saved run of the same conditions
pytest bench --resume              the rest of an interrupted run
pytest tests                       the proving tests; none of the options matters to them

Loads no torch: collecting and help need none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.analysis.gate import fail_on_help
from bench.config import DEFAULT_STUDY, PROFILES
from bench.harness.cell import Cell
from bench.harness.ending import Ending
from bench.harness.options import dataset_help, history_folder, resolve
from bench.harness.progress import Progress
from bench.harness.saved import facts, from_benchmarks
from bench.harness.session import Session
from bench.records import ProbeRecord, RecordError, RunRecord
from bench.registry import STUDIES
from bench.study import PROBES
from bench.tracking import TRACKERS
from fusiongauge import FusionGaugeError, PluginError, load_installed_plugins, load_plugin

if TYPE_CHECKING:
    from bench.analysis.gate import Rule
    from bench.probes.subject import Subject
    from fusion_models import ModelSpec

BENCHMARKS = Path(__file__).resolve().parent.parent
"""The folder of the benchmarks."""

# `-k stride` means the comparison: the trainings of both sides, and not whatever has "strided" in its id.
STRIDE = "(test_training and (maxpool or strided))"

SESSION = pytest.StashKey[Session]()
PROGRESS = pytest.StashKey[Progress]()
RULES = pytest.StashKey["Sequence[Rule]"]()
EARLIER = pytest.StashKey[list[RunRecord]]()
ENDING = pytest.StashKey[Ending]()
LINE_BROKEN_IN = pytest.StashKey[object]()
FAULTY_PLUGIN = pytest.StashKey[PluginError]()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the options; plug-ins are loaded first, so that help lists what they register."""
    _load_plugins_early(pluginmanager)
    group = parser.getgroup("fusiongauge", "FusionGauge benchmarks")
    group.addoption(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE",
        help="a Python file that registers operators, embedders, models, data sets, metrics, corruptions or "
        "studies (docs/extending.md); may be repeated",
    )
    group.addoption(
        "--profile",
        default="",
        choices=["", *PROFILES],
        metavar="{" + ",".join(PROFILES) + "}",
        help="how much of the protocol is run: smoke (does it run), quick (minutes on a CPU) or full; "
        "default: full on CUDA, quick on a CPU",
    )
    group.addoption("--dataset", default="", metavar="NAME-or-PATH", help=dataset_help())
    group.addoption("--device", default="", help="cpu, cuda or cuda:N; default: CUDA where there is one")
    group.addoption(
        "--seeds",
        default="1",
        metavar="N-or-LIST",
        help="number of seeds (from the published 51 on), or a list such as 51,60; default: %(default)s",
    )
    group.addoption(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="FIELD=VALUE",
        help="set a field of the protocol, such as epochs=3 or learning_rate=0.01; may be repeated. A value other "
        "than the protocol's shows in ids and records",
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
    group.addoption("--fail-on", default="", metavar="RULES", help=f"with --benchmark-compare: {fail_on_help()}")
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
        help="run the protocols of published studies with their mistakes (twin scenes split apart, pairs left "
        "out)",
    )


def _load_plugins_early(pluginmanager: pytest.PytestPluginManager) -> None:
    """Load what ``--plugin`` names on the command line; whatever fails is reported by ``pytest_configure``."""
    config: Any = pluginmanager.get_plugin("pytestconfig")
    words = [str(word) for word in config.invocation_params.args]
    named = [following for word, following in pairwise(words) if word == "--plugin"]
    named += [word.partition("=")[2] for word in words if word.startswith("--plugin=")]
    try:
        load_installed_plugins()
        for path in named:
            load_plugin(path)
    except PluginError as error:
        config.stash[FAULTY_PLUGIN] = error


def pytest_configure(config: pytest.Config) -> None:
    """Resolve the options once."""
    if not _is_ours(config):
        return
    option = config.getoption
    listing = bool(config.option.collectonly or config.option.help)
    try:
        if FAULTY_PLUGIN in config.stash:
            raise config.stash[FAULTY_PLUGIN]
        for path in option("plugin"):  # those of PYTEST_ADDOPTS too; a loaded one is not loaded again
            load_plugin(path)
        options = resolve(
            root=config.rootpath,
            profile=option("profile"),
            study=option("study"),
            dataset=option("dataset"),
            # Ids depend on the device in one way: its profile decides which settings differ from the protocol.
            device="cpu" if listing and not option("settings") else option("device"),
            seeds=option("seeds"),
            results_dir=option("results_dir"),
            tracker=option("track"),
            published=option("as_published"),
            resume=option("resume"),
            settings=option("settings"),
            plugins=option("plugin"),
        )
        config.stash[RULES] = _rules(option("fail_on"))
        session = Session(options)
        session.cells  # noqa: B018 - whatever is wrong with them is said before anything is collected
    except FusionGaugeError as error:
        raise pytest.UsageError(str(error)) from error
    if config.stash[RULES] and not option("benchmark_compare"):
        raise pytest.UsageError("--fail-on compares with an earlier run; add --benchmark-compare")
    config.stash[SESSION] = session
    config.stash[EARLIER] = []
    config.option.keyword = re.sub(r"\bstride\b", STRIDE, config.option.keyword)
    # pytest-benchmark is configured after this, so it finds its storage where comparable runs are.
    if config.option.benchmark_storage == "file://./.benchmarks" and not listing:
        config.option.benchmark_storage = (
            f"file://{history_folder(options, config.rootpath, _device_name(session))}"
        )
    config.option.benchmark_columns = ["median", "iqr", "min", "max", "rounds"]
    config.option.benchmark_sort = "name"


def _is_ours(config: pytest.Config) -> bool:
    """Whether this pytest runs in a checkout of FusionGauge or on the installed benchmarks.

    As an installed plug-in, this module is loaded by every pytest of the environment.
    """
    installed = config.option.pyargs and any(re.match(r"bench\b", word) for word in config.args)
    return BENCHMARKS.parent == config.rootpath.resolve() or installed


def _rules(text: str) -> Sequence[Rule]:
    if not text.strip():
        return ()
    from bench.analysis import gate

    return gate.parse(text)


def _device_name(session: Session) -> str:
    import torch

    from bench.training.environment import device_name

    return device_name(torch.device(session.options.device))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One benchmark per cell or per model of the selected studies."""
    if SESSION not in metafunc.config.stash:
        return
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
    """The benchmark of a probe exists for the studies that request it."""
    if SESSION not in config.stash:
        return None
    probe, studies = _probe(collection_path), config.stash[SESSION].options.studies
    return True if probe and not any(probe in study.probes for study in studies) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--study``, run its cells alone; the checks around them belong to the standard study.

    What is measured beside the trainings comes after them, and probes last: they need trained models.
    """
    if SESSION not in config.stash:
        return

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
    if SESSION not in config.stash:
        return
    terminal = _plugin(config, "terminalreporter")
    if not session.items and config.option.keyword:
        from fusion_models import MODELS

        terminal.write_line(
            f"-k {config.option.keyword!r} matches no id; benchmarks are named after their models:"
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
        from bench.training.allocator import keep_freed_memory

        keep_freed_memory()
        ours.open(cells or ours.cells)
    except FusionGaugeError as error:
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
    saved.handle_saving = partial(_save, ours, saved.handle_saving)


def _save(session: Session, save: Callable[[], None]) -> None:
    """Save the times; where that fails the records are safe, so it leaves a note and fails nothing."""
    try:
        save()
    except OSError as error:
        session.notes.append(f"the times could not be saved, so no later run is compared with this one: {error}")


def _probe(path: Path) -> str:
    """The probe that a file of benchmarks runs, "" for none."""
    name = path.stem.removeprefix("test_")
    return name if path.parent == BENCHMARKS and name in PROBES else ""


def _fixtures(item: pytest.Item) -> list[str]:
    """The fixtures of a benchmark; none for tests of other folders."""
    return getattr(item, "fixturenames", []) if BENCHMARKS in item.path.parents else []


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
def fitting_model(each_model: ModelSpec, session: Session) -> ModelSpec:
    """Each model of the selected studies; skips those that do not fit the data."""
    if reason := session.misfit(each_model, session.any_dataset().info):
        pytest.skip(reason)
    return each_model


@pytest.fixture
def run_cell(session: Session, benchmark: Any, pytestconfig: pytest.Config) -> Callable[[Cell], RunRecord]:
    """Runs a cell under pytest-benchmark's timer, one round per epoch, and shows its progress."""
    from bench.training.runs import drive

    progress = pytestconfig.stash[PROGRESS]

    def driver(train_epoch: Callable[[], None], finish_epoch: Callable[[], None], epochs: int) -> None:
        try:
            if benchmark.disabled:  # then pedantic calls its target once, so that is all the epochs
                benchmark.pedantic(drive, args=(train_epoch, finish_epoch, epochs))
            else:
                benchmark.pedantic(train_epoch, teardown=finish_epoch, rounds=epochs)
        except BaseException:
            benchmark.has_error = True  # also when interrupted: half a run is not a result
            raise

    def run(cell: Cell) -> RunRecord:
        progress.begin(cell.name)
        if reason := session.misfit(cell.spec, session.dataset(cell.config).info):
            progress.skip(reason)
            benchmark.skipped = True
            pytest.skip(reason)
        if record := session.recall(cell):
            _replay(benchmark, record.epoch_seconds)
            benchmark.extra_info.update(facts(record))
            progress.recall(record)
            return record
        try:
            record = session.run_cell(cell, driver, progress.epoch)
        except BaseException as error:
            benchmark.skipped = True  # else it complains that its timer was not used, instead of the reason
            if isinstance(error, FusionGaugeError):  # the message is enough
                raise pytest.fail.Exception(str(error), pytrace=False) from None
            raise
        benchmark.extra_info.update(facts(record))
        progress.end(record)
        return record

    return run


@pytest.fixture
def subject(cell: Cell, session: Session, pytestconfig: pytest.Config) -> Subject:
    """The cell's trained model; trained without a timer if the session has not done so yet."""
    from bench.training.runs import drive

    if reason := session.misfit(cell.spec, session.dataset(cell.config).info):
        pytest.skip(reason)
    if session.record_of(cell) is None and session.recall(cell) is None:
        progress = pytestconfig.stash[PROGRESS]
        progress.begin(cell.name)
        progress.end(session.run_cell(cell, drive, progress.epoch))
    return session.subject(cell)


@pytest.fixture
def keep_probes(cell: Cell, session: Session, pytestconfig: pytest.Config) -> Callable[[list[ProbeRecord]], None]:
    """Writes what a probe measured on the cell's model, and shows that it did."""

    def keep(probes: list[ProbeRecord]) -> None:
        session.keep_probes(probes)
        pytestconfig.stash[PROGRESS].probed(cell.name, probes[0].benchmark, len(probes))

    return keep


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> tuple[str, str, str] | None:
    """A cell that passed has shown its own line already."""
    if SESSION not in config.stash:
        return None
    showing = any(f"test_{name}.py" in report.nodeid for name in ("training", *PROBES))
    own_line = report.when == "call" and report.passed and showing
    return ("passed", "", "PASSED") if own_line and config.option.verbose <= 0 else None


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_benchmark_generate_machine_info(config: pytest.Config) -> dict[str, Any] | None:
    """Only what stays the same between two runs of one machine, so that a difference means something."""
    if SESSION not in config.stash:
        return None
    import torch

    from bench.training.environment import environment

    known = environment(torch.device(config.stash[SESSION].options.device))
    return {name: value for name, value in known.items() if name not in ("commit", "dirty")}


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_benchmark_compare_machine_info(
    config: pytest.Config, machine_info: dict[str, Any], compared_benchmark: dict[str, Any]
) -> None:
    """Keep the earlier run for the ending, which says how its machine differs, instead of a dump of both."""
    if SESSION not in config.stash:
        return
    try:
        config.stash[EARLIER] += from_benchmarks(compared_benchmark)
    except RecordError as error:
        raise pytest.UsageError(f"--benchmark-compare: the earlier run is {error}") from error
    compared_benchmark["machine_info"] = machine_info


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Write tables and figures, and judge the run before pytest-benchmark saves it.

    A run that breaks a rule fails and is not saved, so no later one is compared with it.
    """
    config = session.config
    if SESSION in config.stash and not config.option.collectonly:
        earlier = config.stash[EARLIER] if config.option.benchmark_compare else None
        ending = Ending.of(config.stash[SESSION], earlier, config.stash[RULES])
        config.stash[ENDING] = ending
        if ending.failed:
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        saved = config._benchmarksession  # type: ignore[attr-defined]
        if ending.violations:
            saved.autosave = None
        # pytest-benchmark cannot save one that was interrupted in its first round.
        saved.benchmarks = [benchmark for benchmark in saved.benchmarks if benchmark]
    yield


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Generator[None]:
    """Below pytest-benchmark's times, even where it raises as they regressed: changes, tables, their place."""
    try:
        yield
    finally:
        lines = config.stash[ENDING].lines(color=terminalreporter.isatty()) if ENDING in config.stash else ()
        for number, text in enumerate(lines):
            if number == 0:
                terminalreporter.section("FusionGauge")
            terminalreporter.write_line(text)
