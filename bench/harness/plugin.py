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
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.analysis import gate
from bench.config import DEFAULT_STUDY, PROFILES
from bench.harness.cell import Cell
from bench.harness.ending import Ending
from bench.harness.options import dataset_help, history_folder, load_plugins, resolve
from bench.harness.progress import Progress
from bench.harness.saved import facts, from_benchmarks
from bench.harness.session import Session
from bench.harness.sharding import Sharding
from bench.records import ProbeRecord, RecordError, RunRecord
from bench.registry import STUDIES
from bench.study import PROBES
from bench.tracking import TRACKERS
from fusiongauge import FusionGaugeError, PluginError, load_plugin

if TYPE_CHECKING:
    from bench.probes.subject import Subject
    from fusion_models import ModelSpec

BENCHMARKS = Path(__file__).resolve().parent.parent
"""The folder of the benchmarks."""

# `-k stride` means the comparison: the trainings of both sides, and not whatever has "strided" in its id.
STRIDE = "(test_training and (maxpool or strided))"

FAULTY_PLUGIN = pytest.StashKey[PluginError]()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the options; plug-ins are loaded first, so that help lists what they register."""
    config: Any = pluginmanager.get_plugin("pytestconfig")
    try:
        load_plugins(map(str, config.invocation_params.args))
    except PluginError as error:  # is reported by ``pytest_configure``
        config.stash[FAULTY_PLUGIN] = error
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
    group.addoption(
        "--executor",
        default="",
        metavar="ray[:ADDRESS]",
        help="train cells in other processes, costliest first: on all devices of this machine, or of the Ray "
        "cluster at an address, such as ray:auto or ray:10.0.0.1:6379 (docs/scaling.md)",
    )
    group.addoption(
        "--shard",
        default="",
        metavar="NUMBER/OF",
        help="run one of several parts of equal expected time, such as 3/16, each with a --results-dir of its "
        "own; python -m bench merge puts them together (docs/scaling.md)",
    )
    group.addoption(
        "--fail-on", default="", metavar="RULES", help=f"with --benchmark-compare: {gate.fail_on_help()}"
    )
    group.addoption(
        "--track",
        default="none",
        dest="tracker",
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
        dest="published",
        help="run the protocols of published studies with their mistakes (twin scenes split apart, pairs left "
        "out)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Resolve the options once, and register the other hooks and the fixtures where they are needed."""
    # As an installed plug-in, this module is loaded by every pytest of the environment.
    installed = any(_names_package(config, word) for word in config.args)
    if not installed and BENCHMARKS.parent != config.rootpath.resolve():
        return
    option = config.getoption
    listing = bool(config.option.collectonly or config.option.help)
    try:
        if FAULTY_PLUGIN in config.stash:
            raise config.stash[FAULTY_PLUGIN]
        for path in option("plugin"):  # those of PYTEST_ADDOPTS too; a loaded one is not loaded again
            load_plugin(path)
        words = {name: option(name) for name in signature(resolve).parameters if name != "root"}
        if listing and not option("settings"):
            # Ids depend on the device in one way: its profile decides which settings differ from the protocol.
            words["device"] = "cpu"
        options = resolve(root=config.rootpath, **words)
        rules = gate.parse(option("fail_on"))
        session = Session(options)
        session.cells  # noqa: B018 - whatever is wrong with them is said before anything is collected
    except FusionGaugeError as error:
        raise pytest.UsageError(str(error)) from error
    if rules and not option("benchmark_compare"):
        raise pytest.UsageError("--fail-on compares with an earlier run; add --benchmark-compare")
    if option("numprocesses", None) and any(_selects_benchmarks(config, word) for word in config.args):
        raise pytest.UsageError("benchmarks share the machine's cores when run in parallel; leave -n out")
    config.pluginmanager.register(Benchmarks(config, session, rules))
    if options.shard:
        config.pluginmanager.register(Sharding(options.shard, session))
    config.option.keyword = re.sub(r"\bstride\b", STRIDE, config.option.keyword)
    # pytest-benchmark is configured after this, so it finds its storage where comparable runs are.
    if config.option.benchmark_storage == "file://./.benchmarks" and not listing:
        folder = history_folder(options, config.rootpath, session.device_name)
        config.option.benchmark_storage = f"file://{folder}"
    config.option.benchmark_columns = ["median", "iqr", "min", "max", "rounds"]
    config.option.benchmark_sort = "name"


def _names_package(config: pytest.Config, word: str) -> bool:
    return bool(config.option.pyargs and re.match(r"bench\b", word))


