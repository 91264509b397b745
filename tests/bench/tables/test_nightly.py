from bench.analysis import gate
from bench.analysis.comparison import compare
from bench.records import DIVERGED, RunRecord
from bench.tables.nightly import summary
from tests.bench.analysis.samples import foreign
from tests.bench.samples import MODEL, TWIN, record

RULES = gate.parse("valid_accuracy:-0.01")

GOOD = [record(TWIN), record(MODEL)]
WORSE = [record(TWIN), record(MODEL, valid_accuracy=0.85)]


def text(before: list[RunRecord], now: list[RunRecord]) -> str:
    return summary(RULES, compare(before, now), now)


def test_the_summary_has_verdict_comparison_and_tables() -> None:
    worse = text(GOOD, WORSE)
    assert worse.startswith("## Not a good run\n\n- ")
    assert "of 2026-01-02." in worse
    assert "**Compared with the earlier run**" in worse
    assert "### standard" in worse
    assert f"| {MODEL} | 1 |" in worse
    assert "further metrics" not in worse
    assert text(GOOD, GOOD).startswith("## A good run\n\nCompared with")


def test_the_summary_of_a_first_run() -> None:
    first = text([], GOOD)
    assert first.startswith(
        "## A good run\n\nNo earlier good run of this profile on this device; nothing was compared."
    )
    assert "### standard" in first


def test_what_cannot_be_compared_is_reported() -> None:
    other = [record(data_sha256="a" * 64)]
    changed = text(other, [record(data_sha256="b" * 64)])
    assert "The two runs have no cell in common." in changed
    assert "```\nNOT THE SAME DATA" in changed
    unfinished = text(GOOD, [record(TWIN), record(MODEL, status=DIVERGED, error="no number")])
    assert f"- {MODEL} (seed 51): diverged, no number" in unfinished


def test_records_of_what_is_not_installed_are_summed_up() -> None:
    unknown = summary(gate.parse("valid_brier:+0.01", [foreign()]), compare([foreign()], [foreign()]), [foreign()])
    assert unknown.startswith("## A good run")
    assert "### my-study" in unknown
    assert "valid Brier score" in unknown
