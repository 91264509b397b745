"""What the page of the ledger and its tables show."""

from msgspec.structs import replace

from bench.analysis.claim_files import published_claims
from bench.records import DIVERGED, RunRecord
from bench.tables.claims import claims_tables, comparison_tables, page, tuning_tables, verdicts_table
from tests.bench.analysis.claim_runs import MAXPOOL, STRIDED, compact, deep, experts, ledger, tuned, wide


def shown(records: list[RunRecord]) -> str:
    return page(ledger(records), lambda study: f"there/{study}.jsonl")


def test_the_page_by_eye() -> None:
    elsewhere = [
        replace(run, dataset="mine", profile="quick", simulated=False, environment={}) for run in deep(0.3, 0.1)
    ]
    text = shown([*deep(0.1, 0.3), *elsewhere])
    claim = next(claim for claim in published_claims().claims if claim.name == "downsampling-deep/1")
    first, second = (line for line in text.splitlines() if "| MaxPool reaches lower validation loss" in line)
    assert first.startswith(f"| downsampling-deep/1 ({claim.sha256}) | {claim.text} | **holds (look 1 of 3)** |")
    assert "** | maxpool - strided (deep-intermediate-concat): " in first
    assert "| 10 | shapes | as published | 0.067 | a processor, 2 threads |" in first
    assert first.endswith("| [downsampling-deep](there/downsampling-deep.jsonl) |")
    assert "| **does not hold (look 1 of 3)** |" in second
    assert "| mine | as published, QUICK: cut short |" in second
    assert "| unknown device, unknown threads |" in second
    assert "- shapes: simulated, or made by a plug-in." in text
    assert "- mine: read from files" in text
    assert (
        "- mine, as published, QUICK: cut short: seeds divide the same pairs, so with any number of them a 95% "
        "interval of the difference in" in text
    )
    assert "- shapes: seeds divide" not in text
    assert "Where the protocol was cut short" in text
    assert "**Claims that were not run**" in text
    assert "- loss: 0.01 nats (a hundredth of a nat" in text


def test_every_comparison_is_beside_what_was_published() -> None:
    line = next(
        line
        for line in shown(deep(0.1, 0.3)).splitlines()
        if line.startswith(f"| downsampling-deep/1 | {MAXPOOL} is better than {STRIDED} | loss |")
    )
    *_, published, n, learned, difference, ratio, chance, verdict, ruling = line.strip("| ").split(" | ")
    # Published: 0.00171058 and 0.198788. Ours: 0.1 and 0.3, whose ratio has the logarithm -1.1.
    assert (published, n, learned) == ("-0.197", "10", "10 of 10, 10 of 10")
    assert difference.startswith("-0.20 (-0.20 to ")
    assert ratio.startswith("-1.1 (-1.1 to ")
    assert (chance, verdict, ruling) == ("1.00", "A superior", "holds")


def test_published_ratios_are_of_times_memory_and_parameters() -> None:
    (table,) = comparison_tables(ledger([*deep(0.1, 0.3), *compact(0.1, 0.101)]))
    published = {(row[0], row[2]): row[3] for row in table.rows}
    assert published["downsampling-deep/2", "epoch time"] == f"{49.8364 / 63.3715:.3g}"
    assert published["fusion-compact/1", "parameters"] == f"{914201 / 1415051:.3g}"
    assert published["downsampling-deep/maxpool-regularizes", "validation loss - training loss, last epoch"] == "-"


def test_pairs_without_runs_are_shown_as_such() -> None:
    runs = [run for run in experts(0.1, 0.2, 0.3, 0.5) if "add" not in run.model]
    (table,) = comparison_tables(ledger(runs))
    (row,) = (row for row in table.rows if row[0] == "fusion-experts/2" and "-add-" in row[1])
    assert row[3:] == ["-0.232", "0", "-", "-", "-", "-", "-", "not run"]


def test_records_that_do_not_tell_whether_data_are_simulated() -> None:
    text = shown([replace(run, simulated=None) for run in deep(0.1, 0.3)])
    assert "- shapes: the records do not tell whether the data are simulated." in text


def test_models_that_are_one_function_are_named_where_claims_compare_both() -> None:
    note = "wide-late-concat and wide-intermediate-concat are one function"
    assert note in shown(wide(0.1, 0.1))
    assert note not in shown(deep(0.1, 0.3))


def test_models_that_learned_nothing_and_runs_that_diverged_are_named() -> None:
    runs = deep(0.7, 0.7)
    runs[0] = replace(runs[0], status=DIVERGED)
    text = shown(runs)
    assert "| 0 of 10, 0 of 10 |" in text
    assert "no run of either learned; over the 9 pairs of 10 that count" in text
    assert f"not completed: {MAXPOOL} (seed 51, diverged)" in text


def test_contradictions_stand_side_by_side() -> None:
    text = shown([*wide(0.1, 0.1), *compact(0.1, 0.101), *experts(0.1, 0.2, 0.3, 0.5)])
    section = text.partition("### Is addition the best operator, or the worst?")[2].partition("###")[0]
    assert "- fusion-wide/1: intermediate add has the lowest" in section
    assert "intermediate add is worst. On shapes, as published: **holds (look 1 of 3)**." in section
    assert "equivalent within 25%" in section


