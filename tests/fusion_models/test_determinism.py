"""Operators and embedders use no operation that raises on CUDA in deterministic mode.

No GPU is needed to know which: the operations of a forward and a backward pass are recorded, and compared with
those that the documentation of ``torch.use_deterministic_algorithms`` lists.
"""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from fusion_models import EMBEDDERS
from tests.fusion_models.operators.samples import FUSING, features, fusion

RAISING = (
    *("avg_pool3d_backward", "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward"),
    *("adaptive_max_pool2d_backward", "fractional_max_pool2d_backward", "fractional_max_pool3d_backward"),
    *("max_unpool2d", "max_unpool3d", "upsample_linear1d_backward", "upsample_bilinear2d_backward"),
    *("upsample_bicubic2d_backward", "upsample_trilinear3d_backward", "reflection_pad1d_backward"),
    *("reflection_pad2d_backward", "reflection_pad3d_backward", "nll_loss2d_forward", "_ctc_loss_backward"),
    *("_embedding_bag_backward", "put", "put_", "histc", "bincount", "median", "grid_sampler_2d_backward"),
    *("grid_sampler_3d_backward", "scatter_reduce"),
)
SLOW = ("gather", "scatter_add", "scatter_add_", "index_put_", "index_select_backward", "cumsum")
"""Operations whose deterministic form on CUDA is slower; none is needed here."""


class Recorded(TorchDispatchMode):
    """Notes the name of each operation, of backward passes too."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.names.add(func._schema.name.removeprefix("aten::"))
        return func(*args, **(kwargs or {}))


def operations(module: nn.Module, inputs: Any) -> set[str]:
    """The names of the operations that a training step runs."""
    for x in [inputs] if isinstance(inputs, Tensor) else inputs:
        x.requires_grad_()
    recorded = Recorded()
    with recorded:
        module(inputs).square().sum().backward()
    return recorded.names


@pytest.mark.parametrize("name", FUSING)
def test_operators(name: str) -> None:
    assert not operations(fusion(name), features()) & {*RAISING, *SLOW}


@pytest.mark.parametrize("name", EMBEDDERS)
def test_embedders(name: str) -> None:
    names = operations(EMBEDDERS[name].make(3, 5), torch.randn(2, 3, 8, 8))
    assert "convolution_backward" in names
    assert not names & {*RAISING, *SLOW}


@pytest.mark.parametrize(
    ("module", "operation"),
    [
        (nn.AdaptiveAvgPool2d(3), "_adaptive_avg_pool2d_backward"),
        (nn.ReflectionPad2d(1), "reflection_pad2d_backward"),
        (nn.Upsample(scale_factor=2, mode="bilinear"), "upsample_bilinear2d_backward"),
    ],
)
def test_an_operation_that_raises_is_found(module: nn.Module, operation: str) -> None:
    assert operation in operations(module, torch.randn(2, 3, 8, 8)) & set(RAISING)
