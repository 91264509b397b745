from dataclasses import replace

import pytest

from bench.config import STANDARD, OptionError
from bench.training.suitability import require_suitable, without_effect
from data_utils import DatasetInfo, PairedDataset
from tests.bench.samples import small_dataset


def seeing(*modalities: str) -> PairedDataset:
    """Pairs of RGB and LiDAR, without the other modalities."""
    data = small_dataset()
    info = replace(data.info, channels={name: data.info.channels[name] for name in modalities})
    return replace(data, info=info, inputs={name: data.inputs[name] for name in modalities})


@pytest.mark.parametrize(
    ("crop", "size", "remedy"),
    [
        (64, (64, 64), r"set at most 63 \(--set random_crop=63\), or use larger images \(--image-size\)"),
        (48, (64, 48), "64x48 pixels out of sight; set at most 47 "),
        (100, (48, 64), "set at most 47 "),
        (1, (1, 1), "leave it out, or use larger images"),
    ],
)
def test_a_crop_as_large_as_the_images_is_refused(crop: int, size: tuple[int, int], remedy: str) -> None:
    info = DatasetInfo("kitchen", ("cup", "jug"), {"rgb": 4}, size)
    with pytest.raises(OptionError, match=rf"^random_crop={crop} moves images of .*{remedy}"):
        require_suitable(replace(STANDARD, random_crop=crop), info)
    require_suitable(replace(STANDARD, random_crop=min(size) - 1), info)


@pytest.mark.parametrize(
    ("settings", "modalities", "sentences"),
    [
        ({"color_jitter": 0.2}, ("rgb", "lidar"), []),
        ({"color_jitter": 0.2}, ("rgb",), []),
        ({"color_jitter": 0.0, "modality_dropout": 0.0}, ("lidar",), []),
        (
            {"color_jitter": 0.2},
            ("lidar",),
            ["--set color_jitter=0.2: the data have no images, only lidar, so it changes nothing"],
        ),
        ({"modality_dropout": 0.3, "ogm_ge": 0.5}, ("rgb", "lidar"), []),
        (
            {"modality_dropout": 0.3, "ogm_ge": 0.5},
            ("rgb",),
            [
                "--set modality_dropout=0.3: the data have one modality, rgb, so it changes nothing",
                "--set ogm_ge=0.5: the data have one modality, rgb, so it changes nothing",
            ],
        ),
    ],
)
def test_what_changes_nothing_is_said(
    settings: dict[str, float], modalities: tuple[str, ...], sentences: list[str]
) -> None:
    protocol = STANDARD.with_settings({name: str(value) for name, value in settings.items()})
    assert without_effect(protocol, seeing(*modalities)) == sentences
