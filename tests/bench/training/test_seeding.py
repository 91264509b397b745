import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import product

import pytest
import torch
from torch import nn

from bench.training.seeding import deterministic, epoch_order, seeded, stream


def test_streams_differ_by_name_and_by_seed() -> None:
    names, seeds = ("split", "initialization", "order/1", "order/11"), (0, 1, 51, 511)
    streams = {stream(seed, name) for seed, name in product(seeds, names)}
    assert len(streams) == len(names) * len(seeds)


def test_a_stream_is_a_seed_that_torch_accepts() -> None:
    assert all(0 <= stream(seed, "split") < 2**63 for seed in range(100))


def test_a_stream_is_the_same_in_every_process() -> None:
    # The first 8 bytes of `printf 51/split | sha256sum`, shifted right by one bit: python's own hash() would
    # differ from process to process.
    assert stream(51, "split") == 0x4D7F362AF431A461 >> 1


def test_equal_streams_draw_equal_weights_whatever_was_drawn_before() -> None:
    with seeded(51, "initialization"):
        first = nn.Linear(3, 3).weight
    torch.rand(7)
    with seeded(51, "initialization"):
        second = nn.Linear(3, 3).weight
    with seeded(52, "initialization"):
        other = nn.Linear(3, 3).weight
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("error", [False, True])
def test_seeded_restores_the_global_generator(error: bool) -> None:
    before = torch.get_rng_state()
    with suppress(KeyError), seeded(51, "initialization"):
        torch.rand(3)
        if error:
            raise KeyError("on purpose")
    assert torch.equal(torch.get_rng_state(), before)


def test_an_epochs_order_is_a_permutation_that_depends_on_its_arguments_alone() -> None:
    first = epoch_order(51, 1, 100)
    assert sorted(first.tolist()) == list(range(100))
    torch.rand(7)
    before = torch.get_rng_state()
    assert torch.equal(epoch_order(51, 1, 100), first)
    assert torch.equal(torch.get_rng_state(), before)
    for seed, epoch in ((52, 1), (51, 2)):
        assert not torch.equal(epoch_order(seed, epoch, 100), first)


Settings = tuple[bool, bool, bool, bool, bool, bool]


def settings() -> Settings:
    cudnn = torch.backends.cudnn
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        cudnn.deterministic,
        cudnn.benchmark,
        cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
    )


def apply(values: Settings) -> None:
    torch.use_deterministic_algorithms(values[0], warn_only=values[1])
    cudnn = torch.backends.cudnn
    cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32 = values[2:5]
    torch.backends.cuda.matmul.allow_tf32 = values[5]


@pytest.fixture(
    params=[
        (False, False, False, True, True, True),
        (True, True, True, False, False, False),
        (True, False, False, True, False, True),
    ],
    ids=str,
)
def before(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Settings made before; those of the test session are restored afterwards."""
    session = settings()
    apply(request.param)
    yield request.param
    apply(session)


@pytest.mark.parametrize("error", [False, True])
def test_inside_everything_is_deterministic_and_afterwards_as_it_was(before: Settings, error: bool) -> None:
    assert settings() == before
    with suppress(KeyError), deterministic():
        assert settings() == (True, False, True, False, False, False)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] in {":4096:8", ":16:8"}
        assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
        if error:
            raise KeyError("on purpose")
    assert settings() == before
    assert torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]


def test_what_has_no_deterministic_version_raises() -> None:
    # An operation that refuses under the switch on every device.
    with deterministic(), pytest.raises(RuntimeError, match="deterministic"):
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
