"""Compares the time of our operators and embedders with formulations that use PyTorch's plainest layers.

OMP_NUM_THREADS=1 python -m tools.plain_speed                 # on a CPU, a few seconds
python -m tools.plain_speed --device cuda --only "gmu|spd"

A step is a forward and a backward pass on 32 pairs. Both sides take steps in turn, and the ratio is the median of
the rounds: above 1, ours takes longer. On a CPU it is CPU time, which other processes affect less. The plain
formulations compute the same kind of fusion with other weights; tests/fusion_models shows that ours are right.
"""

import argparse
import re
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import geometric_mean, median

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusion_models import EMBEDDERS, OPERATORS

PAIRS, CHANNELS, SIZE = 32, 32, 16
"""Of the features that operators get; embedders get half the channels at twice the size."""

WARM_UP = 2


def pointwise(inputs: int, outputs: int) -> nn.Conv2d:
    """A dense layer at every position."""
    return nn.Conv2d(inputs, outputs, 1)


class Gated(nn.Module):
    """gmu."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.values = nn.ModuleList(pointwise(c, c) for _ in range(2))
        self.gate = pointwise(2 * c, c)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Fuse two modalities."""
        one, other = (torch.tanh(value(x)) for value, x in zip(self.values, features, strict=True))
        gate = torch.sigmoid(self.gate(torch.cat(features, dim=1)))
        fused: Tensor = gate * one + (1 - gate) * other
        return fused


class Modulated(nn.Module):
    """film."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Linear(c, c), nn.Linear(c, c)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Fuse two modalities."""
        pooled = features[1].mean(dim=(2, 3))
        scale, shift = (layer(pooled)[:, :, None, None] for layer in (self.scale, self.shift))
        fused: Tensor = (1 + scale) * features[0] + shift
        return fused


class LowRank(nn.Module):
    """lmf, of rank 4."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.factors = nn.ParameterList(torch.randn(4, c, c + 1) / 10 for _ in range(2))
        self.weights, self.bias = nn.Parameter(torch.randn(4)), nn.Parameter(torch.zeros(c))

    def forward(self, features: list[Tensor]) -> Tensor:
        """Fuse two modalities."""
        one, other = (
            torch.einsum("rdc,bchw->brdhw", factor, torch.cat([torch.ones_like(x[:, :1]), x], dim=1))
            for factor, x in zip(self.factors, features, strict=True)
        )
        return torch.einsum("r,brdhw->bdhw", self.weights, one * other) + self.bias[:, None, None]


class TensorProduct(nn.Module):
    """tensor."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.layer = pointwise((c + 1) ** 2, c)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Fuse two modalities."""
        one, other = (torch.cat([torch.ones_like(x[:, :1]), x], dim=1) for x in features)
        fused: Tensor = self.layer(torch.einsum("bihw,bjhw->bijhw", one, other).flatten(1, 2))
        return fused


class SqueezedSum(nn.Module):
    """seadd."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.gates = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(1), pointwise(c, 4), nn.ReLU(), pointwise(4, c), nn.Sigmoid())
            for _ in range(2)
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Fuse two modalities."""
        one, other = (x * gate(x) for x, gate in zip(features, self.gates, strict=True))
        fused: Tensor = one + other
        return fused


class JointExcitation(nn.Module):
    """mmtm."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(2 * c, c)
        self.excite = nn.ModuleList(nn.Linear(c, c) for _ in range(2))

    def forward(self, features: list[Tensor]) -> Tensor:
        """Fuse two modalities."""
        joint = F.relu(self.squeeze(torch.cat([x.mean(dim=(2, 3)) for x in features], dim=1)))
        one, other = (
            x * 2 * torch.sigmoid(layer(joint))[:, :, None, None]
            for x, layer in zip(features, self.excite, strict=True)
        )
        fused: Tensor = one + other
        return fused


def tokens(x: Tensor) -> Tensor:
    """Every second position of a map as a sequence (B, positions, C)."""
    return F.avg_pool2d(x, 2).flatten(2).transpose(1, 2)


def back(sequence: Tensor) -> Tensor:
    """The inverse of ``tokens``, by nearest neighbors."""
    maps = sequence.transpose(1, 2).unflatten(2, (SIZE // 2, SIZE // 2))
    return F.interpolate(maps, scale_factor=2, mode="nearest")


class CrossAttention(nn.Module):
    """crossattention."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(c, 3 * c) for _ in range(2))

    def forward(self, features: list[Tensor]) -> Tensor:
        """Fuse two modalities."""
        parts = [layer(tokens(x)).chunk(3, dim=2) for layer, x in zip(self.layers, features, strict=True)]
        seen = (F.scaled_dot_product_attention(parts[i][0], *parts[1 - i][1:]) for i in range(2))
        one, other = (x + back(attended) for x, attended in zip(features, seen, strict=True))
        return one + other


