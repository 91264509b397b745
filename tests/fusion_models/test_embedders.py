import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fusion_models import EMBEDDERS
from fusion_models.embedders import MaxPool, Strided

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


def test_both_published_embedders_are_registered() -> None:
    assert EMBEDDERS["maxpool"].make is MaxPool
    assert EMBEDDERS["strided"].make is Strided


@pytest.mark.parametrize("embedder", EMBEDDERS)
def test_a_block_halves_height_and_width_and_sets_the_channels(embedder: str) -> None:
    assert EMBEDDERS[embedder].make(3, 5)(torch.rand(2, 3, 8, 12)).shape == (2, 5, 4, 6)


@pytest.mark.parametrize("embedder", EMBEDDERS)
def test_a_block_ends_in_relu(embedder: str) -> None:
    maps = EMBEDDERS[embedder].make(3, 5)(torch.rand(2, 3, 8, 8) - 0.5)
    assert maps.min() == 0.0
    assert maps.max() > 0.0


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
