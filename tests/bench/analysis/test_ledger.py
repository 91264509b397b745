"""Every ruling of the ledger on hand-made runs."""

from dataclasses import replace as other
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench.analysis import ledger as ledgers
from bench.analysis.claim_files import published_claims, read_claims
from bench.analysis.claims import Claims
from bench.analysis.ledger import any_for_claims
from bench.analysis.quantities import ACCURACY
from bench.analysis.rulings import Entry, Ruling
from bench.records import DIVERGED, ProbeRecord, RunRecord
from tests.bench.analysis.claim_runs import (
    EXPERTS,
    MAXPOOL,
    STRIDED,
    compact,
    declared,
    deep,
    experts,
    ledger,
    tuned,
    wide,
)
from tests.bench.analysis.samples import SPREAD, around, foreign, seeds
from tests.bench.probes.samples import probe_record


def entries(claim: str, records: list[RunRecord], probes: list[ProbeRecord] | None = None) -> list[Entry]:
    return [entry for entry in ledger(records, probes or []).entries if entry.claim.name == claim]


def words(claim: str, records: list[RunRecord]) -> str:
    (entry,) = entries(claim, records)
    return entry.words


def test_a_claim_whose_every_part_is_sure_holds() -> None:
    assert words("downsampling-deep/1", deep(0.1, 0.3)) == "holds (look 1 of 3)"


def test_the_opposite_does_not_hold() -> None:
    assert words("downsampling-deep/1", deep(0.3, 0.1)) == "does not hold (look 1 of 3)"


def test_models_that_are_equivalent_are_not_one_better_than_the_other() -> None:
    assert words("downsampling-deep/1", deep(0.1, 0.1)) == "does not hold (look 1 of 3)"


def test_a_sure_difference_that_is_too_small_to_matter_holds_in_direction_only() -> None:
    # 0.008 apart with a spread that lets it be 0.012.
    flat = seeds(MAXPOOL, "downsampling-deep", losses=[0.1] * 10)
    wide_apart = [0.1 + step for step in (0.003, 0.013, 0.003, 0.013, 0.008) * 2]
    runs = [*flat, *seeds(STRIDED, "downsampling-deep", losses=wide_apart)]
    (entry,) = entries("downsampling-deep/1", runs)
    assert entry.parts[0].ruling is Ruling.DIRECTION
    assert entry.parts[0].verdict.words == "direction only: A better (below 0.01 nats)"


def test_models_that_learned_nothing_are_named() -> None:
    assert words("downsampling-deep/1", deep(0.7, 0.7)) == "does not hold (look 1 of 3); no run of either learned"
    assert words("downsampling-deep/1", deep(0.1, 0.7)) == f"holds (look 1 of 3); no run of {STRIDED} learned"


def test_seeds_before_the_first_look_decide_nothing() -> None:
    (entry,) = entries("downsampling-deep/1", deep(0.1, 0.3, n=9))
    assert entry.words == "undecided so far: 9 seeds, next look at 10"
    assert entry.open == entry.parts
    assert entry.parts[0].verdict.effect.n == 9


def test_seeds_between_two_looks_wait_for_the_next() -> None:
    losses = [0.1 + 0.05 * (-1) ** i for i in range(12)]
    runs = [
        replace(run, valid_metrics={"accuracy": 1 - loss, "balanced_accuracy": 1 - loss}, valid_accuracy=1 - loss)
        for model, values in ((MAXPOOL, losses), (STRIDED, losses[::-1]))
        for run, loss in zip(seeds(model, "downsampling-deep", losses=values), values, strict=True)
    ]
    (entry,) = entries("downsampling-deep/1", runs)
    assert entry.words == "undecided so far: 12 seeds, next look at 15"
    assert entry.parts[0].verdict.pairing.n == 10


def test_a_decided_comparison_stays_decided() -> None:
    reversed_later = [
        *deep(0.1, 0.3),
        *(replace(run, seed=run.seed + 10, train_sha256=f"later {run.seed}") for run in deep(0.3, 0.1)),
    ]
    (entry,) = entries("downsampling-deep/1", reversed_later)
    assert (entry.words, entry.parts[0].verdict.pairing.n) == ("holds (look 1 of 3)", 10)


