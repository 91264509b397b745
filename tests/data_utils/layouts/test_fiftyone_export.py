"""The reader on an export that FiftyOne itself wrote (see fiftyone_export/README.md), and on damaged ones."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data_utils import DataError, PairedDataset, load
from data_utils.layouts.fiftyone_export import is_fiftyone_export, list_fiftyone_export
from data_utils.layouts.reading import read_listing
from tests.data_utils.samples import shapes


def read(path: Path) -> PairedDataset:
    return read_listing(list_fiftyone_export(path))


FIXTURE = Path(__file__).parent / "fiftyone_export"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return shutil.copytree(FIXTURE, tmp_path / "export")


def images() -> torch.Tensor:
    """The images of the export, cube 0, sphere 0, cube 1, ...: an earlier simulator made them."""
    files = (FIXTURE / "data" / f"{scene:04d}{twin}.png" for scene in range(3) for twin in ("", "-2"))
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_an_export_of_fiftyone_gives_the_original_pairs() -> None:
    assert is_fiftyone_export(FIXTURE)
    dataset, original = load(str(FIXTURE)), shapes(6, 0, image_size=16)
    assert dataset.info.name == "cilp_assessment"
    assert dataset.info.classes == ("cube", "sphere")
    assert torch.equal(dataset.inputs["rgb"], images())
    assert torch.equal(dataset.measured("lidar"), original.measured("lidar"))
    assert torch.equal(dataset.labels, original.labels)
    assert torch.equal(dataset.groups, original.groups)
    assert dataset.names[:2] == ("cube/0000", "sphere/0000-2")
    assert dataset.notes == ()


def test_media_in_chunks(export: Path) -> None:
    (export / "data" / "data_0").mkdir()
    for file in (export / "data").glob("0001*"):
        file.rename(export / "data" / "data_0" / file.name)

    def move(content: dict[str, Any]) -> None:
        for sample in content["samples"]:
            sample["filepath"] = sample["filepath"].replace("data/0001", "data/data_0/0001")

    edit(export / "samples.json", move)
    assert torch.equal(load(str(export)).measured("rgb"), images())


@pytest.fixture
def repository(export: Path, tmp_path: Path) -> Path:
    """The cache of the hub: a snapshot of links to blobs."""
    root = tmp_path / "datasets--someone--cilp"
    snapshot = root / "snapshots" / "0123abc"
    (root / "blobs").mkdir(parents=True)
    for number, file in enumerate(sorted(path for path in export.rglob("*") if path.is_file())):
        link = snapshot / file.relative_to(export)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, root / "blobs" / f"{number:040x}")
        link.symlink_to(root / "blobs" / f"{number:040x}")
    (snapshot / "fiftyone.yml").write_text("format: FiftyOneDataset\n")
    return root


def test_a_snapshot_of_the_hub_is_an_export(repository: Path) -> None:
    expected = shapes(6, 0, image_size=16).measured("lidar")
    for path in (repository, repository / "snapshots" / "0123abc"):
        assert torch.equal(load(str(path)).measured("lidar"), expected)


def test_two_snapshots_are_ambiguous(repository: Path) -> None:
    shutil.copytree(repository / "snapshots" / "0123abc", repository / "snapshots" / "4567def", symlinks=True)
    with pytest.raises(DataError, match="has 2 snapshots; give the folder of one"):
        read(repository)


def test_the_declaration_of_a_snapshot_is_read_if_its_folder_is_given(repository: Path) -> None:
    snapshot = repository / "snapshots" / "0123abc"
    (snapshot / "dataset.toml").write_text('name = "room"')
    assert load(str(snapshot)).info.name == "room"
    with pytest.raises(DataError, match=rf"dataset.toml is only read if .*; give {snapshot}"):
        load(str(repository))


def test_classes_that_are_not_declared_need_not_be_usable(export: Path) -> None:
    """A third class without angles, whose files have names of another machine and no partners."""
    before = load(str(export))

    def add_cones(content: dict[str, Any]) -> None:
        for group in "cde":
            for name in ("rgb", "lidar")[: 1 + (group != "e")]:
                content["samples"].append(
                    {
                        "filepath": f"/mnt/{group}.{name}",
                        "group": {"_id": {"$oid": group}, "name": name},
                        "label": {"label": "cone" if name == "rgb" else "sphere"},
                        "tags": ["train", "test"],
                    }
                )

    edit(export / "samples.json", add_cones)
    with pytest.raises(DataError):
        load(str(export))
    (export / "dataset.toml").write_text('classes = ["sphere", "cube"]')
    data = load(str(export))
    assert (data.sha256, data.notes) == (before.sha256, ())
    (export / "dataset.toml").write_text('[modalities.lidar]\nkind = "range"\nmax_range = 20')
    with pytest.raises(DataError, match=r"dataset.toml declares the modalities lidar, .* are fixed; remove"):
        load(str(export))
    (export / "dataset.toml").write_text('classes = ["sphere", "ball"]')
    with pytest.raises(DataError, match=r"dataset.toml declares a class 'ball'; there are cone, cube, sphere"):
        load(str(export))


def test_scenes_with_two_tags_are_noted(export: Path) -> None:
    edit(export / "samples.json", lambda content: content["samples"][0].update(tags=["validation"]))
    (note,) = read(export).notes
    assert note.startswith("1 of 3 scenes have pairs with different tags (3 valid, 3 train pairs)")


def test_a_group_without_one_slice_is_left_out_and_counted(export: Path) -> None:
    edit(export / "samples.json", lambda content: content["samples"].pop(1))
    dataset = read(export)
    assert len(dataset) == 5
    assert dataset.notes == ("1 file(s) without a partner were left out: data/0000.png.",)


def sample(number: int, **changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["samples"][number].update(changes)


def rename(content: dict[str, Any], name: str) -> None:
    for entry in content["samples"]:
        entry[name] = entry.pop("label")


def flatten(content: dict[str, Any]) -> None:
    for entry in content["samples"]:
        entry["label"] = entry["label"]["label"]


def remove_labels_of_scans(content: dict[str, Any]) -> None:
    for entry in content["samples"]:
        if entry["group"]["name"] == "lidar":
            entry["label"] = None


@pytest.mark.parametrize(
    "change",
    [lambda c: rename(c, "ground_truth"), lambda c: rename(c, "shape"), flatten, remove_labels_of_scans],
)
def test_labels_may_be_stored_in_other_fields(export: Path, change: Callable[[dict[str, Any]], object]) -> None:
    edit(export / "samples.json", change)
    assert read(export).names == read(FIXTURE).names


@pytest.mark.parametrize("tags", [[None], [7, {}], "validation", 7, {"validation": 1}])
def test_tags_that_are_no_texts_are_none(export: Path, tags: object) -> None:
    edit(export / "samples.json", sample(0, tags=tags))
    (note,) = list_fiftyone_export(export).notes
    assert note.startswith("1 pairs without a tag such as train")


def info(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["info"].update(changes)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        pytest.param("samples.json", sample(0, filepath="../out.png"), "outside of its folder", id="parent"),
        pytest.param("samples.json", sample(0, filepath="/etc/passwd"), "outside of its folder", id="absolute"),
        pytest.param("samples.json", sample(0, filepath="data/gone.png"), "gone.png does not exist", id="gone"),
        pytest.param("samples.json", sample(0, label=None), r"0000.png has no label", id="no label"),
        pytest.param(
            "samples.json", sample(0, label={"_cls": "Classification", "label": None}), "has no label", id="null"
        ),
        pytest.param("samples.json", sample(0, label={"_cls": "Classification"}), "has no label", id="no key"),
        pytest.param("samples.json", sample(0, label=["cube"]), "has no label", id="labels"),
        pytest.param("samples.json", sample(2, filepath=None), r"sample \(number 2\) without", id="no path"),
        pytest.param("samples.json", sample(0, filepath="https://host/a.png"), "an address on the", id="address"),
        pytest.param("samples.json", sample(0, filepath="a\0.png"), "cannot be the name of a file", id="zero"),
        pytest.param("samples.json", lambda c: c["samples"].insert(0, None), r"sample \(number 0\)", id="null"),
        pytest.param("samples.json", sample(3, group=None), r"sample \(number 3\) without", id="no group"),
        pytest.param(
            "samples.json", sample(0, label={"label": "cone"}), "has the label 'cone', but", id="two labels"
        ),
        pytest.param("samples.json", lambda c: c.pop("samples"), "no list of samples", id="no samples"),
        pytest.param("samples.json", lambda c: c["samples"].clear(), "at least two", id="no pairs"),
        pytest.param(
            "samples.json", lambda c: c["samples"].append(c["samples"][0]), "two samples in slice", id="twice"
        ),
        pytest.param("metadata.json", lambda c: c.pop("info"), "no 'azimuth_cubes' in its info", id="no info"),
        pytest.param("metadata.json", lambda c: c.update(info=7), "no 'azimuth_cubes' in its info", id="a number"),
        pytest.param("metadata.json", info(zenith_spheres=None), "no list of numbers", id="no angles"),
        pytest.param("metadata.json", info(zenith_spheres={"a": 1}), "no list of numbers", id="a table"),
        pytest.param("metadata.json", info(zenith_spheres=[10**400]), "no list of numbers", id="huge"),
        pytest.param("metadata.json", info(zenith_spheres=[90.0] * 16), "angles in radians", id="degrees"),
    ],
)
def test_refuses(export: Path, file: str, change: Callable[[dict[str, Any]], object], message: str) -> None:
    edit(export / file, change)
    with pytest.raises(DataError, match=message) as caught:
        read(export)
    assert str(export) in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("text", "message"), [("{", "is not JSON"), ("[]", "not a JSON object"), ("[" * 9999, "not JSON")]
)
def test_refuses_other_content(export: Path, text: str, message: str) -> None:
    (export / "samples.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read(export)


def test_a_link_in_the_export_is_followed(export: Path, tmp_path: Path) -> None:
    (export / "data" / "0000.png").rename(tmp_path / "outside.png")
    (export / "data" / "0000.png").symlink_to(tmp_path / "outside.png")
    assert read(export).sha256 == read(FIXTURE).sha256


def test_a_link_to_itself_is_refused(export: Path) -> None:
    (export / "data" / "0000.png").unlink()
    (export / "data" / "0000.png").symlink_to(export / "data" / "0000.png")
    with pytest.raises(DataError, match=r"a broken link|cannot be read"):
        read(export)


def test_slices_that_are_not_read_are_a_problem(export: Path) -> None:
    before = read(export)

    def add(content: dict[str, Any]) -> None:
        for sample in [sample for sample in content["samples"] if sample["group"]["name"] == "rgb"]:
            content["samples"].append({**sample, "group": {**sample["group"], "name": "thermal"}})

    edit(export / "samples.json", add)
    data = read(export)
    assert data.sha256 == before.sha256
    assert set(data.notes) - set(data.assumptions) == {
        "The slices thermal are not read; pairs have the slices rgb and lidar."
    }
