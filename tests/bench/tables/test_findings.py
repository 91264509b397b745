"""The sentences of a README."""

from bench.tables.findings import findings
from tests.bench.analysis.claim_runs import MAXPOOL, STRIDED, deep, ledger


def test_nothing_run_says_so() -> None:
    assert findings(ledger([])).startswith("None of the ")


def test_each_sentence_has_its_numbers() -> None:
    text = findings(ledger(deep(0.1, 0.3)))
    first, _, *sentences = text.splitlines()
    assert "1 hold, 2 do not hold, " in first
    assert sentences[0].startswith(
        '- "MaxPool reaches lower validation loss and higher accuracy": **holds (look 1 of 3)** '
        "(shapes, as published): "
    )
    assert f"{MAXPOOL} - {STRIDED}: -0.20 (-0.20 to -0.20), n = 10; learned: 10 of 10, 10 of 10." in sentences[0]
    assert all("n = " in sentence for sentence in sentences)
    assert len(sentences) == 3