def test_nothing_run_is_not_run() -> None:
    (entry,) = entries("fusion-wide/1", deep(0.1, 0.3))
    assert (entry.ruling, entry.conditions, entry.decisive, entry.open) == (Ruling.NOT_RUN, None, None, ())


def test_the_ledger_of_no_runs_has_every_claim() -> None:
    everything = ledger([]).entries
    assert [entry.claim for entry in everything] == list(published_claims().claims)
    assert {entry.words for entry in everything} == {"not run"}


def test_one_part_that_fails_fells_the_claim() -> None:
    assert words("fusion-experts/2", experts(0.1, 0.2, 0.3, 0.5)) == "holds (look 1 of 3)"
    (entry,) = entries("fusion-experts/2", experts(0.1, 0.2, 0.6, 0.5))
    assert entry.ruling is Ruling.FAILS
    assert [part.ruling.value for part in entry.parts] == ["holds", "holds", "does not hold"]
    assert entry.decisive == entry.parts[2]
    assert entry.open == ()


def test_parts_that_were_not_run_leave_a_claim_undecided() -> None:
    runs = [run for run in experts(0.1, 0.2, 0.3, 0.5) if run.model != EXPERTS[1]]
    (entry,) = entries("fusion-experts/2", runs)
    assert entry.words == "undecided: 1 of 3 comparisons not run"
    assert entry.open == (entry.parts[1],)


def test_a_part_that_fails_decides_though_others_were_not_run() -> None:
    runs = [run for run in experts(0.1, 0.2, 0.6, 0.5) if run.model != EXPERTS[1]]
    assert words("fusion-experts/2", runs) == "does not hold (look 1 of 3)"


def test_one_run_decides_what_does_not_depend_on_the_seed() -> None:
    runs = [
        replace(seeds(model, "fusion-experts", losses=[0.1])[0], parameters=parameters)
        for model, parameters in zip(EXPERTS, (200, 100, 100), strict=True)
    ]
    (entry,) = entries("fusion-experts/1", runs)
    assert [part.ruling.value for part in entry.parts] == ["holds", "holds", "undecided", "undecided"]
    assert entry.open == entry.parts[2:]


def test_costs_that_differ_between_seeds_are_undecided_after_these_seeds(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        f"""
        settings = {{ mine = ["mine"] }}
        [[claims]]
        name = "memory"
        words = "as much memory"
        tests = [{{ estimand = "memory", comparisons = ["{MAXPOOL} is as good as {STRIDED}"] }}]
        """
    )
    peaks = {MAXPOOL: (90, 100, 110), STRIDED: (100, 100, 100)}
    runs = [
        replace(run, peak_memory_bytes=peak)
        for model, of_model in peaks.items()
        for run, peak in zip(seeds(model, "mine", losses=[0.1] * 3), of_model, strict=True)
    ]
    (entry,) = ledger(runs, claims=read_claims([path])).entries
    assert entry.words == "undecided after 3 seeds"


@pytest.mark.parametrize(
    ("late", "parameters", "ruling"),
    [(0.101, 1500, Ruling.HOLDS), (0.3, 1500, Ruling.FAILS), (0.101, 1000, Ruling.FAILS)],
)
def test_closeness_is_equivalence(late: float, parameters: int, ruling: Ruling) -> None:
    (entry,) = entries("fusion-compact/1", compact(0.1, late, parameters))
    assert entry.ruling is ruling


def test_a_sure_difference_below_the_margin_neither_confirms_nor_denies_closeness() -> None:
    runs = [run for run in compact(0.1, 0.1) if "late" not in run.model and "concat" not in run.model]
    late = [0.1 + step for step in (0.003, 0.013, 0.003, 0.013, 0.008) * 2]
    runs += seeds("compact-late-concat-maxpool", "fusion-compact", losses=late, parameters=1500)
    runs += seeds("compact-intermediate-concat-maxpool", "fusion-compact", losses=[0.1] * 10, parameters=914)
    (entry,) = entries("fusion-compact/1", runs)
    assert entry.parts[2].ruling is Ruling.UNDECIDED
    assert entry.words == "undecided so far: 10 seeds, next look at 15"


@pytest.mark.parametrize(
    ("add", "concat", "ruling"), [(0.1, 0.1, Ruling.HOLDS), (0.1, 0.4, Ruling.HOLDS), (0.4, 0.1, Ruling.FAILS)]
)
def test_not_lowering_the_loss_allows_the_same_and_a_higher_one(add: float, concat: float, ruling: Ruling) -> None:
    (entry,) = entries("fusion-wide/2", wide(add, concat))
    assert entry.ruling is ruling


