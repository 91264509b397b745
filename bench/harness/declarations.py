"""The options of the benchmarks, as the command line has them; ``options`` makes values of them."""

from __future__ import annotations

import pytest

from bench.analysis import gate
from bench.config import DEFAULT_STUDY, PROFILES
from bench.harness.values import dataset_help
from bench.registry import STUDIES
from bench.tracking import TRACKERS


def declare(group: pytest.OptionGroup) -> None:
    """Add all options to a group; what is registered by then is in their help."""
    group.addoption(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE",
        help="a Python file that registers operators, embedders, models, backbones, corruptions, metrics, data "
        "sets, layouts, trackers or studies (docs/extending.md); may be repeated",
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
    group.addoption(
        "--image-size",
        default="",
        metavar="SIZE",
        help="resize all images to this size: rows, or rows x columns, such as 64 or 48x64; :crop or :pad keeps "
        "the aspect ratio; default: the size of the files",
    )
    group.addoption("--device", default="", help="cpu, cuda or cuda:N; default: CUDA if available")
    group.addoption(
        "--seeds",
        default="1",
        metavar="N-or-LIST",
        help="number of seeds, counted from the published seed 51, or a list such as 51,60; default: %(default)s",
    )
    group.addoption(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="FIELD=VALUE",
        help="set a field of the protocol, such as epochs=3 or learning_rate=0.01; may be repeated. Ids "
        "and records show changed values",
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
        "continues --results-dir, or the latest folder of this kind with records in results/runs",
    )
    group.addoption(
        "--cache-size",
        default="4GB",
        metavar="SIZE",
        help="size limit of results/runs/simulated, which keeps simulated data and decoded large files for later "
        "runs; beyond it, the least recently used ones are deleted, but none that this run maps; 0 keeps nothing; "
        "default: %(default)s",
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
        help="run one of several parts with equal expected times, such as 3/16, each with its own "
        "--results-dir; python -m bench merge merges them (docs/scaling.md)",
    )
    group.addoption(
        "--earlier",
        default="",
        metavar="RUN",
        help="with --shard and --until-decided: run the next look after this merged run of the looks so far",
    )
    group.addoption(
        "--fail-on", default="", metavar="RULES", help=f"with --benchmark-compare: {gate.fail_on_help()}"
    )
    group.addoption(
        "--track",
        default="none",
        dest="tracker",
        metavar="NAMES",
        help=f"mirror every cell as a run in trackers: {', '.join(TRACKERS)} (several separated by commas), "
        "or none; wandb works offline without a key or network; default: %(default)s",
    )
    group.addoption(
        "--study",
        default=DEFAULT_STUDY,
        metavar="NAMES",
        help=f"what is run: {', '.join(STUDIES)} (several separated by commas), "
        "claims (all studies that claims need), or all; default: %(default)s",
    )
    group.addoption(
        "--until-decided",
        action="store_true",
        help="add seeds in the looks that the claims declare, and skip cells that no undecided claim needs; with "
        "--study claims or a study that claims are about, --compare-models or --claims",
    )
    group.addoption(
        "--max-seeds",
        default="",
        metavar="N",
        help="with --until-decided: maximum number of seeds; default: 20",
    )
    group.addoption(
        "--budget",
        default="",
        metavar="TIME",
        help="with --until-decided: start no further cell after this time, such as 2h or 90m",
    )
    group.addoption(
        "--compare-models",
        nargs=2,
        default=[],
        metavar=("A", "B"),
        help="train only these two models, under the protocol of --study, and decide which is better",
    )
    group.addoption(
        "--claims",
        action="append",
        default=[],
        metavar="FILE",
        help="a TOML file of your own claims, in addition to the published ones (docs/evidence.md); may be "
        "repeated",
    )
    group.addoption(
        "--as-published",
        action="store_true",
        dest="published",
        help="run the protocols of published studies with their mistakes (pairs of one scene in different "
        "parts, pairs left out)",
    )
