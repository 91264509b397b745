"""Names of modalities, wherever they come from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_utils import DataError, load
from data_utils.layouts.manifest import list_manifest
from data_utils.layouts.reading import read_listing
from data_utils.naming import can_name
from tests.data_utils.layouts.files import write_class_folders, write_pairs


@pytest.mark.parametrize("name", ["rgb", "LWIR_2", "near-ir", "0"])
def test_letters_digits_and_two_signs_make_a_name(name: str) -> None:
    assert can_name(name)


@pytest.mark.parametrize(
    "name", ["", "a b", "a.b", "../a", "_a", "-a", "a\n", "é", "items", "training", "forward"]
)
def test_other_characters_and_attributes_of_a_dictionary_of_layers_do_not(name: str) -> None:
    assert not can_name(name)


def test_the_names_of_a_layout_of_a_plugin_are_looked_at_before_its_files(tmp_path: Path) -> None:
    listing = list_manifest(write_pairs(tmp_path))
    (tmp_path / "rgb" / "0.png").unlink()
    listing = replace(listing, sources={"../rgb": listing.sources["rgb"]})
    with pytest.raises(DataError, match=r"Data set '.*' has a modality '../rgb', which cannot name a part"):
        read_listing(listing)


def test_folders_that_make_no_names_are_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the cache is named after the modality, not after the folder."""
    monkeypatch.setattr("data_utils.layouts.reading.SMALLEST_BYTES", 0)
    rgb = np.zeros((8, 8, 3), dtype=np.uint8)
    write_class_folders(tmp_path / "data", {"rgb": rgb, "near ir": rgb[..., 0]}, "class", "01")
    load(str(tmp_path / "data"), cache=tmp_path / "cache")
    assert {file.name for file in tmp_path.glob("cache/*/*.npy")} == {"rgb.npy", "near_ir.npy"}
