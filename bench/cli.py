"""The command line: ``python -m bench``, installed as ``fusiongauge``.

``run`` starts the benchmarks under pytest. Everything else reads records (tables, figures, pages, comparisons, the
steps of a nightly job) or audits data and models. Each command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import inspect
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from bench.config import DEFAULT_STUDY, FIRST_SEED, FULL, OptionError
from bench.harness.interruption import as_interruptions
from bench.harness.options import load_plugins, resolve
from bench.harness.values import dataset_help
from bench.records import RecordError, write_file
from bench.records.reading import load_records, read_run, read_runs
from bench.registry import STUDIES
from fusiongauge import IGNORED, FusionGaugeError, escape_on_terminals, leaving_closed_pipes, printable, user_path

if TYPE_CHECKING:
    from bench.records import RunRecord
    from bench.records.reading import Run
    from bench.tables.text import TextTable

Command = Callable[[Any], int]

_RUN = "a run's folder, a records file, or a folder of records files"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0; 1 for findings, broken rules or cells that were not completed; 2 for input that cannot
        be used; 130 after Ctrl-C, or a signal that ends a process. That of ``run`` is pytest's.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    escape_on_terminals()
    print("".join(f"note: {note}\n" for note in IGNORED), file=sys.stderr, end="")
    if words[:1] == ["run"]:
        _run(words[1:])
    restore_signals = as_interruptions()
    try:
        with leaving_closed_pipes():
            load_plugins(words)
            options = _parser().parse_args(words)
            status: int = options.command(options)
    except (FusionGaugeError, OSError) as error:  # OSError: a file that cannot be written or read
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the files that were written are complete", file=sys.stderr)
        return 130
    finally:
        restore_signals()
    return status


def _run(words: Sequence[str]) -> NoReturn:
    """Run benchmarks: pytest on bench, with all of its options.

    Example: python -m bench run -k stride --profile smoke
    """
    # A new program, as pytest warns about modules that were imported before it; in this process, so that it is the
    # one that gets the signals.
    pytest = [sys.executable, "-m", "pytest", "-p", "fusiongauge_pytest", f"--rootdir={Path.cwd()}"]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [*pytest, "--pyargs", "bench", *words])  # noqa: S606


def _option(*names: str, **settings: Any) -> argparse.ArgumentParser:
    """One argument, to be shared by commands as a parent of their parsers."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(*names, **settings)
    return parser


