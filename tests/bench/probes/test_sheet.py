from dataclasses import replace

import numpy as np
import torch

from bench.probes.corruptions import corruptions_of
from bench.probes.sheet import corrupted_sheet
from data_utils import load
from data_utils.audits.pictures import contact_sheet
from data_utils.modality import Modality
from tests.bench.probes.test_corruptions import declared


def test_the_sheet_begins_with_the_pair_as_it_was_measured() -> None:
    dataset = load("shapes", pairs=4)
    sheet = corrupted_sheet(dataset, 2, 51)
    tiles = 2 + sum(len(corruption.levels) - 1 for corruption in corruptions_of(dataset))
    assert sheet.size == contact_sheet(dataset, [0] * tiles).size
    photo = dataset.inputs["rgb"][2, :3].permute(1, 2, 0).repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert sheet.crop((8, 62, 8 + 128, 62 + 128)).tobytes() == photo.numpy().tobytes()


def test_colors_are_those_of_the_measured_pairs() -> None:
    lwir = 300 + torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    data = declared(rgb=Modality("image", 4), lwir=Modality("thermal", 1))
    sheet = np.asarray(corrupted_sheet(replace(data, inputs={**data.inputs, "lwir": lwir}), 0, 51))
    first = sheet[62 : 62 + 128, 152 : 152 + 128]
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 30  # although a missing camera reads 0 K


def test_drawing_leaves_the_data_as_they_were() -> None:
    dataset = load("shapes", pairs=4)
    before = {modality: values.clone() for modality, values in dataset.inputs.items()}
    corrupted_sheet(dataset, 0, 51)
    assert all(torch.equal(values, before[modality]) for modality, values in dataset.inputs.items())
