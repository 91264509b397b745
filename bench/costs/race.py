"""Our training loop timed against the reference loop: an epoch of the one and an epoch of the other in turn.

Both feel whatever else the machine does, so their ratio says more than the seconds of either. The reference has
three turns: in our process with the layers and the memory of notebooks; in a process of its own, which is a check
of the former; and as the loop alone, with all that ours finds as well, which tells what the loop gains by itself.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import geometric_mean, median

import pandas as pd
import torch

from bench.config import STANDARD, Protocol, RunConfig
from bench.costs.notebook import largest_block_of, notebook_memory, reference_process
from bench.costs.reference import ReferenceLoop, as_published, samples
from bench.records.run import environment
from bench.tables import TextTable
from bench.training.allocator import keep_freed_memory
from bench.training.preparation import prepare
from bench.training.runs import build_seeded, silent
from bench.training.seeding import deterministic
from bench.training.steps import timed
from bench.training.trainer import Trainer
from data_utils import Batch, PairedDataset
from fusion_models import MODELS, ModelSpec

ROWS = tuple(
    spec for spec in MODELS.values() if spec.family in ("compact", "deep", "wide") and spec.stage != "single"
)
"""The published rows whose networks are trained in one go."""

PROTOCOL = replace(STANDARD, pairs=600, epochs=6)
"""15 steps an epoch; the first epoch of each loop warms up, and so does the first step of each epoch."""

EXACT_TOLERANCE = 1e-6
"""Largest relative difference of the losses in double precision.

Far above its rounding, as the learning rate of a recorded step is a float32; far below what another order of
pairs, another schedule or another loss would come to.
"""

ROUNDING_TOLERANCE = 1e-2
"""Largest relative difference of the first epoch's mean loss in float32, the precision of all trainings.