def _parser() -> argparse.ArgumentParser:
    from bench.analysis.gate import fail_on_help

    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Run benchmarks, show and compare their records, audit data and models.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    plugin = _option("--plugin", action="append", default=[], metavar="FILE", help="a plug-in to load first")
    a_run = _option("run", type=user_path, metavar="RUN", help=_RUN)
    fail_on = _option("--fail-on", default="", metavar="RULES", help=fail_on_help())
    last_good = _option(
        "--last-good",
        type=user_path,
        required=True,
        metavar="FOLDER",
        help="where good runs are kept, one file per profile and device",
    )

    def out(where: str, **settings: str) -> argparse.ArgumentParser:
        return _option("--out", type=user_path, help=where, **settings)

    def command(run: Command, *options: argparse.ArgumentParser) -> argparse.ArgumentParser:
        """A command is called as its function, and its help is the function's docstring."""
        text, _, epilog = (inspect.getdoc(run) or "").partition("\n\n")
        added = commands.add_parser(
            run.__name__.strip("_"),
            help=f"{text[:1].lower()}{text[1:-1]}",
            description=text,
            epilog=epilog,
            parents=[plugin, *options],
        )
        added.set_defaults(command=run)
        return added

    command(_run)
    claims = _option(
        "--claims",
        action="append",
        type=user_path,
        default=[],
        metavar="FILE",
        help="a TOML file of your own claims, in addition to the published ones, as for the run; may be repeated",
    )
    command(_tables, a_run, claims, out("default: tables/ beside the records", metavar="FOLDER"))
    several = _option("runs", type=user_path, nargs="+", metavar="RUN", help=f"{_RUN}; several are combined")
    command(_plots, several, out("default: plots/ beside the first records", metavar="FOLDER"))
    committed = f"{_RUN}; default: the committed records of a checkout"
    page = "report.html beside the first run's records, results/runs/report.html for committed records"
    any_number = _option("runs", type=user_path, nargs="*", metavar="RUN", help=committed)
    command(_report, any_number, claims, out(f"default: {page}", metavar="FILE"))
    where = f"the {{}} run: {_RUN}, or a commit (HEAD~1, a tag) for its committed records"
    earlier = _option("a", metavar="A", help=where.format("earlier"))
    command(_compare, earlier, _option("b", metavar="B", help=where.format("later")), fail_on)
    add = "add the records of these runs first"
    command(
        _baseline,
        _option("--add", action="extend", type=user_path, nargs="+", default=[], metavar="RUN", help=add),
    )
    new = _option("--out", type=user_path, required=True, metavar="RUN", help="a new folder")
    command(_merge, several, claims, new)
    command(_history, a_run, out("default: history.json beside the records", metavar="FILE"))
    command(_nightly, a_run, last_good, fail_on, out("default: summary.md beside the records", metavar="FILE"))
    command(_keep, a_run, last_good)
    size = _option("--image-size", default="", metavar="SIZE", help="resize all images, as for pytest bench")
    audit = command(_audit, size)
    audit.add_argument("--dataset", default="", metavar="NAME-or-PATH", help=dataset_help())
    audit.add_argument(
        "--study",
        default=DEFAULT_STUDY,
        metavar="NAMES",
        help=f"the study whose protocol splits the data: {', '.join(STUDIES)} (several separated by commas), or "
        "all; default: %(default)s",
    )
    audit.add_argument(
        "--seeds",
        default="1",
        metavar="N-or-LIST",
        help="number of seeds whose splits are audited, counted from the published seed 51, or a list such as "
        "51,60; default: %(default)s",
    )
    audit.add_argument(
        "--as-published",
        action="store_true",
        help="split as the study's original did, with its mistakes (pairs of one scene in different parts, pairs "
        "left out)",
    )
    audit.add_argument(
        "--models",
        action="store_true",
        help="also audit the study's models, built for these data, and the metrics and memory measurements; "
        "wide-late-concat and wide-intermediate-concat are the same function, as in the published tables, so a "
        "study with both has a finding",
    )
    plan = command(_schedule)
    plan.add_argument(
        "--study", default="claims", metavar="NAMES", help="as for pytest bench; default: %(default)s"
    )
    plan.add_argument("--seeds", default="20", metavar="N-or-LIST", help="default: %(default)s")
    plan.add_argument("--profile", default=FULL.name, help="smoke, quick or full; default: %(default)s")
    plan.add_argument("--devices", default="1,8,64,512", metavar="NUMBERS", help="default: %(default)s")
    plan.add_argument(
        "--from",
        dest="records",
        type=user_path,
        nargs="+",
        metavar="RUN",
        help=f"earlier runs that tell how long cells take; {_RUN}; default: the committed records",
    )
    plan.add_argument(
        "--beside",
        type=float,
        default=1.5,
        metavar="SECONDS",
        help="time that a cell takes on its device in addition to its training; default: %(default)s, the limit "
        "of tools/ray_check.py",
    )
    picture = _option("file", type=user_path, metavar="FILE", help="the PNG to write")
    corruptions = command(_corruptions, picture, size)
    corruptions.add_argument(
        "--dataset", default="shapes-hard", metavar="NAME-or-PATH", help=dataset_help("%(default)s")
    )
    corruptions.add_argument(
        "--pair", type=int, default=0, metavar="N", help="number of the pair, from 0; default: %(default)s"
    )
    return parser


def _tables(options: argparse.Namespace) -> int:
    """Write and print the tables of a run from its records."""
    from bench.analysis.conditions import describe, reasons
    from bench.harness.kept import claims_of
    from bench.tables.tabulation import write_tables

    run = read_run(options.run)
    folder = options.out or _beside(options.run, [run]) / "tables"
    claims = claims_of([run], options.claims)
    tables = write_tables(run.records, folder, run.probes, run.costs, claims)
    if run.records:
        print("\n".join(describe(run.records)))
    _print(tables)
    print("".join(f"{reason}\n" for reason in reasons(run.records)), end="")
    print(f"written to {folder}")
    return 0


def _plots(options: argparse.Namespace) -> int:
    """Draw the figures of one or more runs from their records."""
    from bench.plots import write_figures

    runs = read_runs(options.runs)
    records, probes, costs = ([r for run in runs for r in getattr(run, k)] for k in ("records", "probes", "costs"))
    files = write_figures(records, options.out or _beside(options.runs[0], runs) / "plots", probes, costs)
    if not files:
        raise RecordError(
            f"{options.runs[0]}: no cell was completed, so there is nothing to draw; run the benchmark again"
        )
    print("\n".join(map(str, files)))
    return 0


