"""``python -m bench audit``: what would make results wrong, in data, their split and models."""

import argparse
from pathlib import Path

from bench.commands.runs import Commands
from bench.config import FULL
from bench.harness.audits import audit
from bench.harness.options import DATASET_HELP, resolve
from bench.harness.session import Session
from bench.studies import DEFAULT_STUDY, STUDIES


def register(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "audit",
        help="look for what makes results wrong, in data, their split and models",
        description="Look for what makes results wrong: pairs that are there twice or on both sides of a split, "
        "groups split apart, validation pairs left out, inputs that depend on the label. All of the data are "
        "looked at; of a split, as many pairs as the study takes.",
        epilog="Exit status: 0 if nothing is found, 1 for findings, 2 for input that cannot be used.",
    )
    parser.add_argument("--dataset", default="", metavar="NAME-or-PATH", help=DATASET_HELP)
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
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Audit and print; 1 for findings."""
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
