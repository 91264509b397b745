"""The tables of verdicts in a README."""

import dataclasses

from msgspec.structs import replace

from bench.analysis.claim_files import published_claims
from bench.analysis.claims import Claims
from bench.records import RunRecord
from bench.tables.findings import MOST, adjusted, findings, in_short, verdict_counts
from tests.bench.analysis.claim_runs import deep, ledger


def test_nothing_run_says_so() -> None:
    assert in_short(ledger([])).startswith("None of the ")
    assert findings(ledger([])) == ""


def test_claims_that_hold_are_in_short_with_their_numbers() -> None:
    counts, rule, listed = in_short(ledger(deep(0.1, 0.3))).split("\n\n")
    assert counts == verdict_counts(ledger(deep(0.1, 0.3)))
    assert rule.startswith("The claims that hold on some data, with 95% intervals")
    assert listed == (
        "- **MaxPool reaches lower validation loss and higher accuracy.** On shapes, as published: "
        "holds (look 1 of 3); loss -0.20 (-0.20 to -0.20), 10 seeds "
        "(maxpool - strided (deep-intermediate-concat); least certain of 2).\n"
    )
    assert "- **" not in in_short(ledger(undecided()))


def test_claims_that_hold_on_real_data_come_first_and_name_data_sets_on_which_they_do_not() -> None:
    holding, failing = deep(0.1, 0.3), deep(0.3, 0.1)
    of_three = [
        *(replace(run, dataset="shapes", simulated=True) for run in failing),
        *(replace(run, dataset="photographs", simulated=False) for run in holding),
        *(replace(run, dataset="shapes-hard", simulated=True) for run in holding),
    ]
    *_, listed = in_short(ledger(of_three)).split("\n\n")
    first, *others = listed.splitlines()
    places = [first.index(words) for words in ("On photographs, ", "On shapes-hard, ", "On shapes: does not")]
    assert places == sorted(places)
    assert first.startswith("- **MaxPool reaches")
    # What strided convolution is claimed to do better holds on one simulated set only.
    assert all("On shapes, as published: holds" in line for line in others)


def test_a_few_of_many_claims_that_hold_are_in_short() -> None:
    claims = [
        dataclasses.replace(claim, name=f"{claim.name}{i}")
        for claim in published_claims().claims
        if claim.name == "downsampling-deep/1"
        for i in range(MOST + 1)
    ]
    text = in_short(ledger(deep(0.1, 0.3), claims=Claims(tuple(claims))))
    assert f"{MOST} of the {MOST + 1} claims that hold on some data" in text
    assert text.count("- **") == MOST


def test_devices_are_named_where_one_protocol_was_run_on_several() -> None:
    claims = Claims(tuple(claim for claim in published_claims().claims if claim.name == "downsampling-deep/1"))
    here = deep(0.1, 0.3)
    there = [replace(run, environment=run.environment | {"device_name": "another"}) for run in here]
    assert "a processor" not in findings(ledger(here, claims=claims))  # the claim is not about times
    text = findings(ledger([*here, *there], claims=claims))
    for device in ("a processor, 2 threads", "another, 2 threads"):
        assert f"; {device}):" in text
        assert f"comparisons on shapes, as published ({device}), 2 of them are significant" in text


