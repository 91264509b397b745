"""The words of single options -> their values, checked; ``options`` puts these together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import inf
from pathlib import Path
from typing import TypeVar

from bench.config import FIRST_SEED, OptionError
from bench.tracking import TRACKERS
from data_utils import DATASETS, DataError

T = TypeVar("T")

MOST_SEEDS = 1000
"""The highest number of ``--seeds``."""


def dataset_help(default: str = "the study's, which is shapes for the study standard") -> str:
    """The help text of ``--dataset``; ``default``: what stands for none, in words."""
    return (
        f"a data set ({', '.join(DATASETS)}), or a path: a manifest.csv, a folder in NVIDIA's layout, a FiftyOne "
        f"export, folders of classes and modalities (docs/data.md); default: {default}"
    )


def parse_size(text: str) -> int:
    """A number of bytes, such as ``"500MB"`` or ``"4GB"`` (powers of ten) or ``"0"``.

    Raises:
        OptionError: Not such a number.
    """
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", text.strip(), re.IGNORECASE)
    if parts is None:
        raise OptionError(f"--cache-size {text}: give a size such as 500MB or 4GB, or 0")
    return int(float(parts[1]) * 1000 ** " kMGT".lower().index(parts[2].lower() or " "))


def parse_executor(text: str) -> str:
    """``"ray"`` or ``"ray:ADDRESS"``, checked; "" for "".

    Raises:
        OptionError: The executor does not exist, or its package is not installed.
    """
    if not text:
        return ""
    if text.partition(":")[0] != "ray":
        raise OptionError(f"--executor {text}: give ray or ray:ADDRESS, or leave the option out")
    from bench.harness.executors.ray_engine import require_ray

    require_ray(f"--executor {text}")
    return text


def parse_image_size(text: str) -> str:
    """The size of ``--image-size`` in its shortest form; "" for none.

    Raises:
        OptionError: It is not a size.
    """
    if not text:
        return ""
    from data_utils.layouts.sizes import ImageSize

    try:
        return str(ImageSize.parse(text))
    except DataError as error:
        raise OptionError(f"--image-size {error}") from None


def check_dataset(name: str) -> None:
    """Raise OptionError if ``--dataset`` is neither a data set nor a path; its content is looked at later."""
    try:
        exists = not name or name in DATASETS or Path(name).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long, with a zero byte, of an unknown user
        exists = False
    if not exists:
        raise OptionError(
            f"{name!r} is neither a data set nor an existing path; the data sets are: {', '.join(DATASETS)}"
        )


def parse_settings(words: Iterable[str]) -> dict[str, str]:
    """The fields and values of ``--set FIELD=VALUE``; of a field given twice the last counts.

    Raises:
        OptionError: A word without "=".
    """
    settings = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.strip():
            raise OptionError(f"--set {word}: give a field of the protocol and its value, such as epochs=3")
        settings[name.strip()] = text.strip()
    return settings


def parse_max_seeds(text: str, seeds: str) -> tuple[int, ...]:
    """All seeds that ``--until-decided`` may use: ``--max-seeds`` of them, from the published one on.

    Raises:
        OptionError: Not a number that a look can be at, or ``--seeds`` was given too.
    """
    from bench.analysis.sequential import LOOKS
    from bench.analysis.statistics import FEWEST_SEEDS

    if seeds != "1":
        raise OptionError(f"--seeds {seeds}: --until-decided adds seeds by itself; limit them with --max-seeds")
    if not text:
        return parse_seeds(str(LOOKS[-1]))
    if not text.isdecimal() or int(text) < FEWEST_SEEDS:
        raise OptionError(f"--max-seeds {text}: give at least {FEWEST_SEEDS}; fewer seeds decide nothing")
    return parse_seeds(text)


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def parse_budget(text: str) -> float:
    """``"2h"``, ``"90m"`` or a number of seconds; infinity for "".

    Raises:
        OptionError: It is none of these, or not positive.
    """
    if not text:
        return inf
    words = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if words is None or not float(words[1]):
        raise OptionError(f"--budget {text}: give a time such as 2h, 90m or 300s")
    return float(words[1]) * _UNITS[words[2]]


def parse_seeds(text: str) -> tuple[int, ...]:
    """``"3"`` is three seeds from the published one on, ``"7,9"`` is these two, ``"7,"`` is just seed 7.

    Raises:
        OptionError: Neither a count from 1 to MOST_SEEDS nor a list of different whole numbers below 2**32.
    """
    try:
        numbers = [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        numbers = []
    different = len(set(numbers)) == len(numbers) <= MOST_SEEDS
    if "," in text and numbers and different and 0 <= min(numbers) <= max(numbers) < 2**32:
        return tuple(numbers)
    if "," not in text and numbers and 1 <= numbers[0] <= MOST_SEEDS:
        return tuple(range(FIRST_SEED, FIRST_SEED + numbers[0]))
    raise OptionError(
        f"--seeds {text}: give a count (3 means {FIRST_SEED},{FIRST_SEED + 1},{FIRST_SEED + 2}) "
        f"or a list of different seeds (7,9 or, for a single one, 7,); at most {MOST_SEEDS}, and below 2**32"
    )


def parse_devices(text: str) -> tuple[int, ...]:
    """``"1,8,64"``.

    Raises:
        OptionError: Not whole numbers from 1 on.
    """
    try:
        numbers = tuple(int(word) for word in text.split(",") if word.strip())
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise OptionError(f"--devices {text}: give numbers of devices, such as 1,8,64,512")
    return numbers


def parse_trackers(text: str) -> tuple[str, ...]:
    """``"none"``, or the names of trackers with commas between them.

    Raises:
        OptionError: No tracker has one of the names, or its package is not installed.
    """
    if text == "none":
        return ()
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    for name in names:
        kind = choice(name, TRACKERS, "--track", "none")
        if not kind.available:
            raise OptionError(
                f"--track {name}: the package {kind.package} is not installed; "
                f"install it with: pip install '{kind.requirement}'"
            )
    return names


def resolve_device(name: str, *, listing: bool = False) -> str:
    """The device to run on: as named, or for "" CUDA where there is a device and else the CPU.

    For a listing it is the CPU, whichever device is named.

    Raises:
        OptionError: This machine does not have the device.
    """
    if name == "cpu":
        return name
    if listing:
        if name and not re.fullmatch(r"cuda(:\d+)?", name):
            raise OptionError(f"--device {name}: give cpu, cuda or cuda:N")
        return "cpu"
    import torch

    from bench.training.device import check_device

    if not name:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        check_device(name)
    except OptionError as error:
        raise OptionError(f"--{error}") from error
    return name


def choice(name: str, choices: Mapping[str, T], option: str, *others: str) -> T:
    """The choice of this name.

    Args:
        name: As given.
        choices: By name.
        option: For the message.
        others: Names that the caller deals with, for the message.

    Raises:
        OptionError: There is none.
    """
    if name not in choices:
        raise OptionError(f"{option} {name}: give one of {', '.join((*others, *choices))}")
    return choices[name]
