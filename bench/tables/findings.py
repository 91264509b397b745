"""What the claims' verdicts come to, in sentences with their numbers, for a README.

No sentence is written by hand, so none says more than its numbers.
"""

from collections import Counter

from bench.analysis.formats import short_title
from bench.analysis.ledger import ClaimConditions, Entry, Ledger, PartEntry, Ruling

_COUNTED = {
    Ruling.HOLDS: "hold",
    Ruling.DIRECTION: "hold in direction only",
    Ruling.FAILS: "do not hold",
    Ruling.UNDECIDED: "are undecided",
    Ruling.FAILED_MANIPULATION: "rest on a manipulation that changed nothing or left nothing",
    Ruling.NOT_RUN: "were not run",
}


def findings(ledger: Ledger) -> str:
    """The verdicts as Markdown: how many of each, and every claim that is decided with its numbers."""
    counts = Counter(entry.ruling for entry in ledger.entries)
    claims = len({entry.claim.name for entry in ledger.entries})
    tested = [entry for entry in ledger.entries if entry.conditions is not None]
    if not tested:
        return f"None of the {claims} claims has been tested on the committed runs.\n"
    summary = ", ".join(f"{counts[ruling]} {words}" for ruling, words in _COUNTED.items() if counts[ruling])
    lines = [
        f"Verdicts on {claims} claims, one for each data set and protocol: {summary}. "
        "A claim of several comparisons holds if every one does; the numbers are of the comparison it depends on.",
        "",
        *(
            f"- {_sentence(entry, entry.conditions)}"
            for ruling in _COUNTED
            for entry in tested
            if entry.ruling is ruling and entry.conditions is not None
        ),
    ]
    return "\n".join(lines) + "\n"


def _sentence(entry: Entry, under: ClaimConditions) -> str:
    conditions = f"{under.shared.dataset}, {under.protocol}"
    numbers = _numbers(entry.decisive) if entry.decisive else ""
    return f'"{entry.claim.text}": **{entry.words}** ({conditions}){numbers}.'


def _numbers(part: PartEntry) -> str:
    pairing = part.verdict.pairing
    sign = "/" if pairing.metric.ratio else "-"
    learned = ", ".join(f"{k} of {n}" for k, n in part.learned)
    return (
        f": {short_title(pairing.metric)}, {pairing.a} {sign} {pairing.b}: {part.verdict.effect_text}, "
        f"n = {pairing.n}; learned: {learned}"
    )
