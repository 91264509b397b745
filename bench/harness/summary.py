"""What a session says at its end, below pytest-benchmark's times."""

from collections.abc import Iterator, Sequence

from bench.analysis import gate
from bench.analysis.comparison import compare, comparison_table
from bench.analysis.gate import Rule
from bench.harness.session import Session
from bench.records.run import RunRecord
from bench.tables import as_text, conditions


def summary(
    session: Session, *, earlier: Sequence[RunRecord] | None, rules: Sequence[Rule], color: bool
) -> Iterator[str]:
    """Text after text: changes against an earlier run, the tables, and where everything is.

    Writes the session's tables and figures as well; says nothing where nothing was measured.

    Args:
        session: at its end, however it came about.
        earlier: the cells of the run to compare with; empty where none was found, None where none was asked for.
        rules: how much worse than that run this one may be.
        color: whether the terminal can show it.
    """
    made = session.close()
    if not made:
        return
    if session.records and len(session.options.studies) == 1:
        yield "\n".join(conditions(session.records))
    if earlier is not None:
        if not earlier:
            yield "no earlier run of this kind to compare with; this one is kept as the first"
        compared = compare(earlier, session.records)
        yield from compared.warnings
        changes = comparison_table(compared)
        if changes is not None:
            yield as_text(changes, color=color)
    for table in made:
        yield as_text(table, color=color)
    if drawn := session.draw():
        yield drawn
    if rules:
        yield gate.report(rules, earlier or [], session.records)
    count = len(session.records)
    if count:
        yield f"{count} finished cell{'s are' if count > 1 else ' is'} in {session.folder}"
    else:
        yield f"tables are in {session.folder}"
    yield from session.trackers.notes
