"""How often verdicts are wrong, measured on simulated runs whose truth is known.

``python -m bench.analysis.calibration`` writes the tables into docs/evidence.md; a test measures them again.

In every world A and B are drawn alike, so whoever calls one better is wrong. Shapes: T simulated tables of C
comparisons over n seeds.
"""

from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.random import Generator
from scipy import stats

from bench.analysis.statistics import ALPHA, CONFIDENCE, Floats, difference_p, equivalence_p
from bench.tables import TextTable

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "evidence.md"
BEGIN, END = "<!-- calibration:begin -->", "<!-- calibration:end -->"

SEEDS = (3, 5, 10, 20)
COMPARISONS = 10
"""In a table."""

TABLES = 10_000
RESAMPLES = 999
GUESSING = 0.693
"""The loss of a run that never learns."""

Draw = Callable[[Generator, tuple[int, ...]], Floats]
"""(source of all draws, shape) -> what so many runs of one row come to."""


def _dead(share: float) -> Draw:
    def draw(rng: Generator, shape: tuple[int, ...]) -> Floats:
        learned = 0.01 * rng.lognormal(sigma=0.8, size=shape)
        return np.where(rng.random(shape) < share, GUESSING, learned)

    return draw


WORLDS: Mapping[str, Draw] = MappingProxyType(
    {
        "normal": lambda rng, shape: rng.normal(size=shape),
        "heavy tails (t, 3 degrees of freedom)": lambda rng, shape: rng.standard_t(3, size=shape),
        "losses over several powers of ten (lognormal)": lambda rng, shape: rng.lognormal(sigma=2.0, size=shape),
        "one run in five never learns": _dead(0.2),
        "every second run never learns": _dead(0.5),
        "accuracy near 0.99 over 80 pairs": lambda rng, shape: rng.binomial(80, 0.99, size=shape) / 80,
    }
)
"""What runs of equally good rows come to."""


def false_alarms(draw: Draw, n: int, comparisons: int) -> float:
    """The share of tables in which A or B is called better, though they are drawn alike."""
    rng = np.random.default_rng(0)
    shape = (TABLES, comparisons, n)
    p = difference_p(draw(rng, shape) - draw(rng, shape))
    return float((p.min(axis=1) <= ALPHA / comparisons).mean())  # Holm rejects anything where this does


def false_equalities(n: int, spread: float) -> float:
    """The share of comparisons that are called the same, though they differ by just the margin of 1."""
    differences = np.random.default_rng(0).normal(1, spread, size=(TABLES, n))
    return float((equivalence_p(differences, 1.0) <= ALPHA).mean())


def power(effect: float, n: int, alpha: float) -> float:
    """The share of comparisons in which a mean difference of so many standard deviations is seen."""
    differences = np.random.default_rng(0).normal(effect, 1, size=(TABLES, n))
    return float((difference_p(differences) <= alpha).mean())


def sign_flip_power(effect: float, n: int, alpha: float) -> float:
    """Likewise by the exact sign-flip test; n is small, as all 2**n flips are looked at."""
    differences = np.random.default_rng(0).normal(effect, 1, size=(TABLES, n))
    flips = np.array(list(product((-1.0, 1.0), repeat=n)))
    means = np.abs(differences @ flips.T)
    p = (means >= np.abs(differences.sum(axis=1, keepdims=True)) - 1e-9).mean(axis=1)
    return float((p <= alpha).mean())


def coverage(draw: Draw, mean: float, n: int, method: str) -> float:
    """The share of intervals that hold the true mean: of the t interval ("t"), or of a method of the bootstrap."""
    values = draw(np.random.default_rng(0), (TABLES // 5, n))
    if method == "t":
        reach = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * values.std(axis=1, ddof=1) / np.sqrt(n)
        low, high = values.mean(axis=1) - reach, values.mean(axis=1) + reach
    else:
        found = stats.bootstrap(
            (values,), np.mean, axis=1, n_resamples=RESAMPLES, method=method, confidence_level=CONFIDENCE, rng=0
        ).confidence_interval
        low, high = found.low, found.high
    return float(((low <= mean) & (mean <= high)).mean())


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
    """How often a true difference is seen, by its size in standard deviations of the differences."""
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
    """How often intervals at 95% hold the truth."""
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
    data = pd.DataFrame([[name, *values] for name, values in shares.items()], columns=[first, *columns])
    rows = [
        [name, *("-" if np.isnan(value) else f"{value:.1%}"[:-1] for value in values)]
        for name, values in shares.items()
    ]
    return TextTable(
        name="calibration",
        title=title,
        header=[first, *columns],
        labels=1,
        rows=rows,
        notes=[],
        conditions=[],
        data=data,
    )


def section() -> str:
    """What stands between the markers of the page."""
    return "\n".join(table.markdown() for table in (false_alarm_table(), power_table(), coverage_table()))


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{section()}{END}{rest.partition(END)[2]}", encoding="utf-8")
