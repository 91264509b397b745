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
from data_utils import Batch, DatasetInfo, PairedDataset, Split, load
from data_utils.audits.leaks import (
    JUDGED_PAIRS,
    groups_split_apart,
    label_dependent_inputs,
    pairs_in_both_splits,
    repeated_pairs,
    validation_left_out,
)
from data_utils.audits.findings import Finding, Outcome
from data_utils.geometry import depth_to_xyza, range_to_xyza
from data_utils.layouts.nvidia_tree import write_nvidia_tree
from data_utils.simulator.shapes import simulate
from fusion_models import MODELS
from tests.bench.toys import Toy, toy_batch
from tests.data_utils.samples import tiny_dataset

# --- pairs and groups


def split_at(pair: int, dataset: PairedDataset) -> Split:
    return Split(train=torch.arange(pair), valid=torch.arange(pair, len(dataset)))


def once_per_class(dataset: PairedDataset) -> PairedDataset:
    """As a published loader did it: its loop over classes starts from all of the files each time."""
    return dataset.take(torch.arange(len(dataset)).repeat(len(dataset.info.classes)))


def test_different_pairs_are_no_copies_although_they_share_a_modality() -> None:
    dataset = tiny_dataset([0, 1, 0, 1])
    one_image = replace(dataset, inputs={**dataset.inputs, "rgb": torch.zeros(4, 1, 1, 1, dtype=torch.uint8)})
    assert repeated_pairs(one_image) == []
    assert pairs_in_both_splits(one_image, split_at(2, one_image)) == []


def test_repeated_pairs_are_found_under_other_names_and_labels() -> None:
    twice = tiny_dataset([0, 1, 0, 1]).take(torch.tensor([0, 1, 2, 3, 1, 2]))
    renamed = replace(twice, names=("a", "b", "c", "d", "e", "f"), labels=torch.tensor([0, 1, 0, 1, 1, 1]))
    (finding,) = repeated_pairs(renamed)
    assert (finding.audit, finding.subject) == ("repeated pairs", "tiny")
    assert finding.message == (
        "2 pairs have the content of an earlier one, 1 of them under another label (e = b, f = c); "
        "keep every pair once."
    )


def test_pairs_in_both_splits_are_found_where_every_pair_is_listed_once_per_class() -> None:
    dataset = once_per_class(tiny_dataset([0, 1] * 20))
    asked, _ = splits(replace(dataset, groups=torch.arange(80)), replace(STANDARD, batch_size=1), seed=51)
    (finding,) = pairs_in_both_splits(dataset, asked)
    twice = len(set(asked.train.remainder(40).tolist()) & set(asked.valid.remainder(40).tolist()))
    assert twice > 5
    assert finding.message.startswith(f"{twice} of 16 validation pairs are training pairs as well (")


def test_pairs_in_both_splits_are_found_under_another_name() -> None:
    dataset = tiny_dataset([0, 1, 0, 1]).take(torch.tensor([0, 1, 3, 1]))
    renamed = replace(dataset, names=("a", "b", "c", "d"))
    (finding,) = pairs_in_both_splits(renamed, split_at(2, renamed))
    assert "1 of 2 validation pairs are training pairs as well (d = b)" in finding.message


def test_groups_split_apart_are_found() -> None:
    dataset = tiny_dataset([0, 1, 0, 1, 0, 1], groups=[7, 7, 8, 8, 9, 9])
    assert groups_split_apart(dataset, split_at(2, dataset)) == []
    (finding,) = groups_split_apart(dataset, split_at(3, dataset))
    assert "1 of 3 groups have pairs both in training and in validation (3 from 2)" in finding.message


def test_validation_pairs_left_out_are_found() -> None:
    dataset = tiny_dataset([0, 1, 0, 1, 0])
    asked = split_at(2, dataset)
    assert validation_left_out(dataset, asked, asked) == []
    (finding,) = validation_left_out(dataset, asked, Split(asked.train, asked.valid[:2]))
    assert "1 of 3 validation pairs reach no metric (4)" in finding.message


# --- inputs that know the label


def random_dataset(classes: int = 2, pairs: int = JUDGED_PAIRS, *, size: int = 4) -> PairedDataset:
    """Random images, and points at random ranges that all rays meet, from one sensor."""
    generator = torch.Generator().manual_seed(0)
    count = classes * pairs
    names = tuple(f"class {label}" for label in range(classes))
    range_m = ranges(count, size)
    return PairedDataset(
        info=DatasetInfo("random", names, {"rgb": 4, "lidar": 4}, (size, size)),
        inputs={
            "rgb": torch.randint(256, (count, 4, size, size), generator=generator, dtype=torch.uint8),
            "lidar": range_to_xyza(range_m, angles(size), angles(size)),
        },
        labels=torch.arange(count) % classes,
        groups=torch.arange(count),
        names=tuple(str(pair) for pair in range(count)),
    )


