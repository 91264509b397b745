"""Records of what was measured beside the trainings: inference, scaling, the race against a reference, memory."""

from pathlib import Path
from typing import Any

import msgspec

from bench.records.files import read

FILE_NAME = "costs.jsonl"


class _Cost(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What every measurement has.

    Attributes:
        profile: Name of the profile; ``device``: "cpu" or "cuda".
        conditions: What else it was measured under, a line each, for tables and figures.
        environment: Versions, machine, device, threads, commit.
    """

    profile: str
    device: str
    conditions: list[str]
    environment: dict[str, Any]


class InferenceRecord(_Cost, frozen=True, kw_only=True, tag="inference"):
    """Forward passes of one model at one batch size.

    Attributes:
        model: Its name; ``parameters``: weights and biases.
        batch_size: Pairs per pass; 1 measures latency, more measure throughput.
        graph: Whether a pass is the replay of a CUDA graph, or else launched operation by operation.
        seconds: Of each pass.
        inputs: Of the data the model was built for, in words.
    """

    model: str
    parameters: int
    batch_size: int
    graph: bool = False
    seconds: list[float]
    inputs: str


class GrowthRecord(_Cost, frozen=True, kw_only=True, tag="scaling"):
    """Epoch times of one model while one size grows.

    Attributes:
        model: Its name; ``family`` and ``embedder`` are parts of it.
        axis: What grew ("pairs", "batch", "image"); ``axis_title``: in words.
        work: The exponent of the pixels that an epoch processes, which proportional cost would have.
        sizes: Ascending.
        seconds: Of each epoch without its first step, one list per size, of equal lengths.
    """

    model: str
    family: str
    embedder: str
    axis: str
    axis_title: str
    work: int
    sizes: list[int]
    seconds: list[list[float]]


class RaceRecord(_Cost, frozen=True, kw_only=True, tag="engine"):
    """One model trained by our loop, the reference loop and PyTorch Lightning's, an epoch of each in turn.

    Attributes:
        model: Its name.
        precision: That all loops trained in, as in a protocol.
        steps: Timed steps per epoch.
        reference_seconds: Of these steps in each epoch after the first, by the reference loop; ``engine_seconds``:
            by ours; ``lightning_seconds``: by Lightning's, None where it was not installed.
        reference_losses: Mean training loss of each epoch in nats; ``engine_losses`` of ours, ``lightning_losses``
            of Lightning's.
        exact_difference: Largest relative difference of our losses from the reference's in double precision;
            ``lightning_exact_difference`` of Lightning's.
        target: The geometric mean of ratios that is aimed at on this device; None where there is no target.
    """

    model: str
    precision: str = "fp32"
    steps: int
    reference_seconds: list[float]
    engine_seconds: list[float]
    lightning_seconds: list[float] | None = None
    reference_losses: list[float]
    engine_losses: list[float]
    lightning_losses: list[float] | None = None
    exact_difference: float
    lightning_exact_difference: float | None = None
    target: float | None


class ResidentRecord(_Cost, frozen=True, kw_only=True, tag="resident-memory"):
    """The most memory of a fresh process up to several points of a run, in bytes.

    Attributes:
        model: What it trained for an epoch; ``dataset``: on what.
        pairs: Simulated, for training and validation together.
        started_bytes: Libraries imported.
        loaded_bytes: Data simulated.
        prepared_bytes: Data scaled and on the device.
        trained_bytes: The run is over.
    """

    model: str
    dataset: str
    pairs: int
    started_bytes: int
    loaded_bytes: int
    prepared_bytes: int
    trained_bytes: int


CostRecord = InferenceRecord | GrowthRecord | RaceRecord | ResidentRecord


def read_costs(path: Path) -> list[CostRecord]:
    """The measurements of a file, in the order they were written.

    Raises:
        RecordError: The file is missing, or a line cannot be read.
    """
    costs: list[CostRecord] = read(path, CostRecord)  # type: ignore[arg-type]  # a union of types
    return costs
