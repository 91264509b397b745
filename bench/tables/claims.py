"""The ledger as tables and as a page of Markdown."""

from collections.abc import Callable, Sequence

import pandas as pd

from bench.analysis.claims import HYPOTHESES, Contradiction
from bench.analysis.formats import margin, short_title
from bench.analysis.ledger import ClaimConditions, Entry, Ledger, PartEntry, Ruling
from bench.analysis.quantities import LOSS
from bench.analysis.statistics import ALPHA, FEWEST_SEEDS
from bench.tables.text import TextTable

Link = Callable[[str], str]
"""The name of a study -> the path of its records, relative to the page."""

_MEASURED = ["metric", "n", "A - B or A / B (95%)", "P", "verdict"]
_ERRORS = (
    f"in at most {ALPHA:.0%} of such ledgers, a difference is found where there is none, per set of conditions"
)


def verdicts_table(ledger: Ledger) -> TextTable:
    """One row per claim and set of conditions it was run under, short enough for a terminal."""
    run = [(entry, entry.conditions) for entry in ledger.entries if entry.conditions is not None]
    return TextTable(
        name="claims",
        title="Published claims",
        header=["claim", "data", "protocol", "verdict"],
        labels=4,
        rows=[
            [entry.hypothesis.name, conditions.shared.dataset, conditions.protocol, entry.words]
            for entry, conditions in run
        ],
        notes=["claims.md, next to the tables, has the claims' words, every comparison and the limits"],
        data=pd.DataFrame([_data(entry, conditions) for entry, conditions in run]),
    )


def _data(entry: Entry, conditions: ClaimConditions) -> dict[str, object]:
    return {
        "claim": entry.hypothesis.name,
        "text": entry.hypothesis.text,
        "dataset": conditions.shared.dataset,
        "setting": conditions.setting,
        "profile": conditions.shared.profile,
        "device": conditions.device,
        "as_published": conditions.as_published,
        "ruling": entry.ruling.value,
        "verdict": entry.words,
        "comparisons": len(entry.parts),
        "held": sum(part.ruling is Ruling.HOLDS for part in entry.parts),
        "failed": sum(part.ruling is Ruling.FAILS for part in entry.parts),
    }


def page(ledger: Ledger, link: Link) -> str:
    """The ledger as a page of Markdown."""
    blocks = [
        "# The published claims, tested on our runs",
        "Generated from records; do not edit. `bench/analysis/claims.py` declares what each claim compares, "
        "`docs/evidence.md` explains how verdicts are reached.",
        _linked_claims_table(ledger, link).markdown(),
        "## Limits",
        "\n".join(f"- {limit}" for limit in _limits(ledger)),
        "## Contradictions between the notebooks",
        *(block for question in ledger.answers for block in _contradiction(ledger, question)),
        "## How the claims were read",
        "\n".join(f"- {claim.name}: {claim.reading}." for claim in HYPOTHESES if claim.reading),
        "The smallest differences that matter:",
        "\n".join(f"- {line}" for line in _margins()),
        "## Every comparison",
        *(_parts_table(ledger, conditions).markdown() for conditions in ledger.conditions),
    ]
    return "\n\n".join(block.rstrip("\n") for block in blocks) + "\n"


_CLAIM_HEADER = ["claim", "published in", "verdict", "decisive comparison", "n", "data", "protocol", "device"]
_CLAIM_NOTES = [
    f"verdict: a claim of several comparisons holds if all of them do; {_ERRORS}",
    "decisive comparison: the first that fails, or else the least certain one; n: its seeds",
]


def claims_table(ledger: Ledger) -> TextTable:
    """One row per claim and set of conditions, with its words and the comparison that it depends on."""
    return _text_table("Published claims", _CLAIM_HEADER, list(map(_claim_row, ledger.entries)), _CLAIM_NOTES)


def _linked_claims_table(ledger: Ledger, link: Link) -> TextTable:
    """The same for Markdown: with bold verdicts and links to the records."""
    rows = []
    for entry in ledger.entries:
        claim, name, verdict, *rest = _claim_row(entry)
        links = ", ".join(f"[{source}]({link(source)})" for source in entry.sources)
        rows.append([claim, name, f"**{verdict}**", *rest, links or "-"])
    return _text_table("Claims", [*_CLAIM_HEADER, "runs"], rows, _CLAIM_NOTES)


