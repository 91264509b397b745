"""The main benchmark: trains every model of the session's studies, keeps its record, and checks its accuracy.

One round of pytest-benchmark is one training epoch, so its statistics are those of the epoch time; validation and
checkpoint are outside the timed section. Ids are ``<model>``, with ``-seed<N>`` for seeds other than the published
51, and ``<study>:`` and ``<variant>:`` before it for studies other than the standard one. A model that does not
fit the data is skipped.
"""

from collections.abc import Callable

from bench.harness.cell import Cell
from bench.records import COMPLETED, RunRecord


def test_training(cell: Cell, run_cell: Callable[[Cell], RunRecord]) -> None:
    """The cell trains to the end, has the published size (on such data), and reaches its declared accuracy."""
    from bench.analysis.published import has_wrong_size
    from bench.analysis.thresholds import threshold_for
    from bench.metrics import IN_WORDS, reported, reported_part

    record = run_cell(cell)
    assert record.status == COMPLETED, record.error
    assert not has_wrong_size(record), "not the published model"
    threshold = threshold_for(record)
    least = threshold.least(record)
    accuracy = reported(record, "accuracy")
    assert accuracy is not None
    assert accuracy >= least, (
        f"{record.model} reached a {IN_WORDS[reported_part([record])]} accuracy of {accuracy:.3f}; "
        f"the threshold is {least:.3f}: {threshold.reason}"
    )
