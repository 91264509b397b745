"""The best of several learning rates for each model and seed."""

import pytest
from msgspec.structs import replace

from bench.analysis.tuning import with_best_rates
from bench.records import DIVERGED, FAILED, RunRecord
from tests.bench.analysis.samples import seeds

RATES = {"lr 0.001": 0.001, "lr 0.01": 0.01}


def at_rates(model: str, losses: dict[str, tuple[float, ...]], **changes: object) -> list[RunRecord]:
    """Runs of a model: by variant, the validation losses of its seeds."""
    return [
        replace(
            run,
            question="Which?",
            protocol={**run.protocol, "learning_rate": RATES[variant], "final_learning_rate": RATES[variant] / 10},
            **changes,
        )
        for variant, of_variant in losses.items()
        for run in seeds(model, "mine", losses=of_variant, variant=variant)
    ]


A = at_rates("wide-rgb-maxpool", {"lr 0.001": (0.3, 0.2), "lr 0.01": (0.1, 0.4)})
B = at_rates("wide-rgb-strided", {"lr 0.001": (0.5, 0.6), "lr 0.01": (0.7, 0.8)})


def chosen(records: list[RunRecord]) -> list[tuple[str, int, object]]:
    return [(r.model, r.seed, r.protocol["learning_rate"]) for r in with_best_rates(records)]


def test_each_model_and_seed_has_the_rate_with_the_lowest_validation_loss() -> None:
    assert chosen([*A, *B]) == [
        ("wide-rgb-maxpool", 51, 0.01),
        ("wide-rgb-maxpool", 52, 0.001),
        ("wide-rgb-strided", 51, 0.001),
        ("wide-rgb-strided", 52, 0.001),
    ]


def test_test_pairs_have_no_say() -> None:
    tested = [
        replace(run, test_loss=9.0 - (run.best_valid_loss or 0), test_metrics={"loss": 9.0}, test_pairs=9)
        for run in [*A, *B]
    ]
    assert chosen(tested) == chosen([*A, *B])


def test_the_best_have_no_variant_and_a_question_that_names_the_grid() -> None:
    best = with_best_rates([*A, *B])
    assert {run.variant for run in best} == {""}
    (question,) = {run.question for run in best}
    assert question.startswith(
        "Which? Every model was trained with learning rates of 0.001 and 0.01; for each seed"
    )


def test_a_run_that_diverged_is_chosen_only_where_all_did() -> None:
    diverged = {"status": DIVERGED, "best_valid_loss": None}
    one = [replace(run, **(diverged if run.variant == "lr 0.01" else {})) for run in A]
    assert chosen(one) == [("wide-rgb-maxpool", 51, 0.001), ("wide-rgb-maxpool", 52, 0.001)]
    every = [replace(run, **diverged) for run in A]
    assert [run.status for run in with_best_rates(every)] == [DIVERGED, DIVERGED]


def test_a_seed_that_lacks_a_rate_is_left_out() -> None:
    assert chosen([*A, *B[:3]]) == chosen([*A, *B])[:3]


@pytest.mark.parametrize("other", [{"device_name": "another"}, {"threads": 1}])
def test_rates_are_chosen_on_one_device_model(other: dict[str, object]) -> None:
    """The best rate of the first seed was trained elsewhere: its choice would decide where the seed counts."""
    elsewhere = [
        replace(run, environment={**run.environment, **other})
        if (run.variant, run.seed) == ("lr 0.01", 51)
        else run
        for run in A
    ]
    assert chosen([*elsewhere, *B]) == chosen([*A, *B])[1:]


def test_a_failed_cell_is_kept_to_be_named() -> None:
    failed = [replace(run, status=FAILED) if run is B[0] else run for run in [*A, *B]]
    best = with_best_rates(failed)
    assert [(run.variant, run.status) for run in best if run.variant] == [("lr 0.001", FAILED)]
    assert len(best) == 4  # two of A, one of B, and the failed one


def changed(records: list[RunRecord], epochs: int) -> list[RunRecord]:
    """The records as of ``--set epochs=...``."""
    settings = f"epochs={epochs}"
    return [
        replace(
            run,
            variant=f"{run.variant},{settings}",
            changed=settings,
            protocol={**run.protocol, "epochs": epochs},
            best_valid_loss=(run.best_valid_loss or 0) / 10,
        )
        for run in records
    ]


def test_rates_are_chosen_among_runs_with_the_same_changed_settings() -> None:
    longer = changed(A, 24)
    best = with_best_rates([*A, *B, *longer])
    assert [run for run in best if not run.variant] == with_best_rates([*A, *B])
    assert [run for run in best if run.variant == "epochs=24"] == with_best_rates(longer)
    assert len(best) == 6
    one_rate = longer[:2]
    assert with_best_rates([*A, *B, *one_rate]) == [*with_best_rates([*A, *B]), *one_rate]


def test_variants_that_differ_in_more_than_the_rate_are_no_grid() -> None:
    longer = [
        replace(run, protocol={**run.protocol, "epochs": 9}) if run.variant == "lr 0.01" else run for run in A
    ]
    assert with_best_rates(longer) == longer
    decays = [replace(run, protocol={**run.protocol, "learning_rate": 0.001}) for run in A]
    assert with_best_rates(decays) == decays  # by what they end with
    one_variant = A[:2]
    assert with_best_rates(one_variant) == one_variant
    assert with_best_rates([]) == []
