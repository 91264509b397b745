"""How a metric is declared: plain data, carried by records so that they can be shown without its code."""

from typing import Literal

import msgspec

Comparison = Literal["seeds", "exact", "epochs"]
"""How two values are compared: "seeds" by statistics over paired seeds; "exact" as they are, since equal code
gives equal values; "epochs" by the spread of each run's epochs, as times vary."""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """How one quantity is called, written and compared.

    Attributes:
        name: In records, CSV files, ``--fail-on`` and verdicts.
        title: Column heading, with the unit.
        unit: Of the values in records; "" for shares and counts.
        higher_is_better: The direction; None where neither is better.
        decimals: Digits after the decimal point; None for as many significant digits as the uncertainty supports.
        scale: What one unit of the title is in the unit of records: 1e6 where bytes are shown as MB.
        comparison: How two values are compared.
        margin: The smallest difference that matters: in the unit of records, or a share of the value for ratios.
        reason: Why that is the smallest.
        ratio: Whether two models are compared by A / B instead of A - B. Values are then positive.
        per_machine: Whether values depend on the machine; those of different machines are shown and not judged.
        alias: A shorter name for ``--fail-on``; "" for none.
        history: The name of its series in the history of nightly runs; "" for its title.
        shown: Whether the main tables have a column for it.
        shown_if_uneven: Whether they have one where the classes are uneven (``bench.metrics.uneven``).
        part: The pairs that it was evaluated on, "test" or "valid"; "" for what is not evaluated on pairs.
    """

    name: str
    title: str
    unit: str = ""
    higher_is_better: bool | None = None
    decimals: int | None = None
    scale: float = 1.0
    comparison: Comparison = "seeds"
    margin: float = 0.0
    reason: str = ""
    ratio: bool = False
    per_machine: bool = False
    alias: str = ""
    history: str = ""
    shown: bool = True
    shown_if_uneven: bool = False
    part: str = ""
