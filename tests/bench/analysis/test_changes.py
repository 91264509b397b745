from dataclasses import replace

import pytest
from bench.analysis.changes import BETTER, CHANGED, METRICS, SAME, WITHIN_NOISE, WORSE

from bench.analysis.comparison import compare
from bench.records.run import RunRecord
from bench.tables import COLUMNS
from tests.bench.samples import record

SEEDS = (51, 52, 53, 54, 55)


def verdicts(before: list[RunRecord], now: list[RunRecord]) -> dict[str, str]:
    return {change.metric.name: change.verdict for change in compare(before, now).changes}


def test_every_column_of_the_tables_is_compared() -> None:
    assert list(METRICS) == [column.field for column in COLUMNS]


@pytest.mark.parametrize(
    ("steps", "loss", "accuracy"),
    [
        ((0.1, 0.11, 0.09, 0.1, 0.1), WORSE, BETTER),
        ((-0.1, -0.11, -0.09, -0.1, -0.1), BETTER, WORSE),
        ((0.1, -0.11, 0.09, -0.1, 0.01), WITHIN_NOISE, WITHIN_NOISE),
        ((0.0, 0.0, 0.0, 0.0, 0.0), SAME, SAME),
    ],
)
def test_five_seeds_are_judged_by_their_spread_in_the_direction_of_the_metric(
    steps: tuple[float, ...], loss: str, accuracy: str
) -> None:
    # The seeds lie ten times further apart than the two runs: only the pairing by seed shows the change.
    before = [record(seed=seed, best_valid_loss=seed - 50, valid_accuracy=0.1 * i) for i, seed in enumerate(SEEDS)]
    now = [
        replace(old, best_valid_loss=(old.best_valid_loss or 0) + step, valid_accuracy=0.1 * i + step)
        for i, (old, step) in enumerate(zip(before, steps, strict=True))
    ]
    found = verdicts(before, now[::-1])
    assert (found["best_valid_loss"], found["valid_accuracy"]) == (loss, accuracy)


def test_four_seeds_decide_nothing_however_clear_they_look() -> None:
    before = [record(seed=seed) for seed in SEEDS[:4]]
    now = [replace(old, best_valid_loss=0.5 + old.seed * 1e-6) for old in before]
    assert verdicts(before, now)["best_valid_loss"] == CHANGED


def test_exact_changes_that_cancel_out_are_neither_better_nor_worse() -> None:
    before = [record(seed=seed, peak_memory_bytes=1000) for seed in (51, 52)]
    now = [replace(before[0], peak_memory_bytes=900), replace(before[1], peak_memory_bytes=1100)]
    assert verdicts(before, now)["peak_memory_bytes"] == CHANGED


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        ((3.0, 3.1, 3.2), WORSE),
        ((1.0, 1.1, 1.2), BETTER),
        ((2.1, 2.15, 2.2), WITHIN_NOISE),  # apart, but less than a tenth
        ((1.5, 2.5, 2.6), WITHIN_NOISE),  # a tenth, but not apart
        ((2.0, 2.01, 2.02), SAME),
    ],
)
def test_times_are_judged_beyond_a_tolerance_and_their_own_spread(now: tuple[float, ...], verdict: str) -> None:
    before, later = record(epoch_seconds=[2.0, 2.01, 2.02]), record(epoch_seconds=list(now))
    assert verdicts([before], [later])["epoch_seconds"] == verdict


def test_a_slow_seed_does_not_move_the_time_of_a_row() -> None:
    before = [record(seed=seed, epoch_seconds=[2.0, 2.0, 2.0]) for seed in SEEDS]
    now = [*before[1:], replace(before[0], epoch_seconds=[9.0, 9.0, 9.0])]
    (change,) = (each for each in compare(before, now).changes if each.metric.name == "epoch_seconds")
    assert (change.center_now, change.difference.mean, change.verdict) == (2.0, 0.0, WITHIN_NOISE)
