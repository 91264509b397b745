"""The Markdown summary of a nightly run."""

from collections.abc import Sequence

from bench.analysis.comparison import Comparison
from bench.analysis.gate import Rule, unjudged
from bench.analysis.nightly import shortcomings
from bench.records import RunRecord
from bench.tables.comparison import comparison_table
from bench.tables.tabulation import tables_by_study


def summary(rules: Sequence[Rule], comparison: Comparison, records: Sequence[RunRecord]) -> str:
    """The Markdown summary of a nightly run: verdict, comparison with the last good run (or none), and tables."""
    reasons = shortcomings(rules, comparison)
    parts = ["## " + ("Not a good run" if reasons else "A good run")]
    parts += ["\n".join(f"- {sentence}" for sentence in reasons)] if reasons else []
    if comparison.days:
        table = comparison_table(comparison)
        parts.append(f"Compared with the last good run, of {' to '.join(comparison.days)}.")
        parts += [f"```\n{warning}\n```" for warning in comparison.warnings]
        parts += [f"- not judged everywhere: {sentence}" for sentence in unjudged(rules, comparison)]
        parts.append(table.markdown() if table else "The two runs have no cell in common.")
    else:
        parts.append("No earlier good run of this profile on this device; nothing was compared.")
    for study, tables in tables_by_study(records).items():
        parts.append(f"### {study}")
        parts += [table.markdown() for table in tables if not table.further]
    return "\n\n".join(parts) + "\n"
