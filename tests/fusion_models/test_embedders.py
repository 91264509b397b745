from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fusion_models import EMBEDDERS
from fusion_models.embedders import (
    AdaptivePhase,
    AveragePool,
    Blur,
    BlurConv,
    BlurPool,
    ConvPool,
    MaxPool,
    Patchify,
    SpaceToDepth,
    Strided,
)
from fusion_models.zoo import embedders_of

ROWS_OF_FOUR = torch.arange(16.0).reshape(1, 1, 4, 4)  # 0 1 2 3 / 4 5 6 7 / 8 9 10 11 / 12 13 14 15


def identity(block: nn.Sequential) -> nn.Sequential:
    """The block with a convolution that returns its input: 1 in the middle of the kernel, 0 elsewhere."""
    convolution = block[0]
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    nn.init.zeros_(convolution.weight)
    with torch.no_grad():
        convolution.weight[0, 0, 1, 1] = 1.0
    return block


# Convolutions of C to C' channels as C * C' * weights + C' biases.
PARAMETERS: dict[str, Callable[[int, int], int]] = {
    **dict.fromkeys(("maxpool", "strided", "avgpool", "blurpool", "blurconv", "aps"), lambda c, d: 9 * c * d + d),
    "convpool": lambda c, d: (9 * c * d + d) + (9 * d * d + d),
    "spd": lambda c, d: 9 * (4 * c) * d + d,
    "patchify": lambda c, d: 4 * c * d + d,
}

every_embedder = pytest.mark.parametrize("embedder", PARAMETERS)


def test_both_published_embedders_are_registered() -> None:
    assert EMBEDDERS["maxpool"].make is MaxPool
    assert EMBEDDERS["strided"].make is Strided


def test_the_field_has_every_embedder() -> None:
    assert set(EMBEDDERS) == set(PARAMETERS) == set(embedders_of("field"))
    assert {name for name, part in EMBEDDERS.items() if "field" in part.families} == set(PARAMETERS)
    published = {name for name, part in EMBEDDERS.items() if "compact" in part.families}
    assert published == {"maxpool", "strided"} == set(embedders_of("compact"))


@every_embedder
def test_shape_parameters_and_gradients(embedder: str) -> None:
    block = EMBEDDERS[embedder].make(3, 5)
    assert sum(p.numel() for p in block.parameters()) == PARAMETERS[embedder](3, 5)
    maps = block(torch.rand(2, 3, 8, 12))
    assert maps.shape == (2, 5, 4, 6)
    maps.square().sum().backward()
    assert not [name for name, p in block.named_parameters() if p.grad is None or not p.grad.any()]


@every_embedder
def test_a_block_has_no_negative_output(embedder: str) -> None:
    maps = EMBEDDERS[embedder].make(3, 5)(torch.rand(2, 3, 8, 8) - 0.5)
    assert maps.min() >= 0.0
    assert maps.max() > 0.0


@every_embedder
def test_without_biases_a_block_scales_with_its_input(embedder: str) -> None:
    block, x = EMBEDDERS[embedder].make(3, 5), torch.rand(2, 3, 8, 8) - 0.5
    for name, parameter in block.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    torch.testing.assert_close(block(4 * x), 4 * block(x))


@every_embedder
def test_a_block_answers_each_sample_for_itself(embedder: str) -> None:
    block, x = EMBEDDERS[embedder].make(3, 5), torch.rand(3, 3, 8, 8)
    torch.testing.assert_close(torch.cat([block(x[i : i + 1]) for i in range(3)]), block(x))


def test_avgpool_takes_the_mean_of_each_two_by_two_window_after_relu() -> None:
    windows = ROWS_OF_FOUR - 2.0  # -2 -1 0 1 / 2 3 4 5 / ...: relu, then mean of 0 0 2 3 and of 0 1 4 5
    assert identity(AveragePool(1, 1))(windows)[0, 0, 0].tolist() == [5 / 4, 10 / 4]


