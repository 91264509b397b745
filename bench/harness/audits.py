"""All audits of what a session would run: its data as the protocols split them, and its models.

``python -m bench audit`` prints the outcomes. The audits themselves are in ``data_utils.audits`` and
``bench.training.model_audits``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch

from bench.config import STANDARD, Protocol
from bench.costs.inference import random_batch
from bench.harness.session import Session
from bench.registry import METRICS
from bench.training import model_audits
from bench.training.evaluation import evaluate
from bench.training.measurement import training_memory
from bench.training.preparation import prepare_world
from data_utils import DataError, DatasetInfo, PairedDataset, Source, World
from data_utils.audits import leaks
from data_utils.audits.findings import Outcome
from fusion_models import ModelSpec, build_model

_SAMPLES = 8  # for the models; few, as the images may be large


def audit(session: Session, *, models: bool) -> Iterator[tuple[str, list[Outcome]]]:
    """All audits of a session, group by group, each with a heading.

    Args:
        session: Its data, protocols and seeds are audited.
        models: Whether its models are audited too.

    Raises:
        DataError: The data cannot be read or split, or do not fit a model.
    """
    specs: dict[Source, dict[ModelSpec, None]] = {}  # the models of each source, in order
    audited: set[PairedDataset] = set()
    for cell in session.cells:
        specs.setdefault(session.data.source(cell.config), {})[cell.spec] = None
    for config, seed in dict.fromkeys((cell.config, cell.seed) for cell in session.cells):
        world = session.data.world(config, seed)
        name, study = world.info.name, " ".join(filter(None, (config.study, config.variant)))
        for dataset in {part.dataset: None for part in world.parts.values()}:
            if dataset not in audited:
                audited.add(dataset)
                title = f"{name}, {len(dataset)} pairs of {len(world.info.classes)} classes"
                yield title, leaks.audit_dataset(dataset)
        yield f"{name}, parts for {study}, seed {seed}", audit_world(world, config.protocol)
    if models:
        for source, of_source in specs.items():
            yield f"{source.info.name}, models built for it", audit_models(list(of_source), source.info)


def audit_world(world: World, protocol: Protocol) -> list[Outcome]:
    """The audits of the pairs that a seed trains, validates and tests on."""
    outcomes = leaks.audit_world(reached := as_delivered(world, protocol))
    lost = leaks.validation_left_out(world, reached)
    return [*outcomes, Outcome("validation pairs left out", outcomes[0].looked_at, [*lost])]


def audit_models(specs: Sequence[ModelSpec], info: DatasetInfo) -> list[Outcome]:
    """The audits of models built for such data, and of the values reported about them.

    Raises:
        DataError: A model does not fit the data.
    """
    builds = {
        spec.name: partial(
            build_model, spec, channels=info.channels, image_size=info.image_size, classes=len(info.classes)
        )
        for spec in specs
    }
    with torch.device("meta"):  # shapes without weights
        for build in builds.values():
            try:
                build()
            except ValueError as error:
                raise DataError(f"{error}; choose a study of other models or leave --models out") from error
    batch = random_batch(info, _SAMPLES, "cpu")
    models, first = f"{len(builds)} models", specs[0].name
    memory = model_audits.memory_of_others(
        lambda b, x: training_memory(b, x, STANDARD).peak_bytes, builds[first], batch
    )
    # Ranks and bins need not change with every label; all metrics are computed of the same predictions.
    means = [name for name, metric in METRICS.items() if metric.every_epoch]
    of_means = partial(evaluate, every_epoch=True)
    return [
        Outcome("one function", models, [*model_audits.one_function(builds, batch.inputs)]),
        Outcome("parameters without gradient", models, [*model_audits.without_gradient(builds, batch)]),
        Outcome("samples left out", f"{len(means)} metrics", [*model_audits.samples_left_out(of_means)]),
        Outcome("memory of others", first, [*memory]),
    ]


def as_delivered(world: World, protocol: Protocol) -> World:
    """The world as it reaches a model.

    The numbers of the pairs pass through the same code as their content, so that no step in between (groups
    ignored, batches cut off) is taken on trust.
    """
    numbered = {part.dataset: _numbered(part.dataset) for part in world.parts.values()}

    of_numbers = world.mapped(lambda _, part: replace(part, dataset=numbered[part.dataset]))
    data = prepare_world(of_numbers, replace(protocol, normalized=()), "cpu")
    batches = {"train": [data.train[:]], "valid": [data.valid[:]], "test": [*data.batches(data.world.test)]}
    indices = {
        name: torch.cat([torch.empty(0), *(batch.inputs["number"].flatten() for batch in of_part)]).long()
        for name, of_part in batches.items()
    }
    return world.mapped(lambda name, part: replace(part, indices=indices[name]))


def _numbered(dataset: PairedDataset) -> PairedDataset:
    """The data set with each pair's number in place of its content; exact up to 2**24 pairs."""
    numbers = torch.arange(len(dataset), dtype=torch.float32)
    return replace(
        dataset,
        info=replace(dataset.info, channels={"number": 1}, image_size=(1, 1), modalities={}),
        inputs={"number": numbers[:, None, None, None]},
        decoders={},
    )
