from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fusion_models.operators.attention import Bottleneck, CrossAttention, Tokens, TransformerLayer, attend
from tests.fusion_models.operators.samples import MAPS, features


def tokens_of(maps: Tensor) -> Tensor:
    return maps.flatten(2).transpose(1, 2)


def test_attention_is_that_of_torch() -> None:
    queries, keys, values = torch.randn(3, 5, 4), torch.randn(3, 7, 4), torch.randn(3, 7, 6)
    expected = nn.functional.scaled_dot_product_attention(queries, keys, values)
    torch.testing.assert_close(attend(queries, keys, values), expected)


@pytest.mark.parametrize("modalities", [2, 3])
def test_cross_attention_is_one_head_of_torch_from_each_modality_to_the_others(modalities: int) -> None:
    inputs = features(modalities)
    operator: Any = CrossAttention([MAPS] * modalities)
    tokens = list(map(tokens_of, inputs))
    expected = torch.stack(inputs).sum(dim=0)
    for own in range(modalities):
        others = [i for i in range(modalities) if i != own]
        # Each modality has its own keys and values: the head's are the identity, and they are projected before.
        keys, values = (
            torch.cat([operator.project[i](tokens[i])[:, :, part] for i in others], dim=1)
            for part in (slice(4, 8), slice(8, 12))
        )
        head = nn.MultiheadAttention(4, 1, batch_first=True)
        with torch.no_grad():
            head.in_proj_weight.copy_(torch.cat([operator.project[own].weight[:4], torch.eye(4), torch.eye(4)]))
            head.in_proj_bias.zero_()[:4].copy_(operator.project[own].bias[:4])
            head.out_proj.weight.copy_(torch.eye(4))
        attended, _ = head(tokens[own], keys, values)
        expected = expected + attended.transpose(1, 2).unflatten(2, (8, 8))
    torch.testing.assert_close(operator(inputs), expected)


def test_a_layer_is_the_pre_norm_transformer_layer_of_torch() -> None:
    ours, x = TransformerLayer(8), torch.randn(3, 5, 8)
    theirs = nn.TransformerEncoderLayer(
        8, 1, 32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    mine = dict(ours.named_parameters())
    names = {
        "self_attn.in_proj_": "project.",
        "self_attn.out_proj.": "out.",
        "norm1.": "norm.",
        "norm2.": "mlp.0.",
        "linear1.": "mlp.1.",
        "linear2.": "mlp.3.",
    }
    state = {
        theirs_name + part: mine[name + part] for theirs_name, name in names.items() for part in ("weight", "bias")
    }
    theirs.load_state_dict(state)
    torch.testing.assert_close(ours(x), theirs.train()(x))


def test_modalities_meet_in_the_shared_tokens_alone() -> None:
    (first, second), (_, other) = features(), features(seed=2)
    for depth, passes in ((1, False), (2, True)):
        module = Bottleneck([MAPS] * 2, depth=depth)
        same = torch.equal(module([first, second])[0], module([first, other])[0])
        assert same is not passes


def test_a_bottleneck_is_its_layers_and_a_mean() -> None:
    module, inputs = Bottleneck([MAPS] * 2), features()
    a, b = map(tokens_of, inputs)
    shared = module.shared.expand(3, -1, -1)
    x, y = (layer(torch.cat([t, shared], 1)) for layer, t in zip(module.layers[:2], (a, b), strict=True))
    shared = (x[:, 64:] + y[:, 64:]) / 2
    x, y = (layer(torch.cat([t[:, :64], shared], 1)) for layer, t in zip(module.layers[2:], (x, y), strict=True))
    for maps, tokens in zip(module(inputs), (x, y), strict=True):
        torch.testing.assert_close(maps, tokens[:, :64].transpose(1, 2).unflatten(2, (8, 8)), atol=1e-5, rtol=1e-4)


def test_tokens_are_the_means_of_squares() -> None:
    tokens = Tokens((1, 16, 8))
    maps = torch.arange(128.0).view(1, 1, 16, 8)
    assert tokens(maps).shape == (1, 8 * 4, 1)
    assert tokens(maps)[0, 0, 0] == (0 + 1 + 8 + 9) / 4
    added = tokens.add(torch.zeros_like(maps), torch.arange(32.0).view(1, 32, 1))
    assert added[0, 0, :2, :4].tolist() == [[0.0, 0.0, 1.0, 1.0]] * 2
    assert added[0, 0, 2:4, :2].tolist() == [[4.0, 4.0]] * 2


@pytest.mark.parametrize(
    ("shape", "message"), [((6,), "needs maps"), ((4, 16, 9), r"at most 8x8 squares, not \(4, 16, 9\)")]
)
def test_maps_that_have_no_tokens_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tokens(shape)


@pytest.mark.parametrize(("side", "tokens"), [(8, 64), (14, 49), (16, 64), (56, 64), (7, 49)])
def test_maps_of_common_sizes_have_tokens(side: int, tokens: int) -> None:
    assert Tokens((1, side, side))(torch.zeros(1, 1, side, side)).shape == (1, tokens, 1)
