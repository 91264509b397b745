"""Hand-made runs of several seeds."""

from collections.abc import Sequence
from typing import Any

from bench.records.run import RunRecord
from tests.bench.samples import record

# No test needs to know how these spread, only that it is little against 0.1 and does not cancel in differences.
SPREAD = (0.0, 0.001, -0.001, 0.002, -0.0005)


def seeds(model: str, study: str, *, losses: Sequence[float], **changes: Any) -> list[RunRecord]:
    """A completed run of the whole protocol for each loss, from seed 51 on."""
    return [
        record(model, **{"study": study, "profile": "full", "seed": 51 + i, "best_valid_loss": loss, **changes})
        for i, loss in enumerate(losses)
    ]


def around(loss: float, n: int = 5, *, shift: int = 0) -> list[float]:
    """``n`` losses close to one value; another shift orders their spread differently."""
    return [loss + SPREAD[(i * (1 + shift)) % len(SPREAD)] for i in range(n)]
