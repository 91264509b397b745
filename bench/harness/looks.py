"""``--until-decided``: seeds are added look by look, and only cells that an open claim needs are run.

Cells of all seeds are collected, in the order of the looks. At the start of each look the claims are judged by the
records so far, and before each cell the plan says whether a claim still needs it. Claims are judged at their
declared numbers of seeds alone (``bench.analysis.verdicts.follow``), so stopping here costs no certainty.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING

from bench.config import OptionError
from bench.harness.cell import Cell
from bench.records import ProbeRecord, RunRecord

if TYPE_CHECKING:
    from bench.analysis.claims import Claim, Claims, Source
    from bench.analysis.rulings import Entry

    Trained = tuple[Source, str]
    """A study with a variant, and the name of a model that is trained for it."""

LATE = "the time of --budget is used up"
"""The reason of a cell that had not begun by then."""

Target = tuple[str, str]
"""A claim's name and one of its settings."""


@dataclass
class Plan:
    """Which cells are still needed.

    Attributes:
        claims: That are to be decided.
        cells: All that could be run.
        budget: Seconds after which no further cell starts.
        clock: The time in seconds.
    """

    claims: Claims
    cells: Sequence[Cell]
    budget: float = inf
    clock: Callable[[], float] = time.monotonic
    _started: float | None = None
    _judged: int = 0
    _entries: dict[Target, list[Entry]] = field(default_factory=dict)

    def check(self) -> None:
        """Raise OptionError if nothing can be decided: no claim, or too few seeds for a look."""
        if not self._pursued:
            raise OptionError(
                "--until-decided: the selected cells can decide no claim; give --study claims or a "
                "study that claims are about, --compare-models A B, or claims of your own with --claims FILE"
            )
        first = self._looks[self._first]
        if len(self._seeds) < first:
            raise OptionError(
                f"--max-seeds {len(self._seeds)}: the first look that can decide is at {first} seeds; "
                "give at least this number"
            )

    @cached_property
    def _seeds(self) -> list[int]:
        return list(dict.fromkeys(cell.seed for cell in self.cells))

    @cached_property
    def _looks(self) -> list[int]:
        return sorted({look for claim in self._pursued.values() for look in claim.looks})

    @cached_property
    def _first(self) -> int:
        """The number of the first look at which anything can be decided."""
        from bench.analysis.sequential import deciding

        firsts = [deciding(claim.looks)[0] for claim in self._pursued.values()]
        return self._looks.index(min(firsts)) if firsts else 0

    def look_of(self, cell: Cell) -> int:
        """The number of the look that a cell is run for, from 0 on; of looks that can decide nothing, the next."""
        return max(self._first, bisect_left(self._looks, self._seeds.index(cell.seed) + 1))

    def ordered(self) -> list[Cell]:
        """The cells, look by look."""
        return sorted(self.cells, key=self.look_of)  # stable

    @cached_property
    def _trained(self) -> dict[Source, set[str]]:
        """The models that are trained here, by study and variant."""
        trained: dict[Source, set[str]] = {}
        for cell in self.cells:
            trained.setdefault(cell.source, set()).add(cell.spec.name)
        return trained

    def _trained_for(self, claim: Claim, setting: str) -> dict[str, list[Trained]]:
        """Where the models of a claim are trained, by their names in it.

        One place each, as several sources repeat the same runs; but all variants of which the best is taken.
        """
        from bench.analysis.claims import is_of

        found: dict[str, list[Trained]] = {}
        for declared in claim.settings[setting]:
            of_source: dict[str, list[Trained]] = {}
            for source, models in self._trained.items():
                for model in models if is_of(source, declared) else ():
                    for name in claim.names_of(source, model):
                        of_source.setdefault(name, []).append((source, model))
            found = of_source | found
        return found

    @cached_property
    def _pursued(self) -> dict[Target, Claim]:
        """The claims that can be decided here: those of which every model is trained under a protocol."""
        return {
            (claim.name, setting): claim
            for claim in self.claims.claims
            for setting in claim.settings
            if self._trained_for(claim, setting).keys() == claim.models
        }

    @cached_property
    def _needs(self) -> Mapping[Trained, list[tuple[Target, str]]]:
        """By source and model: the claims that need its runs, and its name in each."""
        needs: dict[Trained, list[tuple[Target, str]]] = {}
        for target, claim in self._pursued.items():
            for name, places in self._trained_for(claim, target[1]).items():
                for trained in places:
                    needs.setdefault(trained, []).append((target, name))
        return needs

    def why_not(self, cell: Cell, records: Sequence[RunRecord], probes: Sequence[ProbeRecord]) -> str:
        """Why a cell need not be run; "" if an open claim needs it and there is time left.

        Args:
            cell: The next one; those of earlier looks come before.
            records: Of all cells that have ended.
            probes: Of their models.
        """
        if self._started is None:
            self._started = self.clock()
        if self.over:
            return LATE
        number, seeds_before = self.look_of(cell), self._seeds.index(cell.seed)
        if number > self._judged:
            self._judge(records, probes)
            self._judged = number
        decided: dict[int, list[str]] = {}
        for target, name in self._needs.get((cell.source, cell.spec.name), []):
            claim = self._pursued[target]
            if seeds_before >= _most_seeds(claim):
                continue
            entries = self._entries.get(target, [])
            if not entries or any(name in part.part.models for entry in entries for part in entry.open):
                return ""
            decided.setdefault(_look(entries, name), []).append(claim.name)
        if decided:
            return "; ".join(
                f"its comparisons decided at look {look}: {', '.join(dict.fromkeys(names))}"
                for look, names in sorted(decided.items())
            )
        return "no claim that can be decided here needs it"

    @property
    def over(self) -> bool:
        """Whether the time of ``--budget`` is used up; it counts from the first question."""
        return self._started is not None and self.clock() - self._started > self.budget

    def _judge(self, records: Sequence[RunRecord], probes: Sequence[ProbeRecord]) -> None:
        from bench.analysis.ledger import ledger

        self._entries.clear()
        for entry in ledger(records, probes, self.claims).entries:
            if entry.conditions is not None:
                self._entries.setdefault((entry.claim.name, entry.conditions.setting), []).append(entry)


def _most_seeds(claim: Claim) -> int:
    """One for a claim about what does not depend on the seed."""
    return 1 if all(part.quantity.metric.comparison == "exact" for part in claim.parts) else claim.looks[-1]


def _look(entries: Sequence[Entry], name: str) -> int:
    """The look at which the last comparison of a model was decided, or else the claim."""
    parts = [part for entry in entries for part in entry.parts if name in part.part.models]
    return max([entry.look for entry in entries] + [part.verdict.look for part in parts if part.stopped])
