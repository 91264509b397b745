"""Mean and standard deviation of the channels of the training pairs, which models get their inputs scaled by."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from data_utils.dataset import Batch
from data_utils.errors import DataError

_CHUNK = 64  # images whose sums are added first

_CONSTANT = 1e-6  # a deviation below this share of the mean is float32 rounding, not content


@dataclass(frozen=True, eq=False)
class ChannelStatistics:
    """Mean and standard deviation of every channel.

    Attributes:
        mean: Modality to float32 tensor (C,).
        std: Modality to float32 tensor (C,), over all pixels of all pairs (divisor: their number). Exactly 1
            for a constant channel, such as an alpha channel that is 1 everywhere.
    """

    mean: Mapping[str, Tensor]
    std: Mapping[str, Tensor]

    @classmethod
    def of(cls, chunks: Callable[[], Iterable[Batch]]) -> "ChannelStatistics":
        """Statistics of pairs, which should be the training pairs only.

        Sums are computed in float64, first per image and then over the images, in two passes (mean, then
        deviations).

        Args:
            chunks: Called twice; yields the pairs, any number at a time, which changes no bit.

        Raises:
            DataError: There are no pairs.
        """
        sums, count = _totals(chunks(), lambda _, values: values)
        if not count:
            raise DataError("An empty batch has no channel statistics; pass the training pairs.")
        center = {modality: total / count for modality, total in sums.items()}
        squares, _ = _totals(chunks(), lambda m, values: (values - center[m][:, None, None]).square_())
        mean: dict[str, Tensor] = {}
        std: dict[str, Tensor] = {}
        for modality, middle in center.items():
            deviation = (squares[modality] / count).sqrt()
            constant = deviation <= _CONSTANT * middle.abs()
            mean[modality] = middle.float()
            std[modality] = torch.where(constant, 1.0, deviation).float()
        return cls(mean, std)


def batchwise_statistics(images: Tensor, batch_size: int = 64) -> dict[str, list[float]]:
    """Mean and standard deviation of images as the published notebooks compute them: per batch, then averaged.

    If images differ in brightness, this deviation is lower than that of all pixels, so published values of the
    cubes-and-spheres data must be compared with it. Models receive ``ChannelStatistics``.

    Args:
        images: (N, C, H, W), integers that are divided by the largest one of their type, or floats in [0, 1].
        batch_size: Images per batch.

    Returns:
        "mean" and "std", one number per channel; a deviation of 0 (a constant alpha) is replaced by 1, so that it
        can be a divisor.
    """
    largest = 1 if images.is_floating_point() else torch.iinfo(images.dtype).max
    batches = [batch.double().div_(largest).transpose(0, 1).flatten(1) for batch in images.split(batch_size)]
    mean = torch.stack([batch.mean(dim=1) for batch in batches]).mean(dim=0)
    std = torch.stack([batch.std(dim=1) for batch in batches]).mean(dim=0)
    return {"mean": mean.tolist(), "std": torch.where(std > 0, std, 1.0).tolist()}


def _totals(chunks: Iterable[Batch], change: Callable[[str, Tensor], Tensor]) -> tuple[dict[str, Tensor], int]:
    """The sums over all pairs and pixels, float64 (C,) per modality, and the number of pixels of all pairs."""
    # Numbers, not tensors: small tensors that are kept would lie between the large ones that are freed, and the
    # heap would grow with every chunk.
    of_images: dict[str, list[list[float]]] = {}
    count = 0
    for chunk in chunks:
        for modality, values in chunk.inputs.items():
            # One sum per image first: no sum depends on the number of threads, or on what else is in the chunk.
            of_images.setdefault(modality, []).extend(change(modality, values.double()).sum(dim=(2, 3)).tolist())
        count += len(chunk) * values[0, 0].numel()
    sums = {m: torch.tensor(totals, dtype=torch.float64) for m, totals in of_images.items()}
    return {
        m: torch.stack([part.sum(dim=0) for part in s.split(_CHUNK)]).sum(dim=0) for m, s in sums.items()
    }, count
