"""Are recorded steps the eager ones, bit for bit, and how long does a step take?

Eager steps are launched operation by operation, recorded ones replayed as CUDA graphs. On a CPU both are the same
eager steps, so nothing is compared there but two trainings.
"""

from contextlib import nullcontext
from typing import Any
from unittest import mock

import torch

from bench.config import BALANCED, FIRST_SEED, Precision
from bench.costs.race import PROTOCOL
from bench.costs.reference import ReferenceLoop, as_published
from bench.training import graphs
from bench.training.branches import side_by_side
from bench.training.graphs import GraphSteps, fastest
from bench.training.measurement import training_flops
from bench.training.seeding import new_tensors_filled
from bench.training.steps import EagerSteps, timed
from fusion_models import ModelSpec
from tools.gpu.workload import Steps, Workload

AUGMENTATION: dict[str, dict[str, Any]] = {
    "horizontal_flip": {"horizontal_flip": 0.5},
    "random_crop": {"random_crop": 4},
    "color_jitter": {"color_jitter": 0.4},
}
METHODS: dict[str, dict[str, Any]] = {
    "class_weights": {"class_weights": BALANCED},
    "modality_dropout": {"modality_dropout": 0.2},
    "unimodal_loss": {"unimodal_loss": 0.5},
    "ogm_ge": {"ogm_ge": 0.5},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    **AUGMENTATION,
    "augmentation": {name: value for changes in AUGMENTATION.values() for name, value in changes.items()},
    **METHODS,
}
"""Fields of a protocol that change the training step, each alone, and all augmentation together.

OGM-GE is last: it draws inside the step, and a recording that fails can leave CUDA's generator unusable.
"""


def recorded_and_eager(
    work: Workload, spec: ModelSpec, precision: Precision, **changes: Any
) -> tuple[dict[str, Any], EagerSteps]:
    """One model trained twice from the same weights, by recorded and by eager steps; times are per step.

    Returns:
        The facts, and the eager form of the steps that were recorded.
    """
    eager, other = (work.training(spec, precision, **changes) for _ in range(2))
    recorded = fastest(other.eager, len(work.orders[0]))
    expected, actual = work.losses(eager, eager.eager), work.losses(other, recorded)
    weights = [list(steps.trained.state_dict().values()) for steps in (eager.eager, other.eager)]
    facts = {
        "graph": isinstance(recorded, GraphSteps),
        "equal_bits": torch.equal(expected, actual),
        "difference": float(((actual - expected).abs() / expected.abs()).max()),
        "equal_weights": all(map(torch.equal, *weights)),
        "ours_ms": round(work.ms_per_step(recorded, 4), 3),
        "eager_ms": round(work.ms_per_step(eager.eager, 1), 3),
    }
    return facts, other.eager


def with_option(work: Workload, spec: ModelSpec, precision: Precision, option: str) -> dict[str, Any]:
    """Recorded and eager steps under a protocol with one of OPTIONS."""
    with work.settings(precision):
        facts, _ = recorded_and_eager(work, spec, precision, **OPTIONS[option])
    return facts


def against_reference(work: Workload, spec: ModelSpec, precision: Precision) -> dict[str, Any]:
    """Recorded and eager steps, and those of the loop of notebooks, in this process."""
    with work.settings(precision):
        facts, steps = recorded_and_eager(work, spec, precision)
        loop = ReferenceLoop(
            as_published(work.network(spec)), work.samples, steps.protocol, FIRST_SEED, work.device
        )
        with new_tensors_filled(True):
            timed(loop.steps(), torch.device(work.device))
            seconds = min(timed(loop.steps(), torch.device(work.device))[1] for _ in range(2))
        facts["reference_ms"] = round(1e3 * seconds / (len(work.rates) - 1), 3)
        facts["ratio"] = round(facts["reference_ms"] / facts["ours_ms"], 2)
        flops = training_flops(steps.model, work.train[: PROTOCOL.batch_size])
        facts["TFLOPs"] = round(flops / facts["ours_ms"] / 1e9, 3)
    return facts


def stored_and_prepared(work: Workload, spec: ModelSpec, precision: Precision) -> dict[str, Any]:
    """The fastest steps on pairs as they are stored, decoded batch by batch, and on inputs made beforehand."""
    losses, times = [], []
    with work.settings(precision):
        for prepared in (False, True):
            training = work.training(spec, precision, prepared=prepared)
            steps = fastest(training.eager, len(work.orders[0]))
            losses.append(work.losses(training, steps))
            times.append(round(work.ms_per_step(steps, 4), 3))
    stored, prepared_ms = times
    return {"stored_ms": stored, "prepared_ms": prepared_ms, "equal_bits": torch.equal(*losses)}


def side_by_side_and_in_turn(work: Workload, spec: ModelSpec, precision: Precision) -> dict[str, Any]:
    """Recorded steps whose stems run at once, each on a stream of its own, and such whose stems run in turn."""
    losses, times = [], []
    with work.settings(precision):
        for around in (side_by_side, nullcontext):
            training = work.training(spec, precision)
            with mock.patch.object(graphs, "side_by_side", around):
                steps = fastest(training.eager, len(work.orders[0]))
            losses.append(work.losses(training, steps))
            times.append(round(work.ms_per_step(steps, 4), 3))
    at_once, in_turn = times
    return {"side_by_side_ms": at_once, "in_turn_ms": in_turn, "equal_bits": torch.equal(*losses)}


def step_ms(
    work: Workload,
    spec: ModelSpec,
    precision: Precision,
    layout: torch.memory_format,
    timed_algorithms: bool,
) -> float:
    """The time of the fastest step in a layout; see ``Workload.settings``."""
    with work.settings(precision, timed_algorithms=timed_algorithms, layout=layout):
        steps: Steps = fastest(work.training(spec, precision).eager, len(work.orders[0]))
        return round(work.ms_per_step(steps, 3), 3)
