from typing import Any

import pytest

from bench.analysis.frames import outcomes
from bench.records import Metric
from bench.report.cells import caveats, commit, decimals, measured
from tests.bench.samples import record

BRIER = Metric(name="brier", title="Brier score", higher_is_better=False, decimals=2)
COMMITTED = record().environment | {"commit": "0123456789abcdef", "dirty": False}


def test_the_metric_of_a_plugin_has_a_column() -> None:
    values = {"loss": 0.25, "accuracy": 0.9, "brier": 0.125}
    with_it, without = record(metrics=[BRIER], valid_metrics=values), record(seed=52)
    metrics = outcomes([with_it, without])
    assert [metric.title for metric in metrics] == ["valid accuracy", "best valid loss", "valid Brier score"]
    of_columns = decimals([with_it, without], metrics)
    shown = [[measured(cell, m, of_columns[m.name]) for m in metrics] for cell in (with_it, without)]
    assert shown == [["0.900", "0.2500", "0.12"], ["0.900", "0.2500", "-"]]


def test_a_metric_that_nobody_declares_has_a_column_and_a_hidden_one_has_none() -> None:
    hidden = Metric(name="hidden", title="hidden", shown=False)
    unknown = record(metrics=[hidden], valid_metrics={"hidden": 0.5, "top_5": 0.75})
    assert [metric.title for metric in outcomes([unknown])][2:] == ["valid top 5"]


def test_a_clean_cell_has_a_commit_and_no_caveats() -> None:
    cell = record(environment=COMMITTED, command="pytest")
    assert (commit(cell), caveats(cell)) == ("0123456789ab", [])


@pytest.mark.parametrize(
    ("changes", "caveat"),
    [
        ({"command": ""}, "not run by a command"),
        ({"environment": {}}, "the commit is unknown"),
        ({"environment": COMMITTED | {"dirty": True}}, "the checkout had uncommitted changes"),
        ({"simulated": False, "dataset": "mine"}, "needs the files of mine"),
        ({"simulated": None}, "needs the files of shapes"),
        ({"plugins": ["a.py", "b.py"]}, "needs the plug-ins a.py, b.py"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_the_command_needs_is_a_caveat(changes: dict[str, Any], caveat: str) -> None:
    assert caveats(record(**{"environment": COMMITTED, "command": "pytest", **changes})) == [caveat]


def test_the_commit_of_a_changed_checkout_says_so() -> None:
    assert commit(record(environment=COMMITTED | {"dirty": True})) == "0123456789ab, with changes"
