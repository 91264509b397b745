"""Hand-made records of probes."""

from typing import Any

from bench.records import ProbeRecord
from fusion_models import MODELS, ModelSpec
from tests.bench.samples import MODEL


def probe_record(model: str = MODEL, **changes: Any) -> ProbeRecord:
    """An accuracy under half of the returns, apart from the changes."""
    spec = MODELS.get(model, ModelSpec("", "", "", ""))
    values: dict[str, Any] = {
        "started_at": "2026-01-02T03:04:05+00:00",
        "study": "robustness",
        "variant": "",
        "model": model,
        "family": spec.family,
        "stage": spec.stage,
        "operator": spec.operator,
        "embedder": spec.embedder,
        "modalities": list(spec.modalities or ("rgb", "lidar")),
        "dataset": "shapes-hard",
        "seed": 51,
        "profile": "full",
        "device": "cpu",
        "benchmark": "robustness",
        "probe": "dropped-returns",
        "level": 0.5,
        "level_unit": "share",
        "metric": "accuracy",
        "value": 0.75,
        "samples": 500,
        "weights_sha256": "0" * 64,
    }
    return ProbeRecord(**{**values, **changes})
