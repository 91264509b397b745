"""The sentences of a README."""

from msgspec.structs import replace

from bench.analysis.claims import published_claims
from bench.records import RunRecord
from bench.tables.findings import adjusted, findings, verdict_counts
from tests.bench.analysis.claim_runs import deep, ledger


def test_nothing_run_says_so() -> None:
    assert findings(ledger([])).startswith("None of the ")


def test_each_sentence_has_its_numbers() -> None:
    _, heading, sentences, _ = findings(ledger(deep(0.1, 0.3))).split("\n\n")
    assert heading == "**shapes**, as published (2 classes, 400 training pairs; each seed has pairs of its own):"
    first, *others = sentences.splitlines()
    start, _, numbers = first.partition(": **")
    assert start == '- "MaxPool reaches lower validation loss and higher accuracy"'
    assert numbers in (
        "holds (look 1 of 3)**; holds for 2 comparisons, the least certain one "
        f"maxpool - strided (deep-intermediate-concat): {effect}, n = 10."
        for effect in (
            "accuracy +0.20 (+0.20 to +0.20)",
            "loss -0.20 (-0.20 to -0.20)",
        )
    )
    assert len(others) == 2
    assert all("n = " in sentence for sentence in others)


def undecided() -> list[RunRecord]:
    """MaxPool before strided convolution in half of the seeds and as far after it in the others."""
    runs = deep(0.1, 0.1)
    gaps = {run.seed: 0.05 * (-1) ** run.seed for run in runs}
    return [
        replace(run, best_valid_loss=0.2 + gaps[run.seed], valid_metrics=None, valid_accuracy=0.9 - gaps[run.seed])
        if "maxpool" in run.model
        else replace(run, best_valid_loss=0.2, valid_metrics=None, valid_accuracy=0.9)
        for run in runs
    ]


def test_decided_claims_are_shown_and_others_only_if_named() -> None:
    name, open_claim = "downsampling-deep/1", ledger(undecided())
    assert "**undecided so far" not in findings(open_claim)
    counts, heading, sentences, _ = findings(open_claim, [name, "fusion-wide/1"]).split("\n\n")
    assert "undecided 1, " in counts
    assert heading.startswith("**shapes**")
    *decided, asked = sentences.splitlines()
    assert all("**does not hold" in sentence for sentence in decided)
    assert asked.startswith(
        '- "MaxPool reaches lower validation loss and higher accuracy": **undecided so far: 10'
    )
    assert "**; undecided for 2 comparisons, " in asked
    assert findings(ledger(deep(0.1, 0.3)), [name]) == findings(ledger(deep(0.1, 0.3)))


def test_a_claim_is_shown_and_counted_under_its_first_protocol_that_was_run() -> None:
    published = deep(0.1, 0.3)
    standard = [replace(run, study="standard") for run in published]
    for runs, protocol in ((published + standard, "as published"), (standard, "standard protocol")):
        counts, heading, sentences, _ = findings(ledger(runs)).split("\n\n")
        assert "hold 1, " in counts
        assert heading.startswith(f"**shapes**, {protocol} (")
        assert sentences.count("MaxPool reaches lower validation loss") == 1


def test_published_claims_and_ours_are_counted_apart() -> None:
    counts = verdict_counts(ledger(deep(0.1, 0.3)))
    quoted = [claim for claim in published_claims().claims if claim.quoted]
    ours = [claim for claim in published_claims().claims if not claim.quoted]
    assert {claim.name.partition("/")[0] for claim in ours} == {"tuned", "tuned-field"}
    assert counts == (
        f"Of {len(quoted)} claims of the published texts: hold 1, do not hold 2, not run {len(quoted) - 3}. "
        f"Of {len(ours)} other claims: not run {len(ours)}."
    )
    elsewhere = [replace(run, dataset="elsewhere") for run in deep(0.1, 0.3)]
    several = verdict_counts(ledger([*deep(0.1, 0.3), *elsewhere]))
    assert "hold 2, do not hold 4" in several
    assert several.endswith("A claim counts once for each data set that it was tested on.")


def test_the_differences_that_are_left_after_adjustment_are_counted() -> None:
    (sentence,) = adjusted(ledger(deep(0.1, 0.3)).entries)
    # Ten differences of one sign have p = 2 / 2**10, times four comparisons; two of them are without differences.
    assert (
        "for all 4 comparisons on shapes, as published, 2 of them are significant at 5% (smallest p 0.0078)"
        in sentence
    )
    (sentence,) = adjusted(ledger(undecided()).entries)
    assert "none of them is significant at 5% (smallest p 1.0)" in sentence
    assert adjusted(ledger([]).entries) == []


def test_runs_that_did_not_learn_are_counted() -> None:
    text = findings(ledger(deep(0.1, 0.6931)))
    assert "learned: 10 of 10, 0 of 10" in text
