from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from bench.records import RunRecord
from bench.report.highlights import highlights
from tests.bench.report.pages import THIRD
from tests.bench.samples import MODEL, TWIN, record


def runs(model: str, losses: Sequence[float], *, balanced: float | None = 0.9) -> list[RunRecord]:
    """One record per loss, from seed 51 on."""
    metrics = {"accuracy": 0.9, "balanced_accuracy": balanced}
    return [
        record(model, seed=51 + place, best_valid_loss=loss, valid_metrics=metrics)
        for place, loss in enumerate(losses)
    ]


def test_one_seed_is_not_tested() -> None:
    (best,) = highlights([*runs(MODEL, [0.5]), *runs(TWIN, [0.25])])
    assert best == (
        f"{TWIN} has the lowest validation loss, 0.2500 with one seed; "
        "fewer than 6 seeds are not tested for significance."
    )


def test_models_differ_only_where_the_spread_allows_it() -> None:
    best = runs(MODEL, [0.10, 0.11, 0.12, 0.10, 0.11, 0.10, 0.11])
    worse = runs(TWIN, [0.50, 0.52, 0.51, 0.50, 0.51, 0.50, 0.51])
    as_good = runs(THIRD, [0.14, 0.08, 0.13, 0.11, 0.10, 0.12, 0.10])
    lowest = f"{MODEL} has the lowest validation loss, 0.107 ± 0.012 on average over 7 seeds"
    assert highlights([*best, *worse]) == [f"{lowest}; it is significantly different from every other model."]
    assert highlights([*best, *worse, *as_good]) == [f"{lowest}; it is not significantly different from {THIRD}."]
    assert highlights([*best, *as_good]) == [f"{lowest}; it is not significantly different from any other model."]


def test_a_study_of_times_names_the_fastest_model() -> None:
    cells = [(MODEL, seed, 1.0) for seed in range(51, 58)] + [(TWIN, seed, 2.0) for seed in range(51, 58)]
    records = [
        record(name, seed=seed, epoch_seconds=[seconds + seed / 1e4], other_load=0.0, best_valid_loss=seconds)
        for name, seed, seconds in cells
    ]
    assert highlights(records, times=True) == [
        f"{MODEL} has the shortest epoch, 1.01 ± 0.00 s on average over 7 seeds; "
        "it is significantly different from every other model."
    ]
    busy = [replace(one, other_load=0.9) if one.model == MODEL else one for one in records]
    assert highlights(busy, times=True) == [f"{TWIN} is the only model, so there is no comparison."]
    assert highlights(busy[:7], times=True) == ["No time is of an idle machine."]


def test_only_seeds_that_all_models_have_are_compared() -> None:
    (best,) = highlights([*runs(MODEL, [0.9, 0.1]), *runs(TWIN, [0.5])])
    assert best.startswith(f"{TWIN} has the lowest validation loss, 0.5000 with one seed;")
    (apart,) = highlights([*runs(MODEL, [0.9]), *(replace(run, seed=7) for run in runs(TWIN, [0.5]))])
    assert apart == "The models are not compared: they have no seed in common."


def test_most_seeds_are_compared_of_all_models() -> None:
    (best,) = highlights([*runs(MODEL, [0.9, 0.9, 0.1]), *runs(TWIN, [0.7, 0.5])])
    assert best.startswith(
        f"{TWIN} has the lowest validation loss, 0.6 ± 1.6 on average over 2 seeds that all models were run with;"
    )


def test_models_with_fewer_seeds_leave_the_others_all_theirs() -> None:
    third = "compact-intermediate-add-maxpool"
    (best,) = highlights([*runs(MODEL, [0.9, 0.1]), *runs(TWIN, [0.7, 0.5]), *runs(third, [0.01])])
    assert best.startswith(
        f"{MODEL} has the lowest validation loss, 0.5 ± 6.2 on average over 2 seeds, "
        "of the 2 of 3 models that were run with the most seeds;"
    )


def test_variants_are_compared_as_models() -> None:
    raw, scaled = (replace(runs(MODEL, [loss])[0], variant=name) for name, loss in (("raw", 0.5), ("scaled", 0.1)))
    assert highlights([raw, scaled])[0].startswith(f"scaled {MODEL} has the lowest")


def test_a_single_model_is_not_compared() -> None:
    assert highlights(runs(MODEL, [0.5, 0.6])) == [f"{MODEL} is the only model, so there is no comparison."]


def test_models_at_chance_level_are_named_even_where_a_rare_class_makes_them_look_good() -> None:
    at_chance = runs(TWIN, [0.7], balanced=0.5)
    sometimes = runs(THIRD, [0.7, 0.2], balanced=0.9)
    sometimes[0] = replace(sometimes[0], valid_metrics={"balanced_accuracy": 0.55})
    sentences = highlights([*runs(MODEL, [0.5]), *at_chance, *sometimes])
    assert sentences[1:] == [f"At chance level: {TWIN} and {THIRD} (1 of 2 seeds)."]


@pytest.mark.parametrize("changes", [{"valid_metrics": None}, {"valid_metrics": {}}, {"valid_pairs": None}])
def test_without_balanced_accuracy_nothing_is_said_of_chance(changes: dict[str, object]) -> None:
    assert len(highlights([replace(run, **changes) for run in runs(MODEL, [0.5], balanced=0.5)])) == 1
    assert len(highlights(runs(MODEL, [0.5], balanced=None))) == 1


def test_of_many_models_a_few_are_named() -> None:
    models = [f"experts-intermediate-{operator}-{embedder}" for operator in ("concat", "add", "hadamard")
              for embedder in ("maxpool", "strided")]  # fmt: skip
    sentences = highlights([run for model in models for run in runs(model, [0.7], balanced=0.5)])
    assert sentences[1].endswith("add-strided and 2 more.")


def test_smoke_ranks_nothing() -> None:
    smoke = [replace(run, profile="smoke") for run in (*runs(MODEL, [0.5]), *runs(TWIN, [0.7], balanced=0.5))]
    assert highlights(smoke) == ["Profile smoke checks that the models run; it does not rank them."]


@pytest.mark.parametrize("others", [[], runs(MODEL, [0.5])], ids=["alone", "beside a completed one"])
def test_failures_are_named_with_their_reason(others: list[RunRecord]) -> None:
    broken = record(TWIN, status="failed", error="RuntimeError: out of memory", valid_metrics=None)
    assert highlights([*others, broken])[-1] == f"{TWIN} (seed 51) failed: RuntimeError: out of memory."


def test_of_many_failures_a_few_are_named() -> None:
    failures = [record(MODEL, seed=seed, status="failed", error="no") for seed in range(9)]
    sentences = highlights(failures)
    assert sentences[0] == "No run was completed."
    assert sentences[-2:] == [f"{MODEL} (seed 3) failed: no.", "5 more runs were not completed."]


def test_without_records_there_is_nothing_to_highlight() -> None:
    assert highlights([]) == []
    assert highlights([record(status="diverged", error="not finite")])[0] == "No run was completed."
