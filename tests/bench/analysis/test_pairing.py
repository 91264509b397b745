from math import nan
from typing import Any

import numpy as np
from msgspec.structs import replace

from bench.analysis.pairing import Pairing, over, pair
from bench.analysis.quantities import EPOCH_TIME, LEARNED, LOSS, LOSS_RATIO, MEMORY, Run
from bench.analysis.resampling import resampling
from bench.records import DIVERGED
from tests.bench.analysis.samples import seeds
from tests.bench.samples import MODEL, record, with_test_figures


def runs_of(losses: dict[int, float], **changes: Any) -> dict[int, Run]:
    return {
        seed: Run(
            record(
                seed=seed,
                best_valid_loss=loss,
                valid_metrics={"loss": loss, "accuracy": 0.9, "balanced_accuracy": 0.9},
                **changes,
            )
        )
        for seed, loss in losses.items()
    }


def test_runs_are_paired_by_seed() -> None:
    found = pair("A", "B", LOSS, runs_of({53: 0.3, 51: 0.1, 52: 0.2}), runs_of({51: 0.5, 53: 0.7, 60: 0.9}))
    assert (found.values_a, found.values_b, found.seeds) == ((0.1, 0.3), (0.5, 0.7), (51, 53))


def test_runs_of_a_seed_that_saw_different_data_are_no_pair() -> None:
    one = {
        seed: Run(record(seed=seed, data_sha256=data))
        for seed, data in zip(range(5), ["a", "a", "a", None, None], strict=True)
    }
    other = {
        seed: Run(record(seed=seed, data_sha256=data))
        for seed, data in zip(range(5), ["a", "b", None, "b", None], strict=True)
    }
    assert pair("A", "B", LOSS, one, other).n == 4  # all but seed 1: where one does not say, the name counts


def test_a_pair_without_the_quantity_keeps_its_place_and_does_not_count() -> None:
    """So the ten seeds of a look stay the same when a time that was disturbed is measured again."""
    a = runs_of({51: 0.1, 52: 0.2, 53: 0.3})
    found = pair("A", "B", LOSS, a, {**a, 52: Run(record(seed=52, best_valid_loss=None))})
    assert (found.seeds, found.counted_seeds, found.first(2).counted) == ((51, 52, 53), [51, 53], 1)
    untold = runs_of({51: 0.1, 52: 0.2}, other_load=None)
    assert pair("A", "B", EPOCH_TIME, untold, untold).n == 0  # no run tells whether it was disturbed


def test_memory_does_not_need_a_training_to_the_end() -> None:
    diverged = {51: Run(record(status=DIVERGED))}
    assert pair("A", "B", MEMORY, diverged, runs_of({51: 0.1})).counted == 1


def test_a_look_does_not_depend_on_seeds_after_it() -> None:
    """Classes of uneven groups give each split another number of pairs."""
    runs = {
        seed: Run(replace(with_test_figures(run.record), test_pairs=100 + seed, train_pairs=1000))
        for seed, run in runs_of(dict.fromkeys(range(51, 54), 0.1), simulated=False).items()
    }
    found = pair("A", "B", LOSS, runs, runs)
    assert (found.ratio, found.first(2).ratio) == (0.153, 0.152)
    assert over(found, found, found.seeds).first(2).ratio == 0.152


def test_pairs_in_which_one_did_not_learn_keep_their_place_and_do_not_count() -> None:
    a, b = runs_of({51: 0.1, 52: 0.69, 53: 0.2}), runs_of({51: 0.2, 52: 0.1, 53: 0.1})
    found = pair("A", "B", LOSS_RATIO, a, b)
    assert (found.n, found.counted, found.seeds) == (3, 2, (51, 52, 53))
    assert np.isnan(found.differences).tolist() == [False, True, False]
    assert pair("A", "B", LOSS, a, b).counted == 3
    assert pair("A", "B", LEARNED, a, b).values_a == (1.0, 0.0, 1.0)


def test_a_run_that_diverged_counts_as_one_that_did_not_learn_and_has_no_loss() -> None:
    a = {**runs_of({51: 0.1}), 52: Run(record(seed=52, status=DIVERGED))}
    b = runs_of({51: 0.2, 52: 0.2})
    assert (pair("A", "B", LEARNED, a, b).values_a, pair("A", "B", LOSS, a, b).counted) == ((1.0, 0.0), 1)
    assert pair("A", "B", LOSS, a, b).n == 2


def test_seeds_have_pairs_of_their_own_where_these_are_simulated_for_each() -> None:
    own = seeds(MODEL, "standard", losses=[0.1] * 3)
    assert resampling(own) == 0.0
    assert resampling([replace(run, simulated=False, drawn=True) for run in own]) == 0.0
    for changes in (
        {"train_sha256": "one"},
        {"train_sha256": None},
        {"simulated": False},
        {"simulated": None},
        {"drawn": False},
    ):
        assert resampling([replace(run, **changes) for run in own]) == 100 / 400
    tested = [with_test_figures(replace(run, simulated=False)) for run in own]
    assert resampling(tested) == 1000 / 400
    assert resampling(own[:1]) == resampling([]) == 0.0


def test_costs_do_not_depend_on_the_pairs_that_seeds_divide() -> None:
    runs = runs_of(dict.fromkeys(range(51, 54), 0.1), simulated=False, epoch_seconds=[1.0], other_load=0.0)
    ratios = {q.metric.name: pair("A", "B", q, runs, runs).ratio for q in (LOSS, EPOCH_TIME, MEMORY)}
    assert ratios == {"loss": 100 / 400, "epoch_seconds": 0.0, "peak_memory_bytes": 0.0}


def test_what_is_reported_on_test_pairs_is_not_paired_with_what_is_on_validation_pairs() -> None:
    a = runs_of({51: 0.1, 52: 0.1})
    b = {51: a[51], 52: Run(with_test_figures(a[52].record, loss=0.2))}
    assert pair("A", "B", LOSS, a, b).seeds == (51,)
    assert pair("A", "B", LOSS, b, b).values_a == (0.1, 0.2)


def test_two_differences_are_compared_over_their_common_seeds() -> None:
    one = Pairing("a", "b", LOSS_RATIO.metric, (1.0, 4.0, nan), (2.0, 2.0, 1.0), (51, 52, 53))
    ratios = (0.2, 0.25, 0.2)
    other = Pairing("c", "d", LOSS_RATIO.metric, (1.0, 1.0, 1.0), (1.0, 4.0, 1.0), (52, 51, 53), ratios=ratios)
    found = over(one, other, (51, 52, 53, 60))
    assert (found.a, found.b, found.seeds, found.ratio) == ("a over b", "c over d", (51, 52, 53), 0.25)
    assert found.values_a[:2] == (0.5, 2.0)
    assert found.values_b[:2] == (0.25, 1.0)
    assert found.counted == 2
    fewer = over(one, other, {52, 53})
    assert (fewer.seeds, fewer.ratio) == ((52, 53), 0.2)


def test_times_and_memory_of_two_device_models_are_no_pair_and_losses_are() -> None:
    elsewhere = {"device_name": "another processor", "threads": 2}
    runs_a = {51: Run(record()), 52: Run(record(environment=elsewhere))}
    runs_b = {51: Run(record()), 52: Run(record())}
    assert [pair("A", "B", quantity, runs_a, runs_b).n for quantity in (EPOCH_TIME, MEMORY, LOSS)] == [
        1,
        1,
        2,
    ]
