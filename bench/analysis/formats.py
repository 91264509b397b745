"""How metrics and their values are written, in tables, sentences and figures."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from math import floor, isfinite, isnan, log10
from typing import TYPE_CHECKING

from bench.records import Metric

if TYPE_CHECKING:
    from bench.analysis.statistics import Interval  # loads scipy, which messages need not


def significant(value: float, digits: int, sign: str = "") -> str:
    """A value with a number of significant digits, zeros at the end included: 0.648 with four is "0.6480"."""
    return f"{value:{sign}#.{digits}g}".rstrip(".")


def common_decimals(metric: Metric, intervals: Iterable[Interval], digits: int = 4) -> int | None:
    """How many decimals the means of one column have; None where each has its own.

    They have those of the metric (see ``_declared``), or else as many as two significant digits of half an
    interval, where these agree to one decimal. Means without any spread have as many as ``digits`` significant
    ones of the largest, unless that would leave fewer than two of the smallest.
    """
    shown = [interval for interval in intervals if interval.n]
    if metric.decimals is not None:
        return _declared(metric, [interval.mean for interval in shown])
    of_halves = {_decimals(half, 2) for interval in shown if (half := _half(metric, interval))}
    if of_halves:
        return max(of_halves) if max(of_halves) - min(of_halves) < 2 else None
    sizes = [abs(interval.mean / metric.scale) for interval in shown if interval.mean]
    sizes = [size for size in sizes if isfinite(size)]
    if not sizes or max(sizes) >= min(sizes) * 10.0 ** (digits - 2):
        return None
    return _decimals(max(sizes), digits)


def text(metric: Metric, value: float, decimals: int | None = None) -> str:
    """A value; ``decimals`` are those of its column, see ``common_decimals``."""
    return _value(metric, value, 4, decimals)


def signed(metric: Metric, value: float, decimals: int | None = None) -> str:
    """A difference; likewise."""
    return _value(metric, value, 3, decimals, sign="+")


def number(value: float | None, pattern: str) -> str:
    """A value by a format specification; "-" for none."""
    return "-" if value is None or isnan(value) else f"{value:{pattern}}"


def span(counts: Iterable[int | None]) -> str:
    """Numbers of pairs, as their smallest and largest, and "unknown" where one is not known."""
    distinct = set(counts)
    known = sorted(count for count in distinct if count is not None)
    ends = " to ".join(f"{count:,}" for count in dict.fromkeys([*known[:1], *known[-1:]]))
    return ", ".join(filter(None, [ends, "unknown" if None in distinct else ""]))


def counted(count: int | None, noun: str) -> str:
    """A number with its noun, as in "1 run" and "2 runs"; "unknown runs" for None."""
    return f"{'unknown' if count is None else count} {noun}{'' if count == 1 else 's'}"


def enumerated(seeds: Iterable[int]) -> str:
    """Seeds in ascending order, each once; three or more in a row by their ends, as in "7, 51 to 60"."""
    rows: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if rows and seed == rows[-1][-1] + 1:
            rows[-1].append(seed)
        else:
            rows.append([seed])
    words = ([f"{row[0]} to {row[-1]}"] if len(row) > 2 else map(str, row) for row in rows)
    return ", ".join(chain.from_iterable(words))


def mean(metric: Metric, interval: Interval, decimals: int | None = None) -> str:
    """A mean over seeds, with half its interval where the seeds differ: "0.850 ± 0.031"."""
    if not interval.n:
        return "-"
    return _with_half(metric, interval, decimals) or text(metric, interval.mean, decimals)


def difference(metric: Metric, interval: Interval, decimals: int | None = None) -> str:
    """A mean difference, with half its interval where the seeds differ: "-0.021 ± 0.012"."""
    return _with_half(metric, interval, decimals, sign="+") or signed(metric, interval.mean, decimals)


def margin(metric: Metric) -> str:
    """The smallest difference that matters, with its unit."""
    return f"{metric.margin:.0%}" if metric.ratio else f"{metric.margin:g} {metric.unit}".strip()


def short_title(metric: Metric) -> str:
    """The title without its unit: "epoch time" for "epoch time (s)"."""
    return _title_and_unit(metric)[0]


def unit(metric: Metric) -> str:
    """The unit of values divided by the scale, which the title names: "MB" for "peak memory (MB)"."""
    return _title_and_unit(metric)[1]


def _title_and_unit(metric: Metric) -> tuple[str, str]:
    parts = re.fullmatch(r"(.+) \(([^()]+)\)", metric.title)
    return (parts[1], parts[2]) if parts else (metric.title, metric.unit)


def _half(metric: Metric, interval: Interval) -> float:
    """Half the interval in the unit of the title; 0 where there is none."""
    half = (interval.high - interval.low) / 2 / metric.scale
    return 0.0 if isnan(half) else half


def _declared(metric: Metric, values: Iterable[float]) -> int | None:
    """The decimals of a metric; of seconds, more where not even the largest value has two digits: 0.0022 s."""
    sizes = [abs(value / metric.scale) for value in values if value and isfinite(value)]
    if metric.decimals is None or metric.unit != "s" or not sizes:
        return metric.decimals
    return max(metric.decimals, _decimals(max(sizes), 2))


def _decimals(value: float, digits: int) -> int:
    """How many decimals a number of significant digits has."""
    return max(0, digits - 1 - floor(log10(value)))


def _with_half(metric: Metric, interval: Interval, decimals: int | None, sign: str = "") -> str:
    half = _half(metric, interval)
    if not half:
        return ""
    if decimals is None:
        decimals = _decimals(half, 2) if metric.decimals is None else _declared(metric, [interval.mean])
    return f"{interval.mean / metric.scale:{sign},.{decimals}f} ± {half:,.{decimals}f}"


def _value(metric: Metric, value: float, digits: int, decimals: int | None, sign: str = "") -> str:
    decimals = _declared(metric, [value]) if decimals is None else decimals
    shown = value / metric.scale
    return significant(shown, digits, sign) if decimals is None else f"{shown:{sign},.{decimals}f}"


def beside(a: str, b: str, sign: str) -> str:
    """Two names with a sign between them, what they begin and end with alike once and in brackets."""
    if " " in a:  # differences of two models, each with names of its own
        return f"{a} {sign} {b}"
    parts = a.split("-"), b.split("-")
    most = min(map(len, parts)) - 1  # something of each is left
    alike = [x == y for x, y in zip(*parts, strict=False)]
    first = min([*(i for i, same in enumerate(alike) if not same), most])
    ends = [x == y for x, y in zip(*(of[::-1] for of in parts), strict=False)]
    last = min([*(i for i, same in enumerate(ends) if not same), most - first])
    left = f" {sign} ".join("-".join(of[first : len(of) - last]) for of in parts)
    shared = ["-".join(parts[0][:first]), "-".join(parts[0][len(parts[0]) - last :])]
    return f"{left} ({', '.join(filter(None, shared))})" if any(shared) else left
