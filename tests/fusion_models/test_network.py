import pytest
import torch
from torch import Tensor, nn

from fusion_models import FusionNet
from fusion_models.network import stages_of
from fusion_models.operators import Concat


class Swap(nn.Module):
    """Gives each modality the features of the other, plus one."""

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        return [x + 1 for x in reversed(streams)]


class Times(nn.Module):
    """Multiplies by a trainable number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def network(*, stems_are_experts: bool = False) -> FusionNet:
    """rgb times 2 beside lidar times 10, all of it times 3, then minus that."""
    return FusionNet(
        stems={"rgb": Times(2.0), "lidar": Times(10.0)},
        operator=Concat([(1,), (1,)]),
        trunk=Times(3.0),
        head=Times(-1.0),
        stems_are_experts=stems_are_experts,
    )


INPUTS = {"rgb": torch.tensor([[1.0]]), "lidar": torch.tensor([[7.0]])}


def test_stems_then_operator_then_trunk_then_head() -> None:
    assert network()(INPUTS).tolist() == [[-6.0, -210.0]]


def test_between_stages_the_streams_are_exchanged() -> None:
    exchanging = FusionNet(
        stems={
            "rgb": nn.Sequential(Times(2.0), Times(3.0)),
            "lidar": nn.Sequential(Times(10.0), Times(100.0)),
        },
        exchanges=[Swap(), nn.Identity()],
        operator=Concat([(1,), (1,)]),
        trunk=nn.Identity(),
        head=nn.Identity(),
    )
    # After the first stage 2 and 70, exchanged 71 and 3.
    assert exchanging(INPUTS).tolist() == [[3.0 * 71.0, 100.0 * 3.0]]


def test_without_exchanges_stems_need_no_equal_stages() -> None:
    stems = {"rgb": nn.Sequential(Times(2.0), Times(3.0)), "lidar": Times(10.0)}
    trunk = nn.Identity()
    plain = FusionNet(stems=stems, operator=Concat([(1,), (1,)]), trunk=trunk, head=trunk)
    assert plain(INPUTS).tolist() == [[6.0, 70.0]]


def test_a_module_with_a_forward_of_its_own_is_one_stage() -> None:
    class Backwards(nn.Sequential):
        pass

    plain, own = nn.Sequential(Times(2.0), Times(3.0)), Backwards(Times(2.0), Times(3.0))
    assert stages_of(plain) == list(plain)
    assert stages_of(own) == [own]


def test_order_of_the_inputs_does_not_matter() -> None:
    assert torch.equal(network()(dict(reversed(INPUTS.items()))), network()(INPUTS))


def test_further_modalities_are_ignored() -> None:
    assert torch.equal(network()({"thermal": torch.tensor([[9.0]]), **INPUTS}), network()(INPUTS))


def test_a_modality_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError, match="lidar"):
        network()({"rgb": INPUTS["rgb"]})


def test_modalities_are_those_of_the_stems_in_order() -> None:
    assert network().modalities == ("rgb", "lidar")


def test_only_experts_are_trained_alone() -> None:
    assert network().experts() == {}
    assert list(network(stems_are_experts=True).experts()) == ["rgb", "lidar"]


def test_an_expert_sees_its_modality_alone() -> None:
    expert = network(stems_are_experts=True).experts()["lidar"]
    assert expert.modalities == ("lidar",)
    assert expert({"lidar": INPUTS["lidar"]}).tolist() == [[70.0]]


def test_training_an_expert_trains_the_stem_of_the_network() -> None:
    whole = network(stems_are_experts=True)
    (factor,) = whole.experts()["lidar"].parameters()
    with torch.no_grad():
        factor.fill_(1.0)
    assert whole(INPUTS).tolist() == [[-6.0, -21.0]]


def test_freezing_experts_leaves_trunk_and_head_to_train() -> None:
    whole = network(stems_are_experts=True)
    whole.freeze_experts()
    trainable = {name for name, parameter in whole.named_parameters() if parameter.requires_grad}
    assert trainable == {"trunk.factor", "head.factor"}


def test_there_is_nothing_to_freeze_without_experts() -> None:
    whole = network()
    whole.freeze_experts()
    assert all(parameter.requires_grad for parameter in whole.parameters())
