"""Which comparisons a study's evidence is made of, and what is shown of them."""

import pytest

from bench.tables import TextTable
from bench.tables.evidence import evidence_table
from tests.bench.analysis.samples import around, seeds
from tests.bench.samples import record

LATE, CONCAT = "compact-late-concat-maxpool", "compact-intermediate-concat-maxpool"
STRIDED = "compact-late-concat-strided"


def table(*models: str, study: str = "standard") -> TextTable:
    losses = {LATE: around(0.1), CONCAT: around(0.3, shift=1), STRIDED: around(0.1, shift=2)}
    made = evidence_table([each for model in models for each in seeds(model, study, losses=losses[model])])
    assert made is not None
    return made


def test_a_table_by_eye() -> None:
    late, _, strided, _ = table(LATE, CONCAT, STRIDED).rows[:4]
    assert late[:4] == [LATE, "strided", "loss", "5"]
    assert late[-1] == "no difference larger than 0.01 nats"
    assert strided[:4] == [LATE, "intermediate-concat", "loss", "5"]
    assert strided[4].startswith("-0.2 (-0.2")
    assert strided[-2:] == ["1.00", "A better"]


def test_rows_are_held_against_their_twin_and_against_concatenation_in_the_middle() -> None:
    asked = [(row[0], row[1]) for row in table(LATE, CONCAT, STRIDED).rows[::2]]
    assert asked == [(LATE, "strided"), (LATE, "intermediate-concat")]


def test_variants_are_held_against_the_first() -> None:
    records = [
        *seeds(LATE, "input-scaling", losses=around(0.4), variant="raw"),
        *seeds(LATE, "input-scaling", losses=around(0.1, shift=1), variant="normalized"),
    ]
    made = evidence_table(records)
    assert made is not None
    assert [row[:3] for row in made.rows] == [[f"normalized {LATE}", "raw", m] for m in ("loss", "accuracy")]
    assert made.rows[0][-1] == "A better"


def test_one_seed_is_no_evidence() -> None:
    assert evidence_table([record(LATE), record(CONCAT), record(STRIDED)]) is None
    assert evidence_table([record(LATE), record(CONCAT, status="failed")]) is None
    assert evidence_table(seeds(LATE, "standard", losses=around(0.1))) is None


def test_the_file_has_raw_numbers() -> None:
    data = table(LATE, CONCAT).data
    assert list(data.outcome) == ["A better", "no difference"]
    assert data.difference[0] == pytest.approx(-0.2, abs=0.002)
    assert (data.seeds == 5).all()
    assert data.sign_flip_p[0] == 2 / 2**5


def test_a_table_says_what_it_was_measured_under_and_how_sure_it_is() -> None:
    text = table(LATE, CONCAT).markdown()
    assert "seeds: 51, 52, 53, 54, 55 (n = 5)" in text
    assert "at most 5% of such tables" in text
