"""The network of all models that ship here: stems -> operator -> trunk -> head.

The operator sees the modalities' features after the last stage of the stems; one that exchanges features between
modalities also after each stage.

Their widths are in ``zoo.py``; ``bench`` trains them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from torch import Tensor, nn

from fusion_models.operators import Operator, PassThrough

Branches = Callable[[Sequence[nn.Module], Sequence[Tensor]], list[Tensor]]
"""Runs one layer of each modality on that modality's input."""


def in_turn(layers: Sequence[nn.Module], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Run each layer on its own input, one after the other."""
    return [layer(x) for layer, x in zip(layers, inputs, strict=True)]


class FusionNet(nn.Module):
    """Classifies samples that are seen by several modalities.

    Each modality passes its own stem, stage by stage; the operator makes one tensor of what the stems return; the
    trunk and the head are shared. Early fusion has empty stems, late fusion an empty trunk.

    Attributes:
        branches: How the stems' layers run. They do not depend on each other, so a GPU may run them at once.

    Args:
        stems: One module per modality, (B, C, H, W) -> features, in the order in which the operator gets them.
        exchanges: One module per stage of the stems (``stages_of``), which maps the list of the modalities'
            features to a list of the same shapes; none for operators that act after the last stage alone.
        operator: Combines the stems' features.
        trunk: Layers between fusion and head.
        head: Fused features -> logits (B, L).
        stems_are_experts: Whether the stems are classifiers that return logits, are trained alone first and are
            frozen when the rest is trained (see ``experts``).
    """

    def __init__(
        self,
        *,
        stems: Mapping[str, nn.Module],
        operator: Operator,
        trunk: nn.Module,
        head: nn.Module,
        exchanges: Iterable[nn.Module] = (),
        stems_are_experts: bool = False,
    ) -> None:
        super().__init__()
        self.stems = nn.ModuleDict(stems)
        self.exchanges = nn.ModuleList(exchanges)
        self.operator = operator
        self.trunk = trunk
        self.head = head
        self.stems_are_experts = stems_are_experts
        self.branches: Branches = in_turn

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Logits (B, L) of one batch; ``inputs`` maps modalities to (B, C, H, W), further ones are ignored."""
        streams = [inputs[modality] for modality in self.stems]
        for stage, exchange in self._stages():
            streams = exchange(self.branches(stage, streams))
        fused: Tensor = self.operator(streams)
        logits: Tensor = self.head(self.trunk(fused))
        return logits

    def _stages(self) -> list[tuple[tuple[nn.Module, ...], nn.Module]]:
        """The modalities' layers of each stage, and what exchanges features after it; without any, one stage."""
        if not self.exchanges:
            return [(tuple(self.stems.values()), nn.Identity())]
        layers = zip(*map(stages_of, self.stems.values()), strict=True)
        return list(zip(layers, self.exchanges, strict=True))

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that the network uses, in the order in which they are fused."""
        return tuple(self.stems)

    def experts(self) -> "dict[str, FusionNet]":
        """The single-modality classifiers to train before this network; none unless its stems are experts.

        Each shares its stem with this network: training it trains the stem in place.
        """
        if not self.stems_are_experts:
            return {}
        # PassThrough returns its input unchanged, so the shape that it is built for does not matter.
        return {
            modality: FusionNet(
                stems={modality: stem}, operator=PassThrough([()]), trunk=nn.Identity(), head=nn.Identity()
            )
            for modality, stem in self.stems.items()
        }

    def freeze_experts(self) -> None:
        """Exclude the experts from all further training."""
        if self.stems_are_experts:
            self.stems.requires_grad_(False)


def stages_of(stem: nn.Module) -> list[nn.Module]:
    """A stem's stages: the layers of a plain sequence; anything else, which may have its own forward, is one."""
    return list(stem) if type(stem) is nn.Sequential else [stem]
