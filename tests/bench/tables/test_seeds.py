from math import nan

import pandas as pd
import pytest
from msgspec.structs import replace

from bench.analysis.resampling import shared_pairs
from bench.records import Metric
from bench.tables import seeds
from tests.bench.analysis import samples

# Differences from a: b is 1.0 above on average, and in every seed between 0.9 and 1.1; c is 0 on average. Of eight
# seeds, all differences of one sign have p = 2 / 2**8 = 0.008, which is enough for six rows.
VALUES = pd.DataFrame(
    {
        "a": [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
        "b": [3.0, 4.0, 5.0, 6.1, 6.9, 8.0, 9.0, 10.0],
        "c": [2.5, 2.5, 4.0, 5.5, 5.5, 7.0, 8.4, 8.7],
    }
)


def test_the_best_is_marked_with_all_that_do_not_differ_significantly() -> None:
    assert seeds.best(VALUES, higher_is_better=True) == {"b"}
    assert seeds.best(VALUES, higher_is_better=False) == {"a", "c"}


def test_where_no_difference_is_significant_nothing_is_marked() -> None:
    assert seeds.best(VALUES[["a", "c"]], higher_is_better=True) == set()
    assert seeds.best(VALUES[["a"]], higher_is_better=True) == set()
    equal = pd.DataFrame({"a": [1.0] * 8, "b": [1.0] * 8})
    assert seeds.best(equal, higher_is_better=True) == set()


def test_without_a_direction_nothing_is_marked() -> None:
    assert seeds.best(VALUES, higher_is_better=None) == set()
    undeclared, counted = Metric(name="a", title="a"), Metric(name="b", title="b", comparison="exact")
    assert seeds.better_is_higher(undeclared) is None
    assert seeds.better_is_higher(counted) is False  # fewer of what is counted is better


def test_constants_differ() -> None:
    assert seeds.best(pd.DataFrame({"a": [1.0] * 8, "b": [2.0] * 8}), higher_is_better=False) == {"a"}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_seeds_mark_nothing(count: int) -> None:
    assert seeds.best(VALUES[:count], higher_is_better=True) == set()


def test_only_seeds_that_all_rows_share_count() -> None:
    assert seeds.best(VALUES.assign(d=[0.0, nan, 0.0, nan, 0.0, 0.0, nan, 0.0]), higher_is_better=True) == set()


def test_seeds_are_paired() -> None:
    # Both spread over 7, which would hide a difference of 0.1; every seed shows it.
    pair = pd.DataFrame({"a": VALUES.a, "b": VALUES.a.add([0.1, 0.11, 0.09, 0.1, 0.1, 0.11, 0.09, 0.1])})
    assert seeds.best(pair, higher_is_better=True) == {"b"}


def test_the_more_rows_the_clearer_a_difference_has_to_be() -> None:
    # Seven differences of one sign: p = 2 / 2**7 = 0.0156. That is enough for one row and, by Holm, for three; of
    # four, it is 0.0625. A row that is always 100 below takes nothing from the others.
    pair = pd.DataFrame({"a": [0.0] * 7, "b": [3.0, 1.0, 2.0, 3.0, 0.5, 0.1, 7.0]})
    assert seeds.best(pair, higher_is_better=True) == {"b"}
    three = pair.assign(**{f"a{i}": 0.0 for i in range(2)})
    assert seeds.best(three, higher_is_better=True) == {"b"}
    four = pair.assign(**{f"a{i}": 0.0 for i in range(3)})
    assert seeds.best(four, higher_is_better=True) == set()


def test_seeds_that_divide_the_same_pairs_need_a_larger_difference() -> None:
    # b is 1.0 above by about 0.06: t is 40 for seeds of their own, and far from certain for a ratio of 400.
    assert seeds.best(VALUES[["a", "b"]], higher_is_better=True, ratio=0.25) == {"b"}
    assert seeds.best(VALUES[["a", "b"]], higher_is_better=True, ratio=400.0) == set()


def test_the_ratio_of_a_table_is_the_largest_of_its_rows() -> None:
    own = samples.seeds("compact-late-concat-maxpool", "standard", losses=samples.around(0.1, 8))
    dividing = [replace(run, simulated=False, model="wide-late-concat-maxpool") for run in own]
    assert shared_pairs(own) == 0.0
    assert shared_pairs([*own, *dividing]) == pytest.approx(0.25)  # 100 validation, 400 training pairs


@pytest.mark.parametrize(
    ("count", "marked", "note"),
    [
        (1, False, "one seed has no spread, so no row is marked as best"),
        (2, False, "no row is marked as best: fewer than 6 seeds are too few for a decision"),
        (6, False, "no row is marked as best: no difference is significant over the seeds that all rows share"),
        (6, True, "marked: the first"),
    ],
)
def test_a_note_says_why_something_is_marked_or_nothing_is(count: int, marked: bool, note: str) -> None:
    assert seeds.notes(count, "the first", any_marked=marked, spread="")[-1] == note