class Bottleneck(nn.Module):
    """mbt, with PyTorch's encoder layers."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.shared = nn.Parameter(torch.randn(4, c) / 50)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(c, 1, 4 * c, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(4)
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Fuse two modalities."""
        before = [tokens(x) for x in features]
        streams, shared = before, self.shared.expand(PAIRS, -1, -1)
        for depth in range(2):
            mixed = [self.layers[2 * depth + i](torch.cat([streams[i], shared], dim=1)) for i in range(2)]
            streams = [x[:, :-4] for x in mixed]
            shared = (mixed[0][:, -4:] + mixed[1][:, -4:]) / 2
        one, other = (x + back(new - old) for x, new, old in zip(features, streams, before, strict=True))
        return one + other


class Exchanged(nn.Module):
    """cen."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.one, self.other = nn.BatchNorm2d(c), nn.BatchNorm2d(c)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Fuse two modalities."""
        normed = [self.one(features[0]), self.other(features[1])]
        fused: list[Tensor] = []
        for i, norm in enumerate((self.one, self.other)):
            small, mine = norm.weight.abs() < 0.02, torch.zeros_like(normed[i])
            mine[:, ~small], mine[:, small] = normed[i][:, ~small], normed[1 - i][:, small]
            fused.append(mine)
        return fused[0] + fused[1]


class Embraced(nn.Module):
    """embracenet."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(pointwise(c, c) for _ in range(2))

    def forward(self, features: list[Tensor]) -> Tensor:
        """Fuse two modalities."""
        docked = torch.stack([F.relu(layer(x)) for layer, x in zip(self.layers, features, strict=True)], dim=-1)
        even = torch.full((len(docked), 2), 0.5, device=docked.device)
        chosen = F.one_hot(torch.multinomial(even, docked.shape[1], replacement=True), 2)
        return (docked * chosen.to(docked)[:, :, None, None]).sum(dim=-1)


class Subsampled(nn.Module):
    """aps: of the four grids of every second position, that of the largest norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Halve maps."""
        maps = F.relu(self.layer(x))
        grids = torch.stack([maps[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], dim=1)
        largest = grids.flatten(2).norm(dim=2).argmax(dim=1)
        return grids[torch.arange(len(grids), device=x.device), largest]


class Blurred(nn.Module):
    """blurpool, with a maximum before the blur, and blurconv, without."""

    def __init__(self, inputs: int, outputs: int, *, maximum: bool) -> None:
        super().__init__()
        self.layer, self.maximum = nn.Conv2d(inputs, outputs, 3, padding=1), maximum
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.kernel: Tensor
        self.register_buffer("kernel", torch.outer(line, line).repeat(outputs, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Halve maps."""
        maps = F.relu(self.layer(x))
        maps = F.max_pool2d(maps, 2, 1) if self.maximum else maps
        return F.conv2d(F.pad(maps, (1, 1, 1, 1)), self.kernel, stride=2, groups=maps.shape[1])


