from math import nan

import pandas as pd
import pytest

from bench.tables import seeds

# Differences from a: b is 1.0 above on average, and in every seed between 0.9 and 1.1; c is 0 on average.
VALUES = pd.DataFrame(
    {
        "a": [5.0, 6.0, 7.0, 8.0, 9.0],
        "b": [6.1, 6.9, 8.0, 9.0, 10.0],
        "c": [5.5, 5.5, 7.0, 8.4, 8.7],
    }
)


def test_the_best_is_marked_with_all_that_the_seeds_do_not_tell_from_it() -> None:
    assert seeds.best(VALUES, higher_is_better=True) == {"b"}
    assert seeds.best(VALUES, higher_is_better=False) == {"a", "c"}


def test_where_nothing_is_told_apart_nothing_is_marked() -> None:
    assert seeds.best(VALUES[["a", "c"]], higher_is_better=True) == set()
    assert seeds.best(VALUES[["a"]], higher_is_better=True) == set()
    equal = pd.DataFrame({"a": [1.0] * 5, "b": [1.0] * 5})
    assert seeds.best(equal, higher_is_better=True) == set()


def test_constants_are_told_apart() -> None:
    assert seeds.best(pd.DataFrame({"a": [1.0] * 5, "b": [2.0] * 5}), higher_is_better=False) == {"a"}


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_seeds_decide_nothing(count: int) -> None:
    assert seeds.best(VALUES[:count], higher_is_better=True) == set()


def test_only_seeds_that_all_rows_share_count() -> None:
    assert seeds.best(VALUES.assign(d=[0.0, nan, 0.0, 0.0, 0.0]), higher_is_better=True) == set()


def test_seeds_are_paired() -> None:
    # Both spread over 4, which would hide a difference of 0.1; every seed shows it.
    pair = pd.DataFrame({"a": VALUES.a, "b": [5.1, 6.11, 7.09, 8.1, 9.1]})
    assert seeds.best(pair, higher_is_better=True) == {"b"}


def test_the_more_rows_the_more_it_takes_to_tell_them_apart() -> None:
    # Differences 3, 3, 3, 3, 0: mean 2.4, standard error 0.6, so t = 4 and p = 0.016. That is enough for one row
    # and, by Holm, for three; of four, it is 0.064. A row that is always 100 below takes nothing from the others.
    pair = pd.DataFrame({"a": [0.0] * 5, "b": [3.0, 3.0, 3.0, 3.0, 0.0]})
    assert seeds.best(pair, higher_is_better=True) == {"b"}
    three = pair.assign(far=-100.0, **{f"a{i}": 0.0 for i in range(2)})
    assert seeds.best(three, higher_is_better=True) == {"b"}
    four = pair.assign(far=-100.0, **{f"a{i}": 0.0 for i in range(3)})
    assert seeds.best(four, higher_is_better=True) == {"a", "a0", "a1", "a2", "b"}


@pytest.mark.parametrize(
    ("count", "marked", "note"),
    [
        (1, False, "one seed says nothing of the spread, so nothing is marked as best"),
        (2, False, "nothing is marked as best: fewer than 5 seeds decide nothing"),
        (5, False, "nothing is marked as best: the seeds that all rows share tell none from it"),
        (5, True, "marked: the first"),
    ],
)
def test_a_note_says_why_something_is_marked_or_nothing_is(count: int, marked: bool, note: str) -> None:
    cells = pd.DataFrame({"seed": range(count)})
    assert seeds.notes(cells, "the first", any_marked=marked)[-1] == note
