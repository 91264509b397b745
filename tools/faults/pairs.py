"""Pairs of options, in the folder of an earlier run."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from tools.faults import option_pairs
from tools.faults.fault import FIRST, SECOND, TINY, Fault, Place, bench
from tools.faults.injecting import inject_in

FILES = {
    "claims.toml": (
        'run = ["standard"]\n[settings]\nours = ["standard"]\n'
        '[[claims]]\nname = "smaller"\nwords = "it has fewer parameters"\n'
        f'[[claims.tests]]\nestimand = "parameters"\ncomparisons = ["{SECOND} is better than {FIRST}"]\n'
    ),
    "nothing_to_add.py": "",
    "a_cell_that_raises.py": (
        "import bench.training.runs as runs\n"
        "run_cell = runs.run_cell\n"
        "def raises(spec, *arguments, **words):\n"
        f"    if spec.name == {SECOND!r}:\n"
        "        raise ZeroDivisionError('this cell raises')\n"
        "    return run_cell(spec, *arguments, **words)\n"
        "runs.run_cell = raises\n"
    ),
    "an_end_that_raises.py": (
        "def pytest_sessionfinish(session):\n    raise RuntimeError('this plug-in raises')\n"
    ),
}
"""Files that options name."""


def pairs() -> Iterator[Fault]:
    """Every pair of options, in a folder with the record of an earlier run."""
    storage = ["--benchmark-storage", "file://{folder}/history"]
    for command in option_pairs.commands():
        cache = [] if "no:cacheprovider" in command.words else ["-o", "cache_dir={folder}/cache"]
        words = ["-m", "pytest", "bench/test_training.py", "-k", "compact-late-concat", *TINY, *cache]
        words += ["--results-dir", "{run}", *storage, *command.words]
        name = "pairs: " + " ".join(option.text for option in command.options)
        yield Fault(name, words, codes=(command.code,), says=command.says, kept=1, prepare=earlier)


def earlier(place: Place) -> None:
    """Copy the folder in which an earlier run trained the first cell."""
    shutil.copytree(EARLIER[0], place.folder, dirs_exist_ok=True)


EARLIER: list[Path] = []
"""That folder, once there is one."""


def train_first(folder: Path) -> None:
    """Train the first cell in a folder, for the commands that meet its results.

    Raises:
        RuntimeError: It was not trained.
    """
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    problems, output = inject_in(folder, Fault("", bench("-k", FIRST), kept=1))
    if problems:
        raise RuntimeError("\n".join([*problems, output]))
    EARLIER.append(folder)
