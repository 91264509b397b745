"""Operators in which positions of one modality attend to positions of the others."""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_models.operators.base import Shape, common_shape
from fusion_models.operators.elementary import Add
from fusion_models.registry import register_operator

MOST_TOKENS = 8
"""Tokens along height and width: larger maps are averaged down to it, as attention grows with their square."""


def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """softmax(Q K' / sqrt d) V with one head.

    Written out, as matrix products and softmax are deterministic on CUDA whatever kernel is chosen.

    Args:
        queries: (B, N, D).
        keys: (B, M, D).
        values: (B, M, E).

    Returns:
        (B, N, E).
    """
    scores = torch.bmm(queries * queries.shape[2] ** -0.5, keys.transpose(1, 2))
    return torch.bmm(scores.softmax(dim=2), values)


class Tokens(nn.Module):
    """Maps to tokens and back: the means of the maps' squares, at most 8x8 of them.

    Args:
        shape: Of the maps.

    Raises:
        ValueError: Vectors, or maps that cannot be divided into equal squares.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        if len(shape) != 3:
            raise ValueError(f"attention needs maps (C, H, W), not {shape}")
        sides = range(1, min(shape[1:]) + 1)
        fitting = [side for side in sides if all(n % side == 0 and n // side <= MOST_TOKENS for n in shape[1:])]
        if not fitting:
            raise ValueError(f"attention needs maps of at most {MOST_TOKENS}x{MOST_TOKENS} squares, not {shape}")
        self.side = fitting[0]

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, tokens, C)."""
        pooled = F.avg_pool2d(maps, self.side) if self.side > 1 else maps
        return pooled.flatten(2).transpose(1, 2)

    def add(self, maps: Tensor, tokens: Tensor) -> Tensor:
        """Maps with each token added to all positions of its square."""
        squares = maps.unflatten(3, (-1, self.side)).unflatten(2, (-1, self.side))  # (B, C, h, side, w, side)
        height, width = squares.shape[2], squares.shape[4]
        spread = tokens.transpose(1, 2).unflatten(2, (height, 1, width, 1))
        sums: Tensor = squares + spread
        return sums.flatten(4, 5).flatten(2, 3)


@register_operator("crossattention", families=("field",))
class CrossAttention(Add):
    """Every modality attends to all others: y_1 = x_1 + softmax(Q_1 K_2' / sqrt d) V_2, and back; then their sum.

    Q, K and V are linear maps of a modality's tokens, as wide as the tokens; one head. Of more than two
    modalities, the tokens of all others are attended to together.

    Tsai et al. 2019, arXiv 1906.00295, without its layer norms and feed-forward layers.
    """

    fewest = 2

    def __init__(self, shapes: Sequence[Shape]) -> None:
        super().__init__(shapes)
        self.tokens = Tokens(self.out_shape)
        width = self.out_shape[0]
        # Queries, keys and values of a modality, in this order.
        self.project = nn.ModuleList(nn.Linear(width, 3 * width) for _ in shapes)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Add to each modality what it finds in the others, then add up the modalities."""
        projected = [
            layer(self.tokens(x)).chunk(3, dim=2) for layer, x in zip(self.project, features, strict=True)
        ]
        attended = []
        for i, (queries, _, _) in enumerate(projected):
            others = projected[:i] + projected[i + 1 :]
            keys, values = others[0][1:]
            if len(others) > 1:
                keys, values = (torch.cat([other[part] for other in others], dim=1) for part in (1, 2))
            attended.append(attend(queries, keys, values))
        # The tokens' sum, added once, equals adding each modality's to its maps.
        return self.tokens.add(super().forward(features), reduce(torch.add, attended))


class TransformerLayer(nn.Module):
    """x + A(norm x), then x + MLP(norm x): a pre-norm transformer layer with one head and GELU.

    Args:
        width: Of a token; the hidden layer is four times as wide.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, D) to the same shape."""
        queries, keys, values = self.project(self.norm(tokens)).chunk(3, dim=2)
        tokens = tokens + self.out(attend(queries, keys, values))
        mixed: Tensor = tokens + self.mlp(tokens)
        return mixed


class Bottleneck(nn.Module):
    """Transformer layers per modality, which meet in a few shared tokens.

    In each layer, a modality's tokens and the shared ones attend to each other; the next layer's shared tokens are
    the mean over the modalities. So what one modality writes in a layer the others read in the next.

    Args:
        shapes: Of the streams; maps of equal shapes.
        shared: The number of shared tokens.
        depth: The number of layers; with one, nothing passes between modalities.
    """

    def __init__(self, shapes: Sequence[Shape], shared: int = 4, depth: int = 2) -> None:
        super().__init__()
        shape = common_shape(self, shapes)
        self.tokens = Tokens(shape)
        self.shared = nn.Parameter(torch.randn(shared, shape[0]) * 0.02)  # as the tokens of vision transformers
        self.depth = depth
        # Of all modalities at the first depth, then of all at the second.
        self.layers = nn.ModuleList(TransformerLayer(shape[0]) for _ in range(depth * len(shapes)))

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """Streams of the same shapes, each with its tokens' change added to its maps."""
        before = [self.tokens(x) for x in streams]
        tokens, shared = before, self.shared.expand(len(streams[0]), -1, -1)
        own = before[0].shape[1]
        layers = iter(self.layers)
        for _ in range(self.depth):
            mixed = [next(layers)(torch.cat([x, shared], dim=1)) for x in tokens]
            tokens = [x[:, :own] for x in mixed]
            shared = torch.stack([x[:, own:] for x in mixed]).mean(dim=0)
        return [self.tokens.add(x, new - old) for x, new, old in zip(streams, tokens, before, strict=True)]


@register_operator("mbt", families=("field",))
class AttentionBottleneck(Add):
    """Attention bottlenecks between the modalities after every stage; their sum at the end.

    Nagrani et al. 2021, arXiv 2107.00135: there each layer of two transformers is followed by the exchange, here
    each stage of convolutions by two such layers.
    """

    fewest = 2
    exchange = Bottleneck
