"""What downsampling does inside trained models, for the studies that request it.

A cell that this session has trained is probed as it is, another one is trained first. With ``--resume`` values
are taken from records where neither the weights nor the code changed. Asserts what must hold
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


def test_features(cell: Cell, subject: Subject, session: Session, probe: Callable[..., list[ProbeRecord]]) -> None:
    """The weights are those of the record, and every value lies where its definition allows."""
    from bench.probes import features

    others = session.earlier_seeds(cell)

    def measure() -> list[ProbeRecord]:
        subject.check()
        return features.measure(subject, [session.subject(other) for other in others])

    probes = probe(measure, others)
    side = max(subject.dataset.info.image_size)
    assert "shift-consistency" in {one.probe for one in probes}
    for one in probes:
        highest = side if one.unit == "px" else 1 + 1e-9  # a share, or CKA with its rounding
        assert 0 <= one.value <= highest, f"{one.probe} {one.layer}: {one.value}"
