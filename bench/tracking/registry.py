"""The registry of trackers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.tracking.tracker import Tracker
from fusiongauge import Registry

Make = Callable[[Path], Tracker]
"""The folder of a run, which the tracker may write to -> tracker."""


@dataclass(frozen=True)
class TrackerKind:
    """A tracker that can be requested.

    Attributes:
        make: Makes it.
        package: The package that has to be installed for it.
        requirement: What to pass to ``pip install`` for that.
    """

    make: Make
    package: str
    requirement: str


TRACKERS: Registry[TrackerKind] = Registry("tracker", home="bench.tracking.shipped")


def register_tracker(name: str, *, package: str, requirement: str = "") -> Callable[[Make], Make]:
    """Register a tracker, a function or class called with the folder of a run that returns a ``Tracker``.

    Args:
        name: As in ``--track``.
        package: The package that has to be installed for it.
        requirement: What to pass to ``pip install`` for that; the package if left out.

    Raises:
        PluginError: The name is taken.
    """

    def register(make: Make) -> Make:
        TRACKERS.register(name, TrackerKind(make, package, requirement or package), make)
        return make

    return register
