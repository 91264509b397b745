"""``python -m bench compare``: what changed from one run to another, and whether it is too much."""

import argparse
from pathlib import Path

from bench import baseline
from bench.analysis import gate
from bench.analysis.comparison import compare, comparison_table
from bench.commands.runs import Commands, print_tables, read_run
from bench.records.run import RecordError, RunRecord


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help="print what changed from run A to run B",
        epilog="Exit status: 0; 1 where --fail-on does not hold; 2 for input that cannot be used.",
    )
    run_help = "folder of the {} run, a records file, or a commit (HEAD~1, a tag) for its committed baseline"
    parser.add_argument("a", metavar="A", help=run_help.format("earlier"))
    parser.add_argument("b", metavar="B", help=run_help.format("later"))
    parser.add_argument("--fail-on", default="", metavar="RULES", help=gate.FAIL_ON_HELP)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Compare and print; 1 where a rule is broken."""
    rules = gate.parse(options.fail_on)
    before, now = (_read(word) for word in (options.a, options.b))
    comparison = compare(before, now)
    table = comparison_table(comparison)
    if table is None:
        raise RecordError(f"{options.a} and {options.b} have no completed cell in common")
    for warning in comparison.warnings:
        print(warning)
    print_tables([table])
    if rules:
        print(gate.report(rules, before, now))
    return 1 if gate.violations(rules, before, now) else 0


def _read(word: str) -> list[RunRecord]:
    """The records of a run, or of the baseline in a commit; what exists as a path is no commit."""
    return read_run(Path(word)) if Path(word).exists() else baseline.read_at(word)
