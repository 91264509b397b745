"""What holds for every registered operator."""

import copy

import pytest
import torch
from torch import nn

from fusion_models import BLUEPRINTS, OPERATORS
from fusion_models.operators import Shape
from tests.fusion_models.operators.samples import COUNTS, FUSING, MAPS, NEED_MAPS, VECTOR, features, fusion

every_operator = pytest.mark.parametrize("name", FUSING)
MODALITIES = (2, 3)

ANY_SHAPE = [
    (name, shape) for name in FUSING for shape in (MAPS, VECTOR) if name not in NEED_MAPS or shape == MAPS
]


def test_every_operator_of_the_field_is_registered_for_it() -> None:
    listed = {
        name for (family, _), blueprint in BLUEPRINTS.items() if family == "field" for name in blueprint.operators
    }
    assert {name for name, part in OPERATORS.items() if "field" in part.families} == listed
    assert set(FUSING) - listed == {"logits"}  # the published name of concat


@pytest.mark.parametrize(("name", "shape"), ANY_SHAPE)
@pytest.mark.parametrize("modalities", MODALITIES)
def test_shape_parameters_and_gradients(name: str, shape: Shape, modalities: int) -> None:
    module, inputs = fusion(name, modalities, shape), features(modalities, shape, pairs=16)
    kept = [x.clone() for x in inputs]
    fused = module(inputs)
    assert fused.shape == (16, *module.operator.out_shape)
    assert sum(p.numel() for p in module.parameters()) == COUNTS[name](modalities, shape[0])
    assert all(torch.equal(x, before) for x, before in zip(inputs, kept, strict=True))
    if list(module.parameters()):
        fused.square().sum().backward()
    assert not [key for key, p in module.named_parameters() if p.grad is None or not p.grad.any()]


@every_operator
def test_the_inputs_of_all_modalities_get_gradients(name: str) -> None:
    inputs = [x.requires_grad_() for x in features(3, pairs=16)]
    gradients = torch.autograd.grad(fusion(name, 3)(inputs).square().sum(), inputs)
    assert all(gradient.any() for gradient in gradients)


@every_operator
def test_a_trained_operator_answers_each_sample_for_itself(name: str) -> None:
    module, inputs = fusion(name).eval(), features()
    together = module(inputs)
    alone = torch.cat([module([x[i : i + 1] for x in inputs]) for i in range(3)])
    torch.testing.assert_close(alone, together)
    assert torch.equal(module(inputs), together)


@pytest.mark.parametrize("name", [name for name in FUSING if name != "matmul"])
def test_positions_that_move_together_move_the_result(name: str) -> None:
    module, inputs = fusion(name).eval(), features()
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))

    def moved(x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2)[:, :, order].view_as(x)

    torch.testing.assert_close(module([moved(x) for x in inputs]), moved(module(inputs)))


@pytest.mark.parametrize("name", ["add", "hadamard", "mean", "product"])
def test_the_order_of_modalities_does_not_matter(name: str) -> None:
    inputs = features(3)
    torch.testing.assert_close(fusion(name, 3)(inputs[::-1]), fusion(name, 3)(inputs))


@pytest.mark.parametrize("name", ["gmu", "lmf", "seadd", "crossattention", "embracenet", "cen", "mbt"])
def test_modalities_that_change_places_with_their_weights_change_nothing(name: str) -> None:
    module, inputs = fusion(name, 3).eval(), features(3)
    swapped = copy.deepcopy(module)
    for part in swapped.modules():
        for key, layers in part.named_children():
            if isinstance(layers, nn.ModuleList) and key != "layers":
                setattr(part, key, nn.ModuleList(reversed(layers)))
            elif isinstance(layers, nn.ModuleList):  # of three modalities at two depths
                setattr(part, key, nn.ModuleList([layers[i] for i in (2, 1, 0, 5, 4, 3)]))
    if name == "gmu":  # its gate reads all modalities and has outputs for each
        with torch.no_grad():
            weight, bias = module.operator.gate.weight, module.operator.gate.bias
            by_modality = weight.view(3, 4, 3, 4, 1, 1).flip(0, 2)
            swapped.operator.gate.weight.copy_(by_modality.reshape(weight.shape))
            swapped.operator.gate.bias.copy_(bias.view(3, 4).flip(0).flatten())
    torch.testing.assert_close(swapped(inputs[::-1]), module(inputs))


@pytest.mark.parametrize("name", ["concat", "add", "hadamard", "matmul", "mean", "product", "lmf", "tensor"])
@pytest.mark.parametrize("modality", [0, 1])
def test_linear_operators_are_affine_in_each_modality(name: str, modality: int) -> None:
    module, inputs, others = fusion(name), features(), features(seed=2)

    def fused(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = module([*inputs[:modality], x, *inputs[modality + 1 :]])
        return result

    mixture = fused(0.3 * inputs[modality] + 0.7 * others[modality])
    torch.testing.assert_close(mixture, 0.3 * fused(inputs[modality]) + 0.7 * fused(others[modality]))


@pytest.mark.parametrize(("name", "bound"), [("gmu", None), ("seadd", 1.0), ("mmtm", 2.0)])
def test_gates_weight_and_do_not_amplify_beyond_their_range(name: str, bound: float | None) -> None:
    inputs = [100 * x for x in features()]
    most = torch.ones(()) if bound is None else bound * sum(x.abs() for x in inputs)
    assert (fusion(name)(inputs).abs() <= most).all()


@every_operator
def test_draws_come_from_the_global_generator_in_training_alone(name: str) -> None:
    module, inputs = fusion(name), features()

    def drawn(seed: int) -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            result: torch.Tensor = module(inputs)
        return result

    assert torch.equal(drawn(1), drawn(1))
    assert torch.equal(drawn(1), drawn(2)) is (name != "embracenet")
    module.eval()
    assert torch.equal(drawn(1), drawn(2))


@pytest.mark.parametrize("name", ["gmu", "film", "mmtm", "crossattention", "mbt", "cen"])
def test_operators_that_relate_modalities_need_two(name: str) -> None:
    with pytest.raises(ValueError, match="needs at least 2 modalities, not 1"):
        OPERATORS[name].make([MAPS])


@pytest.mark.parametrize("name", [name for name in FUSING if name not in ("film", "mmtm")])
def test_maps_of_other_sizes_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="needs equal"):
        OPERATORS[name].make([MAPS, (4, 8, 4)])


@pytest.mark.parametrize("name", ["concat", "gmu", "film", "lmf", "tensor", "embracenet"])
def test_modalities_may_have_other_channels(name: str) -> None:
    first, second = features(1, (4, 8, 8)), features(1, (6, 8, 8))
    operator = OPERATORS[name].make([(4, 8, 8), (6, 8, 8)])
    assert operator([*first, *second]).shape == (3, *operator.out_shape)
    assert operator.out_shape == (10 if name == "concat" else 4, 8, 8)


@pytest.mark.parametrize("name", sorted(NEED_MAPS))
def test_operators_of_maps_refuse_vectors(name: str) -> None:
    make = OPERATORS[name].make
    with pytest.raises(ValueError, match="maps"):
        (getattr(make, "exchange", None) or make)([VECTOR, VECTOR])


@every_operator
def test_mixed_precision_computes_the_same_but_for_rounding(name: str) -> None:
    module, inputs = fusion(name).eval(), features()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = module(inputs)
    torch.testing.assert_close(mixed.float(), module(inputs), atol=0.1, rtol=0.1)
