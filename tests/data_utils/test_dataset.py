import copy
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from data_utils import Batch, DataError, DatasetInfo, PairedDataset
from tests.data_utils.samples import tiny_dataset


def test_batch_is_float_in_the_order_of_the_indices() -> None:
    batch = tiny_dataset([0, 1, 0, 1]).batch(torch.tensor([3, 1]))
    assert len(batch) == 2
    assert torch.equal(batch.labels, torch.tensor([1, 1]))
    assert torch.equal(batch.inputs["rgb"].flatten(), torch.tensor([3, 1]) / 255)
    assert torch.equal(batch.inputs["lidar"].flatten(), torch.tensor([3.0, 1.0]))
    assert {values.dtype for values in batch.inputs.values()} == {torch.float32}


def test_names_of_files_have_one_line_each() -> None:
    dataset = tiny_dataset([0, 1])
    named = replace(
        dataset,
        info=replace(dataset.info, name="a\tb", classes=("two\nlines", "\x1b[31mred")),
        names=("a\nb", "c"),
        notes=("left out: a\nb.",),
    )
    assert (named.info.name, named.info.classes) == (r"a\tb", (r"two\nlines", r"\x1b[31mred"))
    assert (named.names, named.notes) == ((r"a\nb", "c"), (r"left out: a\nb.",))


def test_batch_of_everything() -> None:
    dataset = tiny_dataset([0, 1, 1])
    assert torch.equal(dataset.batch().inputs["lidar"], dataset.inputs["lidar"])


def test_batch_of_one_modality_equals_that_part_of_the_whole_batch() -> None:
    dataset = tiny_dataset([0, 1, 1])
    before = dataset.inputs["rgb"].clone()
    (alone,) = dataset.batch(torch.tensor([2, 0]), ["rgb"]).inputs.values()
    assert torch.equal(alone, dataset.batch(torch.tensor([2, 0])).inputs["rgb"])
    assert torch.equal(dataset.inputs["rgb"], before)


def test_batch_can_be_indexed_and_moved() -> None:
    batch = tiny_dataset([0, 1, 0]).batch()
    part = batch[1:]
    assert torch.equal(part.labels, torch.tensor([1, 0]))
    assert torch.equal(part.inputs["lidar"].flatten(), torch.tensor([1.0, 2.0]))
    assert torch.equal(batch[torch.tensor([2])].inputs["rgb"].flatten(), torch.tensor([2 / 255]))
    moved = batch.to("meta")
    assert {tensor.device.type for tensor in (moved.labels, *moved.inputs.values())} == {"meta"}


def test_batch_refuses_a_missing_label() -> None:
    with pytest.raises(DataError, match="2 pairs of 'rgb' and 1 labels"):
        Batch({"rgb": torch.zeros(2, 1, 1, 1)}, torch.zeros(1, dtype=torch.int64))


def test_take_keeps_the_parts_of_each_pair_together() -> None:
    taken = tiny_dataset([0, 1, 0, 1], groups=[7, 7, 8, 8]).take(torch.tensor([2, 1]))
    assert taken.names == ("2", "1")
    assert taken.groups.tolist() == [8, 7]
    assert taken.labels.tolist() == [0, 1]
    assert taken.inputs["lidar"].flatten().tolist() == [2.0, 1.0]
    assert taken.notes == ("made by hand.",)


def test_take_refuses_to_lose_a_class() -> None:
    with pytest.raises(DataError, match="no pairs of class 'class 1'"):
        tiny_dataset([0, 1, 0]).take(torch.tensor([0, 2]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ("one",)}, "has 1 class"),
        ({"classes": ("one", "one")}, "names a class twice"),
        ({"channels": {}}, "no modality"),
        ({"channels": {"rgb": 0}}, "at least 1"),
        ({"channels": {"radar.front": 1}}, "modality 'radar.front', which cannot name a part of a network"),
        ({"channels": {"type": 1}}, "modality 'type', which cannot name a part of a network"),
        ({"image_size": (0, 4)}, "at least 1"),
    ],
)
def test_info_refuses(change: dict[str, Any], message: str) -> None:
    valid: dict[str, Any] = {"name": "x", "classes": ("a", "b"), "channels": {"rgb": 1}, "image_size": (1, 1)}
    DatasetInfo(**valid)
    with pytest.raises(DataError, match=message):
        DatasetInfo(**(valid | change))


