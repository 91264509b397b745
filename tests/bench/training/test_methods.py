import math
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn

from bench.config import STANDARD, OptionError, Protocol
from bench.metrics import classification_loss
from bench.training.methods import Methods, class_weights, make_methods, modulation, present, scores
from bench.training.preparation import prepare
from bench.training.runs import build_seeded, drive, run
from bench.training.seeding import deterministic, seeded
from bench.training.trainer import Trainer
from data_utils import Batch
from fusion_models import FusionNet, ModelError, find_model
from fusion_models.operators import Concat, Mean
from tests.bench.samples import small_dataset, uneven_dataset
from tests.bench.toys import toy, toy_batch

PAIRS = 12


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    inputs = {m: torch.randn(PAIRS, 3, 4, 4, generator=generator) for m in ("rgb", "lidar")}
    return Batch(inputs, torch.arange(PAIRS) % 3)


def network(*, decides: bool = False) -> Any:
    """A convolution and a mean per modality, and one linear layer on both; or the mean of the convolutions."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        stems = {m: nn.Sequential(nn.Conv2d(3, 3, 3), nn.AvgPool2d(2), nn.Flatten()) for m in ("rgb", "lidar")}
        operator = (Mean if decides else Concat)([(3,), (3,)])
        head = nn.Identity() if decides else nn.Linear(6, 3)
    return FusionNet(stems=stems, operator=operator, trunk=nn.Identity(), head=head)


def features(model: FusionNet, data: Batch) -> list[Tensor]:
    return [stem(data.inputs[modality]) for modality, stem in model.stems.items()]


def methods(model: nn.Module, **settings: float) -> Methods:
    made = make_methods(model, replace(STANDARD, **settings), batch(), 51)  # type: ignore[arg-type]
    assert made is not None
    return made


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_by_default_there_is_no_method() -> None:
    assert make_methods(network(), STANDARD, batch(), 51) is None


# Modality dropout


def test_each_modality_of_each_pair_is_dropped_by_itself() -> None:
    kept = present(51, 1, 4000, 2, 0.3)
    assert kept.shape == (4000, 2)
    deviation = (0.3 * 0.7 / 4000) ** 0.5
    assert kept.double().mean(dim=0).tolist() == pytest.approx([0.7, 0.7], abs=4 * deviation)
    both = kept.all(dim=1).double().mean().item()
    assert both == pytest.approx(0.49, abs=4 * (0.49 * 0.51 / 4000) ** 0.5)


def test_what_is_dropped_depends_on_seed_and_epoch_alone() -> None:
    kept = present(51, 2, 100, 2, 0.3)
    torch.rand(7)
    assert torch.equal(kept, present(51, 2, 100, 2, 0.3))
    assert not torch.equal(kept, present(52, 2, 100, 2, 0.3))
    assert not torch.equal(kept, present(51, 3, 100, 2, 0.3))


def test_a_pair_loses_the_same_in_whatever_batch_it_is() -> None:
    data, method = batch(), methods(network(), modality_dropout=0.5)
    method.begin(1)
    kept = present(51, 1, PAIRS, 2, 0.5)
    assert kept.any()
    assert not kept.all()
    for order in (torch.arange(PAIRS), torch.tensor([7, 3, 11])):
        dropped = method.dropped(data[order], order)
        assert torch.equal(dropped.labels, data.labels[order])
        for place, values in enumerate(dropped.inputs.values()):
            original = list(data.inputs.values())[place]
            for row, pair in enumerate(order):
                expected = original[pair] if kept[pair, place] else torch.zeros_like(original[pair])
                assert torch.equal(values[row], expected)


def test_every_epoch_drops_anew() -> None:
    data, method = batch(), methods(network(), modality_dropout=0.5)
    everything, place = torch.arange(PAIRS), method._present.data_ptr()
    inputs = []
    for epoch in (1, 2, 1):
        method.begin(epoch)
        assert method._present.data_ptr() == place  # where a CUDA graph of the step reads it
        inputs.append(method.dropped(data, everything).inputs["rgb"])
    assert torch.equal(inputs[0], inputs[2])
    assert not torch.equal(inputs[0], inputs[1])


def test_a_single_modality_is_never_dropped() -> None:
    data = toy_batch(8)
    method = make_methods(toy(), replace(STANDARD, modality_dropout=0.9), data, 51)
    assert method is not None
    method.begin(1)
    assert method.dropped(data, torch.arange(8)) is data


# Class weights


@pytest.mark.parametrize("counts", [[3, 1], [5, 5, 5], [1, 7, 2]])
def test_balanced_weights_are_those_of_scikit_learn(counts: list[int]) -> None:
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    expected = compute_class_weight("balanced", classes=labels.unique().numpy(), y=labels.numpy())
    assert class_weights(labels).tolist() == pytest.approx(expected.tolist())
    assert class_weights(labels)[labels].mean().item() == pytest.approx(1)


def test_a_class_without_training_pairs_weighs_nothing() -> None:
    assert class_weights(torch.tensor([0, 0, 0, 2])).tolist() == pytest.approx([4 / 6, 0, 2])


@pytest.mark.parametrize("logits", [1, 2])
def test_class_weights_are_in_the_gradient_of_all_models(logits: int) -> None:
    data, model = toy_batch(8), toy(logits=logits)
    data = Batch(data.inputs, torch.tensor([0, 1, 0, 0, 0, 0, 1, 0]))
    method = make_methods(model, replace(STANDARD, class_weights="balanced"), data, 51)
    assert method is not None
    loss = method.backward(data)
    ours = gradients(model)
    model.zero_grad()
    # 6 pairs of class 0 and 2 of class 1: 8 / (2 * 6) and 8 / (2 * 2).
    alone = [classification_loss(model(data[i : i + 1].inputs), data.labels[i : i + 1]) for i in range(8)]
    weights = [2.0 if label else 2 / 3 for label in data.labels.tolist()]
    expected = torch.stack([weight * one for weight, one in zip(weights, alone, strict=True)]).mean()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item())
    torch.testing.assert_close(ours, gradients(model))


def test_class_weights_weigh_the_losses_of_single_modalities_too() -> None:
    model, data = network(), batch()
    uneven = Batch(data.inputs, torch.tensor([0] * 8 + [1, 1, 2, 2]))
    method = make_methods(model, replace(STANDARD, class_weights="balanced", unimodal_loss=1.0), uneven, 51)
    assert method is not None
    method.backward(uneven)
    of_heads = gradients(method.heads)
    method.heads.zero_grad()
    for x, head in zip(features(model, uneven), method.heads.values(), strict=True):
        classification_loss(head(x), uneven.labels, torch.tensor([0.5, 2.0, 2.0])).backward()
    torch.testing.assert_close(of_heads, gradients(method.heads))


def test_the_loss_that_chooses_the_best_epoch_is_not_weighted() -> None:
    still = replace(SHORT, epochs=1, learning_rate=0.0, final_learning_rate=0.0)
    plain, weighted = (
        run(FUSED, uneven_dataset(), protocol=protocol)
        for protocol in (still, replace(still, class_weights="balanced"))
    )
    assert weighted.valid_metrics == plain.valid_metrics
    assert weighted.train_losses != plain.train_losses
    assert weighted.protocol["class_weights"] == "balanced"


# Losses of single modalities


@pytest.mark.parametrize("decides", [False, True])
def test_the_gradient_is_that_of_the_weighted_sum_of_losses(decides: bool) -> None:
    model, data = network(decides=decides), batch()
    method = methods(model, unimodal_loss=0.5)
    loss = method.backward(data)
    ours, of_heads = gradients(model), gradients(method.heads)
    assert loss.item() == classification_loss(model(data.inputs), data.labels).item()  # of the fusion alone

    model.zero_grad()
    method.heads.zero_grad()
    total = classification_loss(model(data.inputs), data.labels)
    for x, head in zip(features(model, data), method.heads.values(), strict=True):
        total = total + 0.5 * nn.functional.cross_entropy(head(x), data.labels)
    total.backward()
    torch.testing.assert_close(ours, gradients(model))
    torch.testing.assert_close(of_heads, gradients(method.heads))
    assert bool(of_heads) is not decides


def test_heads_are_those_of_the_seed_and_no_part_of_the_model() -> None:
    model = network()
    first, second = (methods(model, unimodal_loss=0.5).heads.state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert {tuple(value.shape) for value in first.values()} == {(3, 3), (3,)}
    assert not any("heads" in name for name, _ in model.named_modules())


# OGM-GE


def test_the_stronger_modality_is_slowed_by_equation_10() -> None:
    slowed = 1 - math.tanh(0.5 * 2.0)
    assert modulation(torch.tensor([6.0, 3.0]), 0.5).tolist() == pytest.approx([slowed, 1.0])
    assert modulation(torch.tensor([3.0, 6.0]), 0.5).tolist() == pytest.approx([1.0, slowed])
    assert modulation(torch.tensor([3.0, 3.0]), 0.5).tolist() == [1.0, 1.0]
    # Of three, against the mean of the others: 6 / 3, 4 / 4, 2 / 5.
    assert modulation(torch.tensor([6.0, 4.0, 2.0]), 0.5).tolist() == pytest.approx([slowed, 1.0, 1.0])


def test_the_scores_of_a_linear_layer_are_those_of_the_paper() -> None:
    model, data = network(), batch()
    weight, bias = model.head.weight, model.head.bias
    expected = []
    for x, part in zip(features(model, data), weight.split(3, dim=1), strict=True):
        probabilities = (x @ part.T + bias / 2).softmax(dim=1)
        expected.append(probabilities[torch.arange(PAIRS), data.labels].sum())
    with torch.no_grad():
        torch.testing.assert_close(scores(model, features(model, data), data.labels), torch.stack(expected))


def test_gradients_of_convolutions_are_scaled_and_get_noise_of_their_size() -> None:
    model, data = network(), batch()
    classification_loss(model(data.inputs), data.labels).backward()
    plain = gradients(model)
    model.zero_grad()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        methods(model, ogm_ge=0.5).backward(data)
        modulated = gradients(model)
        torch.manual_seed(3)
        with torch.no_grad():
            kept = modulation(scores(model, features(model, data), data.labels), 0.5)
        assert kept.min() < 1
        for share, modality in zip(kept, ("rgb", "lidar"), strict=True):
            name = f"stems.{modality}.0.weight"
            noise = torch.randn_like(plain[name]) * (plain[name].std() + 1e-8)
            torch.testing.assert_close(modulated[name], share * plain[name] + noise)
    for name in ("stems.rgb.0.bias", "head.weight", "head.bias"):
        torch.testing.assert_close(modulated[name], plain[name])


def test_one_logit_is_the_odds_of_the_second_class() -> None:
    model, data = network(), batch()
    binary = Batch(data.inputs, data.labels % 2)
    two = scores(model_with(model, 2), features(model, data), binary.labels)
    one = scores(model_with(model, 1), features(model, data), binary.labels)
    torch.testing.assert_close(one, two)


def model_with(model: Any, logits: int) -> FusionNet:
    """The network with the first two logits; or with their difference."""
    head = nn.Linear(6, logits)
    with torch.no_grad():
        for ours, theirs in ((head.weight, model.head.weight), (head.bias, model.head.bias)):
            ours.copy_(theirs[:2] if logits == 2 else theirs[1:2] - theirs[:1])
    return FusionNet(stems=model.stems, operator=model.operator, trunk=model.trunk, head=head)


def test_running_statistics_count_no_scoring() -> None:
    model = network()
    model.trunk = nn.BatchNorm1d(6)
    methods(model, ogm_ge=0.5).backward(batch())
    assert model.trunk.num_batches_tracked == 1
    assert model.training


# In a training


SHORT = replace(STANDARD, pairs=24, epochs=2, batch_size=8)
ALL_METHODS = replace(SHORT, modality_dropout=0.3, unimodal_loss=0.5, ogm_ge=0.5)


def weights(model: str, protocol: Protocol) -> Tensor:
    """All weights after a training of two epochs."""
    dataset = small_dataset()
    with deterministic(), seeded(51, "training"):
        data = prepare(dataset, protocol, 51, "cpu")
        network = build_seeded(find_model(model), dataset.info, 51, "cpu")
        trainer = Trainer(network, data.train, data.valid, protocol, 51, lambda _: None)
        drive(trainer.train_epoch, trainer.finish_epoch, protocol.epochs)
    return torch.cat([p.detach().flatten() for p in network.parameters()])


FUSED = "field-intermediate-add-patchify"


def test_each_method_changes_a_training() -> None:
    settings: list[dict[str, str]] = [{}, {"modality_dropout": "0.3"}, {"unimodal_loss": "0.3"}, {"ogm_ge": "0.3"}]
    trained = [weights(FUSED, SHORT.with_settings(setting)) for setting in settings]
    assert not any(torch.equal(one, other) for one, other in combinations(trained, 2))


def test_a_training_with_methods_can_be_repeated_to_the_bit() -> None:
    assert torch.equal(weights(FUSED, ALL_METHODS), weights(FUSED, ALL_METHODS))


def test_a_single_modality_is_trained_as_without_methods() -> None:
    assert torch.equal(weights("field-rgb-patchify", ALL_METHODS), weights("field-rgb-patchify", SHORT))


def test_early_fusion_has_no_stems_to_balance() -> None:
    protocol = replace(SHORT, unimodal_loss=0.5, ogm_ge=0.5)
    assert torch.equal(
        weights("field-early-concat-patchify", protocol), weights("field-early-concat-patchify", SHORT)
    )


def test_a_record_tells_the_methods() -> None:
    record = run(FUSED, small_dataset(), protocol=ALL_METHODS)
    assert [record.protocol[name] for name in ("modality_dropout", "unimodal_loss", "ogm_ge")] == [0.3, 0.5, 0.5]


@pytest.mark.parametrize("setting", ["unimodal_loss", "ogm_ge"])
def test_a_model_without_stems_is_refused_with_the_setting(setting: str) -> None:
    with pytest.raises(ModelError, match=rf"{setting}=0.3 needs a FusionNet, .*, not a Toy; leave it out"):
        methods(toy(), **{setting: 0.3})


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"modality_dropout": "1"}, "modality_dropout is a probability below 1, not 1.0"),
        ({"modality_dropout": "-0.1"}, "modality_dropout is a probability below 1"),
        ({"ogm_ge": "-1"}, "ogm_ge must be 0 or positive, not -1.0"),
        ({"unimodal_loss": "nan"}, "unimodal_loss must be 0 or positive, not nan"),
        ({"unimodal_loss": "much"}, "unimodal_loss is a number"),
        ({"class_weights": "inverse"}, "class_weights is one of none, balanced"),
        ({"horizontal_flip": "1.5"}, "horizontal_flip must be from 0 to 1, not 1.5"),
        ({"color_jitter": "nan"}, "color_jitter must be from 0 to 1, not nan"),
        ({"random_crop": "-1"}, "random_crop is a number of pixels, at least 0, not -1"),
        ({"random_crop": "0.5"}, "random_crop is a whole number"),
    ],
)
def test_settings_outside_their_range_are_refused(setting: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        STANDARD.with_settings(setting)
