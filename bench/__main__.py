"""``python -m bench``: look at runs again, audit data and models. Trains nothing."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import baseline, records
from bench.audits import audit
from bench.comparison import comparison_table, facts
from bench.config import FULL
from bench.options import DATASET_HELP, DEFAULT_STUDY, OptionError, resolve
from bench.records import RecordError, RunRecord
from bench.session import Session, write_tables
from bench.studies import STUDIES
from bench.tables import TextTable, as_text, conditions
from data_utils import DataError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 1 for findings of an audit, 2 for input it cannot use."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Look at runs again, audit data and models; trains nothing."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    tables = commands.add_parser("tables", help="write and print the tables of a run from its records")
    tables.add_argument("run", type=Path, help="folder of a run, or a records file")
    tables.add_argument("--out", type=Path, help="folder for the tables; default: tables/ beside the records")
    tables.set_defaults(command=_tables)

    compare = commands.add_parser("compare", help="print what changed from run A to run B")
    compare.add_argument("a", type=Path, help="folder of the earlier run, or a records file")
    compare.add_argument("b", type=Path, help="folder of the later run, or a records file")
    compare.set_defaults(command=_compare)

    publish = commands.add_parser("baseline", help="make the committed tables and the README's from their records")
    publish.add_argument(
        "--add", type=Path, nargs="+", default=[], metavar="RUN", help="add these runs' records first"
    )
    publish.set_defaults(command=_baseline)

    _add_audit(commands)

    options = parser.parse_args(arguments)
    try:
        status: int = options.command(options)
    except (RecordError, OptionError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return status


def _add_audit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "audit",
        help="look for what makes results wrong, in data, their split and models",
        description="Look for what makes results wrong: pairs that are there twice or on both sides of a split, "
        "groups split apart, validation pairs left out, inputs that depend on the label. All of the data are "
        "looked at; of a split, as many pairs as the study takes.",
        epilog="Exit status: 0 if nothing is found, 1 for findings, 2 for input that cannot be used.",
    )
    parser.add_argument(
        "--dataset",
        default="",
        metavar="NAME-or-PATH",
        help=DATASET_HELP,
    )
    parser.add_argument(
        "--study",
        default=DEFAULT_STUDY,
        metavar="NAMES",
        help=f"whose protocol splits the data: {', '.join(STUDIES)} (several with commas between them), or all; "
        "default: %(default)s",
    )
    parser.add_argument(
        "--seeds",
        default="1",
        metavar="N-or-LIST",
        help="how many seeds' splits (from the published 51 on), or a list such as 51,60; default: %(default)s",
    )
    parser.add_argument(
        "--as-published",
        action="store_true",
        help="split as the study's original did, with its mistakes (twins split apart, pairs left out)",
    )
    parser.add_argument(
        "--models",
        action="store_true",
        help="audit the study's models, built for these data, with our metrics and memory, as well; "
        "wide-late-concat and wide-intermediate-concat are one function, as they are in the published tables, "
        "so a study with both has a finding",
    )
    parser.set_defaults(command=_audit)


def _tables(options: argparse.Namespace) -> int:
    path = _records_path(options.run)
    found = _read(path)
    folder = options.out or path.parent / "tables"
    made = write_tables(found, folder)
    print("\n".join(conditions(found)))
    _print(made)
    print(f"written to {folder}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    before, now = (_read(_records_path(path)) for path in (options.a, options.b))
    table = comparison_table([facts(record) for record in before], [facts(record) for record in now])
    if table is None:
        raise RecordError(f"{options.a} and {options.b} have no completed cell in common")
    _print([table])
    return 0


def _baseline(options: argparse.Namespace) -> int:
    for run in options.add:
        print(f"{baseline.add(_read(_records_path(run)))} records added from {run}")
    found = baseline.read()
    outdated = baseline.outdated(found)
    baseline.write(found)
    for path in outdated:
        print(f"written: {path.relative_to(baseline.ROOT)}")
    return 0


def _audit(options: argparse.Namespace) -> int:
    resolved = resolve(
        root=Path.cwd(),
        profile=FULL.name,
        study=options.study,
        dataset=options.dataset,
        device="cpu",
        seeds=options.seeds,
        published=options.as_published,
    )
    found = 0
    for subject, outcomes in audit(Session(resolved), models=options.models):
        print("\n".join([subject, *map(str, outcomes)]), flush=True)
        found += sum(len(outcome.findings) for outcome in outcomes)
    print(f"{found or 'no'} finding{'' if found == 1 else 's'}")
    return 1 if found else 0


def _records_path(run: Path) -> Path:
    return run / "records.jsonl" if run.is_dir() else run


def _read(path: Path) -> list[RunRecord]:
    found = records.read(path)
    if not found:
        raise RecordError(f"{path}: holds no record; give the folder of a run in which a cell has ended")
    return found


def _print(made: Sequence[TextTable]) -> None:
    for table in made:
        print(as_text(table, color=sys.stdout.isatty()))


if __name__ == "__main__":
    sys.exit(main())
