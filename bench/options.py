"""Command-line words -> one RunConfig. What was left out gets its default here and nowhere else."""

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import torch

from bench.config import FIRST_SEED, FULL, PROFILES, QUICK, STANDARD, RunConfig
from bench.records import device_name
from bench.tracking import TRACKERS
from data_utils import DATASETS

T = TypeVar("T")

DEFAULT_DATASET = "shapes"


class OptionError(ValueError):
    """An option that cannot be followed; the message says which and what would do."""


def resolve(
    *,
    root: Path,
    profile: str | None = None,
    dataset: str = DEFAULT_DATASET,
    device: str | None = None,
    seeds: str = "1",
    results_dir: str | None = None,
    tracker: str = "none",
) -> RunConfig:
    """The configuration of a session.

    Args:
        root: the project's folder.
        profile: a name of PROFILES; None for full on CUDA and quick on a CPU.
        dataset: a name of ``data_utils.DATASETS`` or a path.
        device: see ``resolve_device``.
        seeds: see ``parse_seeds``.
        results_dir: the folder of this run; None for a new one in ``results/runs``.
        tracker: a name of TRACKERS.

    Raises:
        OptionError: one of them makes no sense.
    """
    chosen_device = resolve_device(device)
    chosen_profile = _known(profile, PROFILES, "--profile") if profile else None
    if chosen_profile is None:
        chosen_profile = FULL if chosen_device.startswith("cuda") else QUICK
    _known(tracker, TRACKERS, "--track")
    name = f"{datetime.now():%Y-%m-%dT%H-%M-%S}-{chosen_profile.name}-{dataset_slug(dataset)}-{chosen_device}"
    return RunConfig(
        profile=chosen_profile,
        protocol=chosen_profile.shorten(STANDARD, simulated=dataset in DATASETS),
        dataset=dataset,
        device=chosen_device,
        seeds=parse_seeds(seeds),
        results_dir=Path(results_dir).resolve() if results_dir else root / "results" / "runs" / slug(name),
        tracker=tracker,
    )


def parse_seeds(text: str) -> tuple[int, ...]:
    """``"3"`` is three seeds from the published one on, ``"7,9"`` is these two, ``"7,"`` is just seed 7.

    Raises:
        OptionError: neither a count of at least 1 nor a list of different whole numbers from 0 on.
    """
    try:
        numbers = [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        numbers = []
    if "," in text and numbers and len(set(numbers)) == len(numbers) and min(numbers) >= 0:
        return tuple(numbers)
    if "," not in text and numbers and numbers[0] >= 1:
        return tuple(range(FIRST_SEED, FIRST_SEED + numbers[0]))
    raise OptionError(
        f"--seeds {text}: give a count (3 means {FIRST_SEED},{FIRST_SEED + 1},{FIRST_SEED + 2}) "
        "or a list of different seeds (7,9 or, for one alone, 7,)"
    )


def resolve_device(name: str | None) -> str:
    """The device to run on: as named, or CUDA where there is one and else the CPU.

    Raises:
        OptionError: no such device here.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return name
    if not re.fullmatch(r"cuda(:\d+)?", name):
        raise OptionError(f"--device {name}: give cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise OptionError(
            f"--device {name}: torch {torch.__version__} finds no CUDA device here; leave the option out "
            "to run on the CPU, or check the driver and that this torch was built for CUDA"
        )
    _, _, index = name.partition(":")
    if int(index or 0) >= torch.cuda.device_count():
        raise OptionError(
            f"--device {name}: there are only {torch.cuda.device_count()} CUDA devices, from cuda:0 on"
        )
    return name


def history_folder(config: RunConfig, root: Path) -> Path:
    """Where pytest-benchmark keeps the runs that a run of this configuration can be compared with.

    One folder for a data set, profile and device model, so that the latest run in it is comparable.
    """
    device = device_name(torch.device(config.device))
    name = f"{dataset_slug(config.dataset)}-{config.profile.name}-{device}"
    return root / "results" / "runs" / "history" / slug(name)


def dataset_slug(dataset: str) -> str:
    """A name fit for a folder: the name itself, or the last parts of a path."""
    path = Path(dataset)
    return slug("-".join([*path.parts[-2:-1], path.stem]) if len(path.parts) > 1 else path.stem)


def slug(text: str) -> str:
    """Letters, digits, dots, dashes and underscores of the text; anything else becomes a dash."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")


def _known(name: str, known: Mapping[str, T], option: str) -> T:
    if name not in known:
        raise OptionError(f"{option} {name}: give one of {', '.join(known)}")
    return known[name]
