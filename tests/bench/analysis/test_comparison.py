from itertools import cycle
from typing import Any

import pytest
from msgspec.structs import replace

from bench.analysis.comparison import (
    BETTER,
    CHANGED,
    FEW_SEEDS,
    NOT_JUDGED,
    SAME,
    WITHIN_NOISE,
    WORSE,
    Change,
    compare,
    compared_metrics,
)
from bench.records import DIVERGED, FAILED, RunRecord
from tests.bench.analysis.samples import BRIER, foreign
from tests.bench.samples import MODEL, TWIN, record, with_test_figures

SEEDS = tuple(range(51, 61))
SAME_LOSS = "equivalent within 0.01 nats"


def changes(before: list[RunRecord], now: list[RunRecord]) -> dict[str, Change]:
    return {change.metric.name: change for change in compare(before, now).changes}


def verdicts(before: list[RunRecord], now: list[RunRecord]) -> dict[str, str]:
    return {name: change.verdict for name, change in changes(before, now).items()}


def moved(records: list[RunRecord], steps: tuple[float, ...]) -> list[RunRecord]:
    return [
        replace(
            old, best_valid_loss=(old.best_valid_loss or 0) + step, valid_accuracy=(old.valid_accuracy or 0) + step
        )
        for old, step in zip(records, cycle(steps), strict=False)
    ]


@pytest.mark.parametrize(
    ("steps", "loss", "accuracy"),
    [
        ((0.1, 0.11, 0.09, 0.1, 0.1), WORSE, BETTER),
        ((-0.1, -0.11, -0.09, -0.1, -0.1), BETTER, WORSE),
        ((0.001, 0.0011, 0.0009, 0.001, 0.001), SAME_LOSS, "equivalent within 0.01"),
        ((0.0, 0.0, 0.0, 0.0, 0.0), SAME, SAME),
    ],
)
def test_ten_seeds_are_judged_in_the_direction_of_the_metric(
    steps: tuple[float, ...], loss: str, accuracy: str
) -> None:
    """The seeds lie ten times further apart than the two runs: only the pairing by seed shows the change."""
    before = [
        record(seed=seed, best_valid_loss=seed - 50, valid_accuracy=0.05 * i) for i, seed in enumerate(SEEDS)
    ]
    now = moved(before, steps)[::-1]
    assert verdicts(before, now)["best_valid_loss"] == loss
    assert verdicts(before, now)["valid_accuracy"] == accuracy


def test_what_the_seeds_do_not_decide_is_undecided() -> None:
    before = [record(seed=seed) for seed in SEEDS]
    assert verdicts(before, moved(before, (0.1, -0.11, 0.09, -0.1, 0.05)))["best_valid_loss"] == "undecided"


def test_the_verdicts_of_a_comparison_are_adjusted_for_their_number() -> None:
    """A change that one model alone makes significant is none among twenty; equal values do not count."""

    def runs(count: int, step: float) -> list[RunRecord]:
        spread = (0.0, 0.03, -0.02, 0.02, -0.01, 0.01, -0.03, 0.02)
        losses = [0.5 + step * (1 + spread[i] / step if step else 1) for i in range(8)]
        return [
            record(seed=seed, variant=str(model), best_valid_loss=loss)
            for model in range(count)
            for seed, loss in zip(SEEDS[:8], losses, strict=True)
        ]

    alone, among = (compare(runs(count, 0.0), runs(count, 0.04)).changes[0].verdict for count in (1, 20))
    assert alone == WORSE
    assert among.startswith("undecided")
    unchanged = [record(seed=seed, variant=f"unchanged {i}") for i in range(19) for seed in SEEDS]
    assert compare(runs(1, 0.0) + unchanged, runs(1, 0.04) + unchanged).changes[0].verdict == WORSE


def test_five_seeds_decide_nothing_however_clear_they_look() -> None:
    before = [record(seed=seed) for seed in SEEDS[:5]]
    now = [replace(old, best_valid_loss=0.5 + old.seed * 1e-6) for old in before]
    assert verdicts(before, now)["best_valid_loss"] == FEW_SEEDS == "changed, fewer than 6 seeds"


@pytest.mark.parametrize(
    ("now", "verdict"),
    [((1000, 1000), SAME), ((1100, 1200), WORSE), ((900, 800), BETTER), ((900, 1100), CHANGED)],
)
def test_memory_is_judged_as_it_is(now: tuple[int, int], verdict: str) -> None:
    before = [record(seed=seed, peak_memory_bytes=1000) for seed in (51, 52)]
    later = [replace(old, peak_memory_bytes=size) for old, size in zip(before, now, strict=True)]
    assert verdicts(before, later)["peak_memory_bytes"] == verdict


