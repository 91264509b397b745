"""The main benchmark: trains every model on the session's data, keeps the record, and asks for its accuracy.

One round of pytest-benchmark is one training epoch, so its statistics are those of the epoch time; validation and
checkpoint are outside the clock. Ids are ``<model>``, with ``-seed<N>`` for seeds other than the published 51.
"""

from collections.abc import Callable

from bench.records import COMPLETED, RunRecord
from bench.session import Cell
from bench.thresholds import threshold_for


def test_training(cell: Cell, run_cell: Callable[[Cell], RunRecord]) -> None:
    """The cell trains to the end and reaches the accuracy that is declared for it."""
    record = run_cell(cell)
    assert record.status == COMPLETED, record.error
    threshold = threshold_for(record)
    least = threshold.least(record)
    assert record.valid_accuracy is not None
    assert record.valid_accuracy >= least, (
        f"{record.model} reached a validation accuracy of {record.valid_accuracy:.3f}; "
        f"at least {least:.3f} was asked for: {threshold.reason}"
    )
