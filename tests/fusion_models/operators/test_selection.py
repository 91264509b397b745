from typing import Any

import numpy as np
import torch
from torch import nn

from fusion_models.operators import EmbraceNet
from fusion_models.operators.selection import Exchange, SparseBatchNorm
from tests.fusion_models.operators.samples import MAPS, features
from tests.fusion_models.operators.test_gates import at, linear


def test_channels_of_small_scale_come_from_the_other_modality() -> None:
    module, inputs = Exchange([MAPS] * 2), features()
    norm: Any
    scales = torch.tensor([[0.5, 0.019, -0.019, -0.5], [0.01, 1.0, 0.3, 0.021]])
    norms = []
    for norm, scale, x in zip(module.norms, scales, inputs, strict=True):
        nn.init.ones_(norm.bias)
        with torch.no_grad():
            norm.weight.copy_(scale)
        mean, variance = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)
        shape = (1, 4, 1, 1)
        norms.append((x - mean.view(shape)) / (variance + 1e-5).sqrt().view(shape) * scale.view(shape) + 1)
    first, second = module(inputs)
    taken = {0: (0, 1, 1, 0), 1: (0, 1, 1, 1)}  # from which modality each channel comes
    for own, result in enumerate((first, second)):
        for channel, source in enumerate(taken[own]):
            torch.testing.assert_close(result[:, channel], norms[source][:, channel], atol=1e-5, rtol=1e-4)


def test_of_three_modalities_the_others_mean_is_taken() -> None:
    module, inputs = Exchange([MAPS] * 3).eval(), features(3)
    nn.init.zeros_(module.norms[0].get_parameter("weight"))
    first, second, third = module(inputs)
    torch.testing.assert_close(first, (second + third) / 2)


def test_nothing_is_exchanged_at_the_start() -> None:
    module, inputs = Exchange([MAPS] * 2), features()
    for norm, x, y in zip(module.norms, inputs, module(inputs), strict=True):
        torch.testing.assert_close(y, nn.BatchNorm2d(4)(x))
        assert norm.get_parameter("weight").tolist() == [1.0] * 4


def test_the_penalty_is_on_disjoint_shares_of_the_channels() -> None:
    strengths = [norm.get_buffer("strength").tolist() for norm in Exchange([(6, 8, 8)] * 3, strength=0.5).norms]
    assert strengths == [[0.5] * 2 + [0.0] * 4, [0.0] * 2 + [0.5] * 2 + [0.0] * 2, [0.0] * 4 + [0.5] * 2]


def test_the_gradient_is_that_of_the_loss_with_the_l1_norm() -> None:
    norm, plain, (x,) = SparseBatchNorm(4, slice(0, 2), 0.25), nn.BatchNorm2d(4), features(1)
    scales = torch.tensor([0.5, -0.5, 0.5, -0.5])
    with torch.no_grad():
        norm.weight.copy_(scales)
        plain.weight.copy_(scales)
    assert torch.equal(norm(x), plain(x))  # the value has no penalty
    norm(x).square().sum().backward()
    (plain(x).square().sum() + 0.25 * plain.weight[:2].abs().sum()).backward()
    torch.testing.assert_close(norm.weight.grad, plain.weight.grad)


def test_a_trained_exchange_uses_the_statistics_of_training() -> None:
    module, inputs = Exchange([MAPS] * 2), features()
    for _ in range(200):
        trained = module(inputs)
    for y, x in zip(module.eval()(inputs), trained, strict=True):
        # Running variances are unbiased: over 3 * 64 positions they are 192 / 191 as large.
        torch.testing.assert_close(y, x, atol=0.01, rtol=0.01)


def test_every_channel_is_taken_whole_from_one_modality() -> None:
    operator, inputs = EmbraceNet([MAPS] * 3), features(3, pairs=200)
    docked = torch.stack([layer(x).relu() for layer, x in zip(operator.dock, inputs, strict=True)], dim=2)
    fused = operator(inputs)  # (B, C, H, W)
    equal = (docked == fused.unsqueeze(2)).all(dim=(3, 4))  # (B, C, modality)
    assert equal.any(dim=2).all()
    shares = equal[equal.sum(dim=2) == 1].double().mean(dim=0)
    # 800 draws: four standard deviations of a share of 1/3.
    assert (shares - 1 / 3).abs().max() < 4 * (2 / 9 / 800) ** 0.5


def test_evaluation_takes_the_mean_of_the_draws() -> None:
    operator, inputs = EmbraceNet([MAPS] * 2).eval(), features()
    expected = 0.0
    for layer, x in zip(operator.dock, inputs, strict=True):
        weight, bias = linear(layer)
        expected = expected + np.maximum(weight @ at(x, 1, 2, 3) + bias, 0) / 2
    np.testing.assert_allclose(at(operator(inputs), 1, 2, 3), expected, rtol=1e-5, atol=1e-6)
