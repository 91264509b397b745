import platform
import resource
from dataclasses import replace
from typing import Self

import pytest
import torch
import torch.utils.deterministic
from torch import nn

from bench.config import STANDARD
from bench.costs.notebook import largest_block_of, notebook_memory, reference_process
from bench.costs.reference import ReferenceLoop, samples
from bench.training.allocator import HIGHEST_MMAP_THRESHOLD, keep_freed_memory
from bench.training.seeding import deterministic
from data_utils import Batch
from fusion_models import build_model
from tests.bench.toys import Toy, doubles, toy_batch

PROTOCOL = replace(STANDARD, epochs=3, batch_size=4, learning_rate=0.1, final_learning_rate=0.001)


def built(name: str) -> nn.Module:
    return build_model(name, channels={"rgb": 4, "lidar": 4}, image_size=(64, 64), classes=2)


def pairs(count: int) -> Batch:
    images = {modality: torch.zeros(count, 4, 64, 64) for modality in ("rgb", "lidar")}
    return Batch(images, torch.zeros(count, dtype=torch.int64))


def test_the_largest_block_is_that_of_the_largest_activation() -> None:
    model = built("compact-late-concat-maxpool")
    assert largest_block_of(model, pairs(32)) == 32 * 25 * 64 * 64 * 4  # the first convolution's output
    assert all(parameter.grad is None for parameter in model.parameters())


def test_blocks_that_glibc_does_not_learn_from_do_not_count() -> None:
    # Its first dense layer has 16384 x 1000 weights, 62.5 MiB, and so has their gradient.
    model = built("wide-late-concat-strided")
    assert largest_block_of(model, pairs(32)) == 32 * 32 * 32 * 32 * 4 < HIGHEST_MMAP_THRESHOLD


def test_new_tensors_are_filled_inside_and_never_after() -> None:
    with deterministic():
        with notebook_memory(1), notebook_memory(1):
            assert torch.empty(1000).isnan().all()
        assert torch.utils.deterministic.fill_uninitialized_memory is False  # type: ignore[attr-defined]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_is_given_back_inside_and_kept_after() -> None:
    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(4):
            torch.ones(16_000_000)  # 64 MB
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    keep_freed_memory()
    with notebook_memory(1_000_000):
        faults()
        given_back = faults()
    faults()
    assert given_back > 1_000 > faults()


class Moved(Toy):
    """Remembers whether it was moved to the host, which a module does to itself."""

    was_moved = False

    def cpu(self) -> Self:
        self.was_moved = True
        return super().cpu()


def test_a_process_of_its_own_comes_to_the_same_losses_and_leaves_the_model_alone() -> None:
    data = samples(doubles(toy_batch(13)))
    model = Moved().double()
    before = {name: weights.clone() for name, weights in model.state_dict().items()}
    with reference_process(model, data, PROTOCOL, 51, "cpu") as train_epoch:
        found = [train_epoch() for _ in range(PROTOCOL.epochs)]
    for name, weights in model.state_dict().items():
        assert torch.equal(weights, before[name])
    assert not model.was_moved
    beside = ReferenceLoop(model, data, PROTOCOL, 51, "cpu")
    assert [loss for loss, _ in found] == pytest.approx([beside.train_epoch() for _ in found], rel=1e-12)
    assert all(seconds > 0 for _, seconds in found)
