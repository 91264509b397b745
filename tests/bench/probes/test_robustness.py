from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench.probes import robustness
from bench.probes.corruptions import CORRUPTIONS, Corruption
from bench.probes.robustness import effective_robustness, measure, relative_robustness
from bench.probes.subject import Subject, load_subject
from bench.records.files import RecordError
from bench.records.run import DIVERGED
from bench.training.runs import run
from data_utils import PairedDataset
from tests.bench.samples import MODEL, SMALL, record, run_config, small_dataset


@pytest.fixture(scope="module")
def dataset() -> PairedDataset:
    return small_dataset()


@pytest.fixture(scope="module")
def subject(dataset: PairedDataset, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    config = run_config(tmp_path_factory.mktemp("run"))
    return load_subject(run(MODEL, dataset, 51, config), dataset, config)


@pytest.mark.parametrize(
    ("levels", "accuracies", "area"),
    [
        ([0, 1], [1.0, 0.0], 0.5),
        ([0, 10], [1.0, 0.0], 0.5),  # the unit of the levels does not matter
        ([0, 1, 4], [1.0, 0.5, 0.5], (0.75 + 3 * 0.5) / 4),  # their distances do
        ([0, 0.5, 0.9, 1], [0.9] * 4, 0.9),
    ],
)
def test_relative_robustness_is_the_mean_height_of_the_curve(
    levels: list[float], accuracies: list[float], area: float
) -> None:
    assert relative_robustness(levels, accuracies) == pytest.approx(area)


def test_effective_robustness_is_what_is_kept_beyond_late_fusion() -> None:
    late = [0.9, 0.7, 0.5]
    assert effective_robustness([0, 1, 2], late, late) == 0
    # Better from the start, but losing as much: no more robust.
    assert effective_robustness([0, 1, 2], [1.0, 0.8, 0.6], late) == pytest.approx(0)
    # Loses nothing, where late fusion loses 0, 0.2 and 0.4.
    assert effective_robustness([0, 1, 2], [0.6, 0.6, 0.6], late) == pytest.approx(0.2)
    assert effective_robustness([0, 1, 2], [0.6, 0.3, 0.1], late) < 0


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_relative_robustness_lies_between_the_worst_and_the_best(accuracies: list[float]) -> None:
    found = relative_robustness([0, 0.5, 0.9, 1], accuracies)
    assert min(accuracies) - 1e-12 <= found <= max(accuracies) + 1e-12


def test_every_level_of_every_corruption_is_measured_from_the_clean_accuracy_on(subject: Subject) -> None:
    found = measure(subject)
    assert [(each.probe, each.level) for each in found] == [
        (corruption.name, level) for corruption in CORRUPTIONS.values() for level in corruption.levels
    ]
    assert {each.value for each in found if each.level == 0} == {subject.record.valid_accuracy}
    assert {each.weights_sha256 for each in found} == {subject.record.weights_sha256}
    assert all(0 <= each.value <= 1 and each.samples == 16 for each in found)


def test_models_of_a_seed_meet_the_same_corrupted_pairs(
    subject: Subject, dataset: PairedDataset, tmp_path: Path
) -> None:
    config = run_config(tmp_path)
    other = load_subject(run("wide-rgb-strided", dataset, 51, config), dataset, config)
    for corruption in CORRUPTIONS.values():
        first, second = (
            corruption.apply(each.measured, corruption.levels[-1], each.record.seed, each.statistics)
            for each in (subject, other)
        )
        assert torch.equal(first, second)


def test_a_modality_that_a_model_does_not_see_costs_it_nothing(dataset: PairedDataset, tmp_path: Path) -> None:
    config = run_config(tmp_path)
    blind = load_subject(run("wide-lidar-strided", dataset, 51, config), dataset, config)
    of_rgb = [each.value for each in measure(blind) if CORRUPTIONS[each.probe].modality == "rgb"]
    assert set(of_rgb) == {blind.record.valid_accuracy}


class Cheat(nn.Module):
    """Answers what stands in the first pixel of the image."""

    modalities = ("rgb", "lidar")

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return inputs["rgb"][:, :1, 0, 0]


def test_a_corruption_that_is_not_clean_at_level_0_is_seen(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the benchmark asserts can fail: a black image at level 0 changes the answers."""
    rgb = subject.dataset.inputs["rgb"].clone()
    rgb[:, 0, 0, 0] = subject.dataset.labels * 255
    marked = replace(subject.dataset, inputs={**subject.dataset.inputs, "rgb": rgb})
    planted = Subject(Cheat(), subject.record, marked, SMALL, "cpu")  # type: ignore[arg-type]
    assert {each.value for each in measure(planted) if each.level == 0} == {1.0}
    black = Corruption("black", "rgb", lambda m, _, __: torch.zeros_like(m.values), (0.0, 1.0), "")
    monkeypatch.setattr(robustness, "CORRUPTIONS", {"black": black})
    assert [each.value for each in measure(planted)] == [0.5, 0.5]


def test_a_model_without_weights_cannot_be_probed(dataset: PairedDataset, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"wrote no checkpoint: it diverged \(no number\)"):
        load_subject(record(status=DIVERGED, error="no number", checkpoint=None), dataset, run_config(tmp_path))
    with pytest.raises(RecordError, match=r"seed51\.safetensors is not beside the records; train again"):
        load_subject(record(), dataset, run_config(tmp_path))
