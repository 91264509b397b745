"""One run in several parts without any process in common: which shard has which cells.

Shards are equal in expected time. They depend on the selection and the expectation alone, so that every process
with the same selection finds the same shards. ``merging.py`` puts them together again.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.config import OptionError
from bench.records import RecordError, RunRecord, conditions_of, write_file

Group = tuple[str, str, str, str]
"""A study, and the data set, profile and device that it was run with."""


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of a run, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


class ShardPlan(msgspec.Struct, frozen=True):
    """Which shard has which cells; a file in the folder of each of them.

    Attributes:
        number: The shard that the folder is of, counted from 1.
        of: The number of shards.
        cells: The shard of every cell of the whole selection, by the cell's name.
        skipped: The cells of this shard whose model does not fit the data; they get no record.
        look: With ``--until-decided`` the look that the cells are of, counted from 1; 0 without looks.
        groups: What the records of all cells belong to, see ``group_of``; names of cells tell neither the data
            nor the profile. Empty in plans of older versions.
    """

    number: int
    of: int
    cells: dict[str, int]
    skipped: list[str] = []
    look: int = 0
    groups: list[Group] = []

    @property
    def file_name(self) -> str:
        """Tells plans apart that share a folder."""
        look = f"-look-{self.look}" if self.look else ""
        return f"shard-{self.number}-of-{self.of}{look}.json"


def read_plans(folder: Path) -> list[ShardPlan]:
    """The plans of the shards in a folder.

    Raises:
        RecordError: One of them cannot be read.
    """
    plans = []
    for path in sorted(folder.glob("shard-*-of-*.json")) if folder.is_dir() else []:
        try:
            plans.append(msgspec.json.decode(path.read_bytes(), type=ShardPlan))
        except ValueError as error:
            raise RecordError(f"{path}: not the plan of a shard ({error}); run the shard again") from error
    return plans


def write_plan(folder: Path, plan: ShardPlan) -> None:
    """Write a plan, and remove those that it replaces: of the same look of the same studies, divided otherwise.

    Raises:
        RecordError: A plan in the folder cannot be read.
    """
    for other in read_plans(folder):
        replaced = (other.of, other.cells) != (plan.of, plan.cells)
        if replaced and (other.look, other.groups) == (plan.look, plan.groups):
            (folder / other.file_name).unlink()
    write_file(folder / plan.file_name, msgspec.json.encode(plan) + b"\n")


def group_of(record: RunRecord) -> Group:
    """What the records of a study have in common in one run."""
    return (record.study, *conditions_of(record))


def parse_shard(text: str) -> Shard | None:
    """``"3/16"``, or None for "".

    Raises:
        OptionError: Not two whole numbers, or the first is not one of those from 1 to the second.
    """
    if not text:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    shard = Shard(int(match[1]), int(match[2])) if match else Shard(0, 0)
    if not 1 <= shard.number <= shard.of:
        raise OptionError(f"--shard {text}: give a number and how many there are, such as 3/16, counted from 1")
    return shard
