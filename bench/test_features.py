"""What downsampling does inside trained models, for the studies that request it.

A cell that this session has trained is probed as it is, another one is trained first. Asserts what must hold
whatever the outcome; the outcome is in ``probes.jsonl`` and the table "features".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.harness.cell import Cell
from bench.harness.session import Session
from bench.records import ProbeRecord

if TYPE_CHECKING:
    from bench.probes.subject import Subject


def test_features(
    cell: Cell, subject: Subject, session: Session, keep_probes: Callable[[list[ProbeRecord]], None]
) -> None:
    """The weights are those of the record, and every value lies where its definition allows."""
    from bench.probes import features

    subject.check()
    probes = features.measure(subject, session.earlier_subjects(cell))
    keep_probes(probes)
    side = max(subject.dataset.info.image_size)
    assert "shift-consistency" in {probe.probe for probe in probes}
    for probe in probes:
        highest = side if probe.unit == "px" else 1 + 1e-9  # a share, or CKA with its rounding
        assert 0 <= probe.value <= highest, f"{probe.probe} {probe.layer}: {probe.value}"
