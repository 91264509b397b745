"""What the page of the ledger and its tables show."""

from msgspec.structs import replace

from bench.analysis.ledger import ledger
from bench.tables.claims import claims_table, page, verdicts_table
from tests.bench.analysis.claim_runs import MAXPOOL, compact, deep, experts, wide


def test_the_page_by_eye() -> None:
    elsewhere = [
        replace(run, dataset="mine", profile="quick", simulated=False, environment={}) for run in deep(0.3, 0.1)
    ]
    text = page(ledger([*deep(0.1, 0.3), *elsewhere]), lambda study: f"there/{study}.jsonl")
    lines = [line for line in text.splitlines() if line.startswith("| MaxPool reaches lower validation loss")]
    first, second = lines
    assert "| downsampling-deep/1 | **holds** |" in first
    assert "| 5 | shapes | as published | a processor, 2 threads |" in first
    assert first.endswith("| [downsampling-deep](there/downsampling-deep.jsonl) |")
    assert "| **does not hold** |" in second
    assert "| mine | as published, QUICK: cut short | unknown device, unknown threads |" in second
    assert "- shapes: simulated." in text
    assert "- mine: read from files" in text
    assert "Where the protocol was cut short" in text
    assert "- Not run: downsampling-wide/1" in text


def test_records_that_do_not_tell_whether_data_are_simulated() -> None:
    text = page(ledger([replace(run, simulated=None) for run in deep(0.1, 0.3)]), str)
    assert "- shapes: the records do not tell whether the data are simulated." in text


def test_models_at_chance_level_and_runs_that_diverged_are_named() -> None:
    runs = deep(0.7, 0.7)
    runs[0] = replace(runs[0], status="diverged")
    text = page(ledger([*runs, *deep(0.7, 0.7)]), str)
    assert "| no difference larger than 0.01 nats; both at chance level | does not hold |" in text
    assert f"left out: {MAXPOOL} (seed 51, diverged)" in text


def test_contradictions_stand_side_by_side() -> None:
    runs = [*wide(0.1, 0.1), *compact(0.1, 0.101), *experts(0.1, 0.2, 0.3, 0.5)]
    text = (
        page(ledger(runs), str)
        .partition("### Is addition the best operator, or the worst?")[2]
        .partition("###")[0]
    )
    assert "- fusion-wide/1: intermediate add has the lowest" in text
    assert "- fusion-compact/2: intermediate add is worst. On shapes, as published: **holds**." in text
    assert "no difference larger than 0.01 nats" in text


def test_the_short_table_has_what_was_run() -> None:
    table = verdicts_table(ledger(deep(0.1, 0.3)))
    assert table.rows == [
        ["downsampling-deep/1", "shapes", "as published", "holds"],
        ["downsampling-deep/2", "shapes", "as published", "does not hold"],  # the sample's times are all equal
    ]
    assert list(table.data.ruling) == ["holds", "does not hold"]
    assert verdicts_table(ledger([])).rows == []


def test_the_long_table_has_every_claim() -> None:
    table = claims_table(ledger(deep(0.1, 0.3)))
    assert len(table.rows) == 17
    rows = {row[1]: row[2:] for row in table.rows}
    assert rows["downsampling-deep/1"][0] == "holds"
    assert rows["fusion-wide/1"] == ["not run", *["-"] * 5]
