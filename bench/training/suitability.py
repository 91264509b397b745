"""Settings of a protocol that cannot work with some data, or change nothing there: known before a training."""

from bench.config import OptionError, Protocol
from data_utils import DatasetInfo, PairedDataset

_OF_SEVERAL = ("modality_dropout", "unimodal_loss", "ogm_ge")
"""Settings that only change what models of several modalities learn."""


def require_suitable(protocol: Protocol, info: DatasetInfo) -> None:
    """Refuse a protocol that cannot work with such data.

    Raises:
        OptionError: It moves images out of sight.
    """
    smallest = min(info.image_size)
    if protocol.random_crop >= smallest:
        height, width = info.image_size
        remedy = (
            f"set at most {smallest - 1} (--set random_crop={smallest - 1})" if smallest > 1 else "leave it out"
        )
        raise OptionError(
            f"random_crop={protocol.random_crop} moves images of {height}x{width} pixels out of sight; {remedy}, "
            "or use larger images (--image-size)"
        )


def without_effect(protocol: Protocol, dataset: PairedDataset) -> list[str]:
    """One sentence for each setting that changes nothing with these data."""
    modalities, found = list(dataset.inputs), []
    if protocol.color_jitter and all(dataset.modality(name).kind != "image" for name in modalities):
        found.append(
            f"color_jitter={protocol.color_jitter}: the data have no images, only {', '.join(modalities)}"
        )
    if len(modalities) == 1:
        of_several = {name: getattr(protocol, name) for name in _OF_SEVERAL if getattr(protocol, name)}
        found += [
            f"{name}={value}: the data have one modality, {modalities[0]}" for name, value in of_several.items()
        ]
    return [f"--set {setting}, so it changes nothing" for setting in found]
