"""Which cells are still needed, look by look."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bench.analysis.claim_files import published_claims, read_claims, read_texts, with_published
from bench.analysis.claims import Claims
from bench.config import OptionError
from bench.harness.cell import Cell
from bench.harness.looks import Plan
from bench.harness.options import Options, parse_studies, resolve
from bench.harness.session import Session
from bench.harness.values import parse_max_seeds
from bench.records import RunRecord
from tests.bench.analysis.claim_runs import declared
from tests.bench.analysis.samples import around, seeds

A, B, C = (f"compact-intermediate-{operator}-maxpool" for operator in ("concat", "add", "hadamard"))

CLAIMS = """
looks = [8, 10]

[settings]
"as published" = ["fusion-compact", "input-scaling/raw"]
"elsewhere" = ["standard"]

[[claims]]
name = "clear"
words = "A is better than B"
[[claims.tests]]
estimand = "loss"
comparisons = ["{A} is better than {B}"]

[[claims]]
name = "open"
words = "A is better than C"
[[claims.tests]]
estimand = "loss"
comparisons = ["{A} is better than {C}"]

[[claims]]
name = "size"
words = "B is smaller than late fusion"
[[claims.tests]]
estimand = "parameters"
comparisons = ["{B} is better than compact-late-concat-maxpool"]
"""


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    path = tmp_path / "mine.toml"
    path.write_text(CLAIMS.replace("{A}", A).replace("{B}", B).replace("{C}", C))
    return read_claims([path])


def options(*studies: str, tmp_path: Path, max_seeds: str = "10") -> Options:
    return resolve(
        root=tmp_path,
        study=",".join(studies),
        device="cpu",
        profile="full",
        until_decided=True,
        max_seeds=max_seeds,
    )


@pytest.fixture
def plan(claims: Claims, tmp_path: Path) -> Plan:
    return Plan(claims, options("fusion-compact", "input-scaling", tmp_path=tmp_path).cells())


def ended(cells: Iterable[Cell], losses: dict[str, float | list[float]]) -> list[RunRecord]:
    """Records of these cells, whose losses spread a little, or as listed."""
    records = []
    for cell in cells:
        loss, i = losses.get(cell.spec.name, 0.3), cell.seed - 51
        value = loss[i] if isinstance(loss, list) else around(loss, i + 1, shift=len(cell.spec.name))[i]
        (record,) = seeds(cell.spec.name, cell.study.name, losses=[value], variant=cell.config.variant)
        records.append(replace(record, seed=cell.seed, train_sha256=f"seed {cell.seed}"))
    return records


WIDE = [0.1, 0.3] * 5
"""Undecided beside 0.1: half of the seeds are equal."""


def run(plan: Plan, losses: dict[str, float | list[float]]) -> tuple[list[Cell], dict[str, str]]:
    """The cells that were run, and the reasons of the others by name."""
    done: list[Cell] = []
    left: dict[str, str] = {}
    for cell in plan.ordered():
        reason = plan.why_not(cell, declared(ended(done, losses), plan.claims), [])
        if reason:
            left[cell.name] = reason
        else:
            done.append(cell)
    return done, left


def test_cells_are_ordered_look_by_look(plan: Plan) -> None:
    ordered = plan.ordered()
    assert len(ordered) == len(plan.cells)
    looks = [plan.look_of(cell) for cell in ordered]
    assert looks == sorted(looks)
    assert {cell.seed for cell in ordered if plan.look_of(cell) == 0} == set(range(51, 59))
    assert {cell.seed for cell in ordered if plan.look_of(cell) == 1} == {59, 60}


def test_a_look_that_can_decide_nothing_is_no_stop(claims: Claims, tmp_path: Path) -> None:
    # After 6 of 15 seeds 0.2% may be spent, but equal models give six differences of one sign in 1.6% of cases.
    early = Claims(tuple(dataclasses.replace(claim, looks=(6, 10, 15)) for claim in claims.claims))
    plan = Plan(early, options("fusion-compact", tmp_path=tmp_path, max_seeds="15").cells())
    assert {(cell.seed, plan.look_of(cell)) for cell in plan.cells} == {
        *((seed, 1) for seed in range(51, 61)),
        *((seed, 2) for seed in range(61, 66)),
    }
    with pytest.raises(OptionError, match="--max-seeds 9: the first look that can decide is at 10 seeds"):
        Plan(early, options("fusion-compact", tmp_path=tmp_path, max_seeds="9").cells()).check()


def test_cells_that_no_open_claim_needs_are_left_out(plan: Plan) -> None:
    done, left = run(plan, {A: 0.1, B: 0.5, C: WIDE})
    by_model = {model: [c.seed for c in done if c.spec.name == model] for model in (A, B, C)}
    # "clear" is decided after eight seeds; "open" needs A and C once more.
    assert by_model == {A: list(range(51, 61)), B: list(range(51, 59)), C: list(range(51, 61))}
    assert left[f"fusion-compact:{B}-seed59"] == "its comparisons decided at look 1: mine/clear"
    assert {cell.study.name for cell in done} == {"fusion-compact"}  # input-scaling/raw would be the same runs


def test_what_does_not_depend_on_the_seed_takes_one_run(plan: Plan) -> None:
    done, left = run(plan, {A: 0.1, B: 0.5, C: WIDE})
    late = "compact-late-concat-maxpool"
    assert [cell.seed for cell in done if cell.spec.name == late] == [51]
    assert left[f"fusion-compact:{late}-seed52"] == "no claim that can be decided here needs it"


def test_nothing_more_is_run_once_every_claim_is_decided(plan: Plan) -> None:
    done, left = run(plan, {A: 0.1, B: 0.5, C: 0.5})
    assert max(cell.seed for cell in done) == 58
    assert left[f"fusion-compact:{A}-seed59"] == "its comparisons decided at look 1: mine/clear, mine/open"


def test_equivalence_stops_too(plan: Plan) -> None:
    done, _ = run(plan, {A: 0.1, B: 0.1, C: 0.1})
    assert max(cell.seed for cell in done) == 58


def test_a_claim_whose_models_are_not_all_trained_is_not_pursued(claims: Claims, tmp_path: Path) -> None:
    plan = Plan(claims, options("downsampling-compact", tmp_path=tmp_path).cells())
    done, left = run(plan, {})
    assert not done
    assert set(left.values()) == {"no claim that can be decided here needs it"}


def test_the_budget_ends_it(claims: Claims, tmp_path: Path) -> None:
    times = iter(range(1000))
    plan = Plan(claims, options("fusion-compact", tmp_path=tmp_path).cells(), 5.0, lambda: float(next(times)))
    done, left = run(plan, {})
    assert 0 < len(done) < 5
    assert list(left.values())[-1] == "the time of --budget is used up"


def test_a_look_is_judged_once(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = []
    original = Plan._judge

    def counted(self: Plan, *arguments: list[RunRecord]) -> None:
        judged.append(len(arguments[0]))
        original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Plan, "_judge", counted)
    run(plan, {A: 0.1, B: 0.5, C: WIDE})
    assert judged == [3 * 8 + 1]


def test_options_that_belong_together(tmp_path: Path) -> None:
    found = options("fusion-compact", tmp_path=tmp_path, max_seeds="")
    assert found.seeds == tuple(range(51, 71))
    assert found.until_decided
    with pytest.raises(OptionError, match="--seeds 3: --until-decided adds seeds by itself"):
        parse_max_seeds("", "3")
    for text in ("5", "many", "-1", "7.5"):
        with pytest.raises(OptionError, match="--max-seeds"):
            parse_max_seeds(text, "1")
    with pytest.raises(OptionError, match="--max-seeds 8: limits --until-decided"):
        resolve(root=tmp_path, device="cpu", max_seeds="8")
    with pytest.raises(OptionError, match="--earlier run: needs --shard and --until-decided"):
        resolve(root=tmp_path, device="cpu", until_decided=True, earlier="run")
    with pytest.raises(OptionError, match="--budget 2h: limits --until-decided"):
        resolve(root=tmp_path, device="cpu", budget="2h")


def test_files_of_ones_own_join_the_published_claims(claims: Claims, tmp_path: Path) -> None:
    both = with_published(read_texts([tmp_path / "mine.toml"]))
    assert {claim.name for claim in claims.claims} < {claim.name for claim in both.claims}
    assert len(both.claims) == len(published_claims().claims) + len(claims.claims)
    mine = tmp_path / "more.toml"
    mine.write_text(f'run = ["standard"]\n{(tmp_path / "mine.toml").read_text()}')
    assert "standard" in [study.name for study in parse_studies("claims", [mine])]


def test_all_variants_of_which_the_best_is_taken_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        CLAIMS.replace("{A}", A).replace("{B}", B).replace("{C}", C).replace("input-scaling/raw", "tuned/*")
    )
    for settings in ({}, {"epochs": "24"}):  # claims about a protocol are asked of changed ones too
        cells = dataclasses.replace(options("tuned", tmp_path=tmp_path), settings=settings).cells()
        plan = Plan(read_claims([path]), cells)
        first = [cell for cell in plan.ordered() if cell.seed == 51 and not plan.why_not(cell, [], [])]
        assert {(cell.spec.name, *cell.source) for cell in first} == {
            (model, "tuned", variant)
            for model in (A, B, C, "compact-late-concat-maxpool")
            for variant in first[0].study.protocols
        }


def test_what_can_decide_nothing_is_refused(tmp_path: Path) -> None:
    def session(**words: Any) -> Session:
        return Session(resolve(root=tmp_path, device="cpu", until_decided=True, **words))

    with pytest.raises(OptionError, match="the selected cells can decide no claim; give --study claims"):
        session(study="backbones").cells  # noqa: B018
    with pytest.raises(OptionError, match="--max-seeds 8: the first look that can decide is at 10 seeds"):
        session(study="fusion-compact", max_seeds="8").cells  # noqa: B018
    assert session(study="fusion-compact").cells


def test_cells_that_are_left_out_are_remembered_with_their_reason(tmp_path: Path) -> None:
    session = Session(resolve(root=tmp_path, device="cpu", until_decided=True, study="tuned", budget="1h"))
    assert session.plan is not None
    needed, late = session.cells[0], session.cells[-1]
    assert session.why_skipped(needed) == ""
    session.plan.budget = -1.0
    assert session.why_skipped(late) == session.skipped[late.name] == "the time of --budget is used up"
    session.plan.budget = 3600.0
    assert session.why_skipped(late) == "the time of --budget is used up"  # also for its probe
