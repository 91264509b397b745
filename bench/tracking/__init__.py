"""Mirrors of a session in experiment trackers. The record is the truth; a tracker is a place to look at it.

``--track`` names trackers of TRACKERS. A session talks to them through a ``Shield``, so that none of them can fail
or hold up what it watches. To add one, write a class that follows ``Tracker`` and give it a line here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.tracking.shield import Shield
from bench.tracking.tensorboard import TensorBoard
from bench.tracking.tracker import Tracker
from bench.tracking.weights_and_biases import WeightsAndBiases

__all__ = ["TRACKERS", "Shield", "Tracker", "TrackerKind"]


@dataclass(frozen=True)
class TrackerKind:
    """A tracker that can be asked for.

    Attributes:
        make: from the folder of a run, which the tracker may write to.
        package: what has to be installed for it.
        requirement: what to hand to ``pip install`` for that.
    """

    make: Callable[[Path], Tracker]
    package: str
    requirement: str


TRACKERS: dict[str, TrackerKind] = {
    "wandb": TrackerKind(WeightsAndBiases, "wandb", "wandb"),
    "tensorboard": TrackerKind(TensorBoard, "tensorboard", "fusiongauge[tensorboard]"),
}