def _claim_row(entry: Entry) -> list[str]:
    conditions, decisive = entry.conditions, entry.decisive
    claim = [entry.hypothesis.text, entry.hypothesis.name, entry.words]
    if conditions is None or decisive is None:
        return [*claim, *["-"] * 5]
    pairing = decisive.verdict.pairing
    sign = "/" if pairing.metric.ratio else "-"
    return [
        *claim,
        f"{short_title(pairing.metric)}, {pairing.a} {sign} {pairing.b}: {decisive.verdict.effect_text}",
        str(pairing.n),
        conditions.shared.dataset,
        conditions.protocol,
        conditions.device,
    ]


def _contradiction(ledger: Ledger, question: Contradiction) -> list[str]:
    claims = [
        f"- {entry.hypothesis.name}: {entry.hypothesis.text}. "
        + (f"On {entry.conditions.shared.dataset}, {entry.conditions.protocol}: " if entry.conditions else "")
        + f"**{entry.words}**."
        for entry in ledger.entries
        if entry.hypothesis.name in question.claims
    ]
    rows = [
        [conditions.shared.dataset, conditions.protocol, part.part.a, part.part.b, *_measured(part)]
        for conditions, part in ledger.answers[question]
    ]
    table = _text_table("Side by side", ["data", "protocol", "A", "B", *_MEASURED], rows)
    return [f"### {question.question}", "\n".join(claims), table.markdown() if rows else "Nothing was run."]


def _parts_table(ledger: Ledger, conditions: ClaimConditions) -> TextTable:
    rows = [
        [entry.hypothesis.name, part.part.a, part.part.relation.value, part.part.b, *_measured(part), part.ruling]
        for entry in ledger.entries
        if entry.conditions == conditions
        for part in entry.parts
    ]
    return _text_table(
        f"{conditions.shared.dataset}, {conditions.protocol}, {conditions.device}",
        ["claim", "A", "claimed", "B", *_MEASURED, "as claimed"],
        rows,
        ["P: share of seeds in which A beats B"],
    )


def _measured(part: PartEntry) -> list[str]:
    verdict, title = part.verdict, short_title(part.part.quantity.metric)
    if not verdict.pairing.n:
        return [title, "0", "-", "-", "-"]
    words = "; ".join(filter(None, (verdict.words, part.caveat)))
    chance = f"{verdict.probability.mean:.2f}"
    return [title, str(verdict.pairing.n), verdict.effect_text, chance, words]


def _text_table(title: str, header: list[str], rows: list[list[str]], notes: Sequence[str] = ()) -> TextTable:
    """A table of words."""
    data = pd.DataFrame(rows, columns=header)
    return TextTable("claims", title, header, len(header), rows, data, list(notes))


def _margins() -> list[str]:
    metrics = dict.fromkeys(part.quantity.metric for claim in HYPOTHESES for part in claim.parts)
    return [f"{short_title(metric)}: {margin(metric)} ({metric.reason})" for metric in metrics]


def _limits(ledger: Ledger) -> list[str]:
    datasets = list(dict.fromkeys(conditions.shared.dataset for conditions in ledger.conditions))
    not_run = [entry.hypothesis.name for entry in ledger.entries if entry.ruling is Ruling.NOT_RUN]
    origins = {
        True: "simulated. Results hold for simulated solids.",
        False: "read from files, which are not shipped here.",
        None: "the records do not tell whether the data are simulated.",
    }
    limits = [
        f"{', '.join(alike)}: {words}"
        for simulated, words in origins.items()
        if (alike := [dataset for dataset in datasets if ledger.simulated[dataset] is simulated])
    ]
    if any(conditions.cut_short for conditions in ledger.conditions):
        limits.append(
            "Where the protocol was cut short, losses and accuracies are not those the claims are about."
        )
    if not_run:
        limits.append(f"Not run: {', '.join(not_run)}.")
    if ledger.unfinished:
        cells = dict.fromkeys(
            f"{record.model} (seed {record.seed}, {record.status})" for record in ledger.unfinished
        )
        limits.append(f"Begun, not completed, and left out: {', '.join(cells)}.")
    return [
        *limits,
        f"A model is at chance level if no run's loss is {margin(LOSS.metric)} below that of equal probabilities "
        "for all classes.",
        f"Fewer than {FEWEST_SEEDS} seeds decide only what does not depend on the seed: parameters and memory.",
        "Ratios of times are within one device and number of threads; records do not tell what else ran on the "
        "machine. Memory on a CPU and on CUDA is counted differently.",
        "wide-late-concat and wide-intermediate-concat are one function, so their comparisons repeat each other.",
    ]
