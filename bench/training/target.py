"""Time to accuracy: how long a training takes to reach an accuracy that was declared beforehand."""

from collections.abc import Sequence
from itertools import accumulate

TARGET_ACCURACY = 0.95
"""The validation accuracy that all trainings are timed to.

Most models reach it on the simulated data, early enough to tell them apart and late enough not to be chance: it
takes 152 of 160 validation pairs. On harder data a model that never reaches it has no time to target.
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
        valid_accuracies: After each epoch, in [0, 1].
        epoch_seconds: Of training, one per epoch.
        before: Seconds of training that came first, that of experts.
        target: The validation accuracy to reach.
    """
    for accuracy, seconds in zip(valid_accuracies, accumulate(epoch_seconds), strict=True):
        if accuracy >= target:
            return before + seconds
    return None