def test_runs_under_other_conditions_are_not_mixed() -> None:
    here = deep(0.1, 0.3)
    elsewhere = [replace(run, environment={**run.environment, "device_name": "another"}) for run in here]
    hard = [replace(run, dataset="shapes-hard") for run in deep(0.3, 0.1)]
    quick = [replace(run, profile="quick") for run in here[:10]]
    mixed = entries("downsampling-deep/1", [*quick, *hard, *elsewhere, *here])
    assert [(e.conditions.shared.dataset, e.conditions.device, e.ruling.value) for e in mixed if e.conditions] == [
        ("shapes-hard", "a processor, 2 threads", "does not hold"),
        ("shapes", "another, 2 threads", "holds"),
        ("shapes", "a processor, 2 threads", "holds"),
    ]
    half_there = [*here[:10], *(replace(run, profile="quick") for run in here[10:])]
    assert {entry.ruling for entry in entries("downsampling-deep/1", half_there)} == {Ruling.NOT_RUN}


def test_conditions_stand_in_order_of_first_appearance_after_the_published_and_whole_ones() -> None:
    raw = compact(0.1, 0.101)
    scaled = [replace(run, study="input-scaling", variant="normalized") for run in raw]
    records = [
        *(replace(run, dataset="zebra") for run in scaled),
        *scaled,
        *(replace(run, profile="smoke") for run in raw),
        *(replace(run, dataset="new") for run in raw),
        *raw,
    ]
    of_claim = entries("fusion-compact/1", records)
    assert [(e.conditions.shared.dataset, e.conditions.protocol) for e in of_claim if e.conditions] == [
        ("new", "as published"),
        ("shapes", "as published"),
        ("shapes", "as published, SMOKE: cut short"),
        ("zebra", "inputs normalized"),
        ("shapes", "inputs normalized"),
    ]


def test_what_is_not_the_published_protocol_says_so() -> None:
    changed = [replace(run, profile="quick", as_published=True) for run in deep(0.1, 0.3)]
    (entry,) = entries("downsampling-deep/1", changed)
    assert entry.conditions is not None
    assert entry.conditions.protocol == "as published, with its mistakes, QUICK: cut short"


def test_runs_of_the_same_protocol_count_for_the_claim_whatever_study_they_were_run_for() -> None:
    raw = [replace(run, study="input-scaling", variant="raw") for run in compact(0.1, 0.101)]
    scaled = [replace(run, variant="normalized", best_valid_loss=0.1) for run in raw]
    first, second = entries("fusion-compact/1", [*raw, *scaled])
    assert (first.ruling, first.sources) == (Ruling.HOLDS, ("input-scaling",))
    assert first.conditions is not None
    assert second.conditions is not None
    assert first.conditions.setting == "as published"
    assert (second.ruling, second.conditions.setting) == (Ruling.FAILS, "inputs normalized")


def test_a_claim_that_compares_two_protocols_of_one_study() -> None:
    model = "compact-intermediate-add-maxpool"
    runs = [
        run
        for variant, loss in (("raw", 0.69), ("normalized", 0.1))
        for run in seeds(model, "input-scaling", losses=[loss] * 10, variant=variant)
    ]
    (entry,) = entries("input-scaling/add-needs-scaling", runs)
    assert entry.words == f"holds (look 1 of 3); no run of raw:{model} learned"
    assert entry.parts[0].learned == ((10, 10), (0, 10))


def probed(
    late: float, early: float, clean: float = 1.0, probes: tuple[str, ...] = ("no-rgb-zeros",)
) -> tuple[list[RunRecord], list[ProbeRecord]]:
    """Runs of late and early fusion that keep these accuracies under corruption."""
    runs, values = [], []
    for model, kept in (("wide-late-concat-maxpool", late), ("wide-early-concat-maxpool", early)):
        for i, run in enumerate(seeds(model, "fusion-wide", losses=around(0.1, 10))):
            weights = f"{model} {i}"
            runs.append(replace(run, weights_sha256=weights))
            values += [
                probe_record(
                    model,
                    seed=run.seed,
                    weights_sha256=weights,
                    probe=probe,
                    level=level,
                    value=value + SPREAD[i % 5],
                )
                for probe in probes
                for level, value in ((0.0, clean), (1.0, kept + SPREAD[(i - 2) % 5]))
            ]
    return runs, values


