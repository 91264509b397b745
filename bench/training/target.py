"""Time to accuracy: how long a training takes until it is as good as was declared beforehand."""

from collections.abc import Sequence
from itertools import accumulate

TARGET_ACCURACY = 0.95
"""The validation accuracy that all trainings are timed to.

Most rows pass it on the simulated data, early enough to tell them apart and late enough not to be luck: of 160
validation pairs it takes 152. On harder data a row that never comes there has no time to it.
"""


def seconds_to_target(
    valid_accuracies: Sequence[float],
    epoch_seconds: Sequence[float],
    *,
    before: float = 0.0,
    target: float = TARGET_ACCURACY,
) -> float | None:
    """Training time until an epoch first ended with the target; None if none did.

    Args:
        valid_accuracies: after each epoch, in [0, 1].
        epoch_seconds: of training, as many.
        before: seconds of training that came first, that of experts.
        target: the least validation accuracy asked for.
    """
    for accuracy, seconds in zip(valid_accuracies, accumulate(epoch_seconds), strict=True):
        if accuracy >= target:
            return before + seconds
    return None
