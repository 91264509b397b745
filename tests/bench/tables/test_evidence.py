"""What is shown of a study's evidence."""

import pytest
from msgspec.structs import replace

from bench.records import Metric, RunRecord
from bench.tables.evidence import evidence_table
from bench.tables.text import TextTable
from tests.bench.analysis.samples import BRIER, around, foreign, seeds
from tests.bench.samples import record
from tests.bench.tables.samples import made

LATE, CONCAT = "compact-late-concat-maxpool", "compact-intermediate-concat-maxpool"
STRIDED = "compact-late-concat-strided"


def table(*models: str, study: str = "standard") -> TextTable:
    losses = {LATE: around(0.1, 10), CONCAT: around(0.3, 10, shift=1), STRIDED: around(0.1, 10, shift=2)}
    return made(evidence_table([run for model in models for run in seeds(model, study, losses=losses[model])]))


def test_a_table_by_eye() -> None:
    late, _, concat, _ = table(LATE, CONCAT, STRIDED).rows[:4]
    assert late[:4] == [LATE, "strided", "best valid loss", "10"]
    assert late[-1] == "equivalent within 0.01 nats"
    assert concat[:4] == [LATE, "intermediate-concat", "best valid loss", "10"]
    assert concat[4].startswith("-0.20 (-0.20")
    assert concat[-2:] == ["1.00", "A superior"]


def test_one_seed_is_no_evidence() -> None:
    assert evidence_table([record(LATE), record(CONCAT), record(STRIDED)]) is None
    assert evidence_table([record(LATE), record(CONCAT, status="failed")]) is None
    assert evidence_table(seeds(LATE, "standard", losses=around(0.1))) is None
    assert evidence_table([]) is None


def test_the_file_has_raw_numbers() -> None:
    data = table(LATE, CONCAT).data
    assert list(data.metric) == ["best_valid_loss", "valid_accuracy"]
    assert list(data.outcome) == ["A superior", "equivalent"]
    assert data.difference[0] == pytest.approx(-0.2, abs=0.002)
    assert (data.seeds == 10).all()
    assert data.difference_p[0] == 2 * 2 / 2**10  # of two comparisons
    assert data.t_p[0] < 1e-6
    assert data.low[0] < data.low_90[0] < data.high_90[0] < data.high[0]
    assert data.probability_outcome[0] == "significant and meaningful"


def test_a_table_tells_its_conditions_and_how_certain_it_is() -> None:
    text = table(LATE, CONCAT).markdown()
    assert "seeds: 51 to 60 (n = 10)" in text
    assert "in at most 5% of such tables" in text
    assert "(exact sign flips, paired by seed, Holm over the table); exploratory" in text
    assert "best valid loss: differences of 0.01 nats matter: a hundredth of a nat" in text


def mine(embedder: str, values: list[float], metric: Metric = BRIER) -> list[RunRecord]:
    """Runs of a model that is not installed, with these values of its metric."""
    model = f"mine-late-gated-{embedder}"
    return [foreign(value, metric, model=model, embedder=embedder, seed=51 + i) for i, value in enumerate(values)]


def test_records_of_what_is_not_installed_are_judged() -> None:
    judged = made(evidence_table([*mine("sharp", around(0.1, 10)), *mine("blur", around(0.3, 10, shift=1))]))
    assert [row[:4] for row in judged.rows] == [
        ["mine-late-gated-sharp", "blur", metric, "10"]
        for metric in ("best valid loss", "valid accuracy", "valid Brier score")
    ]
    assert judged.rows[2][-1] == "A superior"
    assert "valid Brier score: differences of 0.01 matter: by hand" in judged.notes


def test_a_metric_without_a_direction_is_shown_and_not_judged() -> None:
    aimless = replace(BRIER, higher_is_better=None, margin=0.0)
    judged = made(
        evidence_table([*mine("sharp", around(0.3), aimless), *mine("blur", around(0.1, shift=1), aimless)])
    )
    *_, effect, _, probability, verdict = judged.rows[2]
    assert effect.startswith("+0.20 (")
    assert (probability, verdict) == ("-", "not judged")
    assert judged.notes[-1] == "valid Brier score: not judged, as neither direction is declared to be better"


def test_seeds_that_divide_the_same_pairs_are_tested_so() -> None:
    runs = [
        replace(run, simulated=False)
        for model, loss in ((LATE, 0.1), (CONCAT, 0.3))
        for run in seeds(model, "standard", losses=around(loss, 10, shift=len(model)))
    ]
    judged = made(evidence_table(runs))
    assert "t test of Nadeau and Bengio, as seeds divide the same pairs" in judged.markdown()
    # 100 validation pairs per 400 training pairs: the standard error is sqrt(1/10 + 1/4) in place of sqrt(1/10).
    own = made(evidence_table([replace(run, simulated=True) for run in runs]))
    width = judged.data.high[0] - judged.data.low[0]
    assert width == pytest.approx((own.data.high[0] - own.data.low[0]) * (0.35 / 0.1) ** 0.5)
