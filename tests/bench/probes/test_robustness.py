from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.probes.corruptions import corrupted, corruptions_of
from bench.probes.robustness import measure
from bench.probes.subject import Subject, load_subject
from bench.registry import CORRUPTIONS, register_corruption
from bench.training.runs import run
from data_utils import PairedDataset
from tests.bench.samples import MODEL, SMALL, run_config


@pytest.fixture(scope="module")
def subject(dataset: PairedDataset, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return trained(MODEL, dataset, tmp_path_factory.mktemp("run"))


def trained(model: str, dataset: PairedDataset, folder: Path) -> Subject:
    return load_subject(run(model, dataset, protocol=SMALL, results_dir=folder), dataset, run_config(folder))


def test_every_level_of_every_corruption_is_measured_from_the_clean_accuracy_on(subject: Subject) -> None:
    probes = measure(subject)
    assert [(probe.probe, probe.level) for probe in probes] == [
        (corruption.name, level) for corruption in CORRUPTIONS.values() for level in corruption.levels
    ]
    assert {probe.value for probe in probes if probe.level == 0} == {subject.record.valid_accuracy}
    assert all(0 <= probe.value <= 1 and probe.samples == 16 for probe in probes)


def test_a_probe_has_what_the_record_of_the_training_tells_of_the_model(subject: Subject) -> None:
    probe = measure(subject)[0]
    for field in ("model", "family", "stage", "operator", "embedder", "modalities", "reference", "weights_sha256"):
        assert getattr(probe, field) == getattr(subject.record, field)


def test_models_of_a_seed_meet_the_same_corrupted_pairs(
    subject: Subject, dataset: PairedDataset, tmp_path: Path
) -> None:
    other = trained("wide-rgb-strided", dataset, tmp_path)
    for corruption in corruptions_of(dataset):
        first, second = (
            corrupted(corruption, dataset, one.measured, corruption.levels[-1], one.record.seed, one.statistics)
            for one in (subject, other)
        )
        assert torch.equal(first, second)


def test_a_modality_that_a_model_does_not_see_costs_it_nothing(dataset: PairedDataset, tmp_path: Path) -> None:
    blind = trained("wide-lidar-strided", dataset, tmp_path)
    of_rgb = [probe.value for probe in measure(blind) if CORRUPTIONS[probe.probe].modality == "rgb"]
    assert set(of_rgb) == {blind.record.valid_accuracy}


class Cheat(nn.Module):
    """Predicts from the first pixel of the image."""

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        return inputs["rgb"][:, :1, 0, 0]


@pytest.mark.usefixtures("registries")
def test_a_corruption_of_a_plugin_counts_and_one_that_is_not_clean_at_level_0_is_noticed(subject: Subject) -> None:
    rgb = subject.dataset.inputs["rgb"].clone()
    rgb[:, 0, 0, 0] = subject.dataset.labels * 255
    marked = replace(subject.dataset, inputs={**subject.dataset.inputs, "rgb": rgb})
    planted = Subject(Cheat(), subject.record, marked, SMALL, "cpu")
    assert {probe.value for probe in measure(planted) if probe.level == 0} == {1.0}
    register_corruption("black", levels=(0.0, 1.0), modality="rgb")(lambda values, _, __: torch.zeros_like(values))
    assert [probe.value for probe in measure(planted) if probe.probe == "black"] == [0.5, 0.5]
