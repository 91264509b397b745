"""File names."""

import io
import os
from collections.abc import Iterator
from contextlib import redirect_stdout

from tools.faults.fault import FIRST, Fault, Place, bench

ODD = os.fsdecode(b"M\xfctze")
"""A file name whose bytes are not UTF-8."""


def names() -> Iterator[Fault]:
    """File names that are not UTF-8, in everything that takes a path; commands that show them."""
    for words in (
        "--results-dir {folder}/ODD",
        "--dataset {folder}/ODD",
        "--plugin {folder}/ODD.py",
        "--claims {folder}/ODD.toml",
        "--benchmark-json {folder}/ODD/ODD.json",
        "--benchmark-storage file://{folder}/ODD",
        "--junitxml {folder}/ODD/ODD.xml",
        "--dataset {folder}/ODD --track tensorboard --results-dir {folder}/ODD/run",
    ):
        kept = 0 if "--results-dir" in words else 1
        given = bench("-k", FIRST, *words.replace("ODD", ODD).split(" "))
        yield Fault(f"not UTF-8: {words}", given, kept=kept, says="1 record is in", prepare=_odd_names)
    for words, codes in (
        ("data_utils check {folder}/ODD", (0, 1)),
        ("data_utils check {folder}/ODD --json", (0, 1)),
        ("data_utils show {folder}/ODD --out {folder}/ODD.png", (0,)),
        ("bench audit --dataset {folder}/ODD", (0, 1)),
        ("bench tables {folder}/ODD.nowhere", (2,)),
        ("bench compare {folder}/ODD.nowhere {folder}/ODD.nowhere", (2,)),
    ):
        given = ["-m", *words.replace("ODD", ODD).split(" ")]
        for env in ({}, {"PYTHONIOENCODING": "ascii"}):
            name = " ".join([f"not UTF-8: {words}", *env.values()])
            says = "" if "json" in words else r"M\\xfctze"
            yield Fault(name, given, codes=codes, kept=0, says=says, env=env, prepare=_odd_names)


def _odd_names(place: Place) -> None:
    for suffix in (".py", ".toml"):
        (place.folder / f"{ODD}{suffix}").touch()
    from data_utils.__main__ import main as data_utils

    words = ["make", str(place.folder / ODD), "--pairs", "80", "--image-size", "16"]
    with redirect_stdout(io.StringIO()):
        if data_utils(words):
            raise RuntimeError(" ".join(words))
