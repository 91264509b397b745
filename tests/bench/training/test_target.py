import pytest

from bench.training.target import TARGET_ACCURACY, seconds_to_target


@pytest.mark.parametrize(
    ("accuracies", "seconds"),
    [
        ([0.5, 0.9, 0.96, 0.99], 1.0 + 2.0 + 3.0),
        ([0.95, 0.5, 0.5, 0.5], 1.0),  # reaching the target is enough, also if it is lost again
        ([0.5, 0.5, 0.5, 0.9499], None),
    ],
)
def test_time_is_that_of_the_epochs_up_to_the_first_with_the_target(
    accuracies: list[float], seconds: float | None
) -> None:
    assert seconds_to_target(accuracies, [1.0, 2.0, 3.0, 4.0], target=0.95) == seconds


def test_earlier_training_counts() -> None:
    assert seconds_to_target([0.5, 1.0], [1.0, 2.0], before=10.0) == 13.0


def test_no_epochs_have_no_time() -> None:
    assert seconds_to_target([], [], before=10.0) is None


def test_the_target_is_declared_and_152_of_160_reach_it() -> None:
    assert TARGET_ACCURACY == 0.95
    assert seconds_to_target([152 / 160], [1.0]) == 1.0
    assert seconds_to_target([151 / 160], [1.0]) is None