def test_memory_within_its_margin_is_no_difference() -> None:
    now = verdicts([record(peak_memory_bytes=1000)], [record(peak_memory_bytes=1005)])
    assert now["peak_memory_bytes"] == "equivalent within 1%"


def test_more_parameters_are_neither_better_nor_worse() -> None:
    assert verdicts([record()], [record(parameters=999)])["parameters"] == CHANGED


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


def test_a_slow_seed_does_not_move_the_time_of_a_model() -> None:
    before = [record(seed=seed, epoch_seconds=[2.0, 2.0, 2.0]) for seed in SEEDS]
    now = [*before[1:], replace(before[0], epoch_seconds=[9.0, 9.0, 9.0])]
    change = changes(before, now)["epoch_seconds"]
    assert (change.center_now, change.difference.mean, change.verdict) == (2.0, 0.0, WITHIN_NOISE)


def test_every_shown_metric_is_compared_and_no_other() -> None:
    on_test, on_valid = ["test_loss", "test_accuracy"], ["best_valid_loss", "valid_accuracy"]
    of_uneven = ["test_macro_f1", "valid_macro_f1"]
    quantities = [
        "parameters",
        "epoch_seconds",
        "train_seconds",
        "peak_memory_bytes",
    ]
    assert list(compared_metrics()) == [*on_test, of_uneven[0], *on_valid, of_uneven[1], *quantities]
    assert list(compared_metrics([foreign()]))[:4] == [*on_test, of_uneven[0], "test_brier"]
    old, new = record(), with_test_figures(record())
    assert list(verdicts([old], [old])) == list(verdicts([old], [new])) == on_valid + quantities
    assert list(verdicts([new], [new])) == on_test + quantities
    further = compare([new], [new]).further
    assert [change.metric.name for change in further] == on_valid


def test_cells_without_test_figures_are_not_mixed_with_those_that_have_some() -> None:
    old, new = (record(seed=seed) for seed in SEEDS), [with_test_figures(record(seed=seed)) for seed in SEEDS]
    before = [*new[:3], *list(old)[3:]]
    (change, *_) = compare(before, new).changes
    assert (change.metric.name, change.seeds) == ("test_loss", SEEDS[:3])


def test_a_metric_that_only_records_declare_is_compared() -> None:
    before = [foreign(0.2 + seed / 1e5, seed=seed) for seed in SEEDS]
    now = [foreign(0.4 + seed / 1e6, seed=seed) for seed in SEEDS]
    assert changes(before, now)["valid_brier"].metric.margin == BRIER.margin
    assert verdicts(before, now)["valid_brier"] == WORSE
    assert verdicts(before, before)["valid_brier"] == SAME


def test_a_metric_without_a_direction_is_shown_and_not_judged() -> None:
    aimless = replace(BRIER, higher_is_better=None)
    before, now = ([foreign(value, aimless, seed=seed) for seed in SEEDS] for value in (0.2, 0.4))
    assert verdicts(before, now)["valid_brier"] == CHANGED


def test_a_metric_that_one_of_the_runs_lacks_is_left_out() -> None:
    assert "valid_brier" not in verdicts([foreign(valid_metrics={})], [foreign()])
    two = [foreign(seed=51), foreign(seed=52)]
    assert changes(two, [two[0], replace(two[1], valid_metrics=None)])["valid_brier"].seeds == (51,)


def on(machine: str) -> dict[str, Any]:
    return {"device_name": machine, "threads": 2, "packages": {"torch": "2.0"}}


@pytest.mark.parametrize("environment", [on("another processor"), {}], ids=["another", "unknown"])
def test_on_another_machine_times_and_memory_are_shown_and_not_judged(environment: dict[str, Any]) -> None:
    later = record(environment=environment, epoch_seconds=[9.0] * 3, train_seconds=27.0, peak_memory_bytes=1)
    comparison = compare([record()], [later])
    assert {change.metric.name: change.verdict for change in comparison.changes} == {
        "best_valid_loss": SAME,
        "valid_accuracy": SAME,
        "parameters": SAME,
        "epoch_seconds": NOT_JUDGED,
        "train_seconds": NOT_JUDGED,
        "peak_memory_bytes": NOT_JUDGED,
    }
    assert [change.judged for change in comparison.changes] == [True] * 3 + [False] * 3
    (warning,) = comparison.warnings
    title, first, *_ = warning.splitlines()
    assert title == "NOT THE SAME MACHINE as the earlier run: times and memory are shown, not judged"
    assert first == f"  device_name: a processor -> {environment.get('device_name')}"


