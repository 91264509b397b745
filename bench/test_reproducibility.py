"""The promise behind every other number: the same cell gives the same bits.

Rehearsals are short (profile smoke on the session's data and device) and leave nothing in the run's folder.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.config import FIRST_SEED, SMOKE, RunConfig
from bench.harness.session import Session
from bench.records.run import COMPLETED, RunRecord
from bench.studies import STUDIES
from bench.training.processes import fresh_process
from bench.training.runs import run
from data_utils import PairedDataset
from fusion_models import MODELS, ModelSpec

ONE_PER_FAMILY = list({spec.family: spec for spec in MODELS.values() if spec.stage != "single"}.values())


@pytest.fixture
def rehearsal(session: Session, tmp_path: Path) -> RunConfig:
    """The standard study on the session's data and device, cut down to profile smoke."""
    options = replace(session.options, profile=SMOKE, results_dir=tmp_path)
    return options.run_config(STUDIES["standard"], "")


@pytest.fixture
def dataset(session: Session, rehearsal: RunConfig) -> PairedDataset:
    """The session's data, as many pairs as rehearsals need."""
    return session.dataset(rehearsal)


def test_same_cell_twice(each_model: ModelSpec, dataset: PairedDataset, rehearsal: RunConfig) -> None:
    """Twice in one process, with every global generator disturbed in between: same losses, same weights."""
    first = run(each_model, dataset, FIRST_SEED, rehearsal)
    np.random.seed(None)  # noqa: NPY002 - the legacy generator is the one that is global
    torch.rand(7)
    second = run(each_model, dataset, FIRST_SEED, rehearsal)
    assert_same_bits(first, second)


def test_other_seed_differs(dataset: PairedDataset, rehearsal: RunConfig) -> None:
    """Another seed gives other losses and weights: the comparison above can fail."""
    name = next(iter(MODELS))
    first, other = (run(name, dataset, seed, rehearsal) for seed in (FIRST_SEED, FIRST_SEED + 1))
    assert first.train_losses != other.train_losses
    assert first.weights_sha256 != other.weights_sha256


@pytest.mark.parametrize("spec", ONE_PER_FAMILY, ids=lambda spec: spec.name)
def test_alone_or_after_others(spec: ModelSpec, dataset: PairedDataset, rehearsal: RunConfig) -> None:
    """In a fresh process and here, after whatever ran before: same losses, same weights."""
    run(next(iter(MODELS)), dataset, FIRST_SEED, rehearsal)
    here = run(spec, dataset, FIRST_SEED, rehearsal)
    with fresh_process() as fresh:
        alone = fresh.submit(run, spec, dataset, FIRST_SEED, rehearsal).result()
    assert_same_bits(alone, here)


def assert_same_bits(first: RunRecord, second: RunRecord) -> None:
    """Equal loss histories and equal weights, exactly."""
    assert first.status == second.status == COMPLETED
    assert first.train_losses == second.train_losses
    assert first.valid_losses == second.valid_losses
    assert first.weights_sha256 == second.weights_sha256
