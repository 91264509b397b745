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
from functools import partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.analysis import gate
from bench.config import DEFAULT_STUDY, OptionError
from bench.harness import sharding, timing
from bench.harness.cell import Cell
from bench.harness.data import misfit
from bench.harness.declarations import declare
from bench.harness.ending import Ending, reason_of
from bench.harness.interruption import as_interruptions
from bench.harness.options import load_plugins, resolve
from bench.harness.places import history_folder
from bench.harness.progress import Progress, Reading
from bench.harness.saved import from_benchmarks
from bench.harness.selection import cells_of, lists_only, no_match, parameter
from bench.harness.session import Session
from bench.harness.terminal import Terminal
from bench.harness.trainings import Trainings
from bench.harness.values import check_dataset
from bench.records import ProbeRecord, RecordError, RunRecord
from bench.study import PROBES
from fusiongauge import IGNORED, FusionGaugeError, PluginError, load_plugin

if TYPE_CHECKING:
    from bench.probes.subject import Subject
    from fusion_models import ModelSpec

BENCHMARKS = Path(__file__).resolve().parent.parent
"""The folder of the benchmarks."""

# `-k stride` means the comparison: the trainings of both sides, and not whatever has "strided" in its id.
STRIDE = "(test_training and (maxpool or strided))"

SHOWN = (
    pytest.ExitCode.OK,
    pytest.ExitCode.TESTS_FAILED,
    pytest.ExitCode.INTERRUPTED,
    pytest.ExitCode.USAGE_ERROR,
    pytest.ExitCode.NO_TESTS_COLLECTED,
)
"""The exit statuses after which pytest shows a summary."""

FAULTY_PLUGIN = pytest.StashKey[PluginError]()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the options; plug-ins are loaded first, so that help lists what they register."""
    config: Any = pluginmanager.get_plugin("pytestconfig")
    try:
        load_plugins(map(str, config.invocation_params.args))
    except PluginError as error:  # is reported by ``pytest_configure``
        config.stash[FAULTY_PLUGIN] = error
    try:
        declare(parser.getgroup("fusiongauge", "FusionGauge benchmarks"))
    except ValueError as error:  # ``option names {'--device'} already added``
        reason = str(error).partition(" (this")[0]
        raise pytest.UsageError(
            f"another plug-in of pytest has the same option as FusionGauge ({reason}); disable that plug-in "
            "with -p no:NAME (pytest --trace-config lists the names)"
        ) from error


def pytest_configure(config: pytest.Config) -> None:
    """Resolve the options once, and register the other hooks and the fixtures where they are needed."""
    selected = _selects_benchmarks(config)
    if not selected and BENCHMARKS.parent != config.rootpath.resolve():
        return
    option, listing = config.getoption, lists_only(config)
    try:
        if FAULTY_PLUGIN in config.stash:
            raise config.stash[FAULTY_PLUGIN]
        for path in option("plugin"):  # those of PYTEST_ADDOPTS too; a loaded one is not loaded again
            load_plugin(path)
        words = {name: option(name) for name in signature(resolve).parameters if name not in ("root", "listing")}
        # Ids depend on the device in one way: its profile decides which settings differ from the protocol.
        options = resolve(root=config.rootpath, listing=listing and not option("settings"), **words)
        check_dataset(option("dataset"))
        rules = gate.parse(option("fail_on"))
        session = Session(options)
        cells = session.cells  # errors in them are reported before anything is collected
        if not listing:
            from bench.training.device import check_precision

            for cell in cells:
                check_precision(cell.config.device, cell.config.protocol.precision)
        if selected:
            timing.check_options(config)
        if selected and options.shard:
            sharding.check_options(config)
    except FusionGaugeError as error:
        raise pytest.UsageError(str(error)) from error
    if rules and not option("benchmark_compare"):
        raise pytest.UsageError("--fail-on compares with an earlier run; add --benchmark-compare")
    benchmarks = Benchmarks(config, session, rules)
    config.pluginmanager.register(benchmarks)
    config.pluginmanager.register(Outermost(benchmarks))
    if options.shard:
        config.pluginmanager.register(sharding.Sharding(options.shard, session, benchmarks.say))
    if selected:
        config.option.keyword = re.sub(r"\bstride\b", STRIDE, config.option.keyword)
    if not config.pluginmanager.hasplugin("benchmark"):
        return
    # pytest-benchmark is configured after this, so it finds its storage where comparable runs are.
    if config.option.benchmark_storage == timing.DEFAULT_STORAGE and not listing:
        folder = history_folder(options, config.rootpath, session.device_name)
        config.option.benchmark_storage = f"file://{folder}"
    if selected and not listing:
        try:
            session.notes += [*IGNORED, *timing.choose_earlier_run(config)]
        except OptionError as error:
            raise pytest.UsageError(str(error)) from error
    config.option.benchmark_columns = config.option.benchmark_columns or timing.COLUMNS
    config.option.benchmark_sort = "name"


def _names_package(config: pytest.Config, word: str) -> bool:
    return bool(config.option.pyargs and re.match(r"bench\b", word))


def _selects_benchmarks(config: pytest.Config) -> bool:
    """Whether a word of the command line is the package, or a path that holds benchmarks."""
    paths = [(config.invocation_params.dir / word.partition("::")[0]).resolve() for word in config.args]
    held = any(BENCHMARKS in (path, *path.parents) or path in BENCHMARKS.parents for path in paths)
    return held or any(_names_package(config, word) for word in config.args)


def _probe(path: Path) -> str:
    """The probe that a file of benchmarks runs, "" for none."""
    name = path.stem.removeprefix("test_")
    return name if path.parent == BENCHMARKS and name in PROBES else ""


def _is_benchmark(item: pytest.Item) -> bool:
    return BENCHMARKS in item.path.parents


def _requests(item: pytest.Item, fixture: str) -> bool:
    """Whether a benchmark has a fixture; False for tests of other folders."""
    return _is_benchmark(item) and fixture in getattr(item, "fixturenames", ())


class Outermost:
    """The last to see a session: interrupted while pytest shows its summary, it is ended, as all is written."""

    def __init__(self, benchmarks: Benchmarks) -> None:
        self._benchmarks = benchmarks

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Around all other hooks of this name, pytest's terminal included."""
        try:
            yield
        except KeyboardInterrupt:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        finally:
            self._benchmarks.restore_signals()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_unconfigure(self) -> Generator[None]:
        """After the summary: what other plug-ins raise here must not replace it by a traceback."""
        try:
            yield
        except Exception as error:
            if not self._benchmarks.concerned:
                raise
            self._benchmarks.say_failure(error)


