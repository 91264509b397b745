"""What the claims' verdicts come to, in sentences and tables with their numbers, for a README.

No verdict is written by hand, so none says more than its numbers. The tables have all decided claims and the
questions that were named beforehand; the list above them has claims that hold, chosen by a rule.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from math import isnan

from bench.analysis.formats import short_title, significant, span
from bench.analysis.frames import grouped
from bench.analysis.ledger import Ledger
from bench.analysis.quantities import LEARNED_ACCURACY, LEARNED_SHARE
from bench.analysis.rulings import DECIDED, ClaimConditions, Entry, PartEntry, Ruling
from bench.analysis.statistics import ALPHA, holm
from bench.tables.text import markdown_lines

_COUNTED = {
    Ruling.HOLDS: "hold",
    Ruling.DIRECTION: "hold in direction only",
    Ruling.FAILS: "do not hold",
    Ruling.UNDECIDED: "undecided",
    Ruling.FAILED_MANIPULATION: "not testable at the declared levels of a corruption",
    Ruling.NOT_RUN: "not run",
}

UNADJUSTED = "Verdicts are not adjusted for the number of claims."

LEARNED_MEANS = (
    f"A run has learned if its loss is {LEARNED_SHARE:.0%} below the entropy of the classes' proportions and its "
    f"balanced accuracy is {LEARNED_ACCURACY:g} above chance; one that diverged has not. Runs that have not "
    "learned count in differences of losses and accuracies like others"
)

_OF_PARTS = {
    Ruling.HOLDS: "supports",
    Ruling.DIRECTION: "direction only",
    Ruling.FAILS: "contradicts",
    Ruling.UNDECIDED: "undecided",
    Ruling.FAILED_MANIPULATION: "manipulation failed",
}
"""What comparisons say about their claim, in the order of a claim's rows."""

MOST = 3
"""How many claims are put in sentences."""

_HEADER = ["claim", "verdict", "comparison", "result", "difference or ratio (95% interval)", "n"]


def in_short(ledger: Ledger) -> str:
    """How many verdicts there are, and up to three claims that hold, with their numbers, as a list in Markdown.

    Claims that hold on data that are not simulated come first, then those that hold on most data sets, then the
    others in the order of the ledger. Each also names the data sets on which it does not hold or is undecided.
    """
    tested = _tested(ledger)
    if not tested:
        claims = len({entry.claim.name for entry in ledger.entries})
        return f"None of the {claims} claims has been tested on the committed runs.\n"
    of_claims = grouped(tested, lambda entry: entry.claim.name).values()
    holding = [entries for entries in of_claims if any(entry.ruling is Ruling.HOLDS for entry in entries)]
    first = sorted(holding, key=lambda entries: _strength(ledger, entries), reverse=True)[:MOST]
    number = f"{MOST} of the {len(holding)}" if len(holding) > MOST else "The"
    rule = (
        f"{number} claims that hold on some data, with 95% intervals; those on real data come first, then those "
        "on most data sets"
    )
    listed = [f"{rule}:", "\n".join(map(_sentence, first))] if first else []
    return "\n\n".join([verdict_counts(ledger), *listed]) + "\n"


def _strength(ledger: Ledger, entries: Sequence[Entry]) -> tuple[bool, int]:
    """Whether a claim holds on data that are not simulated, and on how many data sets it holds."""
    holds = [entry for entry in entries if entry.ruling is Ruling.HOLDS]
    return not all(_is_simulated(ledger, entry) for entry in holds), len(holds)


def _sentence(entries: Sequence[Entry]) -> str:
    """A claim and its verdict on each data set; where it holds, with the least certain comparison."""
    holds, others = [], []
    for entry in entries:
        under = entry.conditions
        if under and entry.ruling is Ruling.HOLDS:
            names, effect, n = _comparison(entry.parts)
            holds.append(
                f"On {under.shared.dataset}, {under.protocol}: {entry.words}; {effect}, {n} seeds ({names})."
            )
        elif under:
            others.append(f"On {under.shared.dataset}: {entry.words}.")
    text = entries[0].claim.text
    return f"- **{text[0].upper()}{text[1:]}.** {' '.join(holds + others)}"


