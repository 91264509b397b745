"""What plug-ins of bench register: metrics, corruptions, studies."""

import pytest
import torch
from torch import Generator, Tensor

from bench import STANDARD, Study, register_corruption, register_metric, register_study
from bench.config import OptionError
from bench.metrics import declarations
from bench.records import Metric
from bench.registry import CORRUPTIONS, METRICS, STUDIES, Corruption, find_study
from bench.training.evaluation import evaluate
from fusion_models import register_operator
from fusiongauge import PluginError
from tests.bench.toys import toy, toy_batch

pytestmark = pytest.mark.usefixtures("registries")


def brier(logits: Tensor, labels: Tensor) -> float:
    """Mean squared distance of the probabilities from the label, of two classes with one logit."""
    return (logits[:, 0].sigmoid() - labels).square().mean().item()


def test_a_metric_needs_a_name_and_a_direction() -> None:
    assert register_metric("mean_brier", higher_is_better=False)(brier) is brier
    assert METRICS["mean_brier"].declaration == Metric(
        name="mean_brier", title="mean brier", higher_is_better=False, decimals=3
    )
    with pytest.raises(TypeError, match="higher_is_better"):
        register_metric("brier")  # type: ignore[call-arg]


def test_a_metric_is_declared_evaluated_and_listed() -> None:
    register_metric("brier", higher_is_better=False, title="Brier score", decimals=4, margin=0.02, shown=False)(
        brier
    )
    metric = declarations()["valid_brier"]
    assert (metric.title, metric.decimals, metric.margin, metric.shown) == ("valid Brier score", 4, 0.02, False)
    model, batch = toy(), toy_batch(8)
    assert evaluate(model, batch)["brier"] == pytest.approx(brier(model(batch.inputs), batch.labels))
    shipped = ["loss", "accuracy", "balanced_accuracy", "macro_f1", "auroc", "calibration_error"]
    assert list(METRICS) == [*shipped, "brier"]


@pytest.mark.parametrize("name", ["pairs", "confusion", "class_accuracies", "sha256", "metrics", "losses"])
def test_a_metric_is_not_named_as_something_else_that_records_tell(name: str) -> None:
    with pytest.raises(
        PluginError, match=rf"test_registry\.py: a metric cannot be named '{name}', as records have"
    ):
        register_metric(name, higher_is_better=True)(brier)
    assert name not in METRICS


@pytest.mark.parametrize("name", ["all", "claims"])
def test_a_study_is_not_named_as_a_group_of_studies(name: str) -> None:
    with pytest.raises(PluginError, match=f"'{name}' is reserved and cannot name a study"):
        register_study(name)(lambda: Study("Mine?", ("wide-rgb-strided",), {"": STANDARD}))


def silence(values: Tensor, level: float, generator: Generator) -> Tensor:  # noqa: ARG001
    """Quieter values."""
    return values * (1 - level)


def test_a_corruption_is_registered_with_its_levels() -> None:
    assert (
        register_corruption("silence", levels=(0.0, 0.5, 1.0), modality="sonar", unit="share")(silence) is silence
    )
    assert CORRUPTIONS["silence"] == Corruption("silence", silence, (0.0, 0.5, 1.0), "sonar", "share")
    corrupted = CORRUPTIONS["silence"].corrupt(torch.ones(1, 1, 2, 2), 0.5, Generator())
    assert corrupted.unique().tolist() == [0.5]


@pytest.mark.parametrize("levels", [(), (0.0,), (0.1, 0.5), (0.0, 0.5, 0.5), (0.0, 1.0, 0.5)])
def test_levels_rise_from_0(levels: tuple[float, ...]) -> None:
    with pytest.raises(PluginError, match=r"test_registry\.py: the levels of 'silence' must rise from 0, not \("):
        register_corruption("silence", levels=levels)(silence)
    assert "silence" not in CORRUPTIONS


def test_a_kind_of_modality_that_does_not_exist_is_refused() -> None:
    with pytest.raises(
        PluginError, match="the kind of 'silence' is one of image, points, depth, range, thermal, raw, not 'sound'"
    ):
        register_corruption("silence", levels=(0.0, 1.0), kind="sound")(silence)
    assert "silence" not in CORRUPTIONS


def test_a_study_is_made_when_it_is_selected_and_has_the_name_it_is_registered_under() -> None:
    calls = []

    @register_study("mine")
    def mine() -> Study:
        calls.append(1)
        return Study(question="Mine?", models=("wide-rgb-strided",), protocols={"": STANDARD}, name="another")

    assert list(STUDIES)[-1] == "mine"
    assert calls == []
    assert find_study("mine").name == "mine"
    assert calls == [1]


def test_a_study_that_cannot_be_run_is_named_with_its_file() -> None:
    @register_study("empty")
    def empty() -> Study:
        return Study(question="Empty?", models=(), protocols={"": STANDARD})

    with pytest.raises(OptionError, match=r"test_registry\.py: study 'empty' needs at least one model"):
        find_study("empty")


def test_an_operator_without_a_family_is_named_and_not_the_study_that_lists_its_models() -> None:
    register_operator("mine", families=("compcat",))(type("Mine", (), {}))
    with pytest.raises(PluginError, match=r"^[^,]*test_registry\.py: the operator 'mine' cannot join the family"):
        find_study("standard")


def test_a_study_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(OptionError, match=r"unknown study 'mine'; the studies are: standard, downsampling-wide, "):
        find_study("mine")