def test_blurring_weights_rows_and_columns_with_1_2_1() -> None:
    point = torch.zeros(1, 1, 8, 8)
    point[0, 0, 4, 4] = 16.0
    # The filter at rows and columns 0, 2, 4, 6: the point is in the middle of one window only.
    assert Blur(1)(point)[0, 0].nonzero().tolist() == [[2, 2]]
    assert Blur(1)(point).sum() == 4.0
    assert Blur(1)(point.roll(1, dims=3))[0, 0, 2].tolist() == [0.0, 0.0, 2.0, 2.0]


def test_blurpool_takes_the_maximum_of_every_window_and_blurs() -> None:
    block, x = BlurPool(3, 5), torch.rand(2, 3, 8, 12) - 0.5
    maxima = block[0](x).relu().unfold(2, 2, 1).unfold(3, 2, 1).amax(dim=(4, 5))  # (B, C, H - 1, W - 1)
    rows = F.conv2d(
        F.pad(maxima, (1, 1, 1, 1)).flatten(0, 1)[:, None], torch.tensor([1.0, 2.0, 1.0]).view(1, 1, 3, 1)
    )
    blurred = F.conv2d(rows, torch.tensor([1.0, 2.0, 1.0]).view(1, 1, 1, 3)) / 16
    torch.testing.assert_close(block(x), blurred[:, 0, ::2, ::2].unflatten(0, (2, 5)))


def test_blurred_blocks_are_those_of_kornia() -> None:
    filters = pytest.importorskip("kornia.filters")
    x = torch.rand(2, 3, 8, 12) - 0.5
    pool, strided = BlurPool(3, 5), BlurConv(3, 5)
    torch.testing.assert_close(pool(x), filters.MaxBlurPool2D(3)(pool[0](x).relu()))
    torch.testing.assert_close(strided(x), filters.BlurPool2D(3)(strided[0](x).relu()))


def test_convpool_learns_the_downsampling() -> None:
    block: Any = ConvPool(3, 5)
    x = torch.rand(2, 3, 8, 12)
    first, second = block[0], block[2]
    everywhere = F.conv2d(
        F.conv2d(x, first.weight, first.bias, padding=1).relu(), second.weight, second.bias, padding=1
    )
    torch.testing.assert_close(block(x), everywhere[:, :, ::2, ::2].relu())


def test_space_to_depth_keeps_every_value() -> None:
    unshuffled = SpaceToDepth(1, 1)[0](ROWS_OF_FOUR)[0]  # (4, 2, 2): the four phases
    assert unshuffled.tolist() == [ROWS_OF_FOUR[0, 0, i::2, j::2].tolist() for i in (0, 1) for j in (0, 1)]


def test_a_strided_convolution_is_a_space_to_depth_of_some_weights() -> None:
    # Of a 3x3 kernel at stride 2, row 0 reads the odd phase of the window before, rows 1 and 2 the own window.
    strided: Any = Strided(1, 1)
    block: Any = SpaceToDepth(1, 1)
    x = torch.rand(1, 1, 8, 8)
    phase, row = {0: 1, 1: 0, 2: 1}, {0: 0, 1: 1, 2: 1}
    with torch.no_grad():
        block[1].weight.zero_()
        for i in range(3):
            for j in range(3):
                block[1].weight[0, 2 * phase[i] + phase[j], row[i], row[j]] = strided[0].weight[0, 0, i, j]
        block[1].bias.copy_(strided[0].bias)
    torch.testing.assert_close(block(x), strided(x))


def test_patchify_reads_each_window_once() -> None:
    block: Any = Patchify(3, 5)
    x = torch.rand(2, 3, 8, 12)
    windows = x.unfold(2, 2, 2).unfold(3, 2, 2)  # (B, C, H/2, W/2, 2, 2)
    expected = torch.einsum("bchwij,dcij->bdhw", windows, block[0].weight) + block[0].bias.view(1, -1, 1, 1)
    torch.testing.assert_close(block(x), expected.relu())


