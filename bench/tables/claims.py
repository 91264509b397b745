"""The ledger as tables and as a page of Markdown."""

from collections.abc import Callable, Sequence

import pandas as pd

from bench.analysis.claims import HYPOTHESES, Contradiction
from bench.analysis.ledger import Conditions, Entry, Ledger, PartEntry, Ruling
from bench.analysis.quantities import LOSS
from bench.analysis.statistics import ALPHA, FEWEST_SEEDS
from bench.config import FULL
from bench.tables import TextTable
from data_utils import DATASETS

Link = Callable[[str], str]
"""The name of a study -> where its records are, seen from the page."""

_MEASURED = ["metric", "n", "A - B or A / B (95%)", "P", "verdict"]
_ERRORS = (
    f"at most {ALPHA:.0%} of such ledgers see a difference where there is none, under any one set of conditions"
)


def verdicts_table(found: Ledger) -> TextTable:
    """A line a claim and set of conditions it was run under, short enough for a terminal."""
    shown = [(entry, entry.conditions) for entry in found.entries if entry.conditions is not None]
    return TextTable(
        name="claims",
        title="Published claims",
        header=["claim", "data", "protocol", "verdict"],
        labels=4,
        rows=[
            [entry.hypothesis.name, conditions.dataset, conditions.protocol, entry.words]
            for entry, conditions in shown
        ],
        notes=["claims.md beside the tables has their words, every comparison and the limits"],
        conditions=[],
        data=pd.DataFrame([_data(*each) for each in shown]),
    )


def _data(entry: Entry, conditions: Conditions) -> dict[str, object]:
    return {
        "claim": entry.hypothesis.name,
        "text": entry.hypothesis.text,
        "dataset": conditions.dataset,
        "setting": conditions.setting,
        "profile": conditions.profile,
        "device": conditions.device,
        "mistakes": conditions.mistakes,
        "ruling": entry.ruling.value,
        "verdict": entry.words,
        "comparisons": len(entry.parts),
        "held": sum(part.ruling is Ruling.HOLDS for part in entry.parts),
        "failed": sum(part.ruling is Ruling.FAILS for part in entry.parts),
    }


def page(found: Ledger, link: Link) -> str:
    """The ledger as a page of Markdown.

    Args:
        found: what it shows.
        link: where the records of a study are, seen from the page.
    """
    conditions = _all_conditions(found)
    blocks = [
        "# The published claims, and what runs say of them",
        "Made from records; do not edit. `bench/analysis/claims.py` declares what each claim compares, "
        "`docs/evidence.md` says how verdicts are reached.",
        _linked_claims_table(found, link).markdown(),
        "## Limits",
        "\n".join(f"- {limit}" for limit in _limits(found)),
        "## Contradictions between the notebooks",
        *(block for question in found.answers for block in _contradiction(found, question)),
        "## How the claims were read",
        "\n".join(f"- {claim.name}: {claim.reading}." for claim in HYPOTHESES if claim.reading),
        "The smallest differences that matter:",
        "\n".join(f"- {line}" for line in _margins()),
        "## Every comparison",
        *(_parts_table(found, each).markdown() for each in conditions),
    ]
    return "\n\n".join(block.rstrip("\n") for block in blocks) + "\n"


_CLAIM_HEADER = ["claim", "published in", "verdict", "decisive comparison", "n", "data", "protocol", "device"]
_CLAIM_NOTES = [
    f"verdict: a claim of several comparisons holds if all of them do; {_ERRORS}",
    "decisive comparison: the first that fails, or else the least sure one; n: its seeds",
]


def claims_table(found: Ledger) -> TextTable:
    """A line a claim and set of conditions, with its words and the comparison that it hangs on."""
    return _text_table("Published claims", _CLAIM_HEADER, list(map(_claim_row, found.entries)), _CLAIM_NOTES)


def _linked_claims_table(found: Ledger, link: Link) -> TextTable:
    """The same with what only Markdown can say: verdicts that stand out, and where the records are."""
    rows = []
    for entry in found.entries:
        claim, name, verdict, *rest = _claim_row(entry)
        links = ", ".join(f"[{source}]({link(source)})" for source in entry.sources)
        rows.append([claim, name, f"**{verdict}**", *rest, links or "-"])
    return _text_table("Claims", [*_CLAIM_HEADER, "runs"], rows, _CLAIM_NOTES)