def test_info_keeps_the_order_of_modalities_and_can_be_pickled() -> None:
    channels = {"rgb": 4, "lidar": 3}
    info = DatasetInfo("x", ("a", "b"), channels, (2, 2))
    channels["rgb"] = 9
    assert list(info.channels.items()) == [("rgb", 4), ("lidar", 3)]
    assert pickle.loads(pickle.dumps(info)) == info  # noqa: S301 (our own bytes)
    assert copy.deepcopy(info) == info


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": {"rgb": torch.zeros(2, 1, 1, 1)}}, "holds the modalities"),
        ({"inputs": {"rgb": torch.zeros(2, 1, 1, 1), "lidar": torch.zeros(2, 1, 1, 2)}}, "'lidar' of shape"),
        ({"inputs": {"rgb": torch.zeros(2, 1, 1, 1).double(), "lidar": torch.zeros(2, 1, 1, 1)}}, "float64"),
        ({"labels": torch.tensor([0.0, 1.0])}, "labels of type"),
        ({"labels": np.array([0, 1])}, "'labels' as a ndarray; convert it to a tensor of torch"),
        ({"labels": [0, 1]}, "'labels' as a list; convert it to a tensor"),
        ({"groups": None}, "'groups' as a NoneType; convert it to a tensor"),
        ({"inputs": {"rgb": np.zeros((2, 1, 1, 1)), "lidar": torch.zeros(2, 1, 1, 1)}}, "'rgb' as a ndarray"),
        ({"inputs": {"rgb": torch.zeros(2, 1, 1, 1).requires_grad_()}}, "'rgb' as part of a graph; detach it"),
        ({"groups": torch.tensor([0])}, "groups of type"),
        ({"names": ("one",)}, "1 names for 2 pairs"),
        ({"labels": torch.tensor([0, 2])}, r"labels \[2\]"),
        ({"labels": torch.tensor([0, 0])}, "no pairs of class 'class 1'"),
    ],
)
def test_dataset_refuses(change: dict[str, Any], message: str) -> None:
    valid = vars(tiny_dataset([0, 1]))
    with pytest.raises(DataError, match=message):
        PairedDataset(**(valid | change))


def test_the_hash_does_not_depend_on_the_name_and_the_memory_layout() -> None:
    dataset = tiny_dataset([0, 1, 0, 1])
    apart = {m: torch.stack([values, values], dim=-1)[..., 0] for m, values in dataset.inputs.items()}
    assert not any(values.is_contiguous() for values in apart.values())
    elsewhere = replace(
        dataset, info=replace(dataset.info, name="elsewhere"), inputs=apart, notes=("read again.",)
    )
    assert elsewhere.sha256 == dataset.sha256 == tiny_dataset([0, 1, 0, 1]).sha256
    assert re.fullmatch(r"[0-9a-f]{64}", dataset.sha256)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: {"labels": d.labels.flip(0)},
        lambda d: {"groups": d.groups + 1},
        lambda d: {"names": (*d.names[:-1], "4")},
        lambda d: {"info": replace(d.info, classes=("class 0", "other"))},
        lambda d: {"inputs": {m: values + (values == 3) for m, values in d.inputs.items()}},
        lambda d: {"inputs": {m: values.flip(0) for m, values in d.inputs.items()}},
    ],
    ids=["labels", "groups", "names", "classes", "one value", "order"],
)
def test_everything_that_a_run_receives_changes_the_hash(
    change: Callable[[PairedDataset], dict[str, Any]],
) -> None:
    dataset = tiny_dataset([0, 1, 0, 1])
    assert replace(dataset, **change(dataset)).sha256 != dataset.sha256


def test_equal_bytes_of_another_shape_have_another_hash() -> None:
    wide, tall = (
        PairedDataset(
            info=DatasetInfo("strips", ("a", "b"), {"rgb": 1}, size),
            inputs={"rgb": torch.arange(16, dtype=torch.uint8).reshape(2, 1, *size)},
            labels=torch.tensor([0, 1]),
            groups=torch.tensor([0, 1]),
            names=("0", "1"),
        )
        for size in ((2, 4), (4, 2))
    )
    assert wide.sha256 != tall.sha256


def test_the_hash_is_computed_once_per_data_set() -> None:
    dataset = tiny_dataset([0, 1, 0, 1])
    assert dataset.sha256 is dataset.sha256
    assert dataset.take(torch.tensor([0, 1])).sha256 != dataset.sha256
    assert copy.deepcopy(dataset).sha256 == dataset.sha256
