from bench.records import FAILED
from bench.tables.variants import variants_table
from tests.bench.samples import MODEL, TWIN, record
from tests.bench.tables.samples import made


def test_variants_stand_side_by_side() -> None:
    table = made(
        variants_table(
            [
                record(variant="raw", seed=51, valid_accuracy=0.5, best_valid_loss=0.75),
                record(variant="raw", seed=52, valid_accuracy=0.75, best_valid_loss=0.25),
                record(variant="normalized", valid_accuracy=1.0, best_valid_loss=0.125),
                record(TWIN, variant="raw"),
            ]
        )
    )
    assert table.title == "standard: protocols side by side: raw, normalized"
    assert table.header == [
        "model",
        "valid accuracy, raw",
        "valid accuracy, normalized",
        "valid loss, raw",
        "valid loss, normalized",
    ]
    assert table.rows == [
        [MODEL, "0.625 (0.500 to 0.750)", "1.000", "0.50 (0.25 to 0.75)", "0.1250"],
        [TWIN, "0.900", "-", "0.2500", "-"],
    ]


def test_a_changed_setting_stands_beside_the_protocol_as_it_was_declared() -> None:
    table = made(variants_table([record(), record(variant="epochs=4", valid_metrics={"brier": 0.125})]))
    assert table.header[1:3] == ["valid accuracy, as declared", "valid accuracy, epochs=4"]
    assert table.rows[0][-2:] == ["-", "0.1250"]


def test_the_better_variant_of_a_model_is_marked_where_six_seeds_agree() -> None:
    accuracies = {"raw": 0.5, "normalized": 0.9}
    table = made(
        variants_table(
            [
                record(variant=variant, seed=seed, valid_accuracy=accuracy + seed / 1e3)
                for variant, accuracy in accuracies.items()
                for seed in range(6)
            ]
        )
    )
    assert table.marked == {(0, 2)}


def test_one_variant_alone_makes_no_table() -> None:
    assert variants_table([record(variant="raw"), record(variant="normalized", status=FAILED)]) is None
