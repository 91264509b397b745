"""The ledger as tables and as a page of Markdown."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import log
from statistics import median

import pandas as pd

from bench.analysis.across import across
from bench.analysis.claims import OVER, Question
from bench.analysis.formats import margin, short_title, significant
from bench.analysis.ledger import Ledger
from bench.analysis.published import published_values
from bench.analysis.quantities import LOSS, LOSS_RATIO
from bench.analysis.rulings import DECIDED, ClaimConditions, Entry, PartEntry, Ruling
from bench.analysis.statistics import ALPHA, FEWEST_SEEDS, narrowest
from bench.analysis.verdicts import A_BETTER, B_BETTER, Outcome, Verdict
from bench.records.load import most_load_words
from bench.tables.across import summary_table
from bench.tables.findings import LEARNED_MEANS, UNADJUSTED, adjusted
from bench.tables.text import TextTable

Link = Callable[[str], str]
"""The name of a study -> the path of its records, relative to the page."""

_MEASURED = [
    "estimand",
    "published difference",
    "n",
    "learned A, B",
    "test difference (95%)",
    "log ratio of losses (95%)",
    "P",
    "verdict",
]
_NOTES = [
    "A - B, or A / B where ratios are compared; n: seeds at the look that decided, or else at the last one",
    "learned: runs of A and of B that did, of n; log ratio: natural, over pairs that both learned",
    "P: share of seeds in which A beats B, a tie being half a win",
]


def verdicts_table(ledger: Ledger) -> TextTable:
    """One row per claim and set of conditions it was run under, short enough for a terminal."""
    run = [(entry, entry.conditions) for entry in ledger.entries if entry.conditions is not None]
    return TextTable(
        name="claims",
        title="Claims",
        header=["claim", "data", "protocol", "verdict"],
        labels=4,
        rows=[
            [entry.claim.name, conditions.shared.dataset, conditions.protocol, entry.words]
            for entry, conditions in run
        ],
        notes=["claims.md, next to the tables, has the claims' words, every comparison and the limits"],
        data=pd.DataFrame([_data(entry, conditions) for entry, conditions in run]),
    )


def _data(entry: Entry, conditions: ClaimConditions) -> dict[str, object]:
    return {
        "claim": entry.claim.name,
        "text": entry.claim.text,
        "claim_sha256": entry.claim.sha256,
        "dataset": conditions.shared.dataset,
        "setting": conditions.setting,
        "changed": conditions.changed,
        "profile": conditions.shared.profile,
        "device": conditions.device,
        "as_published": conditions.as_published,
        "ruling": entry.ruling.value,
        "look": entry.look,
        "exploratory": entry.exploratory,
        "core_hours": entry.hours if conditions.shared.device == "cpu" else None,
        "gpu_hours": entry.hours if conditions.shared.device != "cpu" else None,
        "verdict": entry.words,
        "comparisons": len(entry.parts),
        "held": sum(part.ruling in (Ruling.HOLDS, Ruling.DIRECTION) for part in entry.parts),
        "failed": sum(part.ruling is Ruling.FAILS for part in entry.parts),
    }


def page(ledger: Ledger, link: Link) -> str:
    """The ledger as a page of Markdown."""
    claims = list(dict.fromkeys(entry.claim for entry in ledger.entries))
    margins = dict.fromkeys(part.quantity.metric for claim in claims for part in claim.parts)
    blocks = [
        "# Claims, tested on our runs",
        "Generated from records; do not edit. The TOML files beside the published values declare what each claim "
        "compares, `docs/evidence.md` explains how verdicts are reached.",
        *(table.markdown() for table in _linked_claims_tables(ledger, link)),
        "## Limits",
        "\n".join(f"- {limit}" for limit in _limits(ledger)),
        *(["## Questions with more than one answer"] if ledger.answers else []),
        *(block for question in ledger.answers for block in _question(ledger, question)),
        *_tuned(ledger),
        *_over_datasets(ledger),
        "## How the claims were read",
        *filter(None, ["\n".join(f"- {claim.name}: {claim.reading}." for claim in claims if claim.reading)]),
        "The smallest differences that matter:",
        "\n".join(f"- {short_title(metric)}: {margin(metric)} ({metric.reason})" for metric in margins),
        "## Every comparison",
        *(table.markdown() for table in comparison_tables(ledger)),
    ]
    return "\n\n".join(block.rstrip("\n") for block in blocks) + "\n"


_CLAIM_HEADER = [
    "name",
    "claim",
    "verdict",
    "decisive comparison",
    "n",
    "data",
    "protocol",
    "core-hours",
    "device",
]
_CLAIM_NOTES = [
    "verdict: a claim of several comparisons holds if all of them do; in each, over all its looks, two errors "
    f"have a probability of at most {ALPHA:.0%}: models without a difference are told apart, or a difference of "
    "the margin is ruled out",
    "exploratory: runs were made before the claim was declared as it is now",
    "decisive comparison: the first that fails, or else the least certain one; n: its seeds",
    "core-hours: of training alone, on a GPU hours of the GPU; runs that several claims need count in each",
]


def claims_tables(ledger: Ledger) -> list[TextTable]:
    """The decided claims and the undecided ones, with the comparison that each depends on.

    There is one row per claim and set of conditions it was run under.
    """
    decided, undecided, not_run = _by_ruling(ledger)
    header, notes = _CLAIM_HEADER[1:], _CLAIM_NOTES
    rows = {title: [_claim_row(entry)[1:] for entry in of] for title, of in (decided, undecided)}
    conditions = [entry.conditions for _, of in (decided, undecided) for entry in of if entry.conditions]
    if len({of_entry.device_name for of_entry in conditions}) == 1:
        rows = {title: [row[:-1] for row in of_title] for title, of_title in rows.items()}
        devices = dict.fromkeys(of_entry.device for of_entry in conditions)
        header, notes = header[:-1], [*notes, f"device: {'; '.join(devices)}"]
    if not_run[1]:
        notes = [*notes, f"not run: {', '.join(entry.claim.name for entry in not_run[1])}"]
    return [_text_table(title, header, of_title, notes) for title, of_title in rows.items() if of_title]


def comparison_tables(ledger: Ledger) -> list[TextTable]:
    """One table per set of conditions: every comparison, with what was published and what was measured."""
    tables = []
    for conditions in ledger.conditions:
        of_conditions = [entry for entry in ledger.entries if entry.conditions == conditions]
        rows = [_part_row(entry, part) for entry in of_conditions for part in entry.parts]
        header = ["claim", "comparison of A and B", *_MEASURED, "as claimed"]
        kept = [column for column in range(len(header)) if any(row[column] != "-" for row in rows)]
        tables.append(
            _text_table(
                f"{conditions.shared.dataset}, {conditions.protocol}, {conditions.device}",
                [header[column] for column in kept],
                [[row[column] for column in kept] for row in rows],
                _NOTES,
            )
        )
    return tables


def _linked_claims_tables(ledger: Ledger, link: Link) -> list[TextTable]:
    """The same for Markdown: with names, links to the records, and the claims that were not run."""
    *run, not_run = _by_ruling(ledger)
    notes = [*_CLAIM_NOTES, "name: with the hash of what the claim declares, which its records hold"]
    tables = []
    for title, entries in run:
        rows = []
        for entry in entries:
            name, claim, verdict, *rest = _claim_row(entry)
            links = ", ".join(f"[{source}]({link(source)})" for source in entry.sources)
            rows.append([f"{name} ({entry.claim.sha256})", claim, f"**{verdict}**", *rest, links])
        tables.append(_text_table(title, [*_CLAIM_HEADER, "runs"], rows, notes))
    title, entries = not_run
    rows = [[f"{entry.claim.name} ({entry.claim.sha256})", entry.claim.text] for entry in entries]
    tables.append(_text_table(title, _CLAIM_HEADER[:2], rows))
    return [table for table in tables if table.rows]


def _by_ruling(ledger: Ledger) -> tuple[tuple[str, list[Entry]], ...]:
    """The entries that are decided, undecided and not run, each with a title."""
    run = [entry for entry in ledger.entries if entry.conditions is not None]
    return (
        ("Decided claims", [entry for entry in run if entry.ruling in DECIDED]),
        ("Undecided claims", [entry for entry in run if entry.ruling not in DECIDED]),
        ("Claims that were not run", [entry for entry in ledger.entries if entry.conditions is None]),
    )


def _claim_row(entry: Entry) -> list[str]:
    conditions, decisive = entry.conditions, entry.decisive
    claim = [entry.claim.name, entry.claim.text, entry.words]
    if conditions is None or decisive is None:
        return [*claim, *["-"] * 6]
    pairing = decisive.verdict.pairing
    unit = "" if conditions.shared.device == "cpu" else " GPU"
    return [
        *claim,
        f"{pairing.names}: {short_title(pairing.metric)} {decisive.verdict.effect_text}",
        str(pairing.n),
        conditions.shared.dataset,
        conditions.protocol,
        "-" if entry.hours is None else f"{significant(entry.hours, 2)}{unit}",
        conditions.device,
    ]


def _question(ledger: Ledger, question: Question) -> list[str]:
    claims = [
        f"- {entry.claim.name}: {entry.claim.text}. "
        + (f"On {entry.conditions.shared.dataset}, {entry.conditions.protocol}: " if entry.conditions else "")
        + f"**{entry.words}**."
        for entry in ledger.entries
        if entry.claim.name in question.claims
    ]
    rows = [
        [conditions.shared.dataset, conditions.protocol, part.part.a, part.part.b, *_measured("", part)]
        for conditions, part in ledger.answers[question]
    ]
    table = _text_table("Side by side", ["data", "protocol", "A", "B", *_MEASURED], rows)
    return [f"### {question.question}", "\n".join(claims), table.markdown() if rows else "Nothing was run."]


def tuning_tables(ledger: Ledger) -> list[TextTable]:
    """Which rankings survive tuning, and the variants that were chosen; nothing where no model was tuned."""
    pairs = [
        (_data_and_changes(tuned), tuned, plain)
        for tuned in ledger.entries
        for plain in ledger.entries
        if tuned.tuned and not plain.tuned and plain.claim == tuned.claim and _alike(tuned, plain)
    ]
    if not pairs:
        return []
    rows = [
        [
            tuned.claim.name,
            data,
            f"{part.part.a} {part.part.relation} {part.part.b}",
            short_title(part.part.quantity.metric),
            f"{before.verdict.words}: {before.verdict.effect_text}",
            f"{part.verdict.words}: {part.verdict.effect_text}",
            _survives(before, part),
        ]
        for data, tuned, plain in pairs
        for before, part in zip(plain.parts, tuned.parts, strict=True)
    ]
    chosen = {
        (data, model): Counter(run.record.declared_variant for _, run in sorted(runs.items()))
        for data, tuned, _ in pairs
        for part in tuned.parts
        for model, runs in part.runs.items()
    }
    variants = sorted({variant for counts in chosen.values() for variant in counts})
    return [
        _text_table(
            "Does the ranking survive tuning?",
            [
                "claim",
                "data",
                "comparison of A and B",
                "estimand",
                _setting([plain for _, _, plain in pairs]),
                _setting([tuned for _, tuned, _ in pairs]),
                "survives",
            ],
            rows,
            ["survives: the same side is ahead by the verdicts before and after; open: one of them is undecided"],
        ),
        _text_table(
            "What was chosen on the validation pairs",
            ["data", "model", *variants],
            [[*key, *(str(counts[variant]) for variant in variants)] for key, counts in chosen.items()],
            ["seeds in which the variant had the lowest validation loss; results are those on the test pairs"],
        ),
    ]


def _setting(entries: Sequence[Entry]) -> str:
    return " or ".join(dict.fromkeys(entry.conditions.setting for entry in entries if entry.conditions))


def _data_and_changes(entry: Entry) -> str:
    """The data set and the changed settings, in words."""
    return (
        ", with ".join(filter(None, (entry.conditions.shared.dataset, entry.conditions.changed)))
        if entry.conditions
        else ""
    )


def _alike(one: Entry, other: Entry) -> bool:
    """Whether two results of a claim are of one study, on the same data and device."""
    if one.conditions is None or other.conditions is None or set(one.sources) != set(other.sources):
        return False
    return replace(one.conditions, setting="") == replace(other.conditions, setting="")


def _survives(before: PartEntry, after: PartEntry) -> str:
    outcomes = (before.verdict.outcome, after.verdict.outcome)
    if Outcome.UNDECIDED in outcomes:
        return "open"
    same = any(
        all(outcome in side for outcome in outcomes) for side in (A_BETTER, B_BETTER, (Outcome.EQUIVALENT,))
    )
    return "yes" if same else "NO"


def _tuned(ledger: Ledger) -> list[str]:
    tables = [table.markdown() for table in tuning_tables(ledger)]
    return ["## Fair training", *tables] if tables else []


def _over_datasets(ledger: Ledger) -> list[str]:
    """The comparisons that were made on several data sets, protocol by protocol; nothing if there are none."""
    verdicts: dict[str, list[tuple[str, Verdict]]] = {}
    for entry in ledger.entries:
        if entry.conditions is not None:
            under = f"{entry.conditions.protocol}, {entry.conditions.device}"
            of_parts = [(entry.conditions.shared.dataset, part.verdict) for part in entry.parts]
            verdicts.setdefault(under, []).extend(of_parts)
    tables = [summary_table(under, across(of_protocol)) for under, of_protocol in verdicts.items()]
    shown = [table.markdown() for table in tables if table]
    return ["## Over data sets", *shown] if shown else []


def _part_row(entry: Entry, part: PartEntry) -> list[str]:
    study = entry.claim.name.partition("/")[0]
    compared = f"{part.part.a} {part.part.relation} {part.part.b}"
    return [entry.claim.name, compared, *_measured(study, part), part.ruling.value]


def _measured(study: str, part: PartEntry) -> list[str]:
    verdict, title = part.verdict, short_title(part.part.quantity.metric)
    published = _published(study, part)
    if not verdict.pairing.n:
        return [title, published, "0", *["-"] * 5]
    of_loss = part.part.quantity.metric.name in (LOSS.metric.name, LOSS_RATIO.metric.name)
    failed = part.manipulation_failed
    words = f"{Ruling.FAILED_MANIPULATION}: {failed}" if failed else verdict.words
    return [
        title,
        published,
        str(verdict.pairing.n),
        ", ".join(f"{learned} of {n}" for learned, n in part.learned),
        (part.beside(LOSS) if of_loss else verdict).effect_text,
        _log_ratio(part.beside(LOSS_RATIO)),
        f"{verdict.probability.mean:.2f}",
        "; ".join(filter(None, (words, part.caveat))),
    ]


def _published(study: str, part: PartEntry) -> str:
    """The published difference of A and B, or their ratio where ratios are compared; "-" where there is none."""
    metric = part.part.quantity.metric
    values = published_values(study, metric.name, part.part.models)
    if values is None or OVER in part.part.a:
        return "-"
    a, b = values
    return f"{a / b:.3g}" if metric.ratio and metric.name != LOSS_RATIO.metric.name else f"{a - b:+.3g}"


def _log_ratio(verdict: Verdict) -> str:
    effect = verdict.effect
    if not effect.n or not effect.mean > 0:
        return "-"
    ends = "" if effect.n < 2 else f" ({_log(effect.low)} to {_log(effect.high)})"
    return f"{_log(effect.mean)}{ends}"


def _log(ratio: float) -> str:
    return significant(log(ratio), 2, "+")


def _text_table(title: str, header: list[str], rows: list[list[str]], notes: Sequence[str] = ()) -> TextTable:
    """A table of words."""
    data = pd.DataFrame(rows, columns=header)
    return TextTable("claims", title, header, len(header), rows, data, list(notes))


def _narrowest(ledger: Ledger) -> list[str]:
    """How narrow intervals can get where seeds divide the same pairs."""
    halves: dict[tuple[str, str, str], list[float]] = {}
    for entry in ledger.entries:
        for part in entry.parts:
            pairing = part.verdict.pairing
            metric = pairing.metric
            if entry.conditions and pairing.ratio and not metric.ratio and pairing.counted >= FEWEST_SEEDS:
                half = narrowest(pairing.advantages, pairing.ratio) / metric.scale
                key = (entry.conditions.shared.dataset, entry.conditions.protocol, short_title(metric))
                halves.setdefault(key, []).append(half)
    return [
        f"{dataset}, {protocol}: seeds divide the same pairs, so with any number of them a 95% interval of the "
        f"difference in {title} stays wider than ±{significant(median(of_metric), 2)} (median of the comparisons)."
        for (dataset, protocol, title), of_metric in halves.items()
    ]


def _limits(ledger: Ledger) -> list[str]:
    datasets = list(dict.fromkeys(conditions.shared.dataset for conditions in ledger.conditions))
    origins = {
        True: "simulated, or made by a plug-in. Results hold for such pairs.",
        False: "read from files, which are not shipped here.",
        None: "the records do not tell whether the data are simulated.",
    }
    limits = [
        f"{', '.join(alike)}: {words}"
        for simulated, words in origins.items()
        if (alike := [dataset for dataset in datasets if ledger.simulated[dataset] is simulated])
    ]
    limits += _narrowest(ledger)
    most = most_load_words(conditions.shared.device for conditions in ledger.conditions)
    limits += [UNADJUSTED, *adjusted(ledger.entries)]
    if any(conditions.cut_short for conditions in ledger.conditions):
        limits.append(
            "Where the protocol was cut short, losses and accuracies are those of trainings shorter than claimed."
        )
    if ledger.unfinished:
        cells = dict.fromkeys(
            f"{record.model} (seed {record.seed}, {record.status})" for record in ledger.unfinished
        )
        limits.append(f"Begun and not completed: {', '.join(cells)}.")
    return [
        *limits,
        f"{LEARNED_MEANS}.",
        "A claim does not hold if one of its comparisons contradicts it. Each comparison does so in at most "
        f"{ALPHA:.0%} of cases if A is better by the margin, or, where A is claimed to be as good, without a "
        "difference. So a claim of many comparisons is contradicted wrongly more often.",
        f"Fewer than {FEWEST_SEEDS} seeds decide only what does not depend on the seed: parameters and memory.",
        f"Claims about time use only runs during which other processes kept at most {most} busy.",
        "Equivalence by sign flips rests on differences that spread evenly to both sides.",
        *_repeated(ledger),
    ]


def _repeated(ledger: Ledger) -> list[str]:
    """That comparisons repeat each other, if what was run compares both of the models that are one function."""
    compared = {model for entry in ledger.entries for part in entry.parts for model in part.part.models}
    both = "wide-late-concat", "wide-intermediate-concat"
    if not all(any(strategy in model for model in compared) for strategy in both):
        return []
    return [f"{' and '.join(both)} are one function, so their comparisons repeat each other."]
