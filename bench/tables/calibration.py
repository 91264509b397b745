"""The tables of how often verdicts are wrong and how many seeds they take, which docs/evidence.md shows.

``python -m bench.tables.calibration`` writes them there; a test measures them again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bench.analysis import calibration
from bench.analysis.calibration import (
    RATIO,
    WORLDS,
    Draw,
    alike,
    coverage,
    divided,
    false_alarms,
    fixed_seeds,
    power,
    repeated_testing,
    shifted,
    sign_flip_power,
    stops,
)
from bench.analysis.formats import number
from bench.analysis.sequential import LOOKS
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
        "lopsided (exponential)": LOPSIDED,
    }
    shares = {
        f"{name}, {method}": [coverage(draw, 0.0, n, method) for n in SEEDS[1:]]
        for name, draw in worlds.items()
        for method in ("t", "percentile", "BCa")
    }
    return _table(
        "Coverage in percent of 95% intervals", "differences, interval", [f"n = {n}" for n in SEEDS[1:]], shares
    )


LOPSIDED: Draw = lambda rng, shape: rng.exponential(size=shape) - 1  # noqa: E731 - as the worlds are


def sequential_false_alarm_table() -> TextTable:
    """Every world: the share of sequences in which models that are alike are called different, at any look."""
    sequences = {world: (alike(draw), 0.0) for world, draw in WORLDS.items()}
    sequences["normal, seeds divide the same pairs"] = (divided(), RATIO)
    shares = {}
    for world, (differences, ratio) in sequences.items():
        found = stops(differences, ratio=ratio)
        shares[world] = [*map(found.different_by, LOOKS), repeated_testing(differences)]
    columns = [*(f"until n = {look}" for look in LOOKS), "t test at 5% at every look"]
    return _table("False alarms in percent over all looks", "runs of A and B alike", columns, shares)


def sequential_power_table() -> TextTable:
    """How often and after how many seeds a difference is found, and the seeds of one look as powerful."""
    rows = {}
    for effect in (0.6, 0.8, 1.0, 1.25, 1.5, 2.0):
        differences = shifted(effect)
        found = stops(differences)
        detected, seeds = found.different_by(LOOKS[-1]), float(found.seeds.mean())
        fixed = fixed_seeds(differences, detected)
        rows[f"{effect:g}"] = [*map(found.different_by, LOOKS), seeds, fixed, 1 - seeds / fixed]
    columns = [f"found until n = {look} (%)" for look in LOOKS]
    columns += ["seeds, mean", "seeds of one look as powerful", "runs saved (%)"]
    return _table("Power and seeds of a difference", "difference / spread", columns, rows, plain=(3, 4))


def sequential_equivalence_table() -> TextTable:
    """How often models are called equivalent: those that are alike, and those that differ by the margin."""
    worlds: Mapping[str, Draw] = {
        "normal": WORLDS["normal"],
        "heavy tails (t, 3 degrees of freedom)": WORLDS["heavy tails (t, 3 degrees of freedom)"],
        "lopsided (exponential)": LOPSIDED,
    }
    rows = {}
    for world, draw in worlds.items():
        differences = draw(np.random.default_rng(0), (calibration.SEQUENCES, LOOKS[-1]))
        for margin in (1.0, 1.5):
            same = stops(differences, margin=margin)
            wrong = [stops(differences + sign * margin, margin=margin) for sign in (1, -1)]
            rows[f"{world}, {margin:g}"] = [
                float(same.equivalent.mean()),
                float(same.different.mean()),
                float(same.seeds.mean()),
                1 - float(same.seeds.mean()) / LOOKS[-1],
                *(float(found.equivalent.mean()) for found in wrong),
            ]
    columns = ["alike: equivalent (%)", "alike: called different (%)", "alike: seeds, mean"]
    columns += [f"alike: runs saved against n = {LOOKS[-1]} (%)"]
    columns += ["A better by the margin: called equivalent (%)", "B better by the margin: called equivalent (%)"]
    return _table("Stops for equivalence", "differences, margin", columns, rows, plain=(2,))


def _table(
    title: str, first: str, columns: list[str], shares: Mapping[str, list[float]], plain: Sequence[int] = ()
) -> TextTable:
    """A table of shares in percent; the columns ``plain`` are numbers of seeds."""
    header = [first, *columns]
    return TextTable(
        name="calibration",
        title=title,
        header=header,
        labels=1,
        rows=[
            [
                name,
                *(
                    number(value, ".1f") if column in plain else number(value, ".1%").rstrip("%")
                    for column, value in enumerate(values)
                ),
            ]
            for name, values in shares.items()
        ],
        data=pd.DataFrame([[name, *values] for name, values in shares.items()], columns=header),
    )


def section() -> str:
    """The text between the markers of the page."""
    tables = (
        sequential_false_alarm_table,
        sequential_power_table,
        sequential_equivalence_table,
        false_alarm_table,
        power_table,
        coverage_table,
    )
    return "\n".join(table().markdown() for table in tables)


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{section()}{END}{rest.partition(END)[2]}", encoding="utf-8")
