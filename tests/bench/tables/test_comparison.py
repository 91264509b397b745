import pytest

from bench.analysis.comparison import compare
from bench.records import DIVERGED, RunRecord
from bench.tables.comparison import comparison_table
from bench.tables.text import TextTable
from tests.bench.analysis.samples import foreign
from tests.bench.samples import MODEL, TWIN, record
from tests.bench.tables.samples import made

FEW = "changed, fewer than 6 seeds"


def table(before: list[RunRecord], now: list[RunRecord]) -> TextTable:
    return made(comparison_table(compare(before, now)))


def test_equal_runs_are_the_same() -> None:
    name = f"{MODEL} (seed 51)"
    assert table([record()], [record()]).rows == [
        [name, "best valid loss", "0.2500", "0.2500", "=", "same"],
        [name, "valid accuracy", "0.900", "0.900", "=", "same"],
        [name, "parameters", "1,000", "1,000", "=", "same"],
        [name, "epoch time (s)", "2.00 (1.50 to 2.50)", "2.00 (1.50 to 2.50)", "=", "same"],
        [name, "train time (s)", "6.0", "6.0", "=", "same"],
        [name, "peak memory (MB)", "40", "40", "=", "same"],
    ]


def test_changes_are_signed_and_one_seed_decides_only_what_is_exact() -> None:
    later = record(best_valid_loss=0.375, valid_accuracy=0.8, parameters=999, peak_memory_bytes=43_000_000)
    made = table([record()], [later])
    assert [row[2:] for row in made.rows if "time" not in row[1]] == [
        ["0.2500", "0.3750", "+0.125", FEW],
        ["0.900", "0.800", "-0.100", FEW],
        ["1,000", "999", "-1", "changed"],
        ["40", "43", "+3", "worse"],
    ]
    assert made.data.change.tolist() == pytest.approx([0.125, -0.1, -1, 0, 0, 3_000_000])
    assert made.data.seeds.tolist() == [1] * 6


def test_a_change_below_what_is_shown_is_not_called_equal() -> None:
    made = table([record(best_valid_loss=0.25)], [record(best_valid_loss=0.25 + 1e-9)])
    assert made.rows[0][2:] == ["0.2500", "0.2500", "+1.00e-09", FEW]


def test_several_seeds_are_one_row_with_means_and_an_interval() -> None:
    before = [record(seed=51, best_valid_loss=0.25), record(seed=52, best_valid_loss=0.75)]
    now = [record(seed=52, best_valid_loss=0.85), record(seed=51, best_valid_loss=0.25)]
    # Differences 0 and 0.1: mean 0.05, deviation 0.0707, times the root of 1/2 + 100/400, as seeds share 100
    # evaluated and 400 training pairs; t quantile of one degree of freedom 12.706.
    assert table(before, now).rows[0] == [
        f"{MODEL} (2 seeds)", "best valid loss", "0.5000", "0.5500", "+0.0500 (-0.728 to +0.828)", FEW,
    ]  # fmt: skip


def test_notes_name_what_only_one_run_has_and_what_is_not_completed_any_more() -> None:
    lost = record(seed=52, status=DIVERGED, error="the loss is not finite")
    notes = table([record(), record(seed=52), record(TWIN)], [record(), lost, record(seed=53)]).notes
    assert f"only before: {TWIN} (seed 51)" in notes
    assert f"only now: {MODEL} (seed 53)" in notes
    assert f"completed before, not now: {MODEL} (seed 52): diverged, the loss is not finite" in notes


def test_runs_without_a_common_cell_have_no_table() -> None:
    assert comparison_table(compare([record(TWIN)], [record()])) is None
    assert comparison_table(compare([], [record()])) is None


def test_records_of_what_is_not_installed_are_shown() -> None:
    made = table([foreign(0.2)], [foreign(0.25)])
    assert made.rows[2] == ["mine-late-gated-blur (seed 51)", "valid Brier score", "0.200", "0.250", "+0.050", FEW]
    assert "valid_brier" in made.data.metric.tolist()
