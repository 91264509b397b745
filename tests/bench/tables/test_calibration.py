from collections.abc import Callable
from math import isnan, sqrt

import pytest

from bench.analysis import calibration
from bench.analysis.sequential import LOOKS
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


def test_the_page_has_what_the_first_look_of_every_world_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The later looks take too long for a test; the page's generator measures them."""
    monkeypatch.setattr(calibration, "SEQUENCES", 500)
    page = PAGE.read_text(encoding="utf-8")
    rows = page.partition("**False alarms in percent over all looks**")[2].split("\n\n")[1].splitlines()[2:]
    assert len(rows) == len(calibration.WORLDS) + 1
    for row in rows:
        name, first, _, last, repeated = (cell.strip() for cell in row.strip("|").split("|"))
        differences, ratio = calibration.divided(), calibration.RATIO
        if name in calibration.WORLDS:
            differences, ratio = calibration.alike(calibration.WORLDS[name]), 0.0
        found = calibration.stops(differences[:, : LOOKS[0]], ratio=ratio).different.mean()
        assert float(first) / 100 == pytest.approx(found, abs=4 * sqrt(0.006 / 500))
        assert float(last) / 100 <= 0.05 + 2 * sqrt(0.05 * 0.95 / 2_000)
        tested = calibration.repeated_testing(differences)
        assert float(repeated) / 100 == pytest.approx(tested, abs=4 * sqrt(0.25 / 500))