def _tested(ledger: Ledger) -> list[Entry]:
    """Claims that were run, each under its first protocol; those on data that are not simulated come first."""
    tested = [entry for entry in _under_first_protocols(ledger) if entry.conditions is not None]
    return sorted(tested, key=lambda entry: _is_simulated(ledger, entry))


def findings(ledger: Ledger, questions: Collection[str] = ()) -> str:
    """The verdicts as tables in Markdown: claims with their numbers and data, and how to read them.

    Those on data that are not simulated come first. "" if there is nothing to show.

    Args:
        ledger: The verdicts.
        questions: The names of claims to show whatever came out, unless they were not run. All decided ones are
            shown before them. Each is shown under the first of its protocols that was run.
    """
    tested = _tested(ledger)
    decided = [entry for ruling in DECIDED for entry in tested if entry.ruling is ruling]
    asked = [entry for name in questions for entry in tested if entry.claim.name == name and entry not in decided]
    by_conditions = grouped([*decided, *asked], lambda entry: entry.conditions)
    places = _places(by_conditions)
    blocks = [
        f"**{under.shared.dataset}**, {under.protocol} ("
        f"{_data(of_conditions, with_device=places[_place(under)] > 1)}):\n\n"
        f"{_table(of_conditions)}"
        for under, of_conditions in by_conditions.items()
        if under is not None
    ]
    if not blocks:
        return ""
    reading = [
        "Of several comparisons with the same result, the least certain one is shown.",
        "In brackets: the 95% interval of this comparison alone. Before the last look less than 5% decide, so an",
        f"interval can exclude 0 while the comparison is still undecided. {UNADJUSTED}",
        *adjusted(tested),
    ]
    if any("learned" in block for block in blocks):
        reading.insert(1, f"{LEARNED_MEANS}.")
    return "\n\n".join([*blocks, " ".join(reading)]) + "\n"


def verdict_counts(ledger: Ledger) -> str:
    """How many verdicts there are of each kind, in sentences: on claims of published texts, and on others."""
    entries = _under_first_protocols(ledger)
    sentences = []
    for quoted, whose in ((True, "claims of the published texts"), (False, "other claims")):
        of_origin = [entry for entry in entries if entry.claim.quoted is quoted]
        counts = Counter(entry.ruling for entry in of_origin)
        summary = ", ".join(f"{words} {counts[ruling]}" for ruling, words in _COUNTED.items() if counts[ruling])
        claims = len({entry.claim.name for entry in of_origin})
        if claims:
            sentences.append(f"Of {claims} {whose}: {summary}.")
    several = len(entries) > len({entry.claim.name for entry in entries})
    return " ".join(
        [*sentences, *(["A claim counts once for each data set that it was tested on."] if several else [])]
    )


def adjusted(entries: Iterable[Entry]) -> list[str]:
    """How many differences are left if adjusted for their number, in a sentence for each protocol and data set."""
    sentences = []
    by_conditions = grouped(entries, lambda entry: entry.conditions)
    places = _places(by_conditions)
    for under, of_conditions in by_conditions.items():
        verdicts = {
            (pairing.a, pairing.b, pairing.metric.name): (part.verdict.difference_p, pairing.counted)
            for entry in of_conditions
            for part in entry.parts
            if not isnan(part.verdict.difference_p) and not (pairing := part.verdict.pairing).exact
        }
        if under is None or len(verdicts) < 2:
            continue
        p_values = holm([p for p, _ in verdicts.values()])
        _, seeds = min(verdicts.values())  # of the smallest p, which is multiplied by the number of all
        least = min(1.0, 2 * 0.5**seeds * len(verdicts))
        bound = f"; {seeds} seeds cannot have one below {significant(least, 2)}" if least > ALPHA else ""
        below = sum(p < ALPHA for p in p_values)
        left = {0: "none of them is", 1: "one of them is"}.get(below, f"{below} of them are")
        device = f" ({under.device})" if places[_place(under)] > 1 else ""
        sentences.append(
            f"After Holm's adjustment for all {len(verdicts)} comparisons on {under.shared.dataset}, "
            f"{under.protocol}{device}, {left} significant at {ALPHA:.0%} "
            f"(smallest p {significant(min(p_values), 2)}{bound})."
        )
    return sentences