def ranges(count: int, size: int = 4) -> Tensor:
    return 1 + 40 * torch.rand(count, size, size, generator=torch.Generator().manual_seed(1))


def angles(size: int = 4) -> Tensor:
    return torch.linspace(-0.2, 0.2, size, dtype=torch.float64)


def with_input(dataset: PairedDataset, modality: str, values: Tensor) -> PairedDataset:
    return replace(dataset, inputs={**dataset.inputs, modality: values})


def per_class(dataset: PairedDataset, *of_class: Tensor) -> Tensor:
    """The pairs of each class from its own tensor (N, ...)."""
    return torch.stack([of_class[label][pair] for pair, label in enumerate(dataset.labels.tolist())])


def with_angles(dataset: PairedDataset, *azimuths: Tensor) -> PairedDataset:
    """The same ranges, with one array of azimuths for each class."""
    points = [range_to_xyza(ranges(len(dataset)), azimuth, angles()) for azimuth in azimuths]
    return with_input(dataset, "lidar", per_class(dataset, *points))


def test_values_that_vary_in_all_classes_say_nothing() -> None:
    assert label_dependent_inputs(random_dataset(classes=3)) == []


def test_values_that_are_the_same_everywhere_say_nothing() -> None:
    dataset = random_dataset()
    rgb = dataset.inputs["rgb"].clone()
    rgb[:, 3] = 255
    assert label_dependent_inputs(with_input(dataset, "rgb", rgb)) == []


def test_angles_per_class_are_found_although_no_value_is_constant() -> None:
    dataset = random_dataset()
    (finding,) = label_dependent_inputs(with_angles(dataset, angles(), angles() + 0.001))
    assert (finding.audit, finding.subject) == ("label-dependent inputs", "lidar")
    assert "directions of points are the same in all pairs of one class" in finding.message


def test_angles_that_differ_by_their_rounding_are_one_sensor() -> None:
    assert label_dependent_inputs(with_angles(random_dataset(), angles(), angles().float().double())) == []


def test_a_camera_per_class_is_found_also_where_depth_has_holes() -> None:
    dataset = random_dataset(pairs=4 * JUDGED_PAIRS)
    depth_m = ranges(len(dataset))
    depth_m[depth_m < 20] = 0  # nothing measured, in about half of the pixels
    cx = cy = torch.full((len(dataset),), 2.0)
    focal = [torch.full((len(dataset),), length) for length in (4.0, 5.0)]
    one_camera = depth_to_xyza(depth_m, focal[0], focal[0], cx, cy)
    assert label_dependent_inputs(with_input(dataset, "lidar", one_camera)) == []
    cameras = [depth_to_xyza(depth_m, f, f, cx, cy) for f in focal]
    (finding,) = label_dependent_inputs(with_input(dataset, "lidar", per_class(dataset, *cameras)))
    assert "directions of points" in finding.message


def test_a_camera_per_pair_cannot_be_judged() -> None:
    dataset = random_dataset()
    focal = torch.linspace(4, 5, len(dataset))
    points = depth_to_xyza(ranges(len(dataset)), focal, focal, torch.zeros_like(focal), torch.zeros_like(focal))
    assert label_dependent_inputs(with_input(dataset, "lidar", points)) == []


@pytest.mark.parametrize(("mark", "others"), [(0, (1, 255)), (255, (0, 254))])
def test_a_mark_in_one_of_three_classes_is_found(mark: int, others: tuple[int, int]) -> None:
    dataset = random_dataset(classes=3, pairs=50)
    rgb = dataset.inputs["rgb"].clamp(*others)
    assert label_dependent_inputs(with_input(dataset, "rgb", rgb)) == []
    rgb[dataset.labels == 1, 2, 3, 0] = mark
    (finding,) = label_dependent_inputs(with_input(dataset, "rgb", rgb))
    assert finding.subject == "rgb"
    assert finding.message.startswith("1 of 64 values are the same in all pairs of one class")
    assert f"(channel 2, row 3, column 0: {mark} in 'class 1', " in finding.message


def test_few_pairs_are_not_judged() -> None:
    alpha = torch.tensor([255, 254], dtype=torch.uint8)
    for pairs, findings in ((JUDGED_PAIRS - 1, 0), (JUDGED_PAIRS, 1)):
        dataset = random_dataset(pairs=pairs)
        rgb = dataset.inputs["rgb"].clone()
        rgb[:, 3] = alpha[dataset.labels][:, None, None]
        assert len(label_dependent_inputs(with_input(dataset, "rgb", rgb))) == findings


def test_a_class_of_few_pairs_says_nothing_beside_those_that_are_judged() -> None:
    dataset = random_dataset(pairs=JUDGED_PAIRS)
    assert label_dependent_inputs(dataset.take(torch.arange(len(dataset) - 1))) == []


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
        "  ok     label-dependent inputs: 2 of 2 classes have the 10 pairs it takes to judge them",
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
        (["--dataset", "nowhere"], "error: 'nowhere' is no data set and no existing path; "),
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
