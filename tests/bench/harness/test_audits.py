"""Every audit finds what is planted for it, and the suite itself is clean but for what it says of itself."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.__main__ import main
from bench.config import STANDARD
from bench.harness.audits import audit_dataset, audit_models, audit_split, splits
from bench.studies import STUDIES
from bench.training.evaluation import METRICS, accuracy, evaluate, predict
from bench.training.measurement import training_memory
from bench.training.model_audits import SAMPLES, memory_of_others, one_function, samples_left_out, without_gradient
from data_utils import Batch, DatasetInfo, load
from data_utils.audits.findings import Finding, Outcome
from data_utils.layouts.nvidia_tree import write_nvidia_tree
from data_utils.simulator.shapes import simulate
from fusion_models import MODELS
from tests.bench.toys import Toy, toy_batch

# --- models


class Layers(nn.Module):
    """Two linear layers, made in the order of their names and used first to last."""

    def __init__(self, *made: str, activation: nn.Module | None = None) -> None:
        super().__init__()
        for name in made:
            self.add_module(name, {"first": nn.Linear(4, 3), "last": nn.Linear(3, 2)}[name])
        self.activation = activation or nn.ReLU()

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        hidden = self.get_submodule("first")(inputs["rgb"].flatten(1))
        logits: Tensor = self.get_submodule("last")(self.activation(hidden))
        return logits


class Tempered(Toy):
    """As published: the scaled logits are overwritten in the next statement."""

    def __init__(self) -> None:
        super().__init__(logits=2)
        self.temperature = nn.Parameter(torch.ones(()))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        logits = super().forward(inputs)
        scaled = logits / self.temperature
        scaled = logits
        return scaled  # noqa: RET504


class Detached(Toy):
    """Nothing is trained, as the only layer is cut off."""

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        return super().forward(inputs).detach()


def test_one_function_is_found_whatever_the_parts_are_called_and_in_which_order_they_are_made() -> None:
    models = {
        "a": lambda: Layers("first", "last"),
        "b": lambda: Layers("last", "first"),
        "c": lambda: Layers("first", "last", activation=nn.Tanh()),
        "d": lambda: Toy(logits=2),
    }
    assert [finding.subject for finding in one_function(models, toy_batch(4).inputs)] == ["a = b"]


def test_a_parameter_without_gradient_is_found() -> None:
    def frozen() -> nn.Module:
        model = Tempered()
        model.temperature.requires_grad_(False)
        return model

    models = {"tempered": Tempered, "frozen": frozen, "detached": Detached, "toy": Toy}
    found = without_gradient(models, toy_batch(4))
    assert [(finding.subject, finding.message.split(";")[0]) for finding in found] == [
        ("tempered", "1 of 3 parameters have no part in the loss (temperature)"),
        ("detached", "2 of 2 parameters have no part in the loss (layer.weight, layer.bias)"),
    ]


Evaluate = Callable[[nn.Module, Batch], Mapping[str, float]]
BATCH_SIZE = 32
LEFT = SAMPLES % BATCH_SIZE


def drop_last(model: nn.Module, batch: Batch) -> dict[str, float]:
    return evaluate(model, batch[: len(batch) - len(batch) % BATCH_SIZE])


def literal_denominator(model: nn.Module, batch: Batch) -> dict[str, float]:
    return {"accuracy": accuracy(predict(model, batch), batch.labels) * len(batch) / 384}


def mean_of_means(model: nn.Module, batch: Batch) -> dict[str, float]:
    parts = [batch[start : start + BATCH_SIZE] for start in range(0, len(batch), BATCH_SIZE)]
    return {"accuracy": math.fsum(accuracy(predict(model, part), part.labels) for part in parts) / len(parts)}


def test_our_metrics_are_of_all_samples() -> None:
    assert samples_left_out(evaluate) == []


def test_samples_left_out_are_found() -> None:
    found = samples_left_out(drop_last)
    assert LEFT == 1
    message = f"{LEFT} of {SAMPLES} samples have no part in it (number {SAMPLES - LEFT}, counted from 0)"
    left_out = [finding.subject for finding in found if finding.message.startswith(message)]
    assert left_out == [metric.name for metric in METRICS]


@pytest.mark.parametrize("wrong", [literal_denominator, mean_of_means])
def test_a_wrong_denominator_is_found(wrong: Evaluate) -> None:
    (finding,) = samples_left_out(wrong)
    assert finding.subject == "accuracy"
    assert "if each comes twice; divide by the number of samples" in finding.message


def test_memory_of_others_is_found() -> None:
    made: list[nn.Module] = []

    def build() -> nn.Module:
        made.append(Toy())
        return made[-1]

    def all_there_is(build: Callable[[], nn.Module], batch: Batch) -> int:
        model = build()
        total = sum(parameter.nbytes for each in made for parameter in each.parameters())
        made.remove(model)
        return total + batch.labels.nbytes

    (finding,) = memory_of_others(all_there_is, build, toy_batch(2))
    own, batch = 4 * (4 + 1), 2 * 8  # bytes
    assert finding.subject == "Toy"
    assert finding.message.startswith(
        f"its peak is {own + batch} bytes alone and {4 * own + batch} beside 3 more;"
    )


def test_our_memory_is_of_one_model() -> None:
    peak_bytes = lambda build, batch: training_memory(build, batch).peak_bytes  # noqa: E731
    assert memory_of_others(peak_bytes, lambda: Toy(logits=2), toy_batch(4)) == []


# --- the suite itself


def findings(outcomes: list[Outcome]) -> list[Finding]:
    return [finding for outcome in outcomes for finding in outcome.findings]


@pytest.mark.parametrize("seed", [51, 52])
def test_our_data_and_split_are_clean(seed: int) -> None:
    dataset = load("shapes", pairs=400)
    assert findings(audit_dataset(dataset)) == []
    assert findings(audit_split(dataset, STANDARD, seed)) == []


def test_the_split_is_the_one_that_reaches_the_models() -> None:
    dataset = load("shapes", pairs=80)
    asked, delivered = splits(dataset, replace(STANDARD, pairs=60), seed=51)
    assert torch.equal(asked.train, delivered.train)
    assert torch.equal(asked.valid, delivered.valid)
    assert len(delivered.train) + len(delivered.valid) == pytest.approx(60, abs=2)


def test_published_splits_are_found_to_separate_twins_and_to_leave_pairs_out() -> None:
    dataset = load("shapes", pairs=400)
    study = STUDIES["fusion-wide"]
    corrected, published = (
        replace(protocol, pairs=399, valid_fraction=0.2)
        for protocol in (study.protocols[""], study.published_protocol(""))
    )
    assert findings(audit_split(dataset, corrected, seed=51)) == []
    found = {finding.audit: finding for finding in findings(audit_split(dataset, published, seed=51))}
    assert set(found) == {"groups split apart", "validation pairs left out"}
    twins = found["groups split apart"].message
    assert "cubes/" in twins
    assert "spheres/" in twins


def test_the_known_rows_are_one_function_and_no_others() -> None:
    info = DatasetInfo("any", ("one", "other"), {"rgb": 4, "lidar": 4}, (16, 16))
    known = [
        f"{name} = {name.replace('intermediate', 'late')}"
        for name in MODELS
        if name.startswith("wide-intermediate-concat-")
    ]
    found = findings(audit_models(list(MODELS.values()), info))
    assert known
    assert [(finding.audit, finding.subject) for finding in found] == [("one function", name) for name in known]


# --- the command line


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "tree"
    write_nvidia_tree(folder, simulate(80, seed=0, image_size=16))
    return folder


def test_clean_data_exit_with_0(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--dataset", str(tree)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "tree, 80 pairs of 2 classes",
        "  ok     repeated pairs: 80 pairs",
        "  ok     label-dependent inputs: 2 of 2 classes have the 10 pairs needed to judge them",
        "tree, split for standard, seed 51",
        "  ok     pairs in both splits: 64 training and 16 validation pairs",
        "  ok     groups split apart: 64 training and 16 validation pairs",
        "  ok     validation pairs left out: 64 training and 16 validation pairs",
        "no findings",
    ]


def test_findings_exit_with_1(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--dataset", str(tree), "--study", "fusion-experts", "--as-published"]) == 1
    *_, groups, finding, _, last = capsys.readouterr().out.splitlines()
    assert groups.startswith("  FOUND  groups split apart: ")
    assert finding.startswith("         tree: ")
    assert last == "1 finding"


@pytest.mark.parametrize(("study", "found"), [("fusion-compact", 0), ("fusion-wide", 1)])
def test_models_are_audited_when_asked_for(
    tree: Path, capsys: pytest.CaptureFixture[str], study: str, found: int
) -> None:
    assert main(["audit", "--dataset", str(tree), "--study", study, "--models"]) == found
    output = capsys.readouterr().out
    assert "tree, models built for it\n" in output
    assert output.count("wide-intermediate-concat-maxpool = wide-late-concat-maxpool: ") == found


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "nowhere"], "error: 'nowhere' is neither a data set nor an existing path; "),
        (["--study", "nothing"], "error: --study nothing: give one of all, claims, standard, "),
        (["--seeds", "none"], "error: --seeds none: give a count "),
    ],
)
def test_unusable_words_exit_with_2(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", *words]) == 2
    assert capsys.readouterr().err.startswith(message)


def test_models_that_do_not_fit_exit_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_nvidia_tree(tmp_path, simulate(80, seed=0, image_size=12))
    assert main(["audit", "--dataset", str(tmp_path), "--study", "fusion-wide", "--models"]) == 2
    message = capsys.readouterr().err
    assert "height and width must be multiples of 8, not 12x12; choose a study of other models" in message
