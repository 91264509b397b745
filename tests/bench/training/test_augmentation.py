from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bench.config import STANDARD, OptionError, Protocol
from bench.training import graphs
from bench.training.augmentation import AugmentedPairs, is_augmented
from bench.training.graphs import GraphSteps
from bench.training.pairs import StoredPairs
from bench.training.preparation import prepare
from bench.training.runs import run
from bench.training.seeding import deterministic
from bench.training.steps import EagerSteps
from bench.training.trainer import Trainer
from data_utils import Batch, ChannelStatistics, DatasetInfo, PairedDataset, Part
from data_utils.modality import Modality
from tests.bench.samples import MODEL, SMALL, small_dataset
from tests.bench.toys import Toy, toy, toy_batch

PAIRS = 24
ALL = replace(STANDARD, horizontal_flip=0.5, random_crop=2, color_jitter=0.4)


def data() -> PairedDataset:
    """Images, and depth in which each pixel has the number of its place."""
    generator = torch.Generator().manual_seed(0)
    depth = torch.arange(1.0, 17.0).view(1, 1, 4, 4).expand(PAIRS, 1, 4, 4).contiguous()
    # Red tells the place of a pixel too; nothing changes it but colors.
    places = (depth * 15).to(torch.uint8)
    rest = torch.randint(0, 256, (PAIRS, 3, 4, 4), generator=generator, dtype=torch.uint8)
    return PairedDataset(
        info=DatasetInfo(
            name="places",
            classes=("a", "b"),
            channels={"rgb": 4, "depth": 1},
            image_size=(4, 4),
            modalities={"depth": Modality("depth", 1)},
        ),
        inputs={"rgb": torch.cat([places, rest], dim=1), "depth": depth},
        labels=torch.arange(PAIRS) % 2,
        groups=torch.arange(PAIRS),
        names=tuple(map(str, range(PAIRS))),
    )


def stored(scaled: tuple[str, ...] = ()) -> StoredPairs:
    dataset = data()
    return StoredPairs.of(
        Part(dataset, torch.arange(PAIRS)), ChannelStatistics.of(lambda: [dataset.batch()]), scaled, "cpu"
    )


def augmented(protocol: Protocol = ALL, epoch: int = 1, seed: int = 51) -> AugmentedPairs:
    pairs = AugmentedPairs(stored(), protocol, seed)
    pairs.begin(epoch)
    return pairs


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(values, other.inputs[m]) for m, values in one.inputs.items())


def test_the_standard_protocol_augments_nothing() -> None:
    assert not is_augmented(STANDARD)
    for setting in ({"horizontal_flip": 0.5}, {"random_crop": 1}, {"color_jitter": 0.1}):
        assert is_augmented(replace(STANDARD, **setting))


def test_a_pair_is_augmented_the_same_in_whatever_batch_it_is() -> None:
    pairs = augmented()
    whole = pairs[torch.arange(PAIRS)]
    for order in (torch.tensor([7]), torch.tensor([3, 23, 7, 0])):
        batch = pairs[order]
        assert torch.equal(batch.labels, whole.labels[order])
        assert same(batch, whole[order])
    assert same(pairs[4:9], whole[4:9])
    assert not same(stored()[torch.arange(PAIRS)], whole)


def test_what_is_drawn_depends_on_seed_epoch_and_pair_alone() -> None:
    everything = torch.arange(PAIRS)
    first = augmented()[everything]
    torch.rand(7)
    assert same(augmented()[everything], first)
    assert not same(augmented(epoch=2)[everything], first)
    assert not same(augmented(seed=52)[everything], first)


def test_before_the_first_epoch_nothing_is_changed() -> None:
    pairs = AugmentedPairs(stored(), replace(ALL, color_jitter=0.0), 51)
    assert same(pairs[:], stored()[:])


def test_modalities_are_mirrored_and_moved_together() -> None:
    batch = augmented(replace(ALL, color_jitter=0.0))[:]
    places = (batch.inputs["rgb"][:, 0] * 255 / 15).round()
    assert torch.equal(places, batch.inputs["depth"][:, 0])
    ways = {tuple(depth.flatten().tolist()) for depth in batch.inputs["depth"]}
    assert len(ways) > PAIRS // 2  # of 50, by 25 moves


def test_the_share_of_mirrored_pairs_is_the_probability() -> None:
    for probability, expected in ((1.0, 1.0), (0.5, 0.5), (0.0, 0.0)):
        protocol = replace(STANDARD, horizontal_flip=probability, random_crop=1)
        pairs = augmented(protocol)
        share = pairs._mirrored.double().mean().item()
        assert share == pytest.approx(expected, abs=4 * (probability * (1 - probability) / PAIRS) ** 0.5)


def test_pairs_are_moved_in_all_directions_up_to_the_number_of_pixels() -> None:
    shifts = torch.cat([augmented(ALL, epoch)._shifts for epoch in range(1, 21)])
    assert {tuple(shift) for shift in shifts.tolist()} == {(a, b) for a in range(-2, 3) for b in range(-2, 3)}


