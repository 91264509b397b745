"""What a session says at its end, below pytest-benchmark's times."""

from collections.abc import Iterator, Sequence

from bench.comparison import Facts, comparison_table, facts
from bench.session import Session
from bench.tables import as_text, conditions


def summary(
    session: Session, *, earlier: Sequence[Facts] | None, other_machine: Sequence[str], color: bool
) -> Iterator[str]:
    """Text after text: changes against an earlier run, the tables, and where everything is.

    Writes the session's tables as well; says nothing where no cell has ended.

    Args:
        session: at its end, however it came about.
        earlier: the cells of the run to compare with; empty where none was found, None where none was asked for.
        other_machine: how the machine of that run differs from this one.
        color: whether the terminal can show it.
    """
    made = session.close()
    if not made:
        return
    if len(session.options.studies) == 1:
        yield "\n".join(conditions(session.records))
    if earlier is not None:
        if not earlier:
            yield "no earlier run of this kind to compare with; this one is kept as the first"
        if other_machine:
            yield "\n  ".join(
                (
                    "NOT THE SAME MACHINE as the earlier run: changes of times and memory may be the machine's",
                    *other_machine,
                )
            )
        compared = comparison_table(earlier, [facts(record) for record in session.records])
        if compared is not None:
            yield as_text(compared, color=color)
    for table in made:
        yield as_text(table, color=color)
    count = len(session.records)
    yield f"{count} finished cell{'s are' if count > 1 else ' is'} in {session.folder}"
