"""The hooks of ``--shard``: which benchmarks of a selection are run.

Registered beside the hooks of all runs where the option is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

import pytest

from bench.analysis.schedule import partition
from bench.config import FIRST_SEED, OptionError
from bench.harness.cell import Cell, cell_name, name_of
from bench.harness.selection import cells_of, lists_only, parameter
from bench.harness.session import Session
from bench.harness.shards import Group, Shard, ShardPlan, group_of, write_plan
from bench.harness.workload import committed_records, expected_seconds
from bench.records import FAILED, RunRecord
from bench.records.reading import Run, read_run
from data_utils import DATASETS
from fusiongauge import FusionGaugeError


class Sharding:
    """The hooks that leave one shard of what would be run.

    Args:
        shard: Which one.
        session: Its folder gets the plan.
        say: Shows a line.
    """

    def __init__(self, shard: Shard, session: Session, say: Callable[[str], None]) -> None:
        self._shard, self._session, self._say = shard, session, say
        self._cells: dict[str, int] = {}
        self._groups: list[Group] = []
        self._text = ""
        self._look = 0

    @pytest.hookimpl(trylast=True)  # -k and all else that deselects come first
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect the other shards, and with ``--until-decided`` all looks but the next one."""
        all_items = list(items)
        try:
            firsts = {cell.study.name: cell for cell in cells_of(items)}
            self._groups = sorted(map(self._group, firsts.values()))
            self._look = self._keep_next_look(items)
        except FusionGaugeError as error:
            raise pytest.UsageError(str(error)) from error
        parts = _parts(items)
        seconds = _seconds(parts)
        placed = partition(seconds, self._shard.of)
        self._cells = {cell.name: placed[name] for name, part in parts.items() for cell in cells_of(part)}
        ours = [name for name in parts if placed[name] == self._shard.number]
        mine = {id(item) for name in ours for item in parts[name]}
        share = sum(seconds[name] for name in ours) / (sum(seconds.values()) or 1)
        look = f"look {self._look}, " if self._look else ""
        self._text = (
            f"{look}shard {self._shard}: {len(mine)} of {len(items)} benchmarks, {share:.1%} of the expected time"
        )
        if self._session.plan and not items:
            self._text = "nothing is left to run: no undecided claim needs another cell"
        config.hook.pytest_deselected(items=[item for item in all_items if id(item) not in mine])
        items[:] = [item for item in items if id(item) in mine]

    def _keep_next_look(self, items: list[pytest.Item]) -> int:
        """Keep the cells of the first look that a claim needs and that have no record; returns its number.

        Models that do not fit the data never have records, so a look is over without theirs.

        Raises:
            DataError: The data cannot be read.
            OptionError: The earlier run is another one.
        """
        plan, place = self._session.plan, self._session.options.earlier
        if plan is None:
            return 0
        run = read_run(place) if place else None
        cells = {cell.name: cell for cell in cells_of(items)}
        records = self._of_this_run(run) if run else []
        probes = run.probes if run else []
        done = {name_of(record) for record in records if record.status != FAILED}
        for look in sorted({plan.look_of(cell) for cell in cells.values()}):
            of_look = [cell for cell in cells.values() if plan.look_of(cell) == look and cell.name not in done]
            needed = {cell.name: cell for cell in of_look if not plan.why_not(cell, records, probes)}
            if any(run is None or not self._session.data.misfit_of(cell) for cell in needed.values()):
                items[:] = [item for item in items if (cell := parameter(item, "cell")) and cell.name in needed]
                return look + 1
        items[:] = []
        return 0

    def _of_this_run(self, earlier: Run) -> list[RunRecord]:
        """The records of the earlier run whose study, data set and profile are run here."""
        here = {group[:3] for group in self._groups}
        records = [record for record in earlier.records if group_of(record)[:3] in here]
        if earlier.records and here and not records:
            wanted = "; ".join(map(", ".join, sorted(here)))
            raise OptionError(
                f"--earlier {earlier.name}: it has no record of the study, data set and profile that are run here "
                f"({wanted}); give the merged run of the looks before this one"
            )
        return records

    def _group(self, cell: Cell) -> Group:
        """The ``group_of`` the records of a cell; opens the data only where their name is not registered."""
        config = cell.config
        opened = config.dataset not in DATASETS
        dataset = self._session.data.source(config).info.name if opened else config.dataset
        return cell.study.name, dataset, config.profile, config.device.partition(":")[0]

    @pytest.hookimpl(trylast=True)  # the folder is made first
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Say what the shard has, and write the plan beside its records."""
        self._say(self._text)
        if lists_only(session.config):
            return
        cells = cells_of(session.items)
        plan = ShardPlan(
            self._shard.number,
            self._shard.of,
            self._cells,
            skipped=[cell.name for cell in cells if self._session.data.misfit_of(cell)],
            look=self._look,
            groups=self._groups,
        )
        try:
            write_plan(self._session.folder, plan)
        except FusionGaugeError as error:
            raise pytest.UsageError(str(error)) from error
        session.config._benchmarksession.autosave = None  # type: ignore[attr-defined]  # a part is no run to compare with

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A shard without benchmarks is a success: there were fewer than shards, or nothing is left to decide."""
        if (self._cells or self._session.plan) and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK


def check_options(config: pytest.Config) -> None:
    """Refuse options with which a selection depends on earlier sessions, so that shards would not fit together.

    Raises:
        OptionError: One of them is given.
    """
    for name, word in (("lf", "--lf"), ("stepwise", "--sw"), ("stepwise_skip", "--sw-skip")):
        if getattr(config.option, name, False):
            raise OptionError(
                f"{word} selects by what failed before, which is not the same for every shard; leave it out with "
                "--shard, and run the rest of a shard with --resume"
            )


def _parts(items: Sequence[pytest.Item]) -> dict[str, list[pytest.Item]]:
    """What stays together, by a name: the benchmarks of one cell.

    The probe "features" compares the trained models of several seeds, so all seeds of a model stay together.
    """
    parts: dict[str, list[pytest.Item]] = {}
    for item in items:
        cell: Cell | None = parameter(item, "cell")
        if cell is None:
            name = item.nodeid
        elif "features" in cell.study.probes:
            name = cell_name(cell.study.name, cell.config.variant, cell.spec.name, FIRST_SEED)
        else:
            name = cell.name
        parts.setdefault(name, []).append(item)
    return parts


def _seconds(parts: Mapping[str, Sequence[pytest.Item]]) -> dict[str, float]:
    """How long each part is expected to take; what is measured beside cells counts as an average cell."""
    cells = {name: cells_of(part) for name, part in parts.items()}
    expected = expected_seconds([cell for of_part in cells.values() for cell in of_part], committed_records())
    average = fmean(expected.values()) if expected else 1.0
    return {name: sum(expected[cell.name] for cell in of_part) or average for name, of_part in cells.items()}
