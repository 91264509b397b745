from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from fusion_models import OPERATORS, Operator
from fusion_models.operators import Add, Concat, Hadamard, Matmul, PassThrough, Shape

SQUARE_MAPS = (3, 4, 4)  # the one kind of features that every operator accepts


def fuse(operator: type[Operator], features: Sequence[Tensor]) -> Tensor:
    """What the operator makes of these features, built for their shapes."""
    fused: Tensor = operator([tuple(feature.shape[1:]) for feature in features])(features)
    return fused


def vectors(*rows: list[float]) -> list[Tensor]:
    return [torch.tensor([row]) for row in rows]


def maps(*matrices: list[list[float]]) -> list[Tensor]:
    return [torch.tensor([[matrix]]) for matrix in matrices]


@pytest.mark.parametrize("name", OPERATORS)
def test_out_shape_is_what_forward_makes(name: str) -> None:
    operator = OPERATORS[name].make
    modalities = 1 if operator is PassThrough else 2
    built = operator([SQUARE_MAPS] * modalities)
    assert built([torch.rand(2, *SQUARE_MAPS)] * modalities).shape == (2, *built.out_shape)


@pytest.mark.parametrize("operator", [Concat, Add, Hadamard, Matmul])
def test_operators_fuse_three_modalities_as_they_do_two(operator: type[Operator]) -> None:
    features = [torch.rand(2, *SQUARE_MAPS) for _ in range(3)]
    assert fuse(operator, features).shape == (2, *operator([SQUARE_MAPS] * 3).out_shape)


def test_pass_through_returns_its_only_modality() -> None:
    (only,) = vectors([1.0, 2.0])
    assert fuse(PassThrough, [only]) is only


def test_concat_puts_the_first_modality_first() -> None:
    assert fuse(Concat, vectors([1.0, 2.0], [3.0])).tolist() == [[1.0, 2.0, 3.0]]


def test_concat_of_maps_stacks_channels_of_any_number() -> None:
    assert Concat([(3, 4, 6), (5, 4, 6)]).out_shape == (8, 4, 6)
    first, second = torch.zeros(2, 3, 4, 6), torch.ones(2, 5, 4, 6)
    fused = fuse(Concat, [first, second])
    assert torch.equal(fused[:, :3], first)
    assert torch.equal(fused[:, 3:], second)


def test_add_sums() -> None:
    assert fuse(Add, vectors([1.0, 2.0], [10.0, 20.0], [100.0, 200.0])).tolist() == [[111.0, 222.0]]


def test_hadamard_multiplies_element_by_element() -> None:
    assert fuse(Hadamard, vectors([1.0, 2.0], [3.0, 4.0], [5.0, 6.0])).tolist() == [[15.0, 48.0]]


@pytest.mark.parametrize("operator", [Add, Hadamard])
def test_element_wise_operators_leave_their_inputs_as_they_were(operator: type[Operator]) -> None:
    features = vectors([1.0, 2.0], [3.0, 4.0])
    fuse(operator, features)
    assert [feature.tolist() for feature in features] == [[[1.0, 2.0]], [[3.0, 4.0]]]


def test_matmul_multiplies_first_by_second_and_the_order_matters() -> None:
    numbers, swap = maps([[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [1.0, 0.0]])
    assert fuse(Matmul, [numbers, swap]).tolist() == [[[[2.0, 1.0], [4.0, 3.0]]]]  # columns swapped
    assert fuse(Matmul, [swap, numbers]).tolist() == [[[[3.0, 4.0], [1.0, 2.0]]]]  # rows swapped


def test_matmul_is_a_product_of_matrices_channel_by_channel() -> None:
    a, b, c = (torch.rand(2, *SQUARE_MAPS, dtype=torch.float64) for _ in range(3))
    torch.testing.assert_close(fuse(Matmul, [a, b, c]), torch.einsum("nkij,nkjl,nklm->nkim", a, b, c))


@pytest.mark.parametrize(
    ("operator", "shapes", "message"),
    [
        (Concat, [], "Concat needs at least one modality"),
        (PassThrough, [(2,), (2,)], "PassThrough takes one modality, not 2"),
        (Concat, [(3, 4, 4), (3, 4, 5)], "Concat needs equal sizes after the channels"),
        (Concat, [(3, 4, 4), (3,)], "Concat needs equal sizes after the channels"),
        (Add, [(3, 4, 4), (2, 4, 4)], "Add needs equal shapes"),
        (Hadamard, [(3,), (4,)], "Hadamard needs equal shapes"),
        (Matmul, [(3, 4, 4), (2, 4, 4)], "Matmul needs equal shapes"),
        (Matmul, [(3, 4, 5), (3, 4, 5)], r"Matmul needs square maps \(C, N, N\), not \(3, 4, 5\)"),
        (Matmul, [(16,), (16,)], "Matmul needs square maps"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(operator: type[Operator], shapes: list[Shape], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        operator(shapes)
