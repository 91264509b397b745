"""Hand-made runs of several seeds, and records of what this installation does not know."""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from bench.records import Metric, ProbeRecord, RunRecord
from bench.registry import METRICS
from tests.bench.probes.samples import probe_record
from tests.bench.samples import record

# No test needs to know how these spread, only that it is little against 0.1 and does not cancel in differences.
SPREAD = (0.0, 0.001, -0.001, 0.002, -0.0005)

BRIER = Metric(
    name="brier",
    title="Brier score",
    higher_is_better=False,
    decimals=3,
    margin=0.01,
    reason="by hand",
    alias="brier",
)
"""The metric of a plug-in that is not installed."""


def seeds(model: str, study: str, *, losses: Sequence[float], **changes: Any) -> list[RunRecord]:
    """A completed run of the whole protocol for each loss, from seed 51 on, each seed with pairs of its own."""
    return [
        record(
            model,
            **{
                "study": study,
                "profile": "full",
                "seed": 51 + i,
                "train_sha256": f"pairs of seed {51 + i}",
                "best_valid_loss": loss,
                "valid_metrics": {"loss": loss, "accuracy": 0.9, "balanced_accuracy": 0.9},
                **changes,
            },
        )
        for i, loss in enumerate(losses)
    ]


def around(loss: float, n: int = 5, *, shift: int = 0) -> list[float]:
    """``n`` losses close to one value; another shift orders their spread differently."""
    return [loss + SPREAD[(i * (1 + shift)) % len(SPREAD)] for i in range(n)]


def foreign(value: float = 0.2, metric: Metric = BRIER, **changes: Any) -> RunRecord:
    """A run of which only the record is known: its model, study, data and metric exist nowhere here.

    Args:
        value: Of the metric.
        metric: The metric that its plug-in declared.
        changes: Other fields.
    """
    unknown: dict[str, Any] = {
        "model": "mine-late-gated-blur",
        "family": "mine",
        "stage": "late",
        "operator": "gated",
        "embedder": "blur",
        "reference": "sharp",
        "modalities": ["rgb", "thermal"],
        "channels": {"rgb": 3, "thermal": 1},
        "image_size": [10, 20],
        "study": "my-study",
        "dataset": "my-data",
        "simulated": None,
        "profile": "overnight",
        "metrics": [*(evaluated.declaration for evaluated in METRICS.values()), metric],
        "valid_metrics": {"loss": 0.25, "accuracy": 0.9, metric.name: value},
        "environment": {},
    }
    return replace(record(), **{**unknown, **changes})


LEVELS = (0.0, 0.5, 0.9, 1.0)


def curve(stage: str, accuracies: Iterable[float], seed: int = 51, **changes: Any) -> list[ProbeRecord]:
    """The accuracies of a model of this stage at the first of LEVELS."""
    parts = {"model": f"wide-{stage}-concat-strided", "family": "wide", "stage": stage, "embedder": "strided"}
    return [
        probe_record(level=level, value=value, seed=seed, **{**parts, **changes})
        for level, value in zip(LEVELS, accuracies, strict=False)
    ]
