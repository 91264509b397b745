"""How fast training is: our loop against the loop of notebooks, and several seeds together against one by one.

``pytest bench -k engine`` runs these alone. That both loops compute the same is asserted in every profile; that
ours is as many times faster as is aimed at only in profile full, for which the machine should be idle: elsewhere
a few short epochs of a row of each family and embedder say that it runs and roughly how fast.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from bench.config import FIRST_SEED, FULL, RunConfig
from bench.costs.race import (
    EXACT_TOLERANCE,
    PROTOCOL,
    ROUNDING_TOLERANCE,
    ROWS,
    GeometricMeans,
    race,
    race_table,
    target,
    write_json,
)
from bench.costs.together import compare, seeds_table
from bench.harness.session import Session
from bench.studies import STUDIES
from data_utils import DATASETS, PairedDataset
from fusion_models import find_model

SEED_COUNTS = (1, 2, 4, 8)
CPU_SEED_COUNTS = (1, 2)
"""One training has all threads already, so two are enough to see that nothing is gained."""
SIDE_BY_SIDE = ("compact-late-concat-strided", "compact-late-concat-maxpool", "wide-intermediate-concat-maxpool")
"""From the cheapest step to one of the most expensive."""


@pytest.fixture
def config(session: Session) -> RunConfig:
    """The session's data and device under the protocol of these benchmarks, cut down to the session's profile."""
    asked = session.options.run_config(STUDIES["standard"], "")
    shortened = session.options.profile.shorten(PROTOCOL, simulated=asked.dataset in DATASETS)
    return replace(asked, protocol=shortened)


@pytest.fixture
def dataset(session: Session, config: RunConfig) -> PairedDataset:
    """The session's data, as many pairs as that takes."""
    return session.dataset(config)


@pytest.fixture
def conditions(session: Session, config: RunConfig, dataset: PairedDataset) -> list[str]:
    """What times depend on, for the tables."""
    pairs = min(len(dataset), config.protocol.pairs)
    in_batches = f"{pairs} pairs of {dataset.info.name} in batches of {config.protocol.batch_size}"
    return [f"data: {in_batches}", *session.measured_on()]


def test_engine_against_reference(
    session: Session,
    config: RunConfig,
    dataset: PairedDataset,
    conditions: list[str],
    show: Callable[[str], None],
) -> None:
    """Both loops come to the same losses; in profile full, ours is as fast as is aimed at."""
    least = target(torch.device(config.device))
    one_a_family = {(spec.family, spec.embedder): spec for spec in ROWS}
    rows = ROWS if session.options.profile == FULL else one_a_family.values()
    races = []
    for spec in rows:
        races.append(race(spec, dataset, FIRST_SEED, config))
        last = races[-1]
        show(f"{spec.name:40} {last.ratio:.2f} times as fast, {last.ratio_of_loops:.2f} by the loop alone")
    session.add_table(race_table(races, least, conditions))
    write_json(session.folder / "engine.json", races, least, config)
    for each in races:
        assert each.exact_difference <= EXACT_TOLERANCE, f"{each.model}: another computation"
        assert each.loss_differences[0] <= ROUNDING_TOLERANCE, f"{each.model}: more than rounding"
    if session.options.profile == FULL and least is not None:
        mean = GeometricMeans.of(races)
        assert min(mean.ratio, mean.ratio_to_process) >= least


def test_seeds_together(
    session: Session,
    config: RunConfig,
    dataset: PairedDataset,
    conditions: list[str],
    show: Callable[[str], None],
) -> None:
    """Seeds trained together come to the losses they come to alone; the table says from how many on it pays."""
    counts = SEED_COUNTS if config.device.startswith("cuda") else CPU_SEED_COUNTS
    seeds = range(FIRST_SEED, FIRST_SEED + max(counts))
    compared = []
    for name in SIDE_BY_SIDE:
        for count in counts:
            compared.append(compare(find_model(name), dataset, seeds[:count], config))
            show(f"{name:40} {count} seeds together: gain {compared[-1].gain:.2f}")
    session.add_table(seeds_table(compared, conditions))
    for each in compared:
        assert each.loss_difference <= EXACT_TOLERANCE, f"{each.model}, {each.seeds} seeds: not as alone"
