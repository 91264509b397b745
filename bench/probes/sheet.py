"""A picture of what the corruptions do to a pair, for eyes only."""

from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor

from bench.probes.corruptions import CORRUPTIONS
from data_utils import ChannelStatistics, PairedDataset
from data_utils.audits.pictures import contact_sheet


def corrupted_sheet(dataset: PairedDataset, pair: int, seed: int) -> Image.Image:
    """One pair as it was measured, one of each other class, and the first at every level of every corruption.

    Args:
        dataset: with RGBA images and XYZA points.
        pair: which one.
        seed: of the draws.

    Raises:
        DataError: the data are of another kind.
    """
    statistics = ChannelStatistics.from_batch(dataset.batch())
    others = [label for label in range(len(dataset.info.classes)) if label != dataset.labels[pair]]
    clean = [pair, *(int((dataset.labels == label).nonzero()[0]) for label in others)]
    shown, names = [*clean], [dataset.names[each] for each in clean]
    changed: list[tuple[str, Tensor]] = []
    measured = dataset.batch(torch.tensor([pair]))
    for corruption in CORRUPTIONS.values():
        for level in corruption.levels[1:]:
            changed.append((corruption.modality, corruption.apply(measured, level, seed, statistics)[0]))
            shown.append(pair)
            names.append(f"{corruption.name} {level:g} {corruption.unit}")
    tiles = dataset.take(torch.tensor(shown))
    for tile, (modality, values) in enumerate(changed, start=len(clean)):
        stored = tiles.inputs[modality]
        as_stored = (values * 255).round().clamp(0, 255) if stored.dtype == torch.uint8 else values
        stored[tile] = as_stored.to(stored.dtype)
    return contact_sheet(replace(tiles, names=tuple(names)), range(len(names)))