def test_colors_are_of_images_alone_and_alpha_stays() -> None:
    batch, original = augmented(replace(STANDARD, color_jitter=0.4))[:], stored()[:]
    assert torch.equal(batch.inputs["depth"], original.inputs["depth"])
    assert torch.equal(batch.inputs["rgb"][:, 3], original.inputs["rgb"][:, 3])
    assert not torch.equal(batch.inputs["rgb"][:, :3], original.inputs["rgb"][:, :3])


def test_one_augmentation_more_leaves_the_draws_of_the_others() -> None:
    alone, together = augmented(replace(STANDARD, random_crop=2)), augmented()
    assert torch.equal(alone._shifts, together._shifts)


def test_what_is_augmented_is_scaled_afterwards() -> None:
    pairs = stored(("rgb", "depth"))
    one = AugmentedPairs(pairs, ALL, 51)
    one.begin(1)
    mean, std = pairs.scaling["depth"]
    measured = augmented()[:].inputs["depth"]
    torch.testing.assert_close(one[:].inputs["depth"], (measured - mean[:, None, None]) / std[:, None, None])
    assert all(values.is_contiguous(memory_format=torch.channels_last) for values in one[:].inputs.values())


def test_a_crop_out_of_the_images_is_refused() -> None:
    with pytest.raises(OptionError, match="random_crop=4 moves images of 4x4 pixels out of sight; set at most 3 "):
        AugmentedPairs(stored(), replace(STANDARD, random_crop=4), 51)


# Training


class Depth(Toy):
    """The toy on depth."""

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        return super().forward({"rgb": inputs["depth"]})


def steps(protocol: Protocol) -> tuple[EagerSteps, AugmentedPairs]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Depth(16)
    pairs = AugmentedPairs(stored(), protocol, 51)
    optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.01), fused=True)
    return EagerSteps(model, optimizer, pairs, protocol), pairs


def test_replays_read_what_is_drawn_for_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    # A graph is recorded before the first epoch; here each of its steps is run in place of a replay.
    monkeypatch.setattr(graphs, "record", lambda work, *_: work)
    protocol = replace(ALL, batch_size=5)
    (eager, drawn), (recorded, also_drawn) = steps(protocol), steps(protocol)
    places = [also_drawn._mirrored, also_drawn._shifts, also_drawn._factors]
    replays = GraphSteps(recorded, PAIRS)
    before = [place.data_ptr() for place in places]
    for epoch in (1, 2):
        drawn.begin(epoch)
        also_drawn.begin(epoch)
        order = torch.randperm(PAIRS, generator=torch.Generator().manual_seed(epoch))
        losses = [[x.item() for x in which.epoch(order, [0.01] * 5)] for which in (eager, replays)]
        assert losses[0] == losses[1]
    after = [also_drawn._mirrored, also_drawn._shifts, also_drawn._factors]
    assert [place.data_ptr() for place in after] == before


def trained(**settings: float) -> list[float]:
    """The training losses of a few epochs of the toy on depth."""
    model, protocol = toy(pixels=16), replace(STANDARD, epochs=2, batch_size=8, **settings)  # type: ignore[arg-type]
    depth = Depth(16)
    depth.load_state_dict(model.state_dict())
    trainer = Trainer(depth, stored(), stored()[:4], protocol, 51, lambda _: None)
    for _ in range(2):
        trainer.train_epoch()
        trainer.finish_epoch()
    return trainer.history.train_losses


def test_each_augmentation_changes_a_training_that_can_be_repeated() -> None:
    plain = trained()
    assert trained() == plain
    for setting in ({"horizontal_flip": 0.5}, {"random_crop": 1}):
        assert trained(**setting) == trained(**setting) != plain
    assert trained(color_jitter=0.5) == plain  # depth has no colors


def test_a_batch_does_not_tell_what_it_holds() -> None:
    with pytest.raises(TypeError, match="only pairs of a data set can be augmented"):
        Trainer(toy(), toy_batch(8), toy_batch(8), ALL, 51, lambda _: None)


def test_validation_and_test_pairs_are_never_augmented() -> None:
    record = run(MODEL, small_dataset(), protocol=replace(SMALL, epochs=1, learning_rate=0, final_learning_rate=0))
    changed = replace(SMALL, epochs=1, learning_rate=0, final_learning_rate=0, random_crop=4, horizontal_flip=0.5)
    other = run(MODEL, small_dataset(), protocol=changed)
    # Nothing is learned at a rate of zero.
    assert other.valid_metrics == record.valid_metrics
    assert other.train_accuracy == record.train_accuracy
    assert other.train_losses != record.train_losses
    assert (other.protocol["random_crop"], other.protocol["horizontal_flip"]) == (4, 0.5)
    assert other.peak_memory_bytes == record.peak_memory_bytes


def test_a_pair_that_nothing_is_drawn_for_has_the_bits_of_the_pair() -> None:
    prepared = prepare(small_dataset(), SMALL, 51, "cpu")
    index = torch.tensor([5, 2, 9])
    with deterministic():
        pairs = AugmentedPairs(prepared.train, replace(SMALL, horizontal_flip=1e-9), 51)
        pairs.begin(1)
        assert same(pairs[index], prepared.train[index])
