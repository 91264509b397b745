"""Accuracy of trained models under corrupted inputs, for the studies that request it.

A cell that this session has trained is probed as it is, another one is trained first. Asserts what must hold
whatever the outcome; the outcome is in ``probes.jsonl`` and the table "robustness".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.records import ProbeRecord

if TYPE_CHECKING:
    from bench.probes.subject import Subject


def test_robustness(subject: Subject, keep_probes: Callable[[list[ProbeRecord]], None]) -> None:
    """The model answers as in the record without corruption, and it still answers under corruption."""
    from bench.probes import robustness

    subject.check()
    probes = robustness.measure(subject)
    keep_probes(probes)
    assert len({probe.value for probe in probes if probe.level == 0}) == 1
    assert all(0 <= probe.value <= 1 for probe in probes)