def test_the_phase_with_the_largest_norm_is_kept() -> None:
    maps = torch.zeros(2, 2, 4, 4)
    maps[0, 0, 1, 2] = 3.0  # odd row, even column
    maps[0, 1, 0, 1] = 2.0
    maps[1, :, 0, 1] = 1.0  # even row, odd column: of two channels together
    maps[1, 0, 0, 0] = 1.2
    kept = AdaptivePhase()(maps)
    assert torch.equal(kept[0], maps[0, :, 1::2, 0::2])
    assert torch.equal(kept[1], maps[1, :, 0::2, 1::2])


def test_of_equal_phases_the_first_is_kept() -> None:
    assert torch.equal(AdaptivePhase()(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 2, 2))


def shift_error(embedder: str) -> float:
    """How much a block's output changes where the input moves by one pixel, relative to the output.

    Both outputs are reduced to the sum of their maps, which no shift changes that moves the output with the input.
    Around the pattern there are zeros enough that none is cut.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        block, pattern = EMBEDDERS[embedder].make(3, 5), torch.rand(8, 3, 8, 8)
    nn.init.zeros_(block.get_parameter("0.bias"))
    x = F.pad(pattern, (8, 8, 8, 8))
    sums, moved = (block(maps).sum(dim=(2, 3)).detach() for maps in (x, x.roll((1, 1), dims=(2, 3))))
    return float((moved - sums).norm() / sums.norm())


def test_blurred_and_adaptive_blocks_hardly_depend_on_a_shift() -> None:
    assert shift_error("aps") < 1e-6  # another phase, the same values
    # The filter's weights of even and of odd positions have equal sums.
    assert shift_error("blurconv") < 1e-6
    assert shift_error("blurpool") < 1e-6
    assert shift_error("strided") > 0.01
    assert shift_error("maxpool") > 0.01


def test_maxpool_takes_the_maximum_of_each_two_by_two_window() -> None:
    assert identity(MaxPool(1, 1))(ROWS_OF_FOUR).tolist() == [[[[5.0, 7.0], [13.0, 15.0]]]]


def test_strided_takes_the_first_of_each_two_by_two_window() -> None:
    assert identity(Strided(1, 1))(ROWS_OF_FOUR).tolist() == [[[[0.0, 2.0], [8.0, 10.0]]]]


def test_strided_is_the_stride_one_convolution_at_every_second_row_and_column() -> None:
    block, x = Strided(3, 5), torch.rand(2, 3, 8, 12)
    weight, bias = block.parameters()
    everywhere = F.conv2d(x, weight, bias, stride=1, padding=1).relu()
    torch.testing.assert_close(block(x), everywhere[:, :, ::2, ::2])


def test_maxpool_is_the_published_convolution_relu_and_pool_to_the_bit() -> None:
    block, x = MaxPool(3, 5), torch.rand(2, 3, 8, 12) - 0.5
    published = nn.Sequential(block[0], nn.ReLU(), nn.MaxPool2d(2))
    weight, bias = block.parameters()
    ours = [block(x), *torch.autograd.grad(block(x).square().sum(), [weight, bias])]
    theirs = [published(x), *torch.autograd.grad(published(x).square().sum(), [weight, bias])]
    assert all(torch.equal(mine, other) for mine, other in zip(ours, theirs, strict=True))
    windows = published[:2](x).unfold(2, 2, 2).unfold(3, 2, 2)  # (B, C, H/2, W/2, 2, 2)
    assert torch.equal(block(x), windows.amax(dim=(4, 5)))


@every_embedder
def test_mixed_precision_computes_the_same_but_for_rounding(embedder: str) -> None:
    block, x = EMBEDDERS[embedder].make(3, 5), torch.rand(2, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = block(x)
    torch.testing.assert_close(mixed.float(), block(x), atol=0.05, rtol=0.05)