MISSING = ("no-rgb-zeros", "no-rgb-mean", "no-lidar-zeros", "no-lidar-mean", "dropped-returns")


def test_probes_any_for_claims_about_what_they_probed() -> None:
    (robust,) = entries("fusion-wide/5", *probed(0.9, 0.6, probes=MISSING))
    assert robust.words == "holds (look 1 of 3)"
    assert robust.parts[0].verdict.effect.mean == pytest.approx(0.1 - 0.4, abs=1e-9)
    (fragile,) = entries("fusion-wide/5", *probed(0.6, 0.9, probes=MISSING))
    assert fragile.ruling is Ruling.FAILS
    (partly,) = entries("fusion-wide/5", *probed(0.9, 0.6))
    assert partly.words == "undecided: 4 of 5 comparisons not run"


@pytest.mark.parametrize(
    ("late", "early", "reason"),
    [
        (0.98, 0.97, "no-rgb-zeros: accuracy 1.000 to 0.976, less than 0.05 apart"),
        (0.56, 0.50, "no-rgb-zeros: accuracy 0.531, which is chance level"),
    ],
)
def test_a_manipulation_that_does_nothing_or_leaves_nothing_decides_nothing(
    late: float, early: float, reason: str
) -> None:
    runs, probes = probed(late, early, probes=MISSING)
    (entry,) = entries("fusion-wide/5", runs, probes)
    assert {part.ruling for part in entry.parts} == {Ruling.FAILED_MANIPULATION}
    assert entry.words == f"manipulation failed; {reason}"
    assert entry.open == ()  # further seeds would not change it
    diverged = [replace(run, status=DIVERGED) if run.seed == 51 else run for run in runs]
    (entry,) = entries("fusion-wide/5", diverged, probes)  # which leaves nine seeds that tell the same
    assert {part.ruling for part in entry.parts} == {Ruling.FAILED_MANIPULATION}


def test_chance_level_is_what_the_largest_class_reaches() -> None:
    runs, probes = probed(0.85, 0.75, probes=MISSING)
    assert entries("fusion-wide/5", runs, probes)[0].ruling is Ruling.HOLDS
    rare = [replace(run, class_counts={"valid": [80, 20]}) for run in runs]
    (entry,) = entries("fusion-wide/5", rare, probes)
    assert entry.words == "manipulation failed; no-rgb-zeros: accuracy 0.801, which is chance level"


def test_probes_of_other_weights_do_not_count() -> None:
    runs, probes = probed(late=0.9, early=0.6)
    (entry,) = entries("fusion-wide/5", runs, [replace(probe, weights_sha256="others") for probe in probes])
    assert entry.ruling is Ruling.NOT_RUN


def test_a_run_that_diverged_has_not_learned_and_is_named() -> None:
    runs = deep(0.1, 0.3)
    runs[0] = replace(runs[0], status=DIVERGED)
    found = ledger(runs)
    (entry,) = (entry for entry in found.entries if entry.claim.name == "downsampling-deep/1")
    assert entry.parts[0].learned == ((9, 10), (10, 10))
    assert entry.parts[0].verdict.pairing.counted == 9
    assert [run.seed for run in found.unfinished] == [51]


def test_a_run_that_failed_is_no_seed() -> None:
    runs = deep(0.1, 0.3)
    runs[0] = replace(runs[0], status="failed")
    assert words("downsampling-deep/1", runs) == "undecided so far: 9 seeds, next look at 10"


def test_runs_on_unknown_machines_count_by_themselves() -> None:
    here = deep(0.1, 0.3)
    unknown = [replace(run, environment={}) for run in deep(0.3, 0.1)]
    found = entries("downsampling-deep/1", here + unknown)
    assert [(e.conditions.device, e.ruling.value, e.hours) for e in found if e.conditions] == [
        ("a processor, 2 threads", "holds", 20 * 6.0 * 2 / 3600),
        ("unknown device, unknown threads", "does not hold", None),
    ]


