"""The command line."""

import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data_utils import LAYOUTS, Batch, PairedDataset
from data_utils.__main__ import WRITABLE, main


def write_simulation(folder: Path, *options: str) -> Path:
    assert main(["make", str(folder), "--pairs", "40", "--image-size", "16", *options]) == 0
    return folder


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted; what was being written may be incomplete\n"),
        (PermissionError("no"), 2, "error: no\n"),
    ],
)
def test_what_ends_a_command_is_a_sentence(
    error: BaseException,
    status: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def end(*_: object) -> None:
        raise error

    monkeypatch.setattr("data_utils.__main__._load", end)
    assert main(["stats", "shapes"]) == status
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("arguments", [["check", "gone"], ["--help"]])
def test_a_pipe_that_is_closed_changes_nothing(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as pipe, suppress(SystemExit):  # noqa: PTH123
        monkeypatch.setattr("sys.stdout", pipe)
        assert main(arguments) == 1
    assert capsys.readouterr().err == ""


def test_help_names_the_layouts_that_can_be_written() -> None:
    shipped = {
        name: layout for name, layout in LAYOUTS.items() if layout.__module__ == "data_utils.layouts.shipped"
    }
    assert [name for name, layout in shipped.items() if layout().write] == list(WRITABLE)


@pytest.mark.parametrize("layout", WRITABLE)
def test_make_then_check_in_every_layout(layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_simulation(tmp_path / "new", "--layout", layout, "--dataset", "shapes-four", "--seed", "3")
    output = capsys.readouterr()
    assert output.out == f"40 pairs of shapes-four written to {folder} ({layout})\n"
    assert "simulating" in output.err
    assert "writing" in output.err
    assert main(["check", str(folder)]) == 0
    report = capsys.readouterr().out
    assert "40 pairs of 16 x 16 pixels in 10 groups" in report
    assert "10 cone" in report


def test_make_refuses_a_folder_with_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("")
    assert main(["make", str(tmp_path), "--pairs", "4"]) == 2
    assert "is not empty; give a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_make_reports_an_impossible_number_of_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["make", str(tmp_path / "new"), "--pairs", "5"]) == 2
    assert "request a multiple of 2" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", ["make", "check", "show", "stats"])
def test_a_negative_seed_is_a_usage_error(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([command, "shapes", "--seed", "-1"])
    assert "-1 is negative; give 0 or more" in capsys.readouterr().err


def test_check_finds_and_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_simulation(tmp_path / "new")
    (folder / "cubes" / "rgb" / "0003.png").unlink()
    for part, suffix in (("rgb", "png"), ("lidar", "npy")):
        source = folder / "spheres" / part / f"0001.{suffix}"
        (folder / "spheres" / part / f"0100.{suffix}").write_bytes(source.read_bytes())
    capsys.readouterr()
    assert main(["check", str(folder)]) == 1
    report = capsys.readouterr().out
    assert "1 file(s) without a partner were left out: cubes/lidar/0003.npy" in report
    assert "spheres/0100 = spheres/0001" in report
    assert main(["check", "--json", str(folder)]) == 1
    assert json.loads(capsys.readouterr().out)["problems"] >= 2


def test_check_exits_with_1_for_data_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_simulation(tmp_path / "new")
    (folder / "cubes" / "lidar" / "0003.npy").write_bytes(b"")
    capsys.readouterr()
    assert main(["check", str(folder)]) == 1
    report = capsys.readouterr().out
    assert "0003.npy cannot be read" in report
    assert report.count("A run stops here.") == 1
    assert "39 pairs of 16 x 16 pixels" in report
    assert main(["check", str(folder), "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["problems"] == 1
    assert content["outcomes"][0]["findings"][0]["stops"]
    for file in (folder / "cubes" / "lidar").iterdir():
        file.write_bytes(b"")
    assert main(["check", str(folder), "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["problems"] == len(content["errors"]) == 2
    assert "0000.npy" in content["error"]
    assert main(["check", str(tmp_path / "gone")]) == 1
    assert "is neither a data set nor an existing path" in capsys.readouterr().out


def test_angles_of_one_class_can_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_simulation(tmp_path / "new")
    np.save(folder / "cubes" / "zenith.npy", np.linspace(0, 0.1, 16))
    capsys.readouterr()
    assert main(["check", str(folder)]) == 1
    assert "--angles-of cubes" in capsys.readouterr().out
    assert main(["check", str(folder), "--angles-of", "spheres"]) == 0


@pytest.mark.parametrize("name", ["shapes-hard", "a path"])
def test_show_draws_a_sheet(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(write_simulation(tmp_path / "new")) if name == "a path" else name
    out = tmp_path / "sheet.png"
    capsys.readouterr()
    assert main(["show", data, "--pairs", "40", "--shown", "5", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"5 of 40 pairs drawn in {out}\n"
    with Image.open(out) as sheet:
        assert sheet.width > 3 * 128


def test_show_reports_a_path_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "shapes", "--pairs", "4", "--out", str(tmp_path / "gone" / "a.png")]) == 2
    assert "gone/a.png" in capsys.readouterr().err


def test_stats_are_those_of_the_notebooks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "train_stats.json"
    assert main(["stats", "shapes-uneven", "--pairs", "1280", "--out", str(out)]) == 0
    content = json.loads(out.read_text())
    assert content == json.loads(capsys.readouterr().out)
    assert len(content["mean"]) == len(content["std"]) == 4
    np.testing.assert_allclose(content["mean"][:3], [0.00524, 0.00522, 0.00529], rtol=0.1)
    np.testing.assert_allclose(content["std"][:3], [0.0588, 0.0587, 0.0593], rtol=0.1)
    assert (content["mean"][3], content["std"][3]) == (1.0, 1.0)
    assert content["channels"]["rgb"]["mean"] == pytest.approx(content["mean"], rel=1e-5)
    assert set(content["channels"]) == {"rgb", "lidar"}


def test_stats_of_images_of_16_bits_are_shares_of_65535(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, label in enumerate("abab"):
        for modality, value in (("rgb", (0, 13107)[number % 2]), ("nir", 65535)):
            (tmp_path / label / modality).mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / label / modality / f"{number}.npy", np.full((8, 8), value, dtype=np.uint16))
    (tmp_path / "dataset.toml").write_text('[modalities.rgb]\nkind = "image"\n[modalities.nir]\nkind = "image"\n')
    assert main(["stats", str(tmp_path)]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["mean"] == pytest.approx([0.1, 0.1, 0.1, 1])
    assert content["std"] == pytest.approx([0.1 * (256 / 255) ** 0.5] * 3 + [1])  # of 256 pixels in one batch
    assert content["channels"]["rgb"]["mean"] == pytest.approx(content["mean"])


def test_stats_take_memory_for_some_pairs_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    whole = PairedDataset.batch

    def batch(dataset: PairedDataset, *pairs: torch.Tensor) -> Batch:
        sizes.append(len(whole(dataset, *pairs)))
        return whole(dataset, *pairs)

    monkeypatch.setattr(PairedDataset, "batch", batch)
    monkeypatch.setattr("data_utils.dataset._PART_BYTES", 10 * 4 * 4 * 64 * 64)
    assert main(["stats", "shapes", "--pairs", "40"]) == 0
    assert max(sizes) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["show", "PATH", "--out", "sheet"],
            "sheet has no ending of a picture; name a PNG, such as contact-sheet.png",
        ),
        (["show", "PATH", "--out", "sheet.npy"], "sheet.npy has no ending of a picture"),
        (["show", "PATH", "--out", "gone/a.png"], "gone/a.png cannot be written, as there is no folder gone"),
        (["stats", "PATH", "--out", "gone/a.json"], "gone/a.json cannot be written, as there is no folder gone"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_read(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "shapes", "--shown", "0"],
        ["check", "shapes", "--pairs", "-2"],
        ["make", "new", "--pairs", "0"],
        ["make", "new", "--image-size", "0"],
    ],
)
def test_a_number_of_nothing_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "is less than 1" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--pairs", "--seed"])
def test_words_for_numbers_are_named(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["check", "shapes", option, "many"])
    assert f"argument {option}: invalid {'count' if option == '--pairs' else 'seed'} value: 'many'" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("command", ["make", "check", "show", "stats"])
def test_help_lists_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert f"    {command} " in capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"python -m data_utils {command}" in capsys.readouterr().out
