import pytest
from msgspec.structs import replace

from bench.records import RunRecord
from bench.tables.models import fusion_table
from bench.tables.predictions import classes_table, predictions_table
from tests.bench.analysis.test_confusion import counted
from tests.bench.samples import MODEL, record

VALUES = {"loss": 0.3, "accuracy": 0.9, "balanced_accuracy": 0.85, "macro_f1": 0.8, "calibration_error": 0.05}
EVEN, UNEVEN = {"test": [50, 50]}, {"test": [20, 80]}


def with_metrics(counts: dict[str, list[int]], **values: float | None) -> RunRecord:
    one = counted([[18, 2], [8, 72]], class_counts=counts)
    return replace(one, test_metrics={**VALUES, **values})


def test_what_the_main_table_does_not_show_is_in_a_table_of_its_own() -> None:
    even = predictions_table([with_metrics(EVEN, auroc=0.95)])
    assert even is not None
    assert even.header[2:] == ["test balanced accuracy", "test macro F1", "test AUROC", "test calibration error"]
    assert even.rows == [[MODEL, "1", "0.850", "0.800", "0.950", "0.050"]]
    assert even.further


def test_macro_f1_moves_to_the_main_table_where_classes_are_uneven() -> None:
    one = [with_metrics(UNEVEN, auroc=0.95)]
    further = predictions_table(one)
    assert further is not None
    assert "test macro F1" not in further.header
    assert fusion_table(one).header[2:5] == ["test loss", "test accuracy", "test macro F1"]
    assert "test macro F1" not in fusion_table([with_metrics(EVEN)]).header


def test_a_metric_that_is_undefined_has_a_note_in_its_table() -> None:
    some = [with_metrics(EVEN, auroc=0.95), replace(with_metrics(EVEN, auroc=None), seed=52)]
    table = predictions_table(some)
    assert table is not None
    assert "test_auroc: left out where it is not a finite number, in 1 of 2 runs" in table.notes
    assert not any("auroc" in note for note in fusion_table(some).notes)


def test_records_without_further_metrics_have_no_table() -> None:
    assert predictions_table([record(valid_metrics={"loss": 0.25, "accuracy": 0.9})]) is None
    assert classes_table([record()]) is None


def test_each_class_has_its_accuracy() -> None:
    table = classes_table([with_metrics(UNEVEN), counted([[0, 0], [1, 3]], variant="raw")])
    assert table is not None
    assert table.title == "standard: test accuracy of each class"
    assert table.header == ["model", "seeds", "cubes", "spheres"]
    assert table.rows == [[MODEL, "1", "0.900", "0.900"], [f"raw {MODEL}", "1", "-", "0.750"]]
    assert table.data.spheres.tolist() == pytest.approx([0.9, 0.75])
    assert table.further


def test_classes_can_have_the_names_of_other_columns() -> None:
    named = classes_table([counted([[18, 2], [8, 72]], class_names=["seeds", "model"])])
    assert named is not None
    assert named.header == ["model", "seeds", "seeds", "model"]
    assert named.data.to_csv(index=False) == f"model,seeds,seeds,model\n{MODEL},1,0.9,0.9\n"
