"""Every ruling of the ledger on hand-made runs."""

import pytest
from msgspec.structs import replace

from bench.analysis.claims import CONTRADICTIONS, HYPOTHESES
from bench.analysis.ledger import Entry, Ruling, decide_claims, ledger
from bench.records import ProbeRecord, RunRecord
from tests.bench.analysis.claim_runs import EXPERTS, STRIDED, compact, deep, experts, wide
from tests.bench.analysis.samples import SPREAD, around, foreign, seeds
from tests.bench.probes.samples import probe_record


def entries(claim: str, records: list[RunRecord], probes: list[ProbeRecord] | None = None) -> list[Entry]:
    return [entry for entry in ledger(records, probes or []).entries if entry.hypothesis.name == claim]


def words(claim: str, records: list[RunRecord]) -> str:
    (entry,) = entries(claim, records)
    return entry.words


def test_a_claim_whose_every_part_is_sure_holds() -> None:
    assert words("downsampling-deep/1", deep(0.1, 0.3)) == "holds"


def test_the_opposite_does_not_hold() -> None:
    assert words("downsampling-deep/1", deep(0.3, 0.1)) == "does not hold"


def test_a_difference_that_does_not_matter_does_not_hold() -> None:
    assert words("downsampling-deep/1", deep(0.1, 0.1)) == "does not hold"


def test_models_at_chance_level_are_named() -> None:
    assert words("downsampling-deep/1", deep(0.7, 0.7)) == "does not hold; both at chance level"
    assert words("downsampling-deep/1", deep(0.1, 0.7)) == f"holds; {STRIDED} at chance level"


def test_few_seeds_are_undecided() -> None:
    assert words("downsampling-deep/1", deep(0.1, 0.3, n=3)) == "undecided: 2 more seeds would be needed"


def test_nothing_run_is_not_run() -> None:
    (entry,) = entries("fusion-wide/1", deep(0.1, 0.3))
    assert (entry.ruling, entry.conditions, entry.decisive) == (Ruling.NOT_RUN, None, None)


def test_the_ledger_of_no_runs_has_every_claim() -> None:
    everything = ledger([]).entries
    assert [entry.hypothesis for entry in everything] == list(HYPOTHESES)
    assert {entry.words for entry in everything} == {"not run"}


def test_one_part_that_fails_fells_the_claim() -> None:
    assert words("fusion-experts/2", experts(0.1, 0.2, 0.3, 0.5)) == "holds"
    (entry,) = entries("fusion-experts/2", experts(0.1, 0.2, 0.6, 0.5))
    assert entry.ruling is Ruling.FAILS
    assert [part.ruling.value for part in entry.parts] == ["holds", "holds", "does not hold"]
    assert entry.decisive == entry.parts[2]


def test_parts_that_were_not_run_leave_a_claim_undecided() -> None:
    runs = [run for run in experts(0.1, 0.2, 0.3, 0.5) if run.model != EXPERTS[1]]
    assert words("fusion-experts/2", runs) == "undecided: 1 of 3 comparisons not run"


def test_a_part_that_fails_decides_though_others_were_not_run() -> None:
    runs = [run for run in experts(0.1, 0.2, 0.6, 0.5) if run.model != EXPERTS[1]]
    assert words("fusion-experts/2", runs) == "does not hold"


def test_one_run_decides_what_does_not_depend_on_the_seed() -> None:
    runs = [
        replace(seeds(model, "fusion-experts", losses=[0.1])[0], parameters=parameters)
        for model, parameters in zip(EXPERTS, (200, 100, 100), strict=True)
    ]
    (entry,) = entries("fusion-experts/1", runs)
    assert [part.ruling.value for part in entry.parts] == ["holds", "holds", "undecided", "undecided"]
    assert entry.words == "undecided: 4 more seeds would be needed"


@pytest.mark.parametrize(
    ("late", "parameters", "ruling"),
    [(0.101, 1500, Ruling.HOLDS), (0.3, 1500, Ruling.FAILS), (0.101, 1000, Ruling.FAILS)],
)
def test_closeness_is_no_difference_that_matters(late: float, parameters: int, ruling: Ruling) -> None:
    (entry,) = entries("fusion-compact/1", compact(0.1, late, parameters))
    assert entry.ruling is ruling


def test_a_sure_difference_within_the_margin_neither_confirms_nor_denies_closeness() -> None:
    # 0.009 apart with a spread that lets it be 0.011: sure not to be zero, not sure to be below 0.01.
    runs = compact(0.1, 0.1)
    late = [run for run in runs if "late" in run.model]
    wide = seeds("compact-late-concat-maxpool", "fusion-compact", losses=[0.1065, 0.1115, 0.1065, 0.1115, 0.109])
    flat = seeds("compact-intermediate-concat-maxpool", "fusion-compact", losses=[0.1] * 5)
    others = [run for run in runs if run not in late and "concat" not in run.model]
    (entry,) = entries("fusion-compact/1", [*others, *flat, *(replace(run, parameters=1500) for run in wide)])
    assert entry.parts[2].ruling is Ruling.UNDECIDED
    assert entry.words == "undecided: there is a difference, which may be too small to matter"


