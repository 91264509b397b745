"""Accuracy of trained models under corrupted inputs, for the studies that request it.

A cell that this session has trained is probed as it is, another one is trained first. With ``--resume`` values
are taken from records where neither the weights nor the code changed. Asserts what must hold
whatever the outcome; the outcome is in ``probes.jsonl`` and the table "robustness".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.records import ProbeRecord

if TYPE_CHECKING:
    from bench.probes.subject import Subject


def test_robustness(subject: Subject, probe: Callable[..., list[ProbeRecord]]) -> None:
    """The model answers as in the record without corruption, and it still answers under corruption."""
    from bench.probes import robustness

    def measure() -> list[ProbeRecord]:
        subject.check()
        return robustness.measure(subject)

    probes = probe(measure)
    assert len({one.value for one in probes if one.level == 0}) == 1
    assert all(0 <= one.value <= 1 for one in probes)
