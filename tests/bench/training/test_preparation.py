import gc
import math
import weakref
from dataclasses import replace

import pytest
import torch

from bench.config import ALL
from bench.training.preparation import Latest, PreparedData, prepare, ready, shares_of, world_of
from data_utils import ChannelStatistics, DataError, PairedDataset, World, open_source
from tests.bench.samples import SMALL, TESTED


def test_training_and_validation_share_no_scene_where_groups_are_kept(dataset: PairedDataset) -> None:
    def shared_scenes(keep_groups: bool) -> int:
        world = world_of(dataset, replace(SMALL, keep_groups=keep_groups), 51)
        train, valid = ({name.partition("/")[2] for name in part.names} for part in (world.train, world.valid))
        return len(train & valid)

    assert shared_scenes(keep_groups=True) == 0
    assert shared_scenes(keep_groups=False) > 0


def test_too_few_pairs_for_a_batch_are_refused(dataset: PairedDataset) -> None:
    with pytest.raises(DataError, match="64 training pairs are fewer than one batch of 65"):
        world_of(dataset, replace(SMALL, batch_size=65, drop_last=True), 51)
    assert len(world_of(dataset, replace(SMALL, batch_size=65), 51).train) == 64


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_training_pairs_that_are_not_numbers_are_refused(value: float, dataset: PairedDataset) -> None:
    lidar = dataset.inputs["lidar"].clone()
    lidar[:, 1, 0, 0] = value
    broken = replace(dataset, inputs={**dataset.inputs, "lidar": lidar})
    with pytest.raises(
        DataError, match="shapes: measurements of 'lidar' in the training pairs are infinite or not"
    ):
        prepare(broken, replace(SMALL, normalized=()), 51, "cpu")


@pytest.mark.parametrize("normalized", [(), ("rgb",), ("rgb", "lidar"), ALL])
def test_the_named_modalities_are_scaled_and_no_others(
    normalized: tuple[str, ...], dataset: PairedDataset
) -> None:
    protocol = replace(SMALL, normalized=normalized)
    data = prepare(dataset, protocol, 51, "cpu")
    raw = data.world.train.batch()
    assert torch.equal(data.train.labels, raw.labels)
    for modality, values in raw.inputs.items():
        unchanged = normalized != ALL and modality not in normalized
        assert torch.equal(data.train[:].inputs[modality], values) is unchanged


def test_preparing_one_modality_at_a_time_is_preparing_all_at_once(dataset: PairedDataset) -> None:
    data = prepare(dataset, TESTED, 51, "cpu")
    train, valid, test = (part.batch() for part in data.world.parts.values())
    statistics = ChannelStatistics.of(lambda: [train])
    (tested,) = data.batches(data.world.test)
    for side, measured in ((data.train, train), (data.valid, valid), (tested, test)):
        expected = ready(measured, statistics, ("rgb", "lidar"), "cpu")
        side = side[:]
        assert torch.equal(side.labels, measured.labels)
        assert list(side.inputs) == list(expected.inputs)
        for modality, values in expected.inputs.items():
            assert torch.equal(side.inputs[modality], values)
            assert side.inputs[modality].is_contiguous(memory_format=torch.channels_last)


def test_scaling_leaves_the_measurements_of_the_data_set_as_they_are(dataset: PairedDataset) -> None:
    measured = dataset.decoded()  # float32, so that nothing has to be converted, which would copy
    before = {modality: values.clone() for modality, values in measured.inputs.items()}
    data = prepare(measured, TESTED, 51, "cpu")
    seen = [data.train[:], data.train[torch.arange(3)], data.valid[:], *data.batches(data.world.test)]
    assert all(batch.inputs["lidar"].mean().abs() < 1 for batch in seen)  # in meters it is far larger
    for modality, values in before.items():
        assert torch.equal(measured.inputs[modality], values)


def test_validation_is_scaled_as_training_is(dataset: PairedDataset) -> None:
    data = prepare(dataset, replace(SMALL, normalized=("lidar",)), 51, "cpu")
    means = [side[:].inputs["lidar"].mean(dim=(0, 2, 3)) for side in (data.train, data.valid)]
    assert means[0].abs().max() < 1e-4
    assert means[1].abs().max() > 1e-4  # the statistics are those of the training pairs


def test_whole_batches_leave_out_the_last_validation_pairs(dataset: PairedDataset) -> None:
    whole = prepare(dataset, SMALL, 51, "cpu").valid
    cut = prepare(dataset, replace(SMALL, batch_size=10, valid_whole_batches=True), 51, "cpu").valid
    assert (len(whole), len(cut)) == (16, 10)
    assert torch.equal(cut.labels, whole.labels[:10])


def test_whole_batches_of_less_than_one_are_refused(dataset: PairedDataset) -> None:
    with pytest.raises(DataError, match="16 validation pairs are fewer than one batch of 32"):
        world_of(dataset, replace(SMALL, batch_size=32, valid_whole_batches=True), 51)


def test_test_pairs_are_prepared_in_the_batches_of_evaluations(
    dataset: PairedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.training.evaluation.EVALUATION_BATCH_SIZE", 7)
    data = prepare(dataset, replace(TESTED, normalized=()), 51, "cpu")
    batches = [*data.batches(data.world.test)]
    assert [len(batch) for batch in batches] == [7, 7, 2]
    assert torch.equal(torch.cat([b.inputs["lidar"] for b in batches]), data.world.test.batch().inputs["lidar"])
    assert [*data.batches(replace(data.world.test, indices=torch.tensor([], dtype=torch.int64)))] == []


# --- what is kept


def test_the_latest_values_are_kept_within_the_limit() -> None:
    latest: Latest[int] = Latest(limit=10)
    made = []

    def get(key: str, size: int) -> int:
        return latest.get(key, lambda: made.append(key) or size, lambda value: value)  # type: ignore[func-returns-value]

    for key in "aabab":
        assert get(key, 4) == 4
    assert made == ["a", "b"]
    get("c", 4)  # no room beside both: a was used before b
    assert get("b", 4) == 4
    get("large", 30)  # kept although it is larger than the limit, and nothing beside it
    assert get("large", 30) == 30
    assert made == ["a", "b", "c", "large"]
    get("b", 4)
    assert made[-1] == "b"


def test_a_failure_to_make_a_value_keeps_nothing_of_it() -> None:
    latest: Latest[int] = Latest(limit=10)
    with pytest.raises(ZeroDivisionError):
        latest.get("a", lambda: 1 // 0, lambda value: value)
    assert latest.get("a", lambda: 1, lambda value: value) == 1


def test_no_more_worlds_are_kept_than_the_limit_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peak of a run must not grow with its seeds: what was made for earlier ones is let go."""
    worlds, prepared = Latest[World](), Latest[PreparedData]()
    source, protocol = open_source("shapes", image_size=8), replace(TESTED, pairs=40)
    one = source.world(shares_of(protocol), 1)
    size = sum(dataset.stored_bytes for dataset in {part.dataset for part in one.parts.values()})
    for name, latest in (("_worlds", worlds), ("_prepared", prepared)):
        monkeypatch.setattr(f"bench.training.preparation.{name}", latest)
        monkeypatch.setattr(latest, "_limit", int(2.5 * size))
    alive = [weakref.ref(prepare(source, protocol, seed, "cpu").world.train.dataset) for seed in range(6)]
    gc.collect()
    assert [reference() is not None for reference in alive] == [False] * 4 + [True] * 2
    data = prepare(source, protocol, 5, "cpu")
    assert data.world.train.dataset is alive[-1]()
