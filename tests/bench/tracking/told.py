"""One session as a tracker is told of it: a cell of two epochs that completed, and one that was interrupted."""

from dataclasses import replace

import numpy as np

from bench.tables.tabulation import tables_by_study
from bench.tracking import Tracker
from bench.training.samples import Prediction
from bench.training.trainer import EpochResult
from data_utils.audits.pictures import View
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
SAMPLES = [
    Prediction(name="cubes/0001", view=View(RED, BLUE), label="cubes", predicted="spheres", probability=0.75),
    Prediction(name="spheres/0002", view=View(BLUE, RED), label="spheres", predicted="spheres", probability=0.5),
]


def tell(tracker: Tracker) -> list[str]:
    """Tell the session to a tracker; returns what it says at the end."""
    tracker.begin(COMPLETED_CELL, CONFIG)
    tracker.epoch(FIRST)
    tracker.epoch(SECOND)
    tracker.end(RECORD, SAMPLES)
    tracker.begin(INTERRUPTED_CELL, CONFIG)
    tracker.end(None, [])
    return tracker.close([RECORD], tables_by_study([RECORD]))
