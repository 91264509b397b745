"""One session as a tracker gets it: a cell of two epochs that completed, and one that was interrupted."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from bench.records import RunRecord, SampleRecord
from bench.tables import TextTable
from bench.tables.tabulation import tables_by_study
from bench.tracking import Tracker
from bench.training.trainer import EpochResult
from tests.bench.samples import MODEL, TWIN, record

COMPLETED_CELL, INTERRUPTED_CELL = MODEL, f"fusion-compact:raw:{TWIN}-seed7"

FIRST = EpochResult(
    epoch=1,
    epochs=2,
    train_loss=0.75,
    valid={"loss": 0.25, "accuracy": 0.875},
    learning_rate=0.125,
    seconds=2.0,
    peak_memory_bytes=1_000,
)
SECOND = replace(FIRST, epoch=2, train_loss=0.5, valid={"loss": 0.375, "accuracy": 0.75}, seconds=4.0)

CONFIG = {"model": MODEL, "seed": 51, "protocol": {"epochs": 2, "normalized": ["rgb", "lidar"]}}
RECORD = record(valid_losses=[0.25, 0.375])

RED, BLUE = (np.full((4, 6, 3), color, dtype=np.uint8) for color in ((255, 0, 0), (0, 0, 255)))


def _png(pixels: Any) -> str:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return b64encode(file.getvalue()).decode()


SAMPLES = [
    SampleRecord(
        weights_sha256=str(RECORD.weights_sha256),
        name=f"{label}/{number:04}",
        label=label,
        predicted="spheres",
        probability=probability,
        pictures={"rgb": _png(rgb), "lidar": _png(lidar)},
    )
    for number, label, probability, rgb, lidar in (
        (1, "cubes", 0.75, RED, BLUE),
        (2, "spheres", 0.5, BLUE, RED),
    )
]


def tell(tracker: Tracker) -> list[str]:
    """Pass the session to a tracker; returns what it reports at the end."""
    tracker.begin(COMPLETED_CELL, CONFIG)
    tracker.epoch(FIRST)
    tracker.epoch(SECOND)
    tracker.end(RECORD, SAMPLES)
    tracker.begin(INTERRUPTED_CELL, CONFIG)
    tracker.end(None, [])
    return tracker.close([RECORD], tables_by_study([RECORD]))


class Notebook:
    """A tracker that notes its calls."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, Any]] = []

    def begin(self, name: str, config: Mapping[str, Any]) -> None:
        self.notes.append(("begin", (name, config["model"])))

    def epoch(self, result: EpochResult) -> None:
        self.notes.append(("epoch", result.epoch))

    def end(self, record: RunRecord | None, samples: Sequence[SampleRecord]) -> None:
        self.notes.append(("end", (record and record.status, len(samples))))

    def close(self, records: Sequence[RunRecord], tables: Mapping[str, Sequence[TextTable]]) -> list[str]:
        self.notes.append(
            ("close", (len(records), {study: len(tables_of_study) for study, tables_of_study in tables.items()}))
        )
        return ["noted"]
