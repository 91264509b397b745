"""The quantities that tables show: how each is called, rounded and judged."""

from dataclasses import dataclass
from math import floor, isnan, log10

from bench.analysis.statistics import Interval


@dataclass(frozen=True, kw_only=True)
class Column:
    """How one quantity of a record is shown.

    Attributes:
        field: name in the frame and in CSV files.
        title: heading, with the unit.
        decimals: behind the point; None for as many as the figure is worth, where it may be of any size.
        unit: of the title, in that of the record.
        higher_is_better: the direction.
    """

    field: str
    title: str
    decimals: int | None
    unit: float = 1.0
    higher_is_better: bool = False

    def text(self, value: float) -> str:
        """A value."""
        return f"{value / self.unit:{self._pattern(digits=4)}}"

    def signed(self, value: float) -> str:
        """A difference."""
        return f"{value / self.unit:+{self._pattern(digits=3)}}"

    def mean(self, interval: Interval) -> str:
        """A mean over seeds, with half its interval where the seeds differ: "0.850 ± 0.031"."""
        if interval.n == 0:
            return "-"
        return self._with_half(interval) or self.text(interval.mean)

    def difference(self, interval: Interval) -> str:
        """A mean difference, with half its interval where the seeds differ: "-0.021 ± 0.012"."""
        return self._with_half(interval, sign="+") or self.signed(interval.mean)

    def _with_half(self, interval: Interval, sign: str = "") -> str:
        half = (interval.high - interval.low) / 2 / self.unit
        if isnan(half) or half == 0:
            return ""
        # A figure is worth as many decimals as two digits of its uncertainty have.
        decimals = max(0, 1 - floor(log10(half))) if self.decimals is None else self.decimals
        return f"{interval.mean / self.unit:{sign},.{decimals}f} ± {half:,.{decimals}f}"

    def _pattern(self, digits: int) -> str:
        return f".{digits}g" if self.decimals is None else f",.{self.decimals}f"


COLUMN = {
    column.field: column
    for column in (
        Column(field="best_valid_loss", title="best valid loss", decimals=None),
        Column(field="valid_accuracy", title="valid accuracy", decimals=3, higher_is_better=True),
        Column(field="parameters", title="parameters", decimals=0),
        Column(field="flops_per_step", title="GFLOP a step", decimals=2, unit=1e9),
        Column(field="epoch_seconds", title="epoch time (s)", decimals=2),
        Column(field="train_seconds", title="train time (s)", decimals=1),
        Column(field="seconds_to_target", title="time to target (s)", decimals=1),
        Column(field="achieved_flops", title="GFLOP/s", decimals=1, unit=1e9, higher_is_better=True),
        Column(field="efficiency", title="% of ceiling", decimals=0, unit=0.01, higher_is_better=True),
        Column(field="peak_memory_bytes", title="peak memory (MB)", decimals=0, unit=1e6),
    )
}

COLUMNS = tuple(
    COLUMN[field]
    for field in (
        "best_valid_loss",
        "valid_accuracy",
        "parameters",
        "epoch_seconds",
        "train_seconds",
        "peak_memory_bytes",
    )
)
"""What a run came to, in short."""

COSTS = tuple(
    COLUMN[field]
    for field in (
        "parameters",
        "flops_per_step",
        "epoch_seconds",
        "achieved_flops",
        "efficiency",
        "peak_memory_bytes",
        "seconds_to_target",
    )
)
"""What a run cost."""

EMBEDDER_TITLES = {"maxpool": "MaxPool", "strided": "strided"}
