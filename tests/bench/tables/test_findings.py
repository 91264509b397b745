"""The sentences of a README."""

from msgspec.structs import replace

from bench.tables.findings import findings
from tests.bench.analysis.claim_runs import MAXPOOL, STRIDED, deep, ledger


def test_nothing_run_says_so() -> None:
    assert findings(ledger([])).startswith("None of the ")


def test_each_sentence_has_its_numbers() -> None:
    heading, *sentences, total = findings(ledger(deep(0.1, 0.3))).split("\n\n")
    assert heading == ("**shapes**, as published (2 classes, 400 training pairs; each seed has pairs of its own):")
    first, *others = sentences[0].splitlines()
    assert first.startswith(
        '- "MaxPool reaches lower validation loss and higher accuracy": **holds (look 1 of 3)**; '
        "2 of 2 comparisons hold; "
    )
    assert first.endswith(
        (
            f"accuracy, {MAXPOOL} - {STRIDED}: +0.20 (+0.20 to +0.20), n = 10.",
            f"loss, {MAXPOOL} - {STRIDED}: -0.20 (-0.20 to -0.20), n = 10.",
        )
    )
    assert len(others) == 2
    assert all("n = " in sentence for sentence in others)
    assert "1 hold, 2 do not hold, " in total


def test_chosen_claims_are_shown_in_their_order() -> None:
    decided = ledger(deep(0.1, 0.3))
    names = ["downsampling-deep/2", "downsampling-deep/1", "fusion-wide/1"]
    _, sentences, total = findings(decided, names).split("\n\n")
    texts = [entry.claim.text for name in names for entry in decided.entries if entry.claim.name == name]
    assert [line.partition(":")[0] for line in sentences.splitlines()] == [f'- "{text}"' for text in texts[:2]]
    assert total == findings(decided).split("\n\n")[-1]


def test_a_chosen_claim_is_shown_under_its_first_protocol_that_was_run() -> None:
    published = deep(0.1, 0.3)
    standard = [replace(run, study="standard") for run in published]
    for runs, protocol in ((published + standard, "as published"), (standard, "standard protocol")):
        heading, sentence, _ = findings(ledger(runs), ["downsampling-deep/1"]).split("\n\n")
        assert heading.startswith(f"**shapes**, {protocol} (")
        assert sentence.count("\n") == 0


def test_runs_that_did_not_learn_are_counted() -> None:
    text = findings(ledger(deep(0.1, 0.6931)))
    assert "learned: 10 of 10, 0 of 10" in text