def _under_first_protocols(ledger: Ledger) -> list[Entry]:
    """The entries of each claim that share the protocol of its first one."""
    of_claims = grouped(ledger.entries, lambda entry: entry.claim.name).values()
    return [entry for entries in of_claims for entry in entries if _protocol(entry) == _protocol(entries[0])]


def _is_simulated(ledger: Ledger, entry: Entry) -> bool:
    return entry.conditions is not None and ledger.simulated[entry.conditions.shared.dataset] is True


def _protocol(entry: Entry) -> tuple[str, str] | None:
    return (entry.conditions.setting, entry.conditions.changed) if entry.conditions else None


def _place(conditions: ClaimConditions) -> tuple[str, str]:
    return conditions.shared.dataset, conditions.protocol


def _places(of_entries: Iterable[ClaimConditions | None]) -> Counter[tuple[str, str]]:
    """How many conditions have the same data and protocol, and so differ in their device alone."""
    return Counter(_place(conditions) for conditions in of_entries if conditions is not None)


def _data(entries: Sequence[Entry], *, with_device: bool) -> str:
    """What the runs of some entries were trained and tested on; with the device if claims are about its times."""
    records = [run.record for entry in entries for part in entry.parts for run in part.seen]
    pairs = ", ".join(
        f"{span(getattr(record, field) for record in records)} {name} pairs"
        for field, name in (("train_pairs", "training"), ("test_pairs", "test"))
        if any(getattr(record, field) for record in records)
    )
    shared = any(part.verdict.pairing.ratio for entry in entries for part in entry.parts)
    seeds = "seeds divide the same pairs" if shared else "each seed has pairs of its own"
    timed = any(part.verdict.pairing.metric.per_machine for entry in entries for part in entry.parts)
    conditions = entries[0].conditions
    device = [conditions.device] if conditions and (with_device or timed) else []
    return "; ".join([f"{span(record.classes for record in records)} classes, {pairs}", seeds, *device])


def _table(entries: Sequence[Entry]) -> str:
    """One row for each claim and each result that its comparisons have."""
    rows: list[list[str]] = []
    for entry in entries:
        words = [entry.claim.text, f"**{entry.words}**"]
        of_rulings = grouped(entry.parts, lambda part: part.ruling)
        for ruling in filter(of_rulings.__contains__, _OF_PARTS):
            names, effect, n = _comparison(of_rulings[ruling])
            rows.append([*words, names, _OF_PARTS[ruling], effect, n])
            words = ["", ""]
    return "\n".join(markdown_lines(_HEADER, len(_HEADER) - 1, rows))


def _comparison(parts: Sequence[PartEntry]) -> tuple[str, str, str]:
    """The names, the effect and the number of seeds of the least certain of comparisons with the same result."""
    part = max(parts, key=lambda part: part.doubt)
    pairing = part.verdict.pairing
    several = f"; least certain of {len(parts)}" if len(parts) > 1 else ""
    cost = pairing.exact or pairing.metric.per_machine
    failed = not cost and any(k < n for k, n in part.learned)
    learned = f"; learned: {', '.join(f'{k} of {n}' for k, n in part.learned)}" if failed else ""
    effect = f"{short_title(pairing.metric)} {part.verdict.effect_text}{learned}"
    return f"{pairing.names}{several}", effect, str(pairing.n)
