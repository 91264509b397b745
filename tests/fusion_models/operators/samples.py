"""Features for operators, and what is asked of every operator alike."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from fusion_models import OPERATORS
from fusion_models.operators import Shape

MAPS = (4, 8, 8)  # square, and few enough positions for all operators
VECTOR = (6,)

FUSING = [name for name in OPERATORS if name != "none"]
NEED_MAPS = {"matmul", "crossattention", "mbt", "cen"}

COUNTS: dict[str, Callable[[int, int], int]] = {
    **dict.fromkeys(("concat", "logits", "add", "hadamard", "matmul", "mean", "product"), lambda _, __: 0),
    # A value per modality; one gate for two modalities, else one for each.
    "gmu": lambda n, c: n * (c * c + c) + (1 if n == 2 else n) * (n * c * c + c),
    "film": lambda n, c: 2 * ((n - 1) * c * c + c),
    "lmf": lambda n, c: 4 * c * n * (c + 1) + 4 + c,
    "tensor": lambda n, c: (c + 1) ** n * c + c,
    "seadd": lambda n, c: n * ((4 * c + 4) + (4 * c + c)),  # four hidden units
    "mmtm": lambda n, c: n * c * (n * c // 2) + n * c // 2 + n * ((n * c // 2) * c + c),
    "crossattention": lambda n, c: n * (3 * c * c + 3 * c),
    # Four shared tokens; two layers per modality of attention (4 CC + 4 C), MLP (8 CC + 5 C) and two norms (4 C).
    "mbt": lambda n, c: 4 * c + 2 * n * (12 * c * c + 13 * c),
    "cen": lambda n, c: n * 2 * c,
    "embracenet": lambda n, c: n * (c * c + c),
}
"""Parameters of each operator for n modalities of c channels, after one stage."""


class Fusion(nn.Module):
    """An operator with what it exchanges after one stage."""

    def __init__(self, name: str, shapes: Sequence[Shape]) -> None:
        super().__init__()
        make = OPERATORS[name].make
        self.exchange = make.exchange(shapes) if getattr(make, "exchange", None) else nn.Identity()
        self.operator = make(shapes)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        fused: Tensor = self.operator(self.exchange(list(features)))
        return fused


def fusion(name: str, modalities: int = 2, shape: Shape = MAPS, *, seed: int = 0) -> Fusion:
    """The operator with weights of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Fusion(name, [shape] * modalities)


def features(modalities: int = 2, shape: Shape = MAPS, *, pairs: int = 3, seed: int = 1) -> list[Tensor]:
    """Random features of each modality, whose means over positions differ between samples and channels."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*size: int) -> Tensor:
        return torch.randn(size, generator=generator)

    return [draw(pairs, *shape) + draw(pairs, shape[0], *[1] * len(shape[1:])) for _ in range(modalities)]