class Benchmarks:
    """The hooks and fixtures of one invocation of pytest.

    Args:
        config: Of pytest.
        session: What it runs.
        rules: How much worse than an earlier run it may be.
    """

    concerned = False
    """Whether any benchmark was selected."""

    _showing: frozenset[str] = frozenset()
    """The ids of the benchmarks of cells, which show lines of their own."""

    _terminal: Terminal
    _trainings: Trainings
    _pytest_session: pytest.Session

    def __init__(self, config: pytest.Config, session: Session, rules: Sequence[gate.Rule]) -> None:
        self._config, self._session, self._rules = config, session, rules
        self._earlier: list[RunRecord] = []
        self._compares = bool(config.getoption("benchmark_compare", False)) or timing.COMPARED in config.stash
        self._timing: timing.Timing | None = None
        self._ending: Ending | None = None
        self._restore: Callable[[], None] = lambda: None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Before anything is written: make the terminal one that never fails."""
        self._terminal = Terminal(self._config)

    def say(self, text: str) -> None:
        """Show a line."""
        self._terminal.line(text)

    def say_failure(self, error: Exception) -> None:
        """Show what was raised after everything of ours was done."""
        self.say(f"pytest or one of its plug-ins failed at the end ({reason_of(error)})")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One benchmark per cell or per model of the selected studies."""
        probe = _probe(metafunc.definition.path)
        cells = [cell for cell in self._session.cells if not probe or probe in cell.study.probes]
        if "cell" in metafunc.fixturenames:
            metafunc.parametrize("cell", cells, ids=[cell.name for cell in cells])
        if "each_model" in metafunc.fixturenames:
            specs = {cell.spec.name: cell.spec for cell in cells}
            metafunc.parametrize("each_model", specs.values(), ids=specs.keys())

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """The benchmark of a probe exists for the studies that request it."""
        probe, studies = _probe(collection_path), self._session.options.studies
        return True if probe and not any(probe in study.probes for study in studies) else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """With ``--study``, run its cells alone; the checks around them belong to the standard study.

        What is measured beside the trainings comes after them, and probes last: they need trained models. This
        order holds for what ``--ff`` and ``--nf`` move to the front too.
        """

        def beside(item: pytest.Item) -> bool:
            return _is_benchmark(item) and not _requests(item, "cell")

        def place(item: pytest.Item) -> tuple[int, bool, bool]:
            look = plan.look_of(cell) if plan and (cell := parameter(item, "cell")) else 0
            return look, bool(_probe(item.path)), beside(item)

        plan = self._session.plan
        items.sort(key=place)
        if self._config.getoption("study") != DEFAULT_STUDY or self._session.options.models or plan:
            self._config.hook.pytest_deselected(items=[item for item in items if beside(item)])
            items[:] = [item for item in items if not beside(item)]
        yield
        items.sort(key=place)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Before the first benchmark: load the data, make the folder, check whatever can be known."""
        keyword = self._config.option.keyword
        if not session.items and keyword and _selects_benchmarks(self._config):
            for line in no_match(keyword, self._session.options.studies):
                self._terminal.line(line)
        benchmarks = [item for item in session.items if _is_benchmark(item)]
        self.concerned = bool(benchmarks)
        if not benchmarks or lists_only(self._config):
            return
        self._showing = frozenset(item.nodeid for item in benchmarks if _requests(item, "cell"))
        selected = cells_of(benchmarks)
        cells = selected or self._session.cells
        progress = Progress(self._terminal.show, live=self._terminal.live, cells=len(selected))
        self._trainings = Trainings(self._session, selected, progress)
        try:
            from bench.training.allocator import keep_freed_memory
            from bench.training.fingerprint import code_sha256

            keep_freed_memory()
            code_sha256()  # of the code that is loaded: data may take long to read, and files can change meanwhile
            self._timing = timing.Timing(self._config, benchmarks)
            self._restore = as_interruptions()
            self._session.data.reading = reading = Reading(self._terminal.show, live=self._terminal.live)
            try:
                self._session.load(cells)
            finally:
                reading.end()
            self._require_a_row(benchmarks)
            self._timing.check_files()
            self._session.open(cells)
            self._session.notes += self._timing.start(self._session.folder)
        except FusionGaugeError as error:
            raise pytest.UsageError(str(error)) from error
        for line in (*self._session.describe(cells), *(f"note: {note}" for note in self._session.notes)):
            self._terminal.line(line)
        try:
            self._session.start(selected, progress.under_way)
        except FusionGaugeError as error:
            raise pytest.UsageError(str(error)) from error

    def _require_a_row(self, benchmarks: Sequence[pytest.Item]) -> None:
        """Refuse a run in which every training is skipped; without trainings, one in which every benchmark is.

        A selection or a shard may leave only models that do not fit, as long as others of the study do: what is
        left is skipped, with a note.

        Raises:
            OptionError: No model fits the data.
        """
        trained = [item for item in benchmarks if parameter(item, "cell") is not None]
        reasons: dict[str, None] = {}
        for item in trained or benchmarks:
            cell: Cell | None = parameter(item, "cell")
            spec = cell.spec if cell else parameter(item, "each_model")
            data = self._session.data.source(cell.config) if cell else self._session.any_source()
            reason = misfit(spec, data.info) if spec else ""
            if not reason:
                return
            reasons[reason] = None
        few = "; ".join(list(reasons)[:5]) + (f"; and {len(reasons) - 5} more" if len(reasons) > 5 else "")
        fits = any(not self._session.data.misfit_of(cell) for cell in self._session.cells)
        sentence = (
            f"no {'selected ' if fits else ''}model fits the data, so nothing is measured: {few}. "
            "Choose other models, or change the data: --image-size resizes the images"
        )
        if not fits:
            raise OptionError(sentence)
        self._session.note(sentence)

    @pytest.fixture
    def session(self) -> Session:
        """The session of this invocation."""
        return self._session

    @pytest.fixture
    def show(self) -> Callable[[str], None]:
        """Puts a line on the terminal while a long test runs."""
        return lambda line: self._terminal.show(f"{line}\n")

    @pytest.fixture
    def fitting_model(self, each_model: ModelSpec, session: Session) -> ModelSpec:
        """Each model of the selected studies; skips those that do not fit the data."""
        if reason := misfit(each_model, session.any_source().info):
            pytest.skip(reason)
        return each_model

    @pytest.fixture
    def run_cell(self, benchmark: Any) -> Callable[[Cell], RunRecord]:
        """Runs a cell under pytest-benchmark's timer, one round per epoch, and shows its progress."""
        benchmark.cprofile = False  # it would train one more epoch
        return partial(self._trainings.run, benchmark=benchmark)

    @pytest.fixture
    def subject(self, cell: Cell) -> Subject:
        """The cell's trained model; trained without a timer if the session has not done so yet."""
        return self._trainings.subject(cell)

    @pytest.fixture
    def probe(self, cell: Cell, request: pytest.FixtureRequest) -> Callable[..., list[ProbeRecord]]:
        """What the benchmark measures on the cell's model, see ``Trainings.probe``."""
        return partial(self._trainings.probe, cell, _probe(request.path))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """The reason of a failure is enough: pytest-benchmark need not warn that its timer was not used.

        Reasons of what is skipped are kept for the summary; pytest shows them with ``-rs`` alone.
        """
        report = yield
        if report.skipped and _is_benchmark(item) and isinstance(report.longrepr, tuple):
            self._session.skipped.setdefault(item.nodeid, report.longrepr[2].removeprefix("Skipped: "))
        if report.failed and _requests(item, "benchmark"):
            timer: Any = getattr(item, "funcargs", {}).get("benchmark")
            if timer is not None:
                timer.skipped = timer.has_error = True
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """A cell that passed has shown its own line already."""
        own_line = report.when == "call" and report.passed and report.nodeid in self._showing
        return ("passed", "", "PASSED") if own_line and self._config.option.verbose <= 0 else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_benchmark_generate_machine_info(self) -> dict[str, Any]:
        """Only what stays the same between two runs of one machine, so that a difference means something."""
        import torch

        from bench.training.environment import environment

        known = environment(torch.device(self._session.options.device))
        return {name: value for name, value in known.items() if name not in ("commit", "dirty")}

    @pytest.hookimpl(tryfirst=True)
    def pytest_benchmark_compare_machine_info(
        self, machine_info: dict[str, Any], compared_benchmark: dict[str, Any]
    ) -> None:
        """Keep the earlier run for the ending, which says how its machine differs, instead of a dump of both."""
        try:
            self._earlier += from_benchmarks(compared_benchmark)
        except (RecordError, LookupError, TypeError) as error:
            self._session.notes.append(f"--benchmark-compare: a stored run was passed over, as it is {error}")
            compared_benchmark["benchmarks"] = []
        compared_benchmark["machine_info"] = machine_info

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Write tables and figures, and judge the run before pytest-benchmark saves it.

        pytest's terminal, which is configured later, is around this: it shows the failures and the summary only if
        nothing is raised here. What other plug-ins raise becomes a note. A run that breaks a rule fails and is not
        saved, so no later one is compared with it.
        """
        if self._timing is None:  # nothing was to be measured
            try:
                yield
            except Exception as error:
                if not self.concerned and session.exitstatus != pytest.ExitCode.USAGE_ERROR:
                    raise  # in the tests of the code
                self.say_failure(error)  # raised, it would take the place of the reason of a refusal
            return
        self._pytest_session = session
        interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
        self._ending = ending = Ending(
            self._session,
            self._earlier if self._compares else None,
            self._rules,
            self._trainings.unfinished if interrupted else 0,
        )
        self._timing.end(ending, stopped=bool(interrupted or session.shouldfail or session.shouldstop))
        with ending.noting("pytest or one of its plug-ins failed at the end", fails=self._timing.reports):
            yield
        if session.exitstatus not in SHOWN or getattr(self._config.option, "no_summary", False):
            self._show(ending)
        self._judge(session, ending)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_terminal_summary(self) -> Generator[None]:
        """Below pytest-benchmark's times: changes, tables, their place."""
        if self._ending is None or self._timing is None:
            yield
            return
        with self._ending.noting(
            "pytest or one of its plug-ins failed while it showed a summary", fails=self._timing.reports
        ):
            yield
        with self._ending.noting("the summary could not be shown"):
            self._show(self._ending)
        self._judge(self._pytest_session, self._ending)

    def _judge(self, session: pytest.Session, ending: Ending) -> None:
        if self._session.interrupted:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        elif ending.failed:
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def restore_signals(self) -> None:
        """Have signals do what they did before the session."""
        self._restore()

    def _show(self, ending: Ending) -> None:
        from bench.tables.text import as_text

        terminal = self._terminal
        draw = partial(as_text, color=terminal.color, encoding=terminal.encoding, width=terminal.width)
        for number, text in enumerate(ending.lines(draw)):
            if number == 0:
                terminal.section("FusionGauge")
            terminal.line(text)
