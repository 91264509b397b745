"""Data sets and layouts of plug-ins, and what needs no torch."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import data_utils
from data_utils import DATASETS, LAYOUTS, DataError, DatasetInfo, Layout, load, register_dataset, register_layout
from data_utils.__main__ import main
from fusiongauge import PluginError, load_plugin

pytestmark = pytest.mark.usefixtures("registries")

REPOSITORY = Path(__file__).parents[2]

THREE = '''"""A data set with three modalities."""

import torch
from data_utils import DatasetInfo, PairedDataset, register_dataset


@register_dataset("three")
def three(pairs, seed):
    generator = torch.Generator().manual_seed(seed)
    channels = {"rgb": 3, "thermal": 1, "radar": 2}
    return PairedDataset(
        info=DatasetInfo("any name", ("one", "other"), channels, (8, 8)),
        inputs={
            "rgb": torch.randint(256, (pairs, 3, 8, 8), generator=generator, dtype=torch.uint8),
            "thermal": torch.randn(pairs, 1, 8, 8, generator=generator),
            "radar": torch.randn(pairs, 2, 8, 8, generator=generator),
        },
        labels=torch.arange(pairs) % 2,
        groups=torch.arange(pairs),
        names=tuple(map(str, range(pairs))),
    )
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_data.py"
    path.write_text(THREE)
    return path


def test_a_plugin_adds_a_data_set_with_any_modalities(file: Path, tmp_path: Path) -> None:
    load_plugin(str(file))
    assert (list(DATASETS)[-1], DATASETS.file("three")) == ("three", str(file))
    dataset = load("three", pairs=40, seed=3, cache=tmp_path / "cache")
    assert dataset.info == DatasetInfo("three", ("one", "other"), {"rgb": 3, "thermal": 1, "radar": 2}, (8, 8))
    assert dataset.sha256 == DATASETS["three"](40, 3).sha256 != load("three", pairs=40, seed=4).sha256
    assert not (tmp_path / "cache").exists()


def test_the_command_line_loads_plugins(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "three", "--pairs", "40", "--plugin", str(file)]) == 0
    assert "  radar: 2 channels of float32" in capsys.readouterr().out
    out = tmp_path / "sheet.png"
    assert main(["show", "three", "--pairs", "4", "--shown", "1", "--plugin", str(file), "--out", str(out)]) == 0
    with Image.open(out) as sheet:
        assert sheet.width == 3 * 128 + 5 * 8  # one tile per modality
    assert main(["stats", "three", "--plugin", str(tmp_path / "gone.py")]) == 2
    assert "this file does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("return {}['thermal']", "{file}, line 6, cannot be used: KeyError: 'thermal'."),
        ("raise ValueError('two\\nlines.')", "{file}, line 6, cannot be used: ValueError: two lines."),
        ("return [pairs]", "{file} cannot be used: it returns list; return a PairedDataset."),
        (
            "return data_utils.DatasetInfo('x', ('one',), {'a': 1}, (1, 1))",
            "{file}, line 6, cannot be used: Data set 'x' has 1 class(es) ['one']; a classifier needs at least "
            "two, so add the pairs of another class.",
        ),
    ],
)
def test_a_data_set_that_cannot_be_used_is_reported_with_its_file(file: Path, body: str, problem: str) -> None:
    file.write_text(
        f'import data_utils\n\n\n@data_utils.register_dataset("broken")\ndef f(pairs, seed):\n    {body}\n'
    )
    load_plugin(str(file))
    with pytest.raises(DataError) as caught:
        load("broken", pairs=4)
    assert str(caught.value) == f"The data set 'broken' of {problem.format(file=file)}"


def test_errors_of_shipped_data_sets_propagate_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("data_utils.simulator.recording.draw_scenes")
    with pytest.raises(NameError):
        load("shapes", pairs=2)


def test_taken_names_are_refused() -> None:
    with pytest.raises(PluginError, match=r"data set 'shapes' is already registered, by .*levels.py"):
        register_dataset("shapes")(lambda pairs, seed: load("shapes-four", pairs=pairs, seed=seed))
    with pytest.raises(PluginError, match=r"layout 'manifest' is already registered, by .*shipped.py"):
        register_layout("manifest")(LAYOUTS["fiftyone"])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A file that the shipped manifest recognizes too."""
    path = tmp_path / "table.csv"
    path.write_text("anything\n")
    return path


def reading(dataset: object) -> None:
    """Register a layout that recognizes CSV files and reads this."""

    @register_layout("table")
    def table() -> Layout:
        return Layout("a CSV", lambda path: path.suffix == ".csv", lambda _path, _angles_of: dataset)  # type: ignore[arg-type,return-value]


def test_a_layout_of_a_plugin_is_tried_first(table: Path) -> None:
    with pytest.raises(DataError, match="has no column 'rgb'"):
        load(str(table))
    dataset = load("shapes", pairs=8)
    reading(dataset)
    assert load(str(table)) is dataset
    assert len(load(str(table), pairs=4)) == 4
    with pytest.raises(DataError, match="accepted paths are: a CSV, a CSV"):
        load("gone")


def test_a_declaration_that_a_layout_does_not_read_is_refused(table: Path) -> None:
    reading(load("shapes", pairs=2))
    (table.parent / "dataset.toml").touch()
    with pytest.raises(DataError, match=r"does not read \S*/dataset.toml; remove it, or .*declarable=True"):
        load(str(table))


def test_a_layout_that_cannot_be_used_is_reported_with_its_file(table: Path) -> None:
    reading([])
    with pytest.raises(DataError, match=rf"The layout 'table' of {__file__} cannot be used: it returns list"):
        load(str(table))


def test_a_layout_without_writer_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reading([])
    assert main(["make", str(tmp_path / "new"), "--layout", "table"]) == 2
    assert "'table' cannot be written; give one of manifest, fiftyone, nvidia-tree." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("program", "works"),
    [
        (
            "from data_utils import DATASETS, LAYOUTS, DataError; list(DATASETS), list(LAYOUTS)",
            True,
        ),
        ("from data_utils.__main__ import main; main(['--help'])", True),
        ("from data_utils.__main__ import main; main(['check', '--help'])", True),
        ("from data_utils import load", False),
        ("from data_utils import DATASETS; DATASETS['shapes'](2, 0)", False),
    ],
)
def test_names_and_help_need_no_torch(program: str, works: bool) -> None:
    blocked = "import sys; sys.modules.update(torch=None, numpy=None)\n" + program
    done = subprocess.run([sys.executable, "-c", blocked], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode == 0) is works
    assert works or "ImportError" in done.stderr or "ModuleNotFoundError" in done.stderr


def test_every_public_name_can_be_imported() -> None:
    names = set(dir(data_utils))
    assert {"load", "Batch", "Split", "ChannelStatistics", "subsample", "register_layout"} < names
    assert all(getattr(data_utils, name) is not None for name in names)
