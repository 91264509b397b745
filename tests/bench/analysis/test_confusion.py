from typing import Any

import pytest
from msgspec.structs import replace

from bench.analysis.confusion import MOST_CLASSES, SHADES, confusions
from bench.records import RunRecord
from tests.bench.samples import MODEL, TWIN, record, with_test_figures


def counted(counts: list[list[int]] | None, model: str = MODEL, **changes: Any) -> RunRecord:
    """A record with test pairs and these counts of predictions for them."""
    return replace(with_test_figures(record(model, **changes)), test_confusion=counts)


def test_counts_of_seeds_are_added_up_for_each_model() -> None:
    first, second = counted([[3, 1], [0, 4]]), counted([[2, 2], [1, 3]], seed=52)
    one, other = confusions([second, first, counted([[4, 0], [4, 0]], TWIN)])
    assert (one.model, one.part, one.seeds, one.classes) == (MODEL, "test", (51, 52), ("cubes", "spheres"))
    assert one.counts == [[5, 3], [1, 7]]
    assert one.accuracies == [5 / 8, 7 / 8]
    assert (other.model, other.counts, other.accuracies) == (TWIN, [[4, 0], [4, 0]], [1.0, 0.0])


def test_validation_pairs_count_where_there_are_no_test_pairs() -> None:
    (one,) = confusions([record(valid_confusion=[[1, 0], [0, 2]])])
    assert (one.part, one.counts) == ("validation", [[1, 0], [0, 2]])


def test_records_without_counts_of_all_classes_are_left_out() -> None:
    assert confusions([counted(None), counted([[1]], TWIN), counted([[1, 2], [3]], seed=52)]) == []
    assert confusions([counted([[1, 0], [0, 1]], status="failed")]) == []
    assert confusions([]) == []


def test_shades_grow_with_the_share_of_the_row() -> None:
    (one,) = confusions([counted([[10, 0], [1, 9]])])
    assert [one.shade(0, 0), one.shade(0, 1), one.shade(1, 0), one.shade(1, 1)] == [SHADES, 0, 1, SHADES]
    (empty,) = confusions([counted([[0, 0], [1, 1]])])
    assert (empty.shade(0, 0), empty.accuracies) == (0, [None, 0.5])


def test_the_most_frequent_mistakes_of_a_class_come_first() -> None:
    counts = [[5, 1, 0, 2, 1, 3], *([0] * 6 for _ in range(5))]
    (one,) = confusions([counted(counts, class_names=list("abcdef"))])
    assert one.mistakes(0) == [("f", 3), ("d", 2), ("b", 1)]  # of equal ones the first class
    assert one.mistakes(1) == []


@pytest.mark.parametrize(("classes", "readable"), [(MOST_CLASSES, True), (MOST_CLASSES + 1, False)])
def test_a_matrix_of_many_classes_is_not_shown(classes: int, readable: bool) -> None:
    counts = [[1] * classes] * classes
    (one,) = confusions([counted(counts, class_names=[str(label) for label in range(classes)])])
    assert one.is_readable == readable