@pytest.mark.parametrize(
    "change",
    [{"threads": 1}, {"packages": {"torch": "2.1"}}, {"cuda": "13.0"}],
    ids=lambda change: next(iter(change)),
)
def test_threads_and_torch_are_part_of_the_machine(change: dict[str, Any]) -> None:
    later = record(environment=record().environment | change)
    assert compare([record()], [later]).warnings[0].startswith("NOT THE SAME MACHINE")


def test_what_does_not_decide_times_is_named_and_times_are_judged() -> None:
    changed = {"python": "3.99", "packages": {"torch": "2.0", "pandas": "9"}, "commit": "abc", "dirty": True}
    later = record(environment=record().environment | changed, peak_memory_bytes=1)
    comparison = compare([record()], [later])
    assert comparison.warnings == (
        "other differences of the environment from that of the earlier run\n"
        "  pandas: None -> 9\n  python: None -> 3.99",
    )
    assert comparison.changes[-1].verdict == BETTER


def test_another_protocol_and_code_are_named_once() -> None:
    before = [record(code_sha256="c" * 64, seed=seed) for seed in (51, 52)]
    now = [replace(old, protocol={**old.protocol, "epochs": 4}, code_sha256="d" * 64) for old in before]
    assert compare(before, now).warnings == (
        "NOT THE SAME PROTOCOL as the earlier run\n  epochs: 3 -> 4",
        "the code changed since the earlier run\n  code: cccccccccccc -> dddddddddddd",
    )
    assert compare(before, before).warnings == ()


def test_a_protocol_without_a_newer_field_has_its_default() -> None:
    older = record()
    assert "keep_groups" not in older.protocol
    newer = replace(older, protocol={**older.protocol, "keep_groups": True})
    assert compare([older], [newer]).warnings == ()
    other = replace(older, protocol={**older.protocol, "keep_groups": False})
    assert compare([older], [other]).warnings == (
        "NOT THE SAME PROTOCOL as the earlier run\n  keep_groups: True -> False",
    )


def test_cells_that_saw_other_data_are_named_and_not_compared() -> None:
    before = [record(data_sha256="a" * 64, seed=seed) for seed in (51, 52)]
    now = [before[0], replace(before[1], data_sha256="b" * 64)]
    comparison = compare(before, now)
    assert comparison.cells == 1
    assert {change.seeds for change in comparison.changes} == {(51,)}
    assert comparison.warnings == (
        "NOT THE SAME DATA as the earlier run: these cells are not compared\n"
        "  shapes: aaaaaaaaaaaa -> bbbbbbbbbbbb",
    )


def test_records_without_hashes_are_not_called_other_data() -> None:
    known = record(data_sha256="a" * 64, code_sha256="c" * 64)
    comparison = compare([replace(known, data_sha256=None, code_sha256=None)], [known])
    assert (comparison.warnings, comparison.cells) == ((), 1)