def _selects_benchmarks(config: pytest.Config, word: str) -> bool:
    """Whether a word of the command line is the package, or a path that holds benchmarks."""
    path = (config.invocation_params.dir / word.partition("::")[0]).resolve()
    held = BENCHMARKS in (path, *path.parents) or path in BENCHMARKS.parents
    return held or _names_package(config, word)


def _probe(path: Path) -> str:
    """The probe that a file of benchmarks runs, "" for none."""
    name = path.stem.removeprefix("test_")
    return name if path.parent == BENCHMARKS and name in PROBES else ""


def _fixtures(item: pytest.Item) -> list[str]:
    """The fixtures of a benchmark; none for tests of other folders."""
    return getattr(item, "fixturenames", []) if BENCHMARKS in item.path.parents else []


class Benchmarks:
    """The hooks and fixtures of one invocation of pytest.

    Args:
        config: Of pytest.
        session: What it runs.
        rules: How much worse than an earlier run it may be.
    """

    _progress: Progress

    def __init__(self, config: pytest.Config, session: Session, rules: Sequence[gate.Rule]) -> None:
        self._config, self._session, self._rules = config, session, rules
        self._earlier: list[RunRecord] = []
        self._ending: Ending | None = None
        self._line_broken_in: object = None

    def _plugin(self, name: str) -> Any:
        return self._config.pluginmanager.get_plugin(name)

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

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """With ``--study``, run its cells alone; the checks around them belong to the standard study.

        What is measured beside the trainings comes after them, and probes last: they need trained models.
        """

        def beside(item: pytest.Item) -> bool:
            return "session" in _fixtures(item) and "cell" not in _fixtures(item)

        items.sort(key=lambda item: (bool(_probe(item.path)), beside(item)))
        if self._config.getoption("study") != DEFAULT_STUDY:
            self._config.hook.pytest_deselected(items=[item for item in items if beside(item)])
            items[:] = [item for item in items if not beside(item)]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Before the first benchmark: load the data, make the folder, have everything saved."""
        option, terminal = self._config.option, self._plugin("terminalreporter")
        if not session.items and option.keyword:
            from fusion_models import MODELS

            terminal.write_line(f"-k {option.keyword!r} matches no id; benchmarks are named after their models:")
            terminal.write_line(", ".join(MODELS))
        benchmarks = [item for item in session.items if "session" in _fixtures(item)]
        if not benchmarks or option.collectonly:
            return
        cells = [item.callspec.params["cell"] for item in benchmarks if "cell" in _fixtures(item)]  # type: ignore[attr-defined]
        to_train = {cell.name for cell in cells}
        cells = cells or self._session.cells
        try:
            from bench.training.allocator import keep_freed_memory

            keep_freed_memory()
            self._session.open(cells)
        except FusionGaugeError as error:
            raise pytest.UsageError(str(error)) from error
        self._progress = Progress(self._show, live=terminal.isatty(), cells=len(to_train))
        for line in self._session.describe(cells):
            terminal.write_line(line)
        try:
            self._session.start([cell for cell in cells if cell.name in to_train], self._progress.under_way)
        except FusionGaugeError as error:
            raise pytest.UsageError(str(error)) from error
        saved = self._config._benchmarksession  # type: ignore[attr-defined]
        if any("benchmark" in _fixtures(item) for item in benchmarks) and not saved.disabled:
            saved.autosave = saved.autosave or f"{datetime.now(UTC):%Y%m%d_%H%M%S}"
            saved.json = saved.json or self._session.folder / "benchmark.json"
        saved.handle_saving = partial(self._save_times, saved.handle_saving)

    def _save_times(self, save: Callable[[], None]) -> None:
        """Where times cannot be saved the records are safe, so that leaves a note and fails nothing."""
        try:
            save()
        except OSError as error:
            self._session.notes.append(
                f"the times could not be saved, so no later run is compared with this one: {error}"
            )

    def _show(self, text: str) -> None:
        """Put text on the terminal in the middle of a test."""
        terminal, capture = self._plugin("terminalreporter"), self._plugin("capturemanager")
        with capture.global_and_fixture_disabled():
            # pytest names a file when it enters it: break that line once, and do not make pytest name it again.
            file = terminal.currentfspath
            if self._line_broken_in != file:
                terminal.ensure_newline()
                self._line_broken_in = file
            terminal.write(text, flush=True)
            terminal.currentfspath = file

    @pytest.fixture
    def session(self) -> Session:
        """The session of this invocation."""
        return self._session

    @pytest.fixture
    def show(self) -> Callable[[str], None]:
        """Puts a line on the terminal while a long test runs."""
        return lambda line: self._show(f"{line}\n")

    @pytest.fixture
    def fitting_model(self, each_model: ModelSpec, session: Session) -> ModelSpec:
        """Each model of the selected studies; skips those that do not fit the data."""
        if reason := session.misfit(each_model, session.any_dataset().info):
            pytest.skip(reason)
        return each_model

    @pytest.fixture
    def run_cell(self, session: Session, benchmark: Any) -> Callable[[Cell], RunRecord]:
        """Runs a cell under pytest-benchmark's timer, one round per epoch, and shows its progress."""
        from bench.training.runs import drive

        progress = self._progress

        def driver(train_epoch: Callable[[], None], finish_epoch: Callable[[], None], epochs: int) -> None:
            try:
                if benchmark.disabled:  # then pedantic calls its target once, so that is all the epochs
                    benchmark.pedantic(drive, args=(train_epoch, finish_epoch, epochs))
                else:
                    benchmark.pedantic(train_epoch, teardown=finish_epoch, rounds=epochs)
            except BaseException:
                benchmark.has_error = True  # also when interrupted: half a run is not a result
                raise

        def replay(seconds: Sequence[float]) -> None:
            """Give pytest-benchmark the epochs of a record, for its table and its file."""
            benchmark.pedantic(lambda: None, rounds=max(len(seconds), 1))
            if seconds and not benchmark.disabled:
                benchmark.stats.stats.data[:] = seconds

        def run(cell: Cell) -> RunRecord:
            progress.begin(cell.name)
            if reason := session.misfit(cell.spec, session.dataset(cell.config).info):
                progress.skip(reason)
                benchmark.skipped = True
                pytest.skip(reason)
            if record := session.recall(cell):
                replay(record.epoch_seconds)
                progress.recall(record)
            else:
                try:
                    if record := session.executed(cell):
                        replay(record.epoch_seconds)
                    else:
                        record = session.run_cell(cell, driver, progress.epoch)
                except BaseException as error:
                    benchmark.skipped = True  # else it complains that its timer was not used, not of the reason
                    if isinstance(error, FusionGaugeError):  # the message is enough
                        raise pytest.fail.Exception(str(error), pytrace=False) from None
                    raise
                progress.end(record)
            benchmark.extra_info.update(facts(record))
            return record

        return run

    @pytest.fixture
    def subject(self, cell: Cell, session: Session) -> Subject:
        """The cell's trained model; trained without a timer if the session has not done so yet."""
        from bench.training.runs import drive

        if reason := session.misfit(cell.spec, session.dataset(cell.config).info):
            pytest.skip(reason)
        if session.record_of(cell) is None and session.recall(cell) is None and session.executed(cell) is None:
            self._progress.begin(cell.name)
            self._progress.end(session.run_cell(cell, drive, self._progress.epoch))
        try:
            return session.subject(cell)
        except FusionGaugeError as error:  # the message is enough
            raise pytest.fail.Exception(str(error), pytrace=False) from None

    @pytest.fixture
    def keep_probes(self, cell: Cell, session: Session) -> Callable[[list[ProbeRecord]], None]:
        """Writes what a probe measured on the cell's model, and shows that it did."""

        def keep(probes: list[ProbeRecord]) -> None:
            session.keep_probes(probes)
            self._progress.probed(cell.name, probes[0].benchmark, len(probes))

        return keep

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """A cell that passed has shown its own line already."""
        showing = any(f"test_{name}.py" in report.nodeid for name in ("training", *PROBES))
        own_line = report.when == "call" and report.passed and showing
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
        except RecordError as error:
            raise pytest.UsageError(f"--benchmark-compare: the earlier run is {error}") from error
        compared_benchmark["machine_info"] = machine_info

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Write tables and figures, and judge the run before pytest-benchmark saves it.

        A run that breaks a rule fails and is not saved, so no later one is compared with it.
        """
        if not self._config.option.collectonly:
            earlier = self._earlier if self._config.option.benchmark_compare else None
            self._ending = Ending(self._session, earlier, self._rules)
            if self._ending.failed:
                session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
            saved = self._config._benchmarksession  # type: ignore[attr-defined]
            if self._ending.violations:
                saved.autosave = None
            # pytest-benchmark cannot save one that was interrupted in its first round.
            saved.benchmarks = [benchmark for benchmark in saved.benchmarks if benchmark]
        yield

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_terminal_summary(self) -> Generator[None]:
        """Below pytest-benchmark's times, even where it raises as they regressed: changes, tables, their place."""
        try:
            yield
        finally:
            terminal = self._plugin("terminalreporter")
            lines = self._ending.lines(color=terminal.isatty()) if self._ending else ()
            for number, text in enumerate(lines):
                if number == 0:
                    terminal.section("FusionGauge")
                terminal.write_line(text)
