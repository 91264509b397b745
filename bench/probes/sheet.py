"""A picture of what the corruptions do to a pair, for viewing only."""

from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor

from bench.probes.corruptions import TOGETHER, corrupted, corruptions_of, kind_of
from data_utils import ChannelStatistics, PairedDataset
from data_utils.audits.pictures import contact_sheet


def corrupted_sheet(dataset: PairedDataset, pair: int, seed: int) -> Image.Image:
    """A pair, given by its number, as measured; one of each other class; the pair under every corruption.

    Raises:
        DataError: The data cannot be drawn.
    """
    statistics = ChannelStatistics.of(lambda: map(dataset.batch, dataset.parts()))
    others = [label for label in range(len(dataset.info.classes)) if label != dataset.labels[pair]]
    clean = [pair, *(int((dataset.labels == label).nonzero()[0]) for label in others)]
    names = [dataset.names[number] for number in clean]
    changes: list[tuple[str, Tensor]] = []
    measured = dataset.batch(torch.tensor([pair]))
    alone = [corruption for corruption in corruptions_of(dataset) if TOGETHER not in corruption.modality]
    for corruption in alone:
        for level in corruption.levels[1:]:
            values = corrupted(corruption, dataset, measured, level, seed, statistics)
            changes.append((corruption.modality, values[0]))
            names.append(f"{corruption.name} {level:g} {corruption.unit}")
    tiles = dataset.take(torch.tensor(clean + [pair] * len(changes))).decoded()
    for tile, (modality, values) in enumerate(changes, start=len(clean)):
        stored, kind = tiles.inputs[modality], kind_of(dataset.modality(modality))
        if kind == "image":
            values = (values * torch.iinfo(stored.dtype).max).round().clamp(min=0)
        stored[tile] = values.to(stored.dtype)
        if kind == "points":
            stored[tile, 3] = (stored[tile, 3] > 0).float()  # filled values are drawn as points too
    return contact_sheet(replace(tiles, names=tuple(names)), range(len(names)), len(clean))
