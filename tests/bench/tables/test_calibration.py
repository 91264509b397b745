from collections.abc import Callable
from math import isnan, sqrt

import pytest

from bench.analysis import calibration
from bench.tables.calibration import BEGIN, END, PAGE, coverage_table, false_alarm_table, power_table
from bench.tables.text import TextTable

TABLES = 2_000


@pytest.mark.parametrize("measure", [false_alarm_table, power_table, coverage_table])
def test_the_page_has_what_is_measured(measure: Callable[[], TextTable], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "TABLES", TABLES)
    table = measure()
    section = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    printed = section.partition(f"**{table.title}**")[2].split("\n\n")[1].splitlines()[2:]
    assert len(printed) == len(table.data)
    for line, measured in zip(printed, table.data.itertuples(index=False), strict=True):
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        assert name == measured[0]
        for cell, share in zip(cells, measured[1:], strict=True):
            if isnan(share):
                assert cell == "-"
            else:
                assert float(cell) / 100 == pytest.approx(
                    share, abs=0.005 + 8 * sqrt(max(share, 0.05) * 0.95 / TABLES)
                )
