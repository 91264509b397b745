"""What the claims' verdicts come to, in sentences with their numbers, for a README.

No sentence is written by hand, so none says more than its numbers.
"""

from collections import Counter
from collections.abc import Collection, Sequence

from bench.analysis.formats import short_title, span
from bench.analysis.frames import grouped
from bench.analysis.ledger import Entry, Ledger, PartEntry, Ruling

_COUNTED = {
    Ruling.HOLDS: "hold",
    Ruling.DIRECTION: "hold in direction only",
    Ruling.FAILS: "do not hold",
    Ruling.UNDECIDED: "are undecided",
    Ruling.FAILED_MANIPULATION: "rest on a manipulation that changed nothing or left nothing",
    Ruling.NOT_RUN: "were not run",
}


def findings(ledger: Ledger, shown: Collection[str] = ()) -> str:
    """The verdicts as Markdown: how many of each, and claims with their numbers and the data these are of.

    Args:
        ledger: The verdicts.
        shown: The names of the claims to show, in this order, each under the first of its protocols that was run;
            those that were not run have no sentence. All that were run without any.
    """
    claims = len({entry.claim.name for entry in ledger.entries})
    tested = [entry for entry in ledger.entries if entry.conditions is not None]
    if not tested:
        return f"None of the {claims} claims has been tested on the committed runs.\n"
    if shown:
        by_claim = grouped(tested, lambda entry: entry.claim.name)
        chosen = [entry for name in shown for entry in _under_first_protocol(by_claim.get(name, []))]
    else:
        chosen = [entry for ruling in _COUNTED for entry in tested if entry.ruling is ruling]
    blocks = [
        f"**{under.shared.dataset}**, {under.protocol} ({_data(of_conditions)}):\n\n"
        + "\n".join(map(_sentence, of_conditions))
        for under, of_conditions in grouped(chosen, lambda entry: entry.conditions).items()
        if under is not None
    ]
    total = (
        f"{verdict_counts(ledger)} A claim of several comparisons holds if every one does; the numbers are of the "
        "comparison it depends on, with the 95% interval."
    )
    return "\n\n".join([*blocks, total]) + "\n"


def verdict_counts(ledger: Ledger) -> str:
    """How many verdicts there are of each kind, in a sentence."""
    counts = Counter(entry.ruling for entry in ledger.entries)
    claims = len({entry.claim.name for entry in ledger.entries})
    summary = ", ".join(f"{counts[ruling]} {words}" for ruling, words in _COUNTED.items() if counts[ruling])
    return f"Verdicts on {claims} claims, one for each data set and protocol: {summary}."


def _under_first_protocol(entries: Sequence[Entry]) -> list[Entry]:
    """Those of a claim's entries that share the protocol of the first one."""
    settings = [(entry.conditions.setting, entry.conditions.changed) for entry in entries if entry.conditions]
    return [entry for entry, setting in zip(entries, settings, strict=True) if setting == settings[0]]


def _data(entries: Sequence[Entry]) -> str:
    """What the runs of some entries were trained and tested on."""
    records = [run.record for entry in entries for part in entry.parts for run in part.seen]
    pairs = ", ".join(
        f"{span(getattr(record, field) for record in records)} {name} pairs"
        for field, name in (("train_pairs", "training"), ("test_pairs", "test"))
        if any(getattr(record, field) for record in records)
    )
    shared = any(part.verdict.pairing.ratio for entry in entries for part in entry.parts)
    seeds = "seeds divide the same pairs" if shared else "each seed has pairs of its own"
    return f"{span(record.classes for record in records)} classes, {pairs}; {seeds}"


def _sentence(entry: Entry) -> str:
    numbers = _numbers(entry.decisive) if entry.decisive else ""
    held = sum(part.ruling in (Ruling.HOLDS, Ruling.DIRECTION) for part in entry.parts)
    parts = f"; {held} of {len(entry.parts)} comparisons hold" if len(entry.parts) > 1 else ""
    return f'- "{entry.claim.text}": **{entry.words}**{parts}{numbers}.'


def _numbers(part: PartEntry) -> str:
    pairing = part.verdict.pairing
    sign = "/" if pairing.metric.ratio else "-"
    failed = any(k < n for k, n in part.learned)
    learned = f"; learned: {', '.join(f'{k} of {n}' for k, n in part.learned)}" if failed else ""
    return (
        f"; {short_title(pairing.metric)}, {pairing.a} {sign} {pairing.b}: {part.verdict.effect_text}, "
        f"n = {pairing.n}{learned}"
    )