def _merge(options: argparse.Namespace) -> int:
    """Merge runs, such as shards, into a new folder: records, checkpoints, tables, plots, page.

    Runs with different code, data or protocols are refused, and so are different results of one cell. Exit status:
    0; 1 if a shard, or the record of one of its cells, is missing; 2 for input that cannot be used.
    """
    from bench.analysis.formats import counted
    from bench.harness.kept import claims_of
    from bench.harness.merging import merge, write
    from bench.plots import write_figures
    from bench.report.writing import write_page
    from bench.tables.tabulation import write_tables

    merged = merge(options.runs, options.claims)
    write(merged, options.out)
    run = read_run(options.out)
    claims = claims_of([run])
    write_tables(run.records, options.out / "tables", run.probes, run.costs, claims)
    write_figures(run.records, options.out / "plots", run.probes, run.costs)
    write_page([run], options.out / "report.html", claims)
    written = f"{counted(len(run.records), 'record')} written to {options.out}"
    print(*merged.notes, *merged.missing, written, sep="\n")
    return 1 if merged.missing else 0


def _report(options: argparse.Namespace) -> int:
    """Write one HTML page of runs, or of the committed records."""
    from bench import baseline
    from bench.harness.kept import claims_of
    from bench.report.writing import write_page

    runs = read_runs(options.runs) if options.runs else [baseline.as_run()]
    folder = _beside(options.runs[0], runs) if options.runs else baseline.ROOT / "results" / "runs"
    path = options.out or folder / "report.html"
    write_page(runs, path, claims_of(runs, options.claims))
    print(f"written to {path}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    """Print what changed from run A to run B.

    Exit status: 0; 1 if a rule of --fail-on is broken; 2 for input that cannot be used.
    """
    from bench.analysis import gate
    from bench.analysis.comparison import compare
    from bench.tables.comparison import comparison_table

    before, now = _records(options.a), _records(options.b)
    sides = {options.a: before, options.b: now}
    rules = gate.parse(options.fail_on, [*before, *now])
    comparison = compare(before, now)
    table = comparison_table(comparison)
    print("".join(f"{warning}\n" for warning in comparison.warnings), end="")
    if table is None:
        # Their data differ, as the warnings say, or what each has is not what the other has.
        both = "".join(f"; {run} has {_contents(records)}" for run, records in sides.items())
        why = " on the same data" if comparison.gaps else both
        raise RecordError(f"{options.a} and {options.b} have no completed cell in common{why}")
    _print([table])
    if rules:
        print(gate.report(rules, comparison))
    return 1 if gate.violations(rules, comparison) else 0


def _contents(records: Sequence[RunRecord]) -> str:
    """What a run is of, for a run that has nothing in common with it: all that tells cells apart but the model."""
    from bench.analysis.formats import enumerated
    from bench.records import conditions_of

    kinds = dict.fromkeys(" ".join(filter(None, (r.study, r.variant, *conditions_of(r)))) for r in records)
    seeds = enumerated(record.seed for record in records)
    return f"{', '.join(kinds)}, seeds {seeds}"


def _records(word: str) -> list[RunRecord]:
    """The records of a run, or the committed ones of a commit; an existing path takes precedence over a commit."""
    from bench import baseline

    path = user_path(word)
    return load_records(path) if path.exists() else baseline.read_at(word)


def _baseline(options: argparse.Namespace) -> int:
    """Make the committed tables, the ledger and the README's tables from their records."""
    from bench import baseline
    from bench.analysis.formats import counted

    for path in options.add:
        run = read_run(path)
        print(f"{counted(baseline.add(run.records, run.probes), 'record')} added from {path}")
    for path in baseline.write():
        print(f"{'written' if path.is_file() else 'removed'}: {path.relative_to(baseline.ROOT)}")
    return 0


def _history(options: argparse.Namespace) -> int:
    """Write a run's values as JSON for github-action-benchmark."""
    import json

    from bench.analysis.history import history

    run = read_run(options.run)
    path = options.out or _beside(options.run, [run]) / "history.json"
    entries = history(run.records)
    write_file(path, json.dumps(entries, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    print(f"{len(entries)} values written to {path}")
    return 0


def _nightly(options: argparse.Namespace) -> int:
    """Compare a run with the last good one of its device, and summarize it in Markdown.

    Exit status: 0; 1 if a cell was not completed or is missing, or a rule of --fail-on is broken or cannot be
    judged; 2 for input that cannot be used. A first run is compared with nothing.
    """
    from bench.analysis import gate
    from bench.analysis.comparison import compare
    from bench.analysis.nightly import last_good, last_good_path, shortcomings
    from bench.tables.nightly import summary

    run = read_run(options.run)
    rules = gate.parse(options.fail_on, run.records)
    before = last_good(options.last_good, run.records)
    comparison = compare(before, run.records)
    path = options.out or _beside(options.run, [run]) / "summary.md"
    write_file(path, summary(rules, comparison, run.records))
    if not before:
        print(f"no earlier good run in {last_good_path(options.last_good, run.records)}")
    faults = shortcomings(rules, comparison)
    print("\n".join([*comparison.warnings, *faults, f"written to {path}"]))
    if faults and not comparison.unfinished:
        words = ["python", "-m", "bench", "keep", str(options.run), "--last-good", str(options.last_good)]
        print(f"if this is intended: {shlex.join(words)}")
    return 1 if faults else 0


def _keep(options: argparse.Namespace) -> int:
    """Make a run the last good one, which later runs are compared with."""
    from bench.analysis.nightly import keep

    print(f"kept in {keep(options.last_good, read_run(options.run).records)}")
    return 0


def _audit(options: argparse.Namespace) -> int:
    """Look for faults that make results wrong: in data, their splits and models.

    Looks for pairs that appear twice or in several parts of a split, divided groups, validation pairs left out,
    and inputs that depend on the label. Exit status: 0 without findings, 1 with findings, 2 for input that cannot
    be used.
    """
    from bench.harness.audits import audit
    from bench.harness.session import Session

    resolved = resolve(
        root=Path.cwd(),
        profile=FULL.name,
        study=options.study,
        dataset=options.dataset,
        image_size=options.image_size,
        device="cpu",
        seeds=options.seeds,
        published=options.as_published,
    )
    count = 0
    for subject, outcomes in audit(Session(resolved), models=options.models):
        print("\n".join([subject, *map(str, outcomes)]), flush=True)
        count += sum(len(outcome.findings) for outcome in outcomes)
    print(f"{count or 'no'} finding{'' if count == 1 else 's'}")
    return 1 if count else 0


def _schedule(options: argparse.Namespace) -> int:
    """Estimate how long a study takes on several numbers of devices.

    Nothing is trained. The estimate counts only trainings, the costliest first, on devices like the one of the
    earlier records. Probes and other work of the session's process after the trainings are not counted.
    """
    from bench.analysis.schedule import schedule
    from bench.harness.values import parse_devices
    from bench.harness.workload import committed_records, expected_seconds, of_one_device
    from bench.tables.schedule import schedule_table

    resolved = resolve(
        root=Path.cwd(), profile=options.profile, study=options.study, seeds=options.seeds, device="cpu"
    )
    cells = resolved.cells()
    records = [r for run in read_runs(options.records) for r in run.records] if options.records else []
    earlier = of_one_device(records or committed_records())
    seconds = expected_seconds(cells, earlier).values()
    plans = [schedule(seconds, count, beside=options.beside) for count in parse_devices(options.devices)]
    models = {cell.spec.name for cell in cells}
    unknown = models - {record.model for record in earlier}
    _print([schedule_table(plans, list(seconds), earlier, len(models), len(unknown))])
    return 0


def _corruptions(options: argparse.Namespace) -> int:
    """Draw a pair under every corruption of the robustness study."""
    from bench.probes.sheet import corrupted_sheet
    from data_utils import DATASETS, load

    pairs = 64 if options.dataset in DATASETS else None  # enough for the statistics that replace a modality
    dataset = load(options.dataset, pairs=pairs, image_size=options.image_size or None)
    if not 0 <= options.pair < len(dataset):
        raise OptionError(f"--pair {options.pair}: give a number from 0 to {len(dataset) - 1}")
    sheet = corrupted_sheet(dataset, options.pair, FIRST_SEED)
    content = BytesIO()
    sheet.save(content, "PNG", optimize=True)
    try:
        write_file(options.file, content.getvalue())
    except OSError as error:
        raise OptionError(f"{options.file}: cannot be written ({error.strerror}); give another file") from error
    print(f"written to {options.file}")
    return 0


def _beside(path: Path, runs: Sequence[Run]) -> Path:
    """The folder of the records that a path on the command line stands for; the one around several runs."""
    inside = [run.folder for run in runs if run.folder is not None and run.folder.is_relative_to(path)]
    return inside[0] if len(inside) == 1 else path if path.is_dir() else path.parent


def _print(tables: Sequence[TextTable]) -> None:
    from bench.tables.text import as_text, width_of

    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    encoding, width = sys.stdout.encoding or "utf-8", width_of(terminal=sys.stdout.isatty())
    for table in tables:
        print(as_text(table, color=color, encoding=encoding, width=width))
