"""Stored pairs give the bits that pairs prepared all at once give."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.training.layout import LAYOUTS
from bench.training.pairs import StoredPairs, as_inputs
from data_utils import Batch, ChannelStatistics, PairedDataset, Part, load
from data_utils.simulator.shapes import as_dataset, simulate
from fusion_models import build_model
from tests.data_utils.layouts.files import write_pairs


@pytest.fixture(params=["scanner", "camera", "depth"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> PairedDataset:
    """Data that are stored in other types than networks get."""
    if request.param == "scanner":
        return as_dataset("shapes", simulate(8, 0, 8))
    folder = write_pairs(tmp_path, np.arange(64, dtype=np.uint16).reshape(8, 8) * 37)
    if request.param == "depth":
        text = (folder / "manifest.csv").read_text().replace(",fx,fy,cx,cy", ",a,b,c,d")
        (folder / "manifest.csv").write_text(text)
    return load(str(folder))


@pytest.mark.parametrize("scaled", [(), ("rgb",), "all"])
def test_batches_are_those_of_pairs_prepared_at_once(data: PairedDataset, scaled: tuple[str, ...] | str) -> None:
    names = tuple(data.inputs) if scaled == "all" else tuple(scaled)
    chosen = torch.tensor([3, 0, 2])
    whole = data.decoded()
    statistics = ChannelStatistics.of(lambda: [whole.batch(chosen)])
    pairs = StoredPairs.of(Part(data, chosen), statistics, names, "cpu")
    assert len(pairs) == 3
    assert torch.equal(pairs.labels, data.labels[chosen])
    index = torch.tensor([2, 0, 0])
    batch, expected = pairs[index], whole.batch(chosen[index])
    for modality, values in expected.inputs.items():
        if modality in names:
            mean, std = (of[modality][:, None, None] for of in (statistics.mean, statistics.std))
            values = (values - mean) / std
        assert torch.equal(batch.inputs[modality], values)
        assert batch.inputs[modality].is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(pairs[:2].inputs[modality], pairs[torch.tensor([0, 1])].inputs[modality])


def test_inputs_of_one_channel_have_the_strides_of_their_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LAYOUTS, "cpu", torch.contiguous_format)  # as on CUDA
    values = torch.randn(3, 1, 4, 6)
    batch = Batch({"thermal": values}, torch.arange(3))[torch.tensor([2, 0])]
    inputs = as_inputs(batch, {}).inputs["thermal"]
    assert torch.equal(inputs, values[[2, 0]])
    assert inputs.stride() == torch.empty(inputs.shape).stride()


def test_pairs_on_the_same_device_share_the_memory_of_the_data(data: PairedDataset) -> None:
    statistics = ChannelStatistics.of(lambda: [data.batch()])
    pairs = StoredPairs.of(Part(data, torch.arange(4)), statistics, (), "cpu").to("cpu")
    assert all(pairs.dataset.inputs[m].data_ptr() == values.data_ptr() for m, values in data.inputs.items())


def test_statistics_in_chunks_are_those_of_all(data: PairedDataset) -> None:
    part = Part(data, torch.arange(len(data)))
    chunked = ChannelStatistics.of(lambda: (chunk.batch() for chunk in part.chunks(3)))
    whole = ChannelStatistics.of(lambda: [data.batch()])
    for modality in data.inputs:
        assert torch.equal(chunked.mean[modality], whole.mean[modality])
        assert torch.equal(chunked.std[modality], whole.std[modality])


def test_batches_have_what_a_model_looks_at(data: PairedDataset) -> None:
    pairs = StoredPairs.of(Part(data, torch.arange(4)), ChannelStatistics.of(lambda: [data.batch()]), (), "cpu")
    info = data.info
    alone = build_model("wide-rgb-strided", channels=info.channels, image_size=info.image_size, classes=2)
    assert set(pairs.seen_by(alone)[:].inputs) == {"rgb"}
    assert set(pairs.seen_by(nn.Linear(1, 1))[:].inputs) == set(data.inputs)