@pytest.mark.parametrize(
    ("add", "concat", "ruling"), [(0.1, 0.1, "holds"), (0.1, 0.4, "holds"), (0.4, 0.1, "does not hold")]
)
def test_not_lowering_the_loss_allows_the_same_and_a_higher_one(add: float, concat: float, ruling: str) -> None:
    assert words("fusion-wide/2", wide(add, concat)) == ruling


def test_runs_under_other_conditions_are_not_mixed() -> None:
    here = deep(0.1, 0.3)
    elsewhere = [replace(run, environment={**run.environment, "device_name": "another"}) for run in here]
    hard = [replace(run, dataset="shapes-hard") for run in deep(0.3, 0.1)]
    quick = [replace(run, profile="quick") for run in here[:5]]
    mixed = entries("downsampling-deep/1", [*quick, *hard, *elsewhere, *here])
    assert [(e.conditions.shared.dataset, e.conditions.device, e.words) for e in mixed if e.conditions] == [
        ("shapes-hard", "a processor, 2 threads", "does not hold"),
        ("shapes", "another, 2 threads", "holds"),
        ("shapes", "a processor, 2 threads", "holds"),
    ]
    half_there = [*here[:5], *(replace(run, profile="quick") for run in here[5:])]
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
    assert [(under.shared.dataset, under.protocol) for under in ledger(records).conditions] == [
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
    assert (first.words, first.sources) == ("holds", ("input-scaling",))
    assert first.conditions is not None
    assert second.conditions is not None
    assert first.conditions.setting == "as published"
    assert (second.words, second.conditions.setting) == ("does not hold", "inputs normalized")


def probed(late: float, early: float) -> tuple[list[RunRecord], list[ProbeRecord]]:
    """Runs of late and early fusion that keep these accuracies when a modality is missing."""
    runs, probes = [], []
    for model, kept in (("wide-late-concat-maxpool", late), ("wide-early-concat-maxpool", early)):
        for i, run in enumerate(seeds(model, "fusion-wide", losses=around(0.1))):
            weights = f"{model} {i}"
            runs.append(replace(run, weights_sha256=weights))
            probes += [
                probe_record(
                    model, seed=run.seed, weights_sha256=weights, probe=probe, level=level, value=value + SPREAD[i]
                )
                for probe in ("no-rgb-zeros", "no-lidar-zeros")
                for level, value in ((0.0, 1.0), (1.0, kept + SPREAD[i - 2]))
            ]
    return runs, probes


def test_probes_decide_claims_about_what_they_probed() -> None:
    (robust,) = entries("fusion-wide/5", *probed(late=0.9, early=0.5))
    assert robust.words == "holds"
    # The mean over the two levels of what is lost: 0.05 and 0.25.
    assert robust.parts[0].verdict.effect.mean == pytest.approx(0.05 - 0.25, abs=1e-9)
    (fragile,) = entries("fusion-wide/5", *probed(late=0.5, early=0.9))
    assert fragile.words == "does not hold"


def test_probes_of_other_weights_do_not_count() -> None:
    runs, probes = probed(late=0.9, early=0.5)
    (entry,) = entries("fusion-wide/5", runs, [replace(probe, weights_sha256="others") for probe in probes])
    assert entry.ruling is Ruling.NOT_RUN


def test_a_run_that_diverged_is_left_out_and_named() -> None:
    runs = deep(0.1, 0.3)
    runs[0] = replace(runs[0], status="diverged")
    assert words("downsampling-deep/1", runs) == "undecided: 1 more seed would be needed"
    assert ledger(runs).unfinished == (runs[0],)


def test_runs_on_unknown_machines_count_by_themselves() -> None:
    here = deep(0.1, 0.3)
    unknown = [replace(run, environment={}) for run in deep(0.3, 0.1)]
    rulings = [
        (e.conditions.device, e.words) for e in entries("downsampling-deep/1", here + unknown) if e.conditions
    ]
    assert rulings == [("a processor, 2 threads", "holds"), ("unknown device, unknown threads", "does not hold")]


def test_runs_that_no_claim_needs_are_ignored() -> None:
    ignored = ledger([foreign(), foreign(status="failed")])
    assert (ignored.entries, ignored.conditions, ignored.unfinished) == (ledger([]).entries, (), ())
    assert not decide_claims([foreign()])
    assert decide_claims([foreign(), *deep(0.1, 0.3)])


def test_contradictions_are_compared_in_each_family() -> None:
    runs = [*wide(0.1, 0.1), *compact(0.1, 0.101), *experts(0.1, 0.2, 0.3, 0.5)]
    addition = ledger(runs).answers[CONTRADICTIONS[0]]
    assert [(conditions.shared.dataset, part.verdict.words) for conditions, part in addition] == [
        ("shapes-uneven", "no difference larger than 0.01 nats"),
        ("shapes", "B better"),
        ("shapes", "B better"),
    ]
