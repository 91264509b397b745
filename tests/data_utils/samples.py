"""Small hand-made data sets that several test files share."""

from collections.abc import Sequence

import torch

from data_utils import DatasetInfo, PairedDataset
from data_utils.simulator.shapes import as_dataset, simulate


def shapes(pairs: int, seed: int, image_size: int = 64) -> PairedDataset:
    return as_dataset("shapes", simulate(pairs, seed, image_size))


def tiny_dataset(labels: Sequence[int], groups: Sequence[int] | None = None) -> PairedDataset:
    """One pixel per pair, which holds the pair's index; without groups, every pair is its own group."""
    count = len(labels)
    number = torch.arange(count)[:, None, None, None]
    return PairedDataset(
        info=DatasetInfo(
            "tiny", tuple(f"class {label}" for label in range(max(labels) + 1)), {"rgb": 1, "lidar": 1}, (1, 1)
        ),
        inputs={"rgb": number.to(torch.uint8), "lidar": number.float()},
        labels=torch.tensor(labels),
        groups=torch.tensor(range(count) if groups is None else groups),
        names=tuple(str(pair) for pair in range(count)),
        notes=("made by hand.",),
    )
