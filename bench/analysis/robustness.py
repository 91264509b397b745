"""Measures of robustness: a whole curve of accuracy against level of corruption in one number."""

from collections.abc import Sequence

import numpy as np


def relative_robustness(levels: Sequence[float], accuracies: Sequence[float]) -> float:
    """The area under accuracy against level by the trapezoid rule, divided by the span of the levels.

    It is a mean accuracy, in [0, 1], and compares between corruptions with different units. Liang et al. 2021
    (MultiBench, arXiv 2107.07502) call the area relative robustness; they do not divide by the span, and scale it
    among the methods compared instead.

    Args:
        levels: At least two, rising.
        accuracies: One per level.
    """
    return float(np.trapezoid(accuracies, levels) / (levels[-1] - levels[0]))


def effective_robustness(levels: Sequence[float], accuracies: Sequence[float], late: Sequence[float]) -> float:
    """How much more of its accuracy a model keeps than late fusion does, as a mean over the levels.

    The curve of late fusion is moved up or down to begin where the model's begins; the result is the area between
    the model's curve and that line, divided by the span of the levels. It is 0 for late fusion itself, in [-1, 1],
    and positive for a model that loses less. Liang et al. 2021 (MultiBench, arXiv 2107.07502) define the line this
    way; they sum over levels where we take the area.

    Args:
        levels: At least two, rising from no corruption.
        accuracies: Of the model, one per level.
        late: Of late fusion from the same seed, one per level.
    """
    lost = np.subtract(accuracies, accuracies[0])
    lost_by_late = np.subtract(late, late[0])
    return relative_robustness(levels, (lost - lost_by_late).tolist())
