"""The main benchmark: trains every row of the session's studies, keeps its record, and asks for its accuracy.

One round of pytest-benchmark is one training epoch, so its statistics are those of the epoch time; validation and
checkpoint are outside the clock. Ids are ``<model>``, with ``-seed<N>`` for seeds other than the published 51,
and ``<study>:`` and ``<variant>:`` before it for studies other than the standard one.
"""

from collections.abc import Callable

from bench.harness.cell import Cell
from bench.records.run import COMPLETED, RunRecord
from bench.tables.published import has_published_inputs, parameters_agree, read_published
from bench.tables.thresholds import threshold_for


def test_training(cell: Cell, run_cell: Callable[[Cell], RunRecord]) -> None:
    """The cell trains to the end, has the published size (on such data), and reaches its declared accuracy."""
    record = run_cell(cell)
    assert record.status == COMPLETED, record.error
    if cell.study.published and has_published_inputs(record):
        rows = {row["model"]: row for row in read_published(cell.study.name)["rows"]}
        assert record.parameters is not None
        assert parameters_agree(rows[record.model], record.parameters), "not the published model"
    threshold = threshold_for(record)
    least = threshold.least(record)
    assert record.valid_accuracy is not None
    assert record.valid_accuracy >= least, (
        f"{record.model} reached a validation accuracy of {record.valid_accuracy:.3f}; "
        f"at least {least:.3f} was asked for: {threshold.reason}"
    )