def test_runs_of_a_gpu_have_hours_of_the_gpu() -> None:
    here = deep(0.1, 0.3)
    (entry,) = entries("downsampling-deep/1", [replace(run, device="cuda") for run in here])
    assert (entry.ruling.value, entry.hours) == ("holds", 20 * 6.0 / 3600)


def test_runs_that_no_claim_needs_are_ignored() -> None:
    claims = published_claims()
    ignored = ledger([foreign(), foreign(status="failed")])
    assert (ignored.entries, ignored.conditions, ignored.unfinished) == (ledger([]).entries, (), ())
    assert not any_for_claims([foreign()], claims)
    assert any_for_claims([foreign(), *deep(0.1, 0.3)], claims)


def test_a_claim_changed_after_its_runs_is_exploratory() -> None:
    before = declared(deep(0.1, 0.3))
    claims = published_claims()
    changed = Claims(tuple(other(c, sha256="another") for c in claims.claims), claims.questions, claims.studies)
    for records, of_claims, exploratory in (
        (before, claims, False),
        (before, changed, True),
        ([*before[1:], replace(before[0], claims={})], claims, True),
    ):
        found = ledgers.ledger(records, [], of_claims)
        (entry,) = (e for e in found.entries if e.claim.name == "downsampling-deep/1")
        assert entry.exploratory is exploratory
        assert entry.words.endswith("; exploratory") is exploratory


def test_questions_are_answered_in_each_family() -> None:
    runs = [*wide(0.1, 0.1), *compact(0.1, 0.101), *experts(0.1, 0.2, 0.3, 0.5)]
    found = ledger(runs)
    addition = found.answers[published_claims().questions[0]]
    assert [(conditions.shared.dataset, part.verdict.words) for conditions, part in addition] == [
        ("shapes-uneven", "equivalent within 25%"),
        ("shapes", "B superior"),
        ("shapes", "B superior"),
    ]


INTERACTION = """
[settings]
"mine" = ["my-study"]

[[claims]]
name = "larger"
words = "MaxPool gains more in late fusion"
[[claims.tests]]
estimand = "loss ratio"
comparisons = ["late-maxpool over late-strided is better than early-maxpool over early-strided"]
"""


