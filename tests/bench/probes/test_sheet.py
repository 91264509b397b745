import torch

from bench.probes.corruptions import corruptions_of
from bench.probes.sheet import corrupted_sheet
from data_utils import load
from data_utils.audits.pictures import contact_sheet


def test_the_sheet_begins_with_the_pair_as_it_was_measured() -> None:
    dataset = load("shapes", pairs=4)
    sheet = corrupted_sheet(dataset, 2, 51)
    tiles = 2 + sum(len(corruption.levels) - 1 for corruption in corruptions_of(dataset))
    assert sheet.size == contact_sheet(dataset, [0] * tiles).size
    photo = dataset.inputs["rgb"][2, :3].permute(1, 2, 0).repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert sheet.crop((8, 62, 8 + 128, 62 + 128)).tobytes() == photo.numpy().tobytes()


def test_drawing_leaves_the_data_as_they_were() -> None:
    dataset = load("shapes", pairs=4)
    before = {modality: values.clone() for modality, values in dataset.inputs.items()}
    corrupted_sheet(dataset, 0, 51)
    assert all(torch.equal(values, before[modality]) for modality, values in dataset.inputs.items())
