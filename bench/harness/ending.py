"""The end of a session, whatever happened in it: what is written, what is printed, and the exit status.

Records are on the disk before. Then come tables and figures, the comparison with an earlier run, and only then
what pytest and its plug-ins do at the end: whatever they raise is a note below the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.analysis.formats import counted
from bench.harness.looks import LATE
from bench.harness.session import Session

if TYPE_CHECKING:
    from bench.analysis.comparison import Comparison
    from bench.analysis.gate import Rule
    from bench.records import RunRecord
    from bench.tables.text import TextTable

AsText = Callable[["TextTable"], str]


def reason_of(error: BaseException) -> str:
    """The type of an error and its message, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


class Ending:
    """The end of a session: tables written, the comparison with an earlier run judged, once.

    Args:
        session: After its last benchmark, whatever happened in it.
        earlier: The cells of the run to compare with; empty if none was found, None if none was requested.
        rules: How much worse than that run this one may be.
        unfinished: The number of cells that have not ended, of a session that was interrupted.

    Attributes:
        comparison: With the earlier run; None if none was requested, nothing was run or they cannot be compared.
        violations: Where this run is worse than the rules allow, a sentence each.
    """

    def __init__(
        self,
        session: Session,
        earlier: Sequence[RunRecord] | None,
        rules: Sequence[Rule],
        unfinished: int = 0,
    ) -> None:
        self._session, self._earlier, self._rules, self._unfinished = session, earlier, rules, unfinished
        self._tables = session.finish()
        self.comparison: Comparison | None = None
        self.violations: list[str] = []
        if earlier is None or not session.records:
            return
        with self.noting("this run could not be compared with the earlier one", fails=bool(rules)):
            from bench.analysis import gate
            from bench.analysis.comparison import compare

            self.comparison = compare(earlier, session.records)
            self.violations = gate.violations(rules, self.comparison)

    @property
    def failed(self) -> bool:
        """Whether the run fails because of its end: a broken rule, or something that could not be written."""
        return bool(self.violations or self._session.failures)

    def note(self, text: str) -> None:
        """Add a note."""
        self._session.note(text)

    @contextmanager
    def noting(self, what: str, *, fails: bool = False) -> Iterator[None]:
        """Whatever is raised inside becomes a sentence at the end.

        Args:
            what: What did not happen then; the reason is added.
            fails: Whether the run fails because of it.
        """
        try:
            yield
        except (Exception, KeyboardInterrupt) as error:
            self._session.interrupted |= isinstance(error, KeyboardInterrupt)
            (self._session.failures if fails else self._session.notes).append(f"{what} ({reason_of(error)})")

    def lines(self, as_text: AsText) -> Iterator[str]:
        """The text to print, part by part; nothing if nothing was measured.

        Args:
            as_text: Draws a table for the terminal.
        """
        session = self._session
        if session.records or self._tables or session.failures:
            parts = [*self._results(as_text)]
            yield from parts
        elif self._unfinished:
            written = session.records_path.is_file() and session.records_path.stat().st_size
            held = "only records of earlier sessions" if written else "no records"
            yield f"interrupted before any cell was finished; {session.folder} has {held}"
        late = sum(session.skipped.get(cell.name) == LATE for cell in session.cells)
        if late:
            began = f"before {counted(late, 'cell')} began"
            yield f"the time of --budget was used up {began}; {session.continued} goes on"
        yield from (f"skipped: {reason}" for reason in dict.fromkeys(session.skipped.values()))
        yield from session.notes
        for failure in session.failures:
            yield f"FAILED: {failure}"

    def _results(self, as_text: AsText) -> Iterator[str]:
        session = self._session
        with self.noting("the conditions of this run could not be described"):
            from bench.analysis.conditions import describe

            if session.records and len(session.options.studies) == 1:
                yield "\n".join(describe(session.records))
        with self.noting("the changes from the earlier run could not be shown"):
            yield from self._compared(as_text)
        for table in (table for table in self._tables if not table.further):
            with self.noting(f"the table {table.name} could not be shown"):
                yield as_text(table)
        with self.noting("the cells that were not completed could not be listed"):
            from bench.analysis.conditions import reasons

            yield from reasons(session.records)
        if (session.folder / "plots").is_dir():
            yield f"figures are in {session.folder / 'plots'}"
        count = len(session.records)
        if count:
            yield f"{count} record{'s are' if count > 1 else ' is'} in {session.folder}"
        else:
            yield f"tables are in {session.folder}"
        if self._unfinished:
            most = "at most " if session.plan else ""  # those that no claim needs any more are not known yet
            yield (
                f"interrupted; {most}{self._unfinished} of {count + self._unfinished} cells are unfinished; the "
                f"others are kept, and {session.continued} runs the rest"
            )

    def _compared(self, as_text: AsText) -> Iterator[str]:
        if self.comparison is None:
            return
        from bench.analysis import gate
        from bench.tables.comparison import comparison_table

        if not self._earlier:
            yield "no earlier run of this kind to compare with; this one is kept as the first"
        yield from self.comparison.warnings
        if (table := comparison_table(self.comparison)) is not None:
            yield as_text(table)
        if self._rules:
            yield gate.report(self._rules, self.comparison)