def test_a_difference_of_differences(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(INTERACTION)
    claims = read_claims([path])
    losses = {"late-maxpool": 0.01, "late-strided": 0.1, "early-maxpool": 0.05, "early-strided": 0.1}
    runs = [
        foreign(
            seed=51 + i,
            model=model,
            simulated=True,
            train_sha256=str(i),
            best_valid_loss=loss + SPREAD[i % 5] / 10,
            valid_metrics={"loss": loss + SPREAD[i % 5] / 10},
        )
        for model, loss in losses.items()
        for i in range(10)
    ]
    (entry,) = ledger(runs, claims=claims).entries
    assert entry.ruling is Ruling.HOLDS
    # MaxPool divides the loss by ten in late fusion and by two in early fusion.
    assert entry.parts[0].verdict.effect.mean == pytest.approx(0.2, rel=0.01)
    assert len(entry.parts[0].learned) == 4
    strided = [replace(run, best_valid_loss=0.7) if "strided" in run.model else run for run in runs]
    (entry,) = ledger(strided, claims=claims).entries
    assert entry.parts[0].caveat == (
        "no run of late-strided learned; no run of early-strided learned; over the 0 pairs of 10 that count"
    )
    # Two differences on different data say nothing about each other.
    moved = [
        replace(run, train_sha256="others") if run.seed == 51 and "late" in run.model else run for run in runs
    ]
    (entry,) = ledger(moved, claims=claims).entries
    assert entry.words == "undecided so far: 9 seeds, next look at 10"


def test_other_quantities_are_shown_over_the_same_seeds() -> None:
    (entry,) = entries("downsampling-deep/1", [*deep(0.1, 0.3, n=12)])
    beside = entry.parts[0].beside(ACCURACY)
    assert beside.effect.mean == pytest.approx(0.2, abs=0.01)
    assert (beside.effect.n, beside.look) == (10, 0)


def of_settings(claim: str, records: list[RunRecord]) -> dict[str, Entry]:
    return {entry.conditions.setting: entry for entry in entries(claim, records) if entry.conditions}


def test_each_model_has_its_best_variant_chosen_on_validation() -> None:
    runs = tuned(concat=(0.3, 0.1), add=(0.2, 0.4), hadamard=(0.5, 0.6))
    found = of_settings("fusion-compact/hadamard-close", runs)
    plain, best = found["one learning rate"], found["best learning rate of four"]
    assert (plain.tuned, best.tuned) == (False, True)
    assert best.hours == pytest.approx(2 * (plain.hours or 0))  # of both rates
    assert plain.parts[0].verdict.effect.mean == pytest.approx(0.5 - 0.3, abs=0.01)
    assert best.parts[0].verdict.effect.mean == pytest.approx(0.5 - 0.1, abs=0.01)


def test_the_best_variant_is_chosen_and_rejected_on_one_device_model() -> None:
    runs = tuned(concat=(0.3, 0.1), hadamard=(0.5, 0.6))
    elsewhere = {**runs[0].environment, "device_name": "another"}
    both = [*runs, *(replace(run, environment=elsewhere) for run in runs)]
    found = [entry for entry in entries("fusion-compact/hadamard-close", both) if entry.tuned]
    assert [(entry.parts[0].n, entry.hours) for entry in found] == [(10, found[0].hours)] * 2
    scattered = [
        replace(run, environment=elsewhere) if (run.seed + int(run.variant == "lr 0.003")) % 2 else run
        for run in runs
    ]
    assert not [entry for entry in entries("fusion-compact/hadamard-close", scattered) if entry.tuned]


def test_runs_with_changed_settings_have_verdicts_of_their_own() -> None:
    claim = "fusion-compact/hadamard-close"
    runs = tuned(concat=(0.3, 0.1), hadamard=(0.5, 0.6))
    longer = [
        replace(run, variant=f"{run.variant},epochs=24", changed="epochs=24", best_valid_loss=loss / 2)
        for run in runs
        if (loss := run.best_valid_loss)
    ]
    found = {
        (e.conditions.setting, e.conditions.changed): e for e in entries(claim, [*longer, *runs]) if e.conditions
    }
    assert list(found) == [
        (setting, changed)
        for setting in ("one learning rate", "best learning rate of four")
        for changed in ("", "epochs=24")
    ]
    for setting, alone in of_settings(claim, runs).items():
        declared, changed = found[setting, ""], found[setting, "epochs=24"]
        assert declared == alone
        effects = [entry.parts[0].verdict.effect.mean for entry in (declared, changed)]
        assert effects[1] == pytest.approx(effects[0] / 2)
        assert declared.conditions is not None
        assert changed.conditions is not None
        assert changed.conditions.protocol == declared.conditions.protocol + ", with epochs=24"


def test_what_is_chosen_on_validation_is_reported_as_it_is() -> None:
    runs = [
        replace(run, best_valid_loss=0.9) if "concat" in run.model and run.variant == "lr 0.003" else run
        for run in tuned(concat=(0.3, 0.1), hadamard=(0.5, 0.6))
    ]
    best = of_settings("fusion-compact/hadamard-close", runs)["best learning rate of four"]
    assert best.parts[0].verdict.effect.mean == pytest.approx(
        0.5 - 0.3, abs=0.01
    )  # not 0.1, which is better there


def test_of_a_single_variant_nothing_was_chosen() -> None:
    runs = [run for run in tuned(concat=(0.3, 0.1), hadamard=(0.5, 0.6)) if run.variant == "lr 0.001"]
    assert list(of_settings("fusion-compact/hadamard-close", runs)) == ["one learning rate"]


def test_a_model_without_all_variants_is_not_tuned() -> None:
    runs = [
        run for run in tuned(concat=(0.3, 0.1), hadamard=(0.5, 0.6)) if (run.seed, run.variant) != (60, "lr 0.003")
    ]
    found = of_settings("fusion-compact/hadamard-close", runs)
    assert found["one learning rate"].parts[0].verdict.pairing.n == 10
    assert found["best learning rate of four"].parts[0].verdict.pairing.n == 9


def test_a_run_that_diverged_is_not_chosen() -> None:
    runs = [
        replace(run, status=DIVERGED, best_valid_loss=0.0) if run.variant == "lr 0.003" else run
        for run in tuned(concat=(0.3, 0.1), hadamard=(0.5, 0.6))
    ]
    best = of_settings("fusion-compact/hadamard-close", runs)["best learning rate of four"]
    assert best.parts[0].verdict.effect.mean == pytest.approx(0.5 - 0.3, abs=0.01)
