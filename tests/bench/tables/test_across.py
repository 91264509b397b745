"""The table over data sets, and where it is."""

from msgspec.structs import replace

from bench.records import RunRecord
from bench.tables.across import across_table
from bench.tables.claims import page
from bench.tables.tabulation import tables_by_study
from tests.bench.analysis.claim_runs import deep, ledger
from tests.bench.analysis.samples import around, seeds
from tests.bench.tables.samples import made

LATE, CONCAT = "compact-late-concat-maxpool", "compact-intermediate-concat-maxpool"


def runs(dataset: str, late: float, concat: float, n: int = 6) -> list[RunRecord]:
    return [
        run
        for model, loss in ((LATE, late), (CONCAT, concat))
        for run in seeds(model, "standard", losses=around(loss, n, shift=len(model)), dataset=dataset)
    ]


def test_a_table_by_eye() -> None:
    table = made(across_table("standard", {"easy": runs("easy", 0.1, 0.3), "hard": runs("hard", 0.5, 0.4, n=7)}))
    loss = next(row for row in table.rows if "loss" in row[2])
    assert loss[:2] == [LATE, "intermediate-concat"]
    assert loss[3].startswith("easy -0.20 (-0.20")
    assert "; hard +0.10 (+0.099 to +0.10) (n = 7)" in loss[3]
    assert loss[4:] == ["1 of 2", "0.50 (0.00 to 1.00)"]
    assert list(table.data.dataset[:2]) == ["easy", "hard"]
    assert "not pooled" in table.markdown()


def test_one_data_set_has_no_summary() -> None:
    assert across_table("standard", {"easy": runs("easy", 0.1, 0.3)}) is None


def test_it_stands_with_the_first_data_set_of_a_study() -> None:
    tables = tables_by_study([*runs("shapes", 0.1, 0.3), *runs("hard", 0.5, 0.4)])
    names = {study: [table.name for table in of_study] for study, of_study in tables.items()}
    assert names["standard"][-1] == "datasets"
    assert "datasets" not in names["standard-hard-full-cpu"]


def test_claims_on_several_data_sets_are_summarized() -> None:
    hard = [replace(run, dataset="shapes-hard") for run in deep(0.3, 0.1)]
    assert "## Over data sets" not in page(ledger(deep(0.1, 0.3)), str)
    text = page(ledger([*deep(0.1, 0.3), *hard]), str)
    section = text.partition("## Over data sets")[2].partition("##")[0]
    assert "| 1 of 2 | 0.50 (0.00 to 1.00) |" in section
