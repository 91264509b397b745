from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fusion_models.operators import LowRank, TensorFusion
from tests.fusion_models.operators.samples import MAPS, features
from tests.fusion_models.operators.test_gates import at, linear


def with_one(x: np.ndarray) -> np.ndarray:
    return np.concatenate([[1.0], x])


@pytest.mark.parametrize("modalities", [2, 3])
def test_low_rank_fusion_is_a_weighted_sum_of_products(modalities: int) -> None:
    inputs, operator = features(modalities), LowRank([MAPS] * modalities, rank=3)
    terms = np.ones((3, 4))
    for factor, maps in zip(operator.factors, inputs, strict=True):
        weight, bias = linear(factor)
        matrices = np.concatenate([bias[:, None], weight], axis=1).reshape(3, 4, 5)  # rank, outputs, [1; x]
        terms *= matrices @ with_one(at(maps, 1, 2, 3))
    expected = operator.weights.detach().numpy()[0] @ terms + operator.bias.detach().numpy()
    np.testing.assert_allclose(at(operator(inputs), 1, 2, 3), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("modalities", [2, 3])
def test_tensor_fusion_is_linear_in_the_outer_product(modalities: int) -> None:
    inputs, operator = features(modalities), TensorFusion([MAPS] * modalities)
    outer = np.ones(1)
    for maps in inputs:
        outer = np.outer(outer, with_one(at(maps, 1, 2, 3))).ravel()
    weight, bias = linear(operator.weigh)
    np.testing.assert_allclose(at(operator(inputs), 1, 2, 3), weight @ outer + bias, rtol=1e-4, atol=1e-6)


def test_low_rank_fusion_is_the_tensor_fusion_whose_weights_have_that_rank() -> None:
    low: Any = LowRank([(2,), (3,)], rank=2)
    full, inputs = TensorFusion([(2,), (3,)]), features(1, (2,)) + features(1, (3,))
    first, second = (
        torch.cat([factor.bias[:, None], factor.weight], dim=1).unflatten(0, (2, 2)) for factor in low.factors
    )  # rank, outputs, [1; x]
    tensor = torch.einsum("r,rda,rdb->dab", low.weights[0], first, second)
    full.weigh.load_state_dict({"weight": tensor.flatten(1), "bias": low.bias})
    torch.testing.assert_close(low(inputs), full(inputs))


def test_zeros_leave_the_products_with_one() -> None:
    operator, zeros = TensorFusion([(2,), (2,)]), [torch.zeros(1, 2), torch.zeros(1, 2)]
    layer = operator.weigh
    assert isinstance(layer, nn.Linear)
    torch.testing.assert_close(operator(zeros)[0], layer.weight[:, 0] + layer.bias)


def test_too_many_products_are_refused_with_their_number() -> None:
    message = "TensorFusion would multiply 4 modalities to 83521 features, more than 65536; .* use lmf"
    with pytest.raises(ValueError, match=message):
        TensorFusion([(16,)] * 4)
