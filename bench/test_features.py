"""What downsampling does inside trained models, for the studies that ask for it.

A cell that this session has trained is probed as it is, another one is trained first. Asserts what must hold
whatever the outcome; the outcome is in ``probes.jsonl`` and the table "features".
"""

from collections.abc import Callable

from bench.harness.cell import Cell
from bench.harness.session import Session
from bench.probes import features
from bench.probes.subject import Subject
from bench.records.probe import ProbeRecord
from bench.training.evaluation import evaluate
from bench.training.seeding import deterministic


def test_features(
    cell: Cell, subject: Subject, session: Session, keep_probes: Callable[[list[ProbeRecord]], None]
) -> None:
    """It is the model of the record, and every value lies where its definition allows."""
    with deterministic():
        assert evaluate(subject.network, subject.valid)["accuracy"] == subject.record.valid_accuracy
    found = features.measure(subject, session.earlier_subjects(cell))
    keep_probes(found)
    side = max(subject.dataset.info.image_size)
    assert {record.probe for record in found} >= {"shift-consistency", "zero-gradients", "receptive-field"}
    for record in found:
        highest = side if record.unit == "px" else 1 + 1e-9  # a share, or CKA with its rounding
        assert 0 <= record.value <= highest, f"{record.probe} {record.layer}: {record.value}"
