from pathlib import Path

import pytest
from PIL import Image

from bench.__main__ import main
from bench.probes.corruptions import CORRUPTIONS
from bench.probes.sheet import corrupted_sheet
from data_utils import load
from data_utils.audits.pictures import contact_sheet


def test_the_sheet_begins_with_the_pair_as_it_was_measured() -> None:
    dataset = load("shapes", pairs=4)
    sheet = corrupted_sheet(dataset, 2, 51)
    tiles = 2 + sum(len(corruption.levels) - 1 for corruption in CORRUPTIONS.values())
    assert sheet.size == contact_sheet(dataset, [0] * tiles).size
    photo = dataset.inputs["rgb"][2, :3].permute(1, 2, 0).repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert sheet.crop((8, 62, 8 + 128, 62 + 128)).tobytes() == photo.numpy().tobytes()


def test_the_command_writes_the_sheet(tmp_path: Path) -> None:
    assert main(["corruptions", str(tmp_path / "sheet.png"), "--dataset", "shapes", "--pair", "2"]) == 0
    with Image.open(tmp_path / "sheet.png") as written:
        assert written.tobytes() == corrupted_sheet(load("shapes", pairs=64), 2, 51).tobytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.png", "--pair", "64"], "error: --pair 64: give a number from 0 to 63"),
        (["nowhere/x.png"], "nowhere/x.png: cannot be written (No such file or directory); give another file"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["corruptions", *arguments]) == 2
    assert message in capsys.readouterr().err
