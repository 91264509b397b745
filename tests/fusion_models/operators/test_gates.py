"""Formulas of the papers, written in numpy for single positions, or another library's module of equal weights."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from fusion_models.operators.gates import FiLM, GatedUnit, JointExcitation, SqueezeExcite, SqueezeExciteAdd
from tests.fusion_models.operators.samples import MAPS, features


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def linear(layer: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    """The matrix and the bias of a layer or of a 1x1 convolution."""
    weight, bias = layer.get_parameter("weight").detach(), layer.get_parameter("bias").detach()
    return weight.flatten(1).numpy(), bias.numpy()


def at(maps: Tensor, sample: int, row: int, column: int) -> np.ndarray:
    return maps[sample, :, row, column].detach().numpy()


@pytest.mark.parametrize("modalities", [2, 3])
def test_gated_unit(modalities: int) -> None:
    inputs = features(modalities)
    unit = GatedUnit([MAPS] * modalities)
    x = [at(maps, 1, 2, 3) for maps in inputs]
    values = [np.tanh(w @ xi + b) for (w, b), xi in zip(map(linear, unit.values), x, strict=True)]
    weight, bias = linear(unit.gate)
    gates = np.split(sigmoid(weight @ np.concatenate(x) + bias), 1 if modalities == 2 else 3)
    gates += [1 - gates[0]] if modalities == 2 else []
    expected = sum(z * h for z, h in zip(gates, values, strict=True))
    np.testing.assert_allclose(at(unit(inputs), 1, 2, 3), expected, rtol=1e-5, atol=1e-6)


def test_a_gate_that_is_open_or_closed_selects_a_modality() -> None:
    inputs = features()
    unit = GatedUnit([MAPS] * 2)
    nn.init.zeros_(unit.gate.get_parameter("weight"))
    for value, chosen in ((100.0, 0), (-100.0, 1)):
        nn.init.constant_(unit.gate.get_parameter("bias"), value)
        torch.testing.assert_close(unit(inputs), unit.values[chosen](inputs[chosen]).tanh())


@pytest.mark.parametrize("modalities", [2, 3])
def test_film(modalities: int) -> None:
    inputs = features(modalities)
    film = FiLM([MAPS] * modalities)
    weight, bias = linear(film.modulation)
    condition = np.concatenate([x[1].mean(dim=(1, 2)).numpy() for x in inputs[1:]])
    g, b = np.split(weight @ condition + bias, 2)
    expected = (1 + g) * at(inputs[0], 1, 2, 3) + b
    np.testing.assert_allclose(at(film(inputs), 1, 2, 3), expected, rtol=1e-5, atol=1e-6)


def test_film_of_zeros_returns_the_first_modality() -> None:
    film, inputs = FiLM([MAPS] * 2), features()
    for parameter in film.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(film(inputs), inputs[0])


def test_squeeze_and_excitation_is_that_of_torchvision() -> None:
    theirs, ours, x = SqueezeExcitation(80, 5), SqueezeExcite(80), torch.randn(3, 80, 5, 7)
    for layer, other in ((ours.squeeze, theirs.fc1), (ours.excite, theirs.fc2)):
        layer.load_state_dict({"weight": other.weight.flatten(1), "bias": other.bias})
    torch.testing.assert_close(ours(x), theirs(x))


def test_seadd_adds_what_was_weighted() -> None:
    operator, inputs = SqueezeExciteAdd([MAPS] * 2), features()
    first, second = (weigh(x) for weigh, x in zip(operator.weigh, inputs, strict=True))
    assert torch.equal(operator(inputs), first + second)


def test_joint_excitation() -> None:
    inputs = [*features(1, (4, 8, 8)), *features(1, (6, 2, 3))]  # sizes and channels may differ
    module = JointExcitation([(4, 8, 8), (6, 2, 3)])
    weight, bias = linear(module.squeeze)
    assert weight.shape == (2 * (4 + 6) // 4, 4 + 6)
    means = np.concatenate([x[1].mean(dim=(1, 2)).numpy() for x in inputs])
    joint = np.maximum(weight @ means + bias, 0)
    for layer, x, y in zip(module.excite, inputs, module(inputs), strict=True):
        weight, bias = linear(layer)
        expected = at(x, 1, 1, 2) * 2 * sigmoid(weight @ joint + bias)
        np.testing.assert_allclose(at(y, 1, 1, 2), expected, rtol=1e-5, atol=1e-6)


def test_joint_excitation_of_zeros_leaves_the_streams_as_they_are() -> None:
    module, inputs = JointExcitation([MAPS] * 2), features()
    for parameter in module.excite.parameters():
        nn.init.zeros_(parameter)
    assert all(torch.equal(y, x) for y, x in zip(module(inputs), inputs, strict=True))
