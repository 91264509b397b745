from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.records.run import RunRecord
from bench.report.highlights import highlights
from tests.bench.samples import MODEL, TWIN, record

THIRD = "compact-intermediate-add-maxpool"


def row(model: str, losses: Sequence[float], *, balanced: float = 0.9) -> list[RunRecord]:
    """A record a loss, from seed 51 on."""
    metrics = {"accuracy": 0.9, "balanced_accuracy": balanced}
    return [
        record(model, seed=51 + place, best_valid_loss=loss, valid_metrics=metrics)
        for place, loss in enumerate(losses)
    ]


def test_one_seed_decides_nothing() -> None:
    (best,) = highlights([*row(MODEL, [0.5]), *row(TWIN, [0.25])])
    assert best == (
        f"{TWIN} has the lowest validation loss with one seed, 0.25; fewer than 5 seeds decide nothing."
    )


def test_rows_are_told_apart_only_where_the_spread_allows_it() -> None:
    best = row(MODEL, [0.10, 0.11, 0.12, 0.10, 0.11])
    worse = row(TWIN, [0.50, 0.52, 0.51, 0.50, 0.51])
    as_good = row(THIRD, [0.14, 0.08, 0.13, 0.11, 0.10])
    over = f"{MODEL} has the lowest validation loss over 5 seeds, 0.108 ± 0.010"
    assert highlights([*best, *worse]) == [f"{over}, and the seeds tell it from every other row."]
    assert highlights([*best, *worse, *as_good]) == [f"{over}, but the seeds do not tell it from {THIRD}."]
    assert highlights([*best, *as_good]) == [f"{over}, but the seeds tell it from no other row."]


def test_only_seeds_that_all_rows_have_are_compared() -> None:
    (best,) = highlights([*row(MODEL, [0.9, 0.1]), *row(TWIN, [0.5])])
    assert best.startswith(f"{TWIN} has the lowest validation loss with one seed, 0.5;")
    (apart,) = highlights([*row(MODEL, [0.9]), *(replace(cell, seed=7) for cell in row(TWIN, [0.5]))])
    assert apart == "The rows have no seed in common, so nothing is said of which is better."


def test_variants_are_rows_of_their_own() -> None:
    raw, scaled = (replace(row(MODEL, [loss])[0], variant=name) for name, loss in (("raw", 0.5), ("scaled", 0.1)))
    assert highlights([raw, scaled])[0].startswith(f"scaled {MODEL} has the lowest")


def test_a_single_row_is_compared_with_nothing() -> None:
    assert highlights(row(MODEL, [0.5, 0.6])) == [f"One row, {MODEL}: nothing to compare it with."]


def test_rows_that_guess_are_named_even_where_a_rare_class_makes_them_look_good() -> None:
    guesses = row(TWIN, [0.7], balanced=0.5)
    sometimes = row(THIRD, [0.7, 0.2], balanced=0.9)
    sometimes[0] = replace(sometimes[0], valid_metrics={"balanced_accuracy": 0.55})
    said = highlights([*row(MODEL, [0.5]), *guesses, *sometimes])
    assert said[1:] == [f"No better than guessing: {TWIN} and {THIRD} (1 of 2 seeds)."]


def test_of_many_rows_a_few_are_named() -> None:
    models = [f"experts-intermediate-{operator}-{embedder}" for operator in ("concat", "add", "hadamard")
              for embedder in ("maxpool", "strided")]  # fmt: skip
    said = highlights([cell for model in models for cell in row(model, [0.7], balanced=0.5)])
    assert said[1].endswith("add-strided and 2 more.")


def test_smoke_says_nothing_of_which_is_better() -> None:
    smoke = [replace(cell, profile="smoke") for cell in (*row(MODEL, [0.5]), *row(TWIN, [0.7], balanced=0.5))]
    assert highlights(smoke) == ["Profile smoke shows that the rows run, not which is better."]


@pytest.mark.parametrize("others", [[], row(MODEL, [0.5])], ids=["alone", "beside a completed one"])
def test_failures_are_said_with_their_reason(others: list[RunRecord]) -> None:
    broken = record(TWIN, status="failed", error="RuntimeError: out of memory", valid_metrics=None)
    assert highlights([*others, broken])[-1] == f"{TWIN} (seed 51) failed: RuntimeError: out of memory."


def test_nothing_completed_is_said() -> None:
    assert highlights([record(status="diverged", error="not finite")])[0] == "No run was completed."
