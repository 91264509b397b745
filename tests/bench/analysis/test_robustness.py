import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.robustness import effective_robustness, relative_robustness


@pytest.mark.parametrize(
    ("levels", "accuracies", "area"),
    [
        ([0, 1], [1.0, 0.0], 0.5),
        ([0, 10], [1.0, 0.0], 0.5),  # the unit of the levels does not matter
        ([0, 1, 4], [1.0, 0.5, 0.5], (0.75 + 3 * 0.5) / 4),  # their distances do
        ([0, 0.5, 0.9, 1], [0.9] * 4, 0.9),
    ],
)
def test_relative_robustness_is_the_mean_height_of_the_curve(
    levels: list[float], accuracies: list[float], area: float
) -> None:
    assert relative_robustness(levels, accuracies) == pytest.approx(area)


def test_effective_robustness_is_what_is_kept_beyond_late_fusion() -> None:
    late = [0.9, 0.7, 0.5]
    assert effective_robustness([0, 1, 2], late, late) == 0
    # Better from the start, but losing as much: no more robust.
    assert effective_robustness([0, 1, 2], [1.0, 0.8, 0.6], late) == pytest.approx(0)
    # Loses nothing, where late fusion loses 0, 0.2 and 0.4.
    assert effective_robustness([0, 1, 2], [0.6, 0.6, 0.6], late) == pytest.approx(0.2)
    assert effective_robustness([0, 1, 2], [0.6, 0.3, 0.1], late) < 0


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_relative_robustness_lies_between_the_worst_and_the_best(accuracies: list[float]) -> None:
    area = relative_robustness([0, 0.5, 0.9, 1], accuracies)
    assert min(accuracies) - 1e-12 <= area <= max(accuracies) + 1e-12
