"""Mirrors of a session in experiment trackers. The record is the truth; a tracker is a place to look at it.

``--track`` names trackers of TRACKERS. A session talks to them through a ``Shield``, so that none of them can fail
or delay a benchmark.
"""

from bench.tracking.shield import Shield
from bench.tracking.tracker import TRACKERS, Tracker, TrackerKind, register_tracker

__all__ = ["TRACKERS", "Shield", "Tracker", "TrackerKind", "register_tracker"]