Different layouts sum in a different order, and Adam divides small gradients by their own size, so each step
enlarges what the last one rounded: by the seventh digit at first, by the third after some tens of steps.
"""


def target(device: torch.device) -> float | None:
    """The geometric mean of the ratios that is aimed at; None for devices about which nothing was said."""
    if device.type == "cpu":
        return 1.7
    an_h100_or_newer = torch.cuda.get_device_capability(device) >= (9, 0)
    return 10.0 if an_h100_or_newer else None


@dataclass(frozen=True)
class Race:
    """One model trained by both loops.

    Attributes:
        model: the row's name.
        steps: that were timed of an epoch.
        reference_seconds: of them in each epoch behind the first, by the reference loop as notebooks have it, in
            our process; ``process_seconds`` in its own; ``loop_seconds`` in ours with our layers and our memory;
            ``engine_seconds`` by our loop.
        reference_losses: mean training loss of each epoch in nats; ``engine_losses`` of ours.
        exact_difference: see ``exact_difference``.
    """

    model: str
    steps: int
    reference_seconds: list[float]
    process_seconds: list[float]
    loop_seconds: list[float]
    engine_seconds: list[float]
    reference_losses: list[float]
    engine_losses: list[float]
    exact_difference: float

    @property
    def ratios(self) -> list[float]:
        """How many times longer the reference took, of each pair of neighboring epochs."""
        return _ratios(self.reference_seconds, self.engine_seconds)

    @property
    def ratio(self) -> float:
        """The median of them."""
        return median(self.ratios)

    @property
    def ratio_to_process(self) -> float:
        """The same for the reference in a process of its own."""
        return median(_ratios(self.process_seconds, self.engine_seconds))

    @property
    def ratio_of_loops(self) -> float:
        """The same for the reference loop with our layers and our memory."""
        return median(_ratios(self.loop_seconds, self.engine_seconds))

    @property
    def loss_differences(self) -> list[float]:
        """Relative difference of the losses of each epoch."""
        return relative_differences(self.reference_losses, self.engine_losses)


@dataclass(frozen=True)
class GeometricMeans:
    """The geometric means over several races of what ``Race`` calls the same."""

    ratio: float
    ratio_to_process: float
    ratio_of_loops: float

    @classmethod
    def of(cls, races: Sequence[Race]) -> "GeometricMeans":
        """The means over at least one race."""
        return cls(
            geometric_mean(race.ratio for race in races),
            geometric_mean(race.ratio_to_process for race in races),
            geometric_mean(race.ratio_of_loops for race in races),
        )


def race(spec: ModelSpec, dataset: PairedDataset, seed: int, config: RunConfig) -> Race:
    """Train a model with both loops on the same data, from the same weights and in the same order.

    Args:
        spec: a row whose networks are trained in one go.
        dataset: to draw the protocol's pairs from.
        seed: of split, weights and order.
        config: device and protocol, of at least two epochs.
    """
    keep_freed_memory()
    with deterministic():
        train = prepare(dataset, config.protocol, seed, config.device).train
        trainer = _ours(spec, dataset, seed, config.device, train, config.protocol, torch.float32)
        if trainer.steps_per_epoch < 2:
            raise ValueError(f"a race takes two steps an epoch at least, {len(train)} training pairs are one")
        in_memory = samples(train)
        arranged, published = (build_seeded(spec, dataset, seed, config.device) for _ in range(2))
        arranged.to(memory_format=torch.contiguous_format)
        as_published(published)
        learned = largest_block_of(published, train[: config.protocol.batch_size])
        loop_alone = ReferenceLoop(arranged, in_memory, config.protocol, seed, config.device)
        losses, seconds, process_seconds, loop_seconds, engine_seconds = [], [], [], [], []
        with reference_process(published, in_memory, config.protocol, seed, config.device) as train_elsewhere:
            notebook = ReferenceLoop(published, in_memory, config.protocol, seed, config.device)
            for _ in range(config.protocol.epochs):
                process_seconds.append(train_elsewhere()[1])
                with notebook_memory(learned):
                    loss, taken = timed(notebook.steps(), trainer.device)
                losses.append(loss)
                seconds.append(taken)
                loop_seconds.append(timed(loop_alone.steps(), trainer.device)[1])
                engine_seconds.append(timed(trainer.steps(), trainer.device)[1])
                trainer.finish_epoch()
    return Race(
        model=spec.name,
        steps=trainer.steps_per_epoch - 1,
        reference_seconds=seconds[1:],
        process_seconds=process_seconds[1:],
        loop_seconds=loop_seconds[1:],
        engine_seconds=engine_seconds[1:],
        reference_losses=losses,
        engine_losses=trainer.history.train_losses,
        exact_difference=exact_difference(spec, dataset, seed, config),
    )


def exact_difference(spec: ModelSpec, dataset: PairedDataset, seed: int, config: RunConfig) -> float:
    """Whether both loops are the same mathematics: the largest relative difference of their losses in doubles.

    Over two epochs of 20 training pairs in batches of 8, 8 and 4.
    """
    with deterministic():
        few = prepare(dataset, config.protocol, seed, config.device).train[:20]
        doubles = Batch({modality: values.double() for modality, values in few.inputs.items()}, few.labels)
        protocol = replace(config.protocol, batch_size=8, epochs=2, drop_last=False)
        other = as_published(build_seeded(spec, dataset, seed, config.device).to(torch.float64))
        reference = ReferenceLoop(other, samples(doubles), protocol, seed, config.device)
        trainer = _ours(spec, dataset, seed, config.device, doubles, protocol, torch.float64)
        losses = []
        for _ in range(protocol.epochs):
            losses.append(reference.train_epoch())
            trainer.train_epoch()
            trainer.finish_epoch()
    return max(relative_differences(losses, trainer.history.train_losses))


def _ratios(seconds: Sequence[float], engine_seconds: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(seconds, engine_seconds, strict=True)]


def relative_differences(expected: Sequence[float], found: Sequence[float]) -> list[float]:
    """|found - expected| / |expected|, of each pair."""
    return [abs(b - a) / abs(a) for a, b in zip(expected, found, strict=True)]


def race_table(races: Sequence[Race], least: float | None, conditions: Sequence[str]) -> TextTable:
    """A line a model, and the geometric mean of the ratios below.

    Args:
        races: at least one.
        least: see ``target``.
        conditions: what they were measured under.
    """
    rows = [
        [
            race.model,
            *(
                f"{1e3 * median(seconds) / race.steps:.2f}"
                for seconds in (race.reference_seconds, race.engine_seconds)
            ),
            f"{race.ratio:.2f}",
            f"{min(race.ratios):.2f} to {max(race.ratios):.2f}",
            f"{race.ratio_to_process:.2f}",
            f"{race.ratio_of_loops:.2f}",
            f"{race.exact_difference:.0e}",
            f"{max(race.loss_differences):.0e}",
        ]
        for race in races
    ]
    mean = GeometricMeans.of(races)
    aim = "" if least is None else f"; aimed at: at least {least:.1f} of the first two"
    return TextTable(
        name="engine",
        title="A training step: the loop of notebooks beside ours",
        header=[
            "model",
            "reference (ms)",
            "ours (ms)",
            "ratio",
            "its range",
            "own process",
            "loop alone",
            "loss, doubles",
            "loss, floats",
        ],
        labels=1,
        rows=rows,
        notes=[
            f"geometric means: ratio {mean.ratio:.2f}, own process {mean.ratio_to_process:.2f}, "
            f"loop alone {mean.ratio_of_loops:.2f}{aim}",
            "reference: loop, layers and memory of notebooks, in the process of our loop; own process: the ratio "
            "to the same in a process of its own; loop alone: to the same loop with our layers and our memory",
            f"ratios: medians of {len(races[0].ratios)} pairs of neighboring epochs of {races[0].steps} timed "
            "steps; loss: largest relative difference of the histories, in floats enlarged by each step",
        ],
        conditions=list(conditions),
        data=pd.DataFrame([_raw(race) for race in races]),
    )


def write_json(path: Path, races: Sequence[Race], least: float | None, config: RunConfig) -> None:
    """Everything that was measured and under what, as strict JSON."""
    content = {
        "geometric_means": asdict(GeometricMeans.of(races)),
        "target": least,
        "models": [
            asdict(race)
            | {
                "ratio": race.ratio,
                "ratios": race.ratios,
                "ratio_to_process": race.ratio_to_process,
                "ratio_of_loops": race.ratio_of_loops,
            }
            for race in races
        ],
        "profile": config.profile,
        "dataset": config.dataset,
        "protocol": asdict(config.protocol),
        "environment": environment(torch.device(config.device)),
    }
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _raw(race: Race) -> dict[str, str | float]:
    return {
        "model": race.model,
        "steps": race.steps,
        "reference_step_seconds": median(race.reference_seconds) / race.steps,
        "engine_step_seconds": median(race.engine_seconds) / race.steps,
        "ratio": race.ratio,
        "least_ratio": min(race.ratios),
        "largest_ratio": max(race.ratios),
        "ratio_to_process": race.ratio_to_process,
        "ratio_of_loops": race.ratio_of_loops,
        "exact_difference": race.exact_difference,
        "loss_difference": max(race.loss_differences),
    }


def _ours(
    spec: ModelSpec,
    dataset: PairedDataset,
    seed: int,
    device: str,
    train: Batch,
    protocol: Protocol,
    dtype: torch.dtype,
) -> Trainer:
    """Our loop at its start; what it validates on does not matter here, so it is one batch."""
    model = build_seeded(spec, dataset, seed, device).to(dtype)
    return Trainer(model, train, train[: protocol.batch_size], protocol, seed, silent)
