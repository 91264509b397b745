"""How metrics and their values are written, in tables, sentences and figures."""

import re
from math import floor, isnan, log10

from bench.analysis.statistics import Interval
from bench.records import Metric


def text(metric: Metric, value: float) -> str:
    """A value."""
    return f"{value / metric.scale:{_pattern(metric, digits=4)}}"


def signed(metric: Metric, value: float) -> str:
    """A difference."""
    return f"{value / metric.scale:+{_pattern(metric, digits=3)}}"


def number(value: float | None, pattern: str) -> str:
    """A value by a format specification; "-" for none."""
    return "-" if value is None or isnan(value) else f"{value:{pattern}}"


def mean(metric: Metric, interval: Interval) -> str:
    """A mean over seeds, with half its interval where the seeds differ: "0.850 ± 0.031"."""
    return "-" if not interval.n else _with_half(metric, interval) or text(metric, interval.mean)


def difference(metric: Metric, interval: Interval) -> str:
    """A mean difference, with half its interval where the seeds differ: "-0.021 ± 0.012"."""
    return _with_half(metric, interval, sign="+") or signed(metric, interval.mean)


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


def _with_half(metric: Metric, interval: Interval, sign: str = "") -> str:
    half = (interval.high - interval.low) / 2 / metric.scale
    if isnan(half) or half == 0:
        return ""
    # As many decimals as two significant digits of the uncertainty have.
    decimals = max(0, 1 - floor(log10(half))) if metric.decimals is None else metric.decimals
    return f"{interval.mean / metric.scale:{sign},.{decimals}f} ± {half:,.{decimals}f}"


def _pattern(metric: Metric, digits: int) -> str:
    return f".{digits}g" if metric.decimals is None else f",.{metric.decimals}f"