def _claim_row(entry: Entry) -> list[str]:
    conditions, decisive = entry.conditions, entry.decisive
    claim = [entry.hypothesis.text, entry.hypothesis.name, entry.words]
    if conditions is None or decisive is None:
        return [*claim, *["-"] * 5]
    comparison = decisive.verdict.comparison
    sign = "/" if comparison.quantity.ratio else "-"
    return [
        *claim,
        f"{comparison.quantity.name}, {comparison.a} {sign} {comparison.b}: {decisive.verdict.effect_text}",
        str(comparison.n),
        conditions.dataset,
        conditions.protocol,
        conditions.device,
    ]


def _contradiction(found: Ledger, question: Contradiction) -> list[str]:
    said = [
        f"- {entry.hypothesis.name} says: {entry.hypothesis.text}. "
        + (f"On {entry.conditions.dataset}, {entry.conditions.protocol}: " if entry.conditions else "")
        + f"**{entry.words}**."
        for entry in found.entries
        if entry.hypothesis.name in question.claims
    ]
    compared = found.answers[question]
    rows = [
        [conditions.dataset, conditions.protocol, part.part.a, part.part.b, *_measured(part)]
        for conditions, part in compared
    ]
    table = _text_table("Side by side", ["data", "protocol", "A", "B", *_MEASURED], rows)
    return [f"### {question.question}", "\n".join(said), table.markdown() if rows else "Nothing was run."]


def _parts_table(found: Ledger, conditions: Conditions) -> TextTable:
    rows = [
        [entry.hypothesis.name, part.part.a, part.part.relation.value, part.part.b, *_measured(part), part.ruling]
        for entry in found.entries
        if entry.conditions == conditions
        for part in entry.parts
    ]
    return _text_table(
        f"{conditions.dataset}, {conditions.protocol}, {conditions.device}",
        ["claim", "A", "claimed", "B", *_MEASURED, "as claimed"],
        rows,
        ["P: share of seeds in which A beats B"],
    )


def _measured(part: PartEntry) -> list[str]:
    verdict = part.verdict
    comparison = verdict.comparison
    if not comparison.n:
        return [comparison.quantity.name, "0", "-", "-", "-"]
    chance = f"{verdict.probability.mean:.2f}"
    words = "; ".join(filter(None, (verdict.words, part.caveat)))
    return [comparison.quantity.name, str(comparison.n), verdict.effect_text, chance, words]


def _text_table(title: str, header: list[str], rows: list[list[str]], notes: Sequence[str] = ()) -> TextTable:
    """A table of words for the page alone."""
    return TextTable(
        "claims", title, header, len(header), rows, list(notes), [], pd.DataFrame(rows, columns=header)
    )


def _all_conditions(found: Ledger) -> list[Conditions]:
    used = {entry.conditions for entry in found.entries if entry.conditions is not None}
    return sorted(used, key=lambda conditions: conditions.order)


def _margins() -> list[str]:
    quantities = dict.fromkeys(part.quantity for claim in HYPOTHESES for part in claim.parts)
    return [f"{quantity.name}: {quantity.margin_text} ({quantity.reason})" for quantity in quantities]


def _limits(found: Ledger) -> list[str]:
    conditions = _all_conditions(found)
    datasets = dict.fromkeys(each.dataset for each in conditions)
    simulated = [dataset for dataset in datasets if dataset in DATASETS]
    real = [dataset for dataset in datasets if dataset not in DATASETS]
    not_run = [entry.hypothesis.name for entry in found.entries if entry.ruling is Ruling.NOT_RUN]
    limits = []
    if simulated:
        limits.append(f"{', '.join(simulated)}: simulated. What holds there holds for simulated solids.")
    if real:
        limits.append(f"{', '.join(real)}: read from the files of whoever ran it.")
    if any(each.profile != FULL.name for each in conditions):
        limits.append(
            "Where the protocol was cut short, losses and accuracies are not those the claims are about."
        )
    if not_run:
        limits.append(f"Not run: {', '.join(not_run)}.")
    if found.unfinished:
        cells = dict.fromkeys(f"{each.model} (seed {each.seed}, {each.status})" for each in found.unfinished)
        limits.append(f"Begun, not completed, and left out: {', '.join(cells)}.")
    return [
        *limits,
        f"A row learned nothing if no run's loss is {LOSS.margin_text} below that of naming every class evenly.",
        f"Fewer than {FEWEST_SEEDS} seeds decide only what does not depend on the seed: parameters and memory.",
        "Ratios of times are within one device and number of threads; records do not say what else the machine "
        "did. Memory on a CPU and on CUDA is counted differently.",
        "wide-late-concat and wide-intermediate-concat are one function, so their comparisons repeat each other.",
    ]
