"""Accuracy of a trained model under every corruption, and what a whole curve of it is worth in one number."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import torch

from bench.probes.corruptions import CORRUPTIONS
from bench.probes.subject import Subject
from bench.records.probe import ProbeRecord
from bench.training.evaluation import evaluate
from bench.training.seeding import deterministic


def measure(subject: Subject) -> list[ProbeRecord]:
    """The accuracy at every level of every corruption, level by level.

    Inputs that a corruption leaves as they were, bit by bit or because the model does not look at them, are not
    evaluated again.

    Raises:
        DataError: the data do not hold what the corruptions act on.
    """
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    found = []
    with deterministic():
        clean = evaluate(subject.network, subject.valid)["accuracy"]
        for corruption in CORRUPTIONS.values():
            modality = corruption.modality
            for level in corruption.levels:
                corrupted = corruption.apply(subject.measured, level, subject.record.seed, subject.statistics)
                unseen = modality not in subject.network.modalities
                if unseen or torch.equal(corrupted, subject.measured.inputs[modality]):
                    accuracy = clean
                else:
                    accuracy = evaluate(subject.network, subject.with_inputs({modality: corrupted}))["accuracy"]
                found.append(
                    subject.found(
                        started_at=started_at,
                        benchmark="robustness",
                        probe=corruption.name,
                        level=level,
                        level_unit=corruption.unit,
                        metric="accuracy",
                        value=accuracy,
                        samples=len(subject.measured),
                    )
                )
    return found


def relative_robustness(levels: Sequence[float], accuracies: Sequence[float]) -> float:
    """The area under accuracy against level by the trapezoid rule, divided by the span of the levels.

    So it is a mean accuracy, in [0, 1], and compares between corruptions with different units. Liang et al. 2021
    (MultiBench, arXiv 2107.07502) call the area relative robustness; they do not divide by the span, and scale it
    among the methods compared instead.

    Args:
        levels: at least two, rising.
        accuracies: one a level.
    """
    return float(np.trapezoid(accuracies, levels) / (levels[-1] - levels[0]))


def effective_robustness(levels: Sequence[float], accuracies: Sequence[float], late: Sequence[float]) -> float:
    """How much more of its accuracy a model keeps than late fusion does, as a mean over the levels.

    The curve of late fusion is moved up or down to begin where the model's begins; what is measured is the area
    between the model's curve and that line, divided by the span of the levels. It is 0 for late fusion itself, in
    [-1, 1], and positive for a model that loses less. Liang et al. 2021 (MultiBench, arXiv 2107.07502) define the
    line so; they sum over levels where we take the area.

    Args:
        levels: at least two, rising from no corruption.
        accuracies: of the model, one a level.
        late: of late fusion from the same seed, one a level.
    """
    lost = np.subtract(accuracies, accuracies[0])
    lost_by_late = np.subtract(late, late[0])
    return relative_robustness(levels, (lost - lost_by_late).tolist())
