import subprocess
import sys
from pathlib import Path

import pytest
import torch

import data_utils
from data_utils import DATASETS, LAYOUTS, DataError, load, register_dataset
from data_utils.layouts.nvidia_tree import write_nvidia_tree
from data_utils.simulator.shapes import simulate


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_follows_its_seed_and_number_of_pairs(name: str) -> None:
    one, same, other = load(name, pairs=20, seed=1), load(name, pairs=20, seed=1), load(name, pairs=20, seed=2)
    assert one.info.name == name
    assert len(one) == 20
    assert set(one.labels.tolist()) == set(range(len(one.info.classes)))
    for modality in one.info.channels:
        assert torch.equal(one.inputs[modality], same.inputs[modality])
        assert not torch.equal(one.inputs[modality], other.inputs[modality])


@pytest.mark.usefixtures("registries")
def test_the_default_number_of_pairs() -> None:
    calls: list[tuple[int, int]] = []

    @register_dataset("recorded")
    def record(pairs: int, seed: int) -> data_utils.PairedDataset:
        calls.append((pairs, seed))
        return load("shapes", pairs=2)

    assert load("recorded").info.name == "recorded"
    assert calls == [(10_000, 0)]


def test_a_path_is_read_whole_or_in_part(tmp_path: Path) -> None:
    write_nvidia_tree(tmp_path, simulate(40, seed=0))
    assert len(load(str(tmp_path))) == 40
    part = load(str(tmp_path), pairs=10, seed=3)
    assert part.labels.bincount().tolist() == [5, 5]
    assert part.names == load(str(tmp_path), pairs=10, seed=3).names
    assert part.names != load(str(tmp_path), pairs=10, seed=4).names


def test_a_manifest_takes_precedence_over_class_folders(tmp_path: Path) -> None:
    (tmp_path / "chair" / "rgb").mkdir(parents=True)
    (tmp_path / "manifest.csv").write_text("label\n")
    with pytest.raises(DataError, match="has no column 'rgb'"):
        load(str(tmp_path))


def test_an_unknown_name_lists_what_exists(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is neither a data set nor an existing path") as caught:
        load("shapse")
    for choice in (*DATASETS, *(layout().description for layout in LAYOUTS.values())):
        assert choice in str(caught.value)
    with pytest.raises(DataError, match="exists, but in no known layout; the data sets are: shapes"):
        load(str(tmp_path))


@pytest.mark.parametrize("given", ["SUNRGBD.zip", "."])
def test_data_that_are_not_unpacked(tmp_path: Path, given: str) -> None:
    for name in ("SUNRGBD.zip", "README.txt", "._SUNRGBD.zip"):
        (tmp_path / name).touch()
    with pytest.raises(
        DataError, match=r"packed .SUNRGBD.zip.; unpack it and give the folder of its content"
    ) as caught:
        load(str(tmp_path / given))
    assert str(tmp_path) in str(caught.value)
    write_nvidia_tree(tmp_path / "data", simulate(4, 0, image_size=8))
    assert len(load(str(tmp_path))) == 4


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("pairs.xlsx", "is not read; if it lists the pairs, save it as CSV and give its path"),
        ("pairs.h5", "is not read; give the folder of the data set, or save its pairs as files and list them"),
    ],
)
def test_a_file_that_is_not_read_is_refused_with_what_to_give(tmp_path: Path, name: str, remedy: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(DataError, match=rf"^{tmp_path / name} {remedy}[^;]*\.$"):
        load(str(tmp_path / name))


def test_tables_in_a_folder_of_no_layout_are_named(tmp_path: Path) -> None:
    (tmp_path / "pairs.ods").touch()
    with pytest.raises(DataError, match=r"layout; pairs.ods is not read; if it lists the pairs, save it as CSV"):
        load(str(tmp_path))


def test_data_that_were_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "cubes.dvc").touch()
    with pytest.raises(DataError, match=r"holds pointers of dvc \(cubes.dvc\); fetch the data with dvc pull"):
        load(str(tmp_path))
    with pytest.raises(DataError, match=r"cubes is not there, only its pointer cubes.dvc \(fetch it: dvc pull\)"):
        load(str(tmp_path / "cubes"))
    (tmp_path / "cubes.dvc").unlink()
    (tmp_path / "spheres").symlink_to("/unmounted/spheres")
    with pytest.raises(DataError, match=r"no known layout; not all of it is there: .*/spheres is a link to /unm"):
        load(str(tmp_path))
    with pytest.raises(DataError, match=r"^\S*/spheres is a link to /unmounted/spheres, .*; mount or fetch it"):
        load(str(tmp_path / "spheres"))


def test_folders_that_hold_files_directly_are_named_with_the_remedy(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "0_rgb.png").touch()
    with pytest.raises(
        DataError, match=r"; its folders a, b hold files directly: make a folder per modality in each class"
    ):
        load(str(tmp_path))


def test_a_declaration_above_the_data_is_refused(tmp_path: Path) -> None:
    write_nvidia_tree(tmp_path / "zip" / "data", simulate(4, 0, image_size=8))
    (tmp_path / "dataset.toml").write_text('name = "room"')
    with pytest.raises(DataError, match=r"dataset.toml is not beside the data, which are in \S*/data; move it"):
        load(str(tmp_path))
    (tmp_path / "dataset.toml").rename(tmp_path / "zip" / "data" / "dataset.toml")
    assert load(str(tmp_path)).info.name == "room"


def test_folders_of_sequences_are_named_with_the_table_that_keeps_classes(tmp_path: Path) -> None:
    for name in ("box", "mug"):
        write_nvidia_tree(tmp_path / name, simulate(4, 0, image_size=8))
    with pytest.raises(DataError, match=r"several data sets; .* If these folders are classes, list the pairs in"):
        load(str(tmp_path))


def test_simulated_data_have_no_angles_of_a_class() -> None:
    with pytest.raises(DataError, match="not read from files; leave angles_of out"):
        load("shapes", pairs=2, angles_of="cubes")


def test_a_path_that_cannot_be_read() -> None:
    with pytest.raises(DataError, match=r"cannot be read .File name too long.; check the path"):
        load("x" * 5000)


@pytest.mark.slow
def test_importing_loads_no_other_package_and_changes_nothing(tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(Path(data_utils.__file__).parents[1])!r})\n"
        "import torch; before = torch.get_rng_state()\n"
        "import data_utils; assert data_utils.load\n"
        "assert torch.equal(before, torch.get_rng_state())\n"
        "print([m for m in ('bench', 'fusion_models', 'pytest', 'wandb') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert not list(tmp_path.iterdir())