class SpaceToDepth(nn.Module):
    """spd."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(4 * inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Halve maps."""
        grids = [x[..., i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return F.relu(self.layer(torch.cat(grids, dim=1)))


PLAIN_OPERATORS: dict[str, Callable[[int], nn.Module]] = {
    "gmu": Gated,
    "film": Modulated,
    "lmf": LowRank,
    "tensor": TensorProduct,
    "seadd": SqueezedSum,
    "mmtm": JointExcitation,
    "crossattention": CrossAttention,
    "mbt": Bottleneck,
    "cen": Exchanged,
    "embracenet": Embraced,
}

PLAIN_EMBEDDERS: dict[str, Callable[[int, int], nn.Module]] = {
    "avgpool": lambda i, o: nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)),
    "convpool": lambda i, o: nn.Sequential(
        nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.Conv2d(o, o, 3, stride=2, padding=1), nn.ReLU()
    ),
    "patchify": lambda i, o: nn.Sequential(nn.Conv2d(i, o, 2, 2), nn.ReLU()),
    "blurpool": lambda i, o: Blurred(i, o, maximum=True),
    "blurconv": lambda i, o: Blurred(i, o, maximum=False),
    "spd": SpaceToDepth,
    "aps": Subsampled,
}


class Ours(nn.Module):
    """An operator with what it exchanges after a stage."""

    def __init__(self, name: str) -> None:
        super().__init__()
        shapes, operator = [(CHANNELS, SIZE, SIZE)] * 2, OPERATORS[name].make
        self.exchange = operator.exchange(shapes) if getattr(operator, "exchange", None) else nn.Identity()
        self.operator = operator(shapes)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Fuse two modalities."""
        fused: Tensor = self.operator(self.exchange(list(features)))
        return fused


def seconds_of_step(module: nn.Module, inputs: Tensor | list[Tensor], device: torch.device) -> float:
    """A forward and a backward pass: CPU time on a CPU, else the time until the device is ready."""
    if device.type == "cpu":
        start = time.process_time()
        module(inputs).square().mean().backward()
        return time.process_time() - start
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    module(inputs).square().mean().backward()
    torch.cuda.synchronize(device)
    return time.perf_counter() - start


def race(
    ours: nn.Module, plain: nn.Module, inputs: Tensor | list[Tensor], device: torch.device, rounds: int
) -> tuple[float, float]:
    """The median of ours / plain, and that of the milliseconds of ours."""
    for module in (ours, plain):
        for _ in range(WARM_UP):
            seconds_of_step(module, inputs, device)
    both = [[seconds_of_step(module, inputs, device) for module in (ours, plain)] for _ in range(rounds)]
    return median(a / b for a, b in both), 1e3 * median(a for a, _ in both)


def pairs_of_modules(only: str) -> Iterator[tuple[str, nn.Module, nn.Module, bool]]:
    """Name, ours, plain, and whether it is an operator, of all whose names match."""
    for name, plain in PLAIN_OPERATORS.items():
        if re.search(only, name):
            yield name, Ours(name), plain(CHANNELS), True
    for name, made in PLAIN_EMBEDDERS.items():
        if re.search(only, name):
            yield name, EMBEDDERS[name].make(CHANNELS // 2, CHANNELS), made(CHANNELS // 2, CHANNELS), False


def main() -> None:
    """Print a line per module, and the geometric means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=25, help="default: %(default)s")
    parser.add_argument("--only", default="", metavar="REGEX", help="of names; default: all")
    options = parser.parse_args()
    device, layout = torch.device(options.device), torch.channels_last

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, device=device).to(memory_format=layout).requires_grad_()

    features = [random(PAIRS, CHANNELS, SIZE, SIZE) for _ in range(2)]
    maps = random(PAIRS, CHANNELS // 2, 2 * SIZE, 2 * SIZE)
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}; {options.rounds} rounds")
    ratios: dict[bool, list[float]] = {True: [], False: []}
    for name, ours, plain, is_operator in pairs_of_modules(options.only):
        for module in (ours, plain):
            module.to(device).to(memory_format=layout)
        inputs = features if is_operator else maps
        ratio, milliseconds = race(ours, plain, inputs, device, options.rounds)
        ratios[is_operator].append(ratio)
        print(f"{name:16} ours / plain {ratio:.2f}, ours {milliseconds:.2f} ms", flush=True)
    for title, of_kind in zip(("operators", "embedders"), (ratios[True], ratios[False]), strict=True):
        if of_kind:
            print(
                f"{title}: {min(of_kind):.2f} to {max(of_kind):.2f}, geometric mean {geometric_mean(of_kind):.2f}"
            )


if __name__ == "__main__":
    main()