@pytest.mark.parametrize(
    "other",
    [
        {"model": TWIN},
        {"seed": 52},
        {"dataset": "other"},
        {"study": "input-scaling"},
        {"variant": "raw"},
        {"profile": "full"},
        {"device": "cuda"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_cells_of_one_run_alone_are_listed_and_not_compared(other: dict[str, Any]) -> None:
    assert compare([record(**other)], [record()]).changes == ()
    before = compare([record(), record(**other)], [record()])
    now = compare([record()], [record(), record(**other)])
    assert before.cells == now.cells == 1
    assert len(before.only_before) == len(now.only_now) == 1
    assert before.only_now == now.only_before == ()


def test_what_one_run_alone_has_is_named_with_its_seeds_and_what_tells_it_from_other_models() -> None:
    before = [record(), record(seed=7, dataset="other"), record(seed=8, dataset="other")]
    comparison = compare(before, [record(), record(TWIN)])
    assert comparison.only_before == (f"other {MODEL} (seeds 7, 8)",)
    assert comparison.only_now == (f"shapes {TWIN} (seed 51)",)
    assert {change.model for change in comparison.changes} == {f"shapes {MODEL}"}


def test_cells_that_are_not_completed_are_named() -> None:
    diverged = record(status=DIVERGED, error="the loss is not finite", best_valid_loss=None)
    comparison = compare([record(), record(seed=52)], [diverged, record(seed=52)])
    assert comparison.unfinished == comparison.lost == (f"{MODEL} (seed 51): diverged, the loss is not finite",)
    assert comparison.cells == 1
    assert compare([diverged], [record()]).unfinished == ()
    again = compare([diverged], [diverged])
    assert (len(again.unfinished), again.lost) == (1, ())


def test_of_several_records_of_a_cell_the_last_counts() -> None:
    first, last = record(best_valid_loss=0.5), record(best_valid_loss=0.25)
    assert verdicts([first, last], [last])["best_valid_loss"] == SAME
    assert compare([last], [first, replace(first, status=FAILED)]).cells == 0


def test_memory_counted_by_another_method_is_not_compared() -> None:
    assert "peak_memory_bytes" not in verdicts([record(peak_memory_method="another way")], [record()])


def test_the_days_of_the_earlier_run() -> None:
    days = [record(seed=seed, started_at=f"2026-01-0{seed}T03:04:05+00:00") for seed in (3, 1, 2)]
    assert compare(days, []).days == ("2026-01-01", "2026-01-03")
    assert compare(days[:1], []).days == ("2026-01-03",)
    assert compare([], days).days == ()


def test_rough_times_are_named_with_the_run_they_are_of() -> None:
    title = "TIMES ARE ROUGH, as other processes kept more than 0.2 cores busy"
    calm, noisy = record(), record(other_load=1.5)
    assert f"{title}\n  in 1 of 1 trainings of the later run" in compare([calm], [noisy]).warnings
    assert f"{title}\n  in 1 of 1 trainings of the earlier run" in compare([noisy], [calm]).warnings
    assert not [line for line in compare([calm], [calm]).warnings if "ROUGH" in line]


def test_seeds_that_divide_the_same_pairs_need_a_larger_change() -> None:
    steps = (0.02, 0.05, 0.08, 0.03, 0.07)  # of one sign in ten seeds
    shared = [record(seed=seed, best_valid_loss=1.0) for seed in SEEDS]
    own = [replace(run, train_sha256=f"{run.seed}") for run in shared]
    loss = {
        name: changes(runs, moved(runs, steps))["best_valid_loss"]
        for name, runs in (("own", own), ("shared", shared))
    }
    assert (loss["own"].ratio, loss["shared"].ratio) == (0.0, 100 / 400)
    assert loss["own"].verdict == WORSE
    assert loss["shared"].difference.low < loss["own"].difference.low
    small = (0.01, 0.05, 0.09, -0.01, 0.06)
    assert changes(own, moved(own, small))["best_valid_loss"].verdict == WORSE
    assert changes(shared, moved(shared, small))["best_valid_loss"].verdict == "undecided"
    assert changes(shared, moved(shared, small))["parameters"].ratio == 0.0  # a cost


@pytest.mark.parametrize(
    ("changed", "metrics", "reason"),
    [
        ({"data_sha256": "b" * 64}, 6, "the data differ"),
        ({"valid_accuracy": None, "valid_metrics": {"loss": 0.25}}, 1, "the later run has no value"),
        ({"peak_memory_method": "guessed"}, 1, "it was measured in another way (counted by hand -> guessed)"),
        ({"environment": on("a processor") | {"threads": 1}}, 3, "machine or software differ (threads: 2 -> 1)"),
    ],
    ids=["data", "value", "method", "machine"],
)
def test_what_could_not_be_judged_is_listed_with_the_reason(
    changed: dict[str, Any], metrics: int, reason: str
) -> None:
    before = [record(data_sha256="a" * 64, seed=seed) for seed in (53, 51, 52)]
    now = [replace(old, **changed) if old.seed != 52 else old for old in before]
    comparison = compare(before, now)
    assert len(comparison.gaps) == metrics
    assert {(gap.label, gap.reason) for gap in comparison.gaps} == {(f"{MODEL} (2 seeds)", reason)}
    assert {gap.seeds for gap in comparison.gaps} == {(51, 53)}
    assert [gap.vanished for gap in comparison.gaps] == [metrics == 1 and "value" in reason] * metrics
    assert compare(before, before).gaps == ()
    assert compare(now, before).gaps == () or "value" not in reason  # what is new cannot be missed


def test_memory_of_another_method_and_records_of_another_version_are_named() -> None:
    later = replace(record(), peak_memory_method="guessed", schema_version=record().schema_version + 1)
    method, version = compare([record()], [later]).warnings
    assert method.splitlines()[1] == "  method: counted by hand -> guessed"
    assert version.startswith("NOT THE SAME VERSION OF RECORDS")
