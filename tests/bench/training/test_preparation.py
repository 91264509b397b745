from dataclasses import replace

import pytest
import torch

from bench.config import ALL
from bench.training.preparation import choose, measured_sides, prepare, ready
from bench.training.seeding import stream
from data_utils import ChannelStatistics, DataError, PairedDataset, split, subsample
from tests.bench.samples import SMALL


def test_pairs_are_drawn_first_and_then_split_each_by_its_own_stream(dataset: PairedDataset) -> None:
    sides = choose(dataset, replace(SMALL, pairs=60), 51)
    drawn = subsample(dataset, 60, stream(51, "pairs"))
    expected = split(drawn, SMALL.valid_fraction, stream(51, "split"))
    for indices, side in ((sides.train, expected.train), (sides.valid, expected.valid)):
        assert [dataset.names[i] for i in indices.tolist()] == [drawn.names[i] for i in side.tolist()]
    assert len(drawn) < len(dataset)


def test_training_and_validation_share_no_scene_where_groups_are_kept(dataset: PairedDataset) -> None:
    def shared_scenes(keep_groups: bool) -> int:
        sides = choose(dataset, replace(SMALL, keep_groups=keep_groups), 51)
        train, valid = (
            {dataset.names[i].partition("/")[2] for i in side.tolist()} for side in (sides.train, sides.valid)
        )
        return len(train & valid)

    assert shared_scenes(keep_groups=True) == 0
    assert shared_scenes(keep_groups=False) > 0


def test_too_few_pairs_for_a_batch_are_refused(dataset: PairedDataset) -> None:
    with pytest.raises(DataError, match="64 training pairs are fewer than one batch of 65"):
        choose(dataset, replace(SMALL, batch_size=65), 51)


@pytest.mark.parametrize("normalized", [(), ("rgb",), ("rgb", "lidar"), ALL])
def test_the_named_modalities_are_scaled_and_no_others(
    normalized: tuple[str, ...], dataset: PairedDataset
) -> None:
    protocol = replace(SMALL, normalized=normalized)
    raw, data = dataset.batch(choose(dataset, protocol, 51).train), prepare(dataset, protocol, 51, "cpu")
    assert torch.equal(data.train.labels, raw.labels)
    for modality, values in raw.inputs.items():
        unchanged = normalized != ALL and modality not in normalized
        assert torch.equal(data.train.inputs[modality], values) is unchanged


def test_preparing_one_modality_at_a_time_is_preparing_all_at_once(dataset: PairedDataset) -> None:
    train, valid = measured_sides(dataset, SMALL, 51)
    statistics = ChannelStatistics.from_batch(train)
    data = prepare(dataset, SMALL, 51, "cpu")
    for side, measured in ((data.train, train), (data.valid, valid)):
        expected = ready(measured, statistics, ("rgb", "lidar"), "cpu")
        assert torch.equal(side.labels, measured.labels)
        assert list(side.inputs) == list(expected.inputs)
        for modality, values in expected.inputs.items():
            assert torch.equal(side.inputs[modality], values)
            assert side.inputs[modality].is_contiguous(memory_format=torch.channels_last)


def test_validation_is_scaled_as_training_is(dataset: PairedDataset) -> None:
    data = prepare(dataset, replace(SMALL, normalized=("lidar",)), 51, "cpu")
    means = [side.inputs["lidar"].mean(dim=(0, 2, 3)) for side in (data.train, data.valid)]
    assert means[0].abs().max() < 1e-4
    assert means[1].abs().max() > 1e-4  # the statistics are those of the training pairs


def test_whole_batches_leave_out_the_last_validation_pairs(dataset: PairedDataset) -> None:
    whole = prepare(dataset, SMALL, 51, "cpu").valid
    cut = prepare(dataset, replace(SMALL, batch_size=10, valid_whole_batches=True), 51, "cpu").valid
    assert (len(whole), len(cut)) == (16, 10)
    assert torch.equal(cut.labels, whole.labels[:10])


def test_whole_batches_of_less_than_one_are_refused(dataset: PairedDataset) -> None:
    with pytest.raises(DataError, match="16 validation pairs are fewer than one batch of 32"):
        choose(dataset, replace(SMALL, batch_size=32, valid_whole_batches=True), 51)


def test_prepared_data_tell_which_pairs_validate(dataset: PairedDataset) -> None:
    data = prepare(dataset, replace(SMALL, pairs=60, normalized=()), 51, "cpu")
    assert torch.equal(data.valid.inputs["lidar"], dataset.inputs["lidar"][data.valid_pairs])
    assert len(data.valid_pairs) == len(data.valid)
