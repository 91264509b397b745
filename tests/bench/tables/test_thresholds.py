from bench.analysis.thresholds import above_chance, threshold_for
from bench.records import FAILED
from bench.tables.thresholds import threshold_table
from tests.bench.analysis.samples import foreign
from tests.bench.samples import MODEL, TWIN, record
from tests.bench.tables.samples import made


def test_the_table_shows_what_was_met_and_why_it_is_required() -> None:
    table = made(threshold_table([record(TWIN, valid_accuracy=0.9), record(MODEL, valid_accuracy=0.6, seed=52)]))
    assert table.header == ["model", "seed", "valid accuracy", "least", "met", "reason"]
    assert table.rows == [  # 0.5 + 3.09 * 0.05 = 0.6545
        [TWIN, "51", "0.900", "0.654", "yes", "(1)"],
        [MODEL, "52", "0.600", "0.654", "NO", "(1)"],
    ]
    assert table.notes == [f"(1) {threshold_for(record()).reason}"]
    assert table.data.met.tolist() == [True, False]


def test_exactly_the_least_is_enough() -> None:
    table = made(threshold_table([record(valid_accuracy=above_chance(record()))]))
    assert table.data.met.tolist() == [True]


def test_where_nothing_is_required_the_table_says_none() -> None:
    table = made(threshold_table([record(profile="smoke", valid_accuracy=0.0), record(profile="quick")]))
    assert [row[3:] for row in table.rows] == [["none", "yes", "(1)"], ["0.654", "yes", "(2)"]]


def test_unfinished_runs_are_not_judged() -> None:
    assert threshold_table([record(status=FAILED, valid_accuracy=None)]) is None


def test_a_record_that_does_not_tell_its_validation_pairs_is_shown() -> None:
    table = made(threshold_table([record(TWIN, valid_pairs=None), record()]))
    assert [row[2:5] for row in table.rows] == [["0.900", "unknown", "-"], ["0.900", "0.654", "yes"]]


def test_models_and_data_that_are_not_installed_are_shown() -> None:
    table = made(threshold_table([foreign(study="standard")]))
    assert table.rows == [["mine-late-gated-blur", "51", "0.900", "0.654", "yes", "(1)"]]
    assert threshold_table([foreign()]) is None  # of another study