def rows_of(table: str) -> list[list[str]]:
    """The cells of a table in Markdown, without its heading."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def test_each_verdict_has_its_numbers() -> None:
    heading, table, reading = findings(ledger(deep(0.1, 0.3))).split("\n\n")
    assert heading == (
        "**shapes**, as published (2 classes, 400 training pairs; each seed has pairs of its own; "
        "a processor, 2 threads):"
    )
    first, *others = rows_of(table)
    assert first[:4] == [
        "MaxPool reaches lower validation loss and higher accuracy",
        "**holds (look 1 of 3)**",
        "maxpool - strided (deep-intermediate-concat); least certain of 2",
        "supports",
    ]
    assert first[4] in ("accuracy +0.20 (+0.20 to +0.20)", "loss -0.20 (-0.20 to -0.20)")
    assert [row[-1] for row in (first, *others)] == ["10"] * (len(others) + 1)
    assert [bool(row[0]) for row in others].count(True) == 2
    assert reading.startswith("Of several comparisons with the same result, the least certain one is shown.")


def test_comparisons_of_a_claim_with_different_results_have_rows_of_their_own() -> None:
    """MaxPool has the lower loss in every seed, and the higher accuracy in half of them."""
    runs = []
    for run in deep(0.1, 0.3):
        accuracy = 0.7 + (0.05 * (-1) ** run.seed if "maxpool" in run.model else 0)
        runs.append(replace(run, train_accuracy=accuracy, valid_accuracy=accuracy))
    rows = rows_of(findings(ledger(runs), ["downsampling-deep/1"]).split("\n\n")[1])
    first = [row[0] for row in rows].index("MaxPool reaches lower validation loss and higher accuracy")
    assert [row[3:5] for row in rows[first : first + 2]] == [
        ["supports", "loss -0.20 (-0.20 to -0.20)"],
        ["undecided", "accuracy over all pairs +0.0 (-0.038 to +0.038)"],
    ]
    assert rows[first + 1][:2] == ["", ""]


def undecided() -> list[RunRecord]:
    """MaxPool before strided convolution in half of the seeds and as far after it in the others."""
    runs = deep(0.1, 0.1)
    gaps = {run.seed: 0.05 * (-1) ** run.seed for run in runs}
    return [
        replace(run, best_valid_loss=0.2 + gaps[run.seed], valid_metrics=None, valid_accuracy=0.9 - gaps[run.seed])
        if "maxpool" in run.model
        else replace(run, best_valid_loss=0.2, valid_metrics=None, valid_accuracy=0.9)
        for run in runs
    ]


def test_decided_claims_are_shown_and_others_only_if_named() -> None:
    name, open_claim = "downsampling-deep/1", ledger(undecided())
    assert "**undecided so far" not in findings(open_claim)
    assert "undecided 1, " in in_short(open_claim)
    heading, table, _ = findings(open_claim, [name, "fusion-wide/1"]).split("\n\n")
    assert heading.startswith("**shapes**")
    *decided, asked = [row for row in rows_of(table) if row[0]]
    assert decided
    assert all(row[1].startswith("**does not hold") for row in decided)
    assert asked[0] == "MaxPool reaches lower validation loss and higher accuracy"
    assert asked[1].startswith("**undecided so far: 10 seeds")
    assert (asked[2].partition("; ")[2], asked[3]) == ("least certain of 2", "undecided")
    assert findings(ledger(deep(0.1, 0.3)), [name]) == findings(ledger(deep(0.1, 0.3)))


def test_a_claim_is_shown_and_counted_under_its_first_protocol_that_was_run() -> None:
    published = deep(0.1, 0.3)
    standard = [replace(run, study="standard") for run in published]
    for runs, protocol in ((published + standard, "as published"), (standard, "standard protocol")):
        assert "hold 1, " in in_short(ledger(runs))
        heading, table, _ = findings(ledger(runs)).split("\n\n")
        assert heading.startswith(f"**shapes**, {protocol} (")
        assert table.count("MaxPool reaches lower validation loss") == 1


def test_published_claims_and_ours_are_counted_apart() -> None:
    counts = verdict_counts(ledger(deep(0.1, 0.3)))
    quoted = [claim for claim in published_claims().claims if claim.quoted]
    ours = [claim for claim in published_claims().claims if not claim.quoted]
    assert {claim.name.partition("/")[0] for claim in ours} == {"tuned", "tuned-field"}
    assert counts == (
        f"Of {len(quoted)} claims of the published texts: hold 1, do not hold 2, not run {len(quoted) - 3}. "
        f"Of {len(ours)} other claims: not run {len(ours)}."
    )
    elsewhere = [replace(run, dataset="elsewhere") for run in deep(0.1, 0.3)]
    several = verdict_counts(ledger([*deep(0.1, 0.3), *elsewhere]))
    assert "hold 2, do not hold 4" in several
    assert several.endswith("A claim counts once for each data set that it was tested on.")


def test_the_differences_that_are_left_after_adjustment_are_counted() -> None:
    (sentence,) = adjusted(ledger(deep(0.1, 0.3)).entries)
    # Ten differences of one sign have p = 2 / 2**10, times four comparisons; two of them are without differences.
    assert (
        "for all 4 comparisons on shapes, as published, 2 of them are significant at 5% (smallest p 0.0078)"
        in sentence
    )
    (sentence,) = adjusted(ledger(undecided()).entries)
    assert "none of them is significant at 5% (smallest p 1.0)" in sentence
    assert adjusted(ledger([]).entries) == []


def test_seeds_too_few_for_so_many_comparisons_are_named() -> None:
    # 2 / 2**6 of six seeds, of four comparisons.
    claims = Claims(tuple(dataclasses.replace(claim, looks=(6,)) for claim in published_claims().claims))
    (sentence,) = adjusted(ledger(deep(0.1, 0.3, 6), claims=claims).entries)
    assert "none of them is significant at 5% (smallest p 0.12; 6 seeds cannot have one below 0.12)" in sentence


def test_runs_that_did_not_learn_are_counted() -> None:
    text = findings(ledger(deep(0.1, 0.6931)))
    assert "learned: 10 of 10, 0 of 10" in text


def test_data_that_are_not_simulated_come_first() -> None:
    simulated = [replace(run, simulated=True) for run in deep(0.1, 0.3)]
    read = [replace(run, dataset="photographs", simulated=False) for run in simulated]
    blocks = findings(ledger([*simulated, *read])).split("\n\n")
    assert [block.partition(",")[0] for block in blocks if block.startswith("**")] == [
        "**photographs**",
        "**shapes**",
    ]
