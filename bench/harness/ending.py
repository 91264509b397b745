"""What a session prints at its end, below pytest-benchmark's times: changes, tables, and where everything is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.harness.session import Session

if TYPE_CHECKING:
    from bench.analysis.comparison import Comparison
    from bench.analysis.gate import Rule
    from bench.records import RunRecord


class Ending:
    """The end of a session: tables written, the comparison with an earlier run judged, once.

    Args:
        session: After its last benchmark, whatever happened in it.
        earlier: The cells of the run to compare with; empty if none was found, None if none was requested.
        rules: How much worse than that run this one may be.

    Attributes:
        comparison: With the earlier run; None if none was requested or nothing was run.
        violations: Where this run is worse than the rules allow, a sentence each.
    """

    def __init__(self, session: Session, earlier: Sequence[RunRecord] | None, rules: Sequence[Rule]) -> None:
        self._session, self._earlier, self._rules = session, earlier, rules
        self._tables = session.finish()
        self.comparison: Comparison | None = None
        self.violations: list[str] = []
        if earlier is not None and session.records:
            from bench.analysis import gate
            from bench.analysis.comparison import compare

            self.comparison = compare(earlier, session.records)
            self.violations = gate.violations(rules, self.comparison)

    @property
    def failed(self) -> bool:
        """Whether the run fails because of its end: a broken rule, or something that could not be written."""
        return bool(self.violations or self._session.failures)

    def lines(self, *, color: bool) -> Iterator[str]:
        """The text to print, part by part; nothing if nothing was measured.

        Args:
            color: Whether the terminal can show it.
        """
        session = self._session
        if not (session.records or self._tables or session.failures):
            yield from session.notes
            return
        from bench.analysis.frames import describe
        from bench.tables.text import as_text

        if session.records and len(session.options.studies) == 1:
            yield "\n".join(describe(session.records))
        yield from self._compared(color=color)
        for table in self._tables:
            yield as_text(table, color=color)
        if (session.folder / "plots").is_dir():
            yield f"figures are in {session.folder / 'plots'}"
        count = len(session.records)
        if count:
            yield f"{count} record{'s are' if count > 1 else ' is'} in {session.folder}"
        else:
            yield f"tables are in {session.folder}"
        yield from session.notes
        for failure in session.failures:
            yield f"FAILED: {failure}"

    def _compared(self, *, color: bool) -> Iterator[str]:
        if self.comparison is None:
            return
        from bench.analysis import gate
        from bench.tables.comparison import comparison_table
        from bench.tables.text import as_text

        if not self._earlier:
            yield "no earlier run of this kind to compare with; this one is kept as the first"
        yield from self.comparison.warnings
        if (table := comparison_table(self.comparison)) is not None:
            yield as_text(table, color=color)
        if self._rules:
            yield gate.report(self._rules, self.comparison)
