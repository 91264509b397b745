"""Accuracy of trained models under corrupted inputs, for the studies that ask for it.

A cell that this session has trained is probed as it is, another one is trained first. Asserts what must hold
whatever the outcome; the outcome is in ``probes.jsonl`` and the table "robustness".
"""

from collections.abc import Callable

from bench.probes import robustness
from bench.probes.corruptions import CORRUPTIONS
from bench.probes.subject import Subject
from bench.records.probe import ProbeRecord


def test_robustness(subject: Subject, keep_probes: Callable[[list[ProbeRecord]], None]) -> None:
    """Without corruption it is the model of the record, to the last pair; under corruption it still answers."""
    found = robustness.measure(subject)
    keep_probes(found)
    clean = {record.probe: record.value for record in found if record.level == 0}
    assert clean == dict.fromkeys(CORRUPTIONS, subject.record.valid_accuracy)
    assert all(0 <= record.value <= 1 for record in found)