def test_the_short_table_has_what_was_run() -> None:
    table = verdicts_table(ledger(deep(0.1, 0.3)))
    assert [row[0] for row in table.rows] == [
        "downsampling-deep/1",
        "downsampling-deep/2",
        "downsampling-deep/maxpool-regularizes",
    ]
    assert table.rows[0] == ["downsampling-deep/1", "shapes", "as published", "holds (look 1 of 3)"]
    assert list(table.data.ruling) == ["holds", "does not hold", "does not hold"]  # the other values are all equal
    assert list(table.data["look"]) == [1, 1, 1]
    assert not table.data.exploratory.any()
    assert verdicts_table(ledger([])).rows == []


def test_the_long_table_has_what_was_run_and_names_the_rest() -> None:
    (table,) = claims_tables(ledger(deep(0.1, 0.3)))
    rows = {row[0]: row[1:] for row in table.rows}
    assert len(rows) == 3
    verdict, decisive, n, data, protocol, _ = rows["MaxPool reaches lower validation loss and higher accuracy"]
    assert (data, protocol, verdict, n) == ("shapes", "as published", "holds (look 1 of 3)", "10")
    assert decisive.startswith("maxpool - strided (deep-intermediate-concat): ")
    assert "device: a processor, 2 threads" in table.notes
    assert table.notes[-1].startswith("not run: downsampling-compact/1, ")
    two = [replace(run, environment=run.environment | {"device_name": "another"}) for run in deep(0.1, 0.3)]
    (table,) = claims_tables(ledger([*deep(0.1, 0.3), *(replace(run, dataset="b") for run in two)]))
    assert table.header[-1] == "device"


def test_decided_and_undecided_claims_and_those_not_run_have_tables_of_their_own() -> None:
    runs = [*deep(0.1, 0.3), *wide(0.1, 0.1)[:-1]]
    decided, undecided = claims_tables(ledger(runs))
    assert (decided.title, undecided.title) == ("Decided claims", "Undecided claims")
    assert {row[1].startswith("undecided") for row in decided.rows} == {False}
    assert {row[1].startswith("undecided") for row in undecided.rows} == {True}
    of_title: dict[str, list[str]] = {}
    for line in shown(runs).partition("## Limits")[0].splitlines():
        if line.startswith("**"):
            of_title[line.strip("*")] = []
        elif line.startswith("| ") and not line.startswith(("| name", "| ---")):
            list(of_title.values())[-1].append(line.split(" ")[1])
    assert list(of_title) == ["Decided claims", "Undecided claims", "Claims that were not run"]
    assert [len(of_title[table.title]) for table in (decided, undecided)] == [
        len(decided.rows),
        len(undecided.rows),
    ]
    names = {claim.name for claim in published_claims().claims}
    assert {name for names in of_title.values() for name in names} == names
    assert not set(of_title["Claims that were not run"]) & set(of_title["Decided claims"])


def test_rankings_that_do_not_survive_tuning_are_named() -> None:
    # Concatenation is worse than Hadamard and better than addition with one rate; tuned, it is ahead of both.
    found = ledger(tuned(concat=(0.4, 0.1), add=(0.5, 0.5), hadamard=(0.2, 0.2)))
    survives, chosen = tuning_tables(found)
    rows = {(row[0], row[2]): row[4:] for row in survives.rows}
    close = "compact-intermediate-hadamard-maxpool is as good as compact-intermediate-concat-maxpool"
    worst = "compact-intermediate-concat-maxpool is better than compact-intermediate-add-maxpool"
    before, after, survived = rows["fusion-compact/hadamard-close", close]
    assert before.startswith("A superior: -0.20 ")
    assert after.startswith("B superior: +0.10 ")
    assert survived == "NO"
    assert rows["fusion-compact/2", worst][-1] == "yes"
    late = "compact-late-concat-maxpool is better than compact-intermediate-add-maxpool"
    assert rows["fusion-compact/2", late][-1] == "open"
    assert ["shapes", "compact-intermediate-concat-maxpool", "0", "10"] in chosen.rows
    assert "## Fair training" in page(found, str)
    assert "## Fair training" not in shown(deep(0.1, 0.3))


def test_what_was_chosen_is_shown_for_each_data_set_and_change_of_settings() -> None:
    runs = tuned(concat=(0.4, 0.1), hadamard=(0.2, 0.3))
    elsewhere = [replace(run, dataset="elsewhere") for run in tuned(concat=(0.1, 0.4), hadamard=(0.2, 0.3))]
    longer = [replace(run, variant=f"{run.variant},epochs=9", changed="epochs=9") for run in elsewhere]
    survives, chosen = tuning_tables(ledger([*runs, *elsewhere, *longer]))
    data = ["shapes", "elsewhere", "elsewhere, with epochs=9"]
    assert list(dict.fromkeys(row[1] for row in survives.rows)) == data
    concat = [row for row in chosen.rows if "concat" in row[1]]
    model = "compact-intermediate-concat-maxpool"
    assert concat == [
        [of, model, *counts] for of, counts in zip(data, (["0", "10"], ["10", "0"], ["10", "0"]), strict=True)
    ]
