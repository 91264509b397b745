"""The tables of how often verdicts are wrong, which docs/evidence.md shows.

``python -m bench.tables.calibration`` writes them there; a test measures them again.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from bench.analysis.calibration import WORLDS, Draw, coverage, false_alarms, power, sign_flip_power
from bench.analysis.formats import number
from bench.analysis.statistics import ALPHA
from bench.tables.text import TextTable

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "evidence.md"
BEGIN, END = "<!-- calibration:begin -->", "<!-- calibration:end -->"

SEEDS = (3, 5, 10, 20)
COMPARISONS = 10
"""In a table."""


def false_alarm_table() -> TextTable:
    """Every world at every number of seeds, for one comparison and for a table of COMPARISONS."""
    shares = {
        world: [false_alarms(draw, n, count) for n in SEEDS for count in (1, COMPARISONS)]
        for world, draw in WORLDS.items()
    }
    return _table(
        "False alarms in percent: paired t test at 5%, Holm over the table",
        "runs of A and B alike",
        [f"n = {n}, {text}" for n in SEEDS for text in ("alone", f"table of {COMPARISONS}")],
        shares,
    )


def power_table() -> TextTable:
    """How often a true difference is detected, by its size in standard deviations of the differences."""
    columns = [
        (f"n = {n}{text}", n, alpha)
        for n in SEEDS[1:]
        for text, alpha in (("", ALPHA), (f", table of {COMPARISONS}", ALPHA / COMPARISONS))
    ]
    shares = {
        f"{effect:g}": [power(effect, n, alpha) for _, n, alpha in columns] for effect in (0.5, 1.0, 2.0, 4.0)
    }
    shares["4, sign flips"] = [sign_flip_power(4.0, n, alpha) if n <= 10 else np.nan for _, n, alpha in columns]
    return _table("Power in percent", "difference / spread", [title for title, *_ in columns], shares)


def coverage_table() -> TextTable:
    """How often 95% intervals cover the true mean."""
    worlds: Mapping[str, Draw] = {
        "normal": WORLDS["normal"],
        "lopsided (exponential)": lambda rng, shape: rng.exponential(size=shape) - 1,
    }
    shares = {
        f"{name}, {method}": [coverage(draw, 0.0, n, method) for n in SEEDS[1:]]
        for name, draw in worlds.items()
        for method in ("t", "percentile", "BCa")
    }
    return _table(
        "Coverage in percent of 95% intervals", "differences, interval", [f"n = {n}" for n in SEEDS[1:]], shares
    )


def _table(title: str, first: str, columns: list[str], shares: Mapping[str, list[float]]) -> TextTable:
    header = [first, *columns]
    return TextTable(
        name="calibration",
        title=title,
        header=header,
        labels=1,
        rows=[[name, *(number(value, ".1%").rstrip("%") for value in values)] for name, values in shares.items()],
        data=pd.DataFrame([[name, *values] for name, values in shares.items()], columns=header),
    )


def section() -> str:
    """The text between the markers of the page."""
    return "\n".join(table.markdown() for table in (false_alarm_table(), power_table(), coverage_table()))


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{section()}{END}{rest.partition(END)[2]}", encoding="utf-8")
