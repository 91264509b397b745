"""Malformed files: each raises an error of one sentence that names the file and the remedy."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from data_utils import DataError
from data_utils.layouts.media import MAX_PIXELS, read_angles, read_depth, read_plane, read_rgba, stack


def claim(width: int, height: int) -> Callable[[Path], None]:
    """A PNG of a few bytes whose header claims a huge size."""

    def write(path: Path) -> None:
        header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
        chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)

    return write


def claim_npy(path: Path) -> None:
    """A npy of a few bytes whose header claims a huge size."""
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 30, 1 << 30)}
        np.lib.format.write_array_header_1_0(file, header)


def compressed_text(path: Path) -> None:
    """A small image followed by a text of 100 MB, compressed to 100 kB."""
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "0" * 100_000_000, zip=True)
    Image.new("RGBA", (4, 4)).save(path, pnginfo=text)


def cut(path: Path) -> None:
    Image.effect_noise((64, 64), 50).convert("RGBA").save(path)
    path.write_bytes(path.read_bytes()[:-300])


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def new(mode: str, file_format: str = "PNG") -> Callable[[Path], None]:
    return lambda path: Image.new(mode, (4, 4)).save(path, file_format)


def save(*shape: int, value: float = 1.0, dtype: str = "f4") -> Callable[[Path], None]:
    return lambda path: np.save(path, np.full(shape, value, dtype=dtype))


@pytest.mark.parametrize(
    ("read", "name", "write", "message"),
    [
        pytest.param(read_rgba, "a.png", claim(100_000, 100_000), "100000 x 100000 pixels", id="huge PNG"),
        pytest.param(read_rgba, "a.png", compressed_text, "damaged", id="bomb of text"),
        pytest.param(read_rgba, "a.png", cut, "damaged or truncated", id="cut PNG"),
        pytest.param(read_rgba, "a.png", link_to_itself, "Too many levels of symbolic links", id="link to itself"),
        pytest.param(read_rgba, "a.png", lambda p: p.mkdir(), "directory", id="folder"),
        pytest.param(read_rgba, "a.png", new("RGB", "JPEG"), "is not a PNG", id="JPEG"),
        pytest.param(read_rgba, "a.png", new("I;16"), "16 bits per channel", id="mode"),
        pytest.param(read_depth, "a.png", new("L"), "not a 16-bit gray PNG", id="8-bit depth"),
        pytest.param(read_depth, "a.png", new("RGB"), "not a 16-bit gray PNG", id="color depth"),
        pytest.param(read_depth, "a.npy", save(4, 4, value=np.nan), "NaN or infinity", id="NaN"),
        pytest.param(read_depth, "a.npy", save(4, 4, value=np.inf), "NaN or infinity", id="infinity"),
        pytest.param(read_depth, "a.npy", save(4, 4, value=-1), "negative", id="negative"),
        pytest.param(read_plane, "a.npy", claim_npy, "cannot be read as a plain npy", id="huge npy"),
        pytest.param(read_plane, "a.npy", save(4097, 4097, dtype="f2"), f"{4097**2} values", id="large npy"),
        pytest.param(read_plane, "a.npy", save(4, 4, dtype="i4"), "holds int32", id="integers"),
        pytest.param(
            read_plane,
            "a.npy",
            lambda p: np.save(p, np.array([[print]]), allow_pickle=True),
            "cannot be read as a plain npy",
            id="pickle",
        ),
        pytest.param(read_plane, "a.npy", link_to_itself, "cannot be read", id="npy link to itself"),
        pytest.param(read_angles, "a.npy", save(4, value=90.0), "in radians", id="degrees"),
    ],
)
def test_refuses_in_one_sentence(
    read: Callable[[Path], torch.Tensor], name: str, write: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / f"ein Bild {name}"
    write(path)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_the_size_of_images_is_limited() -> None:
    assert MAX_PIXELS == 4096**2


def test_one_message_reports_all_files_that_cannot_be_used(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.npy" for number in range(8)]
    for path in paths:
        save(2, 2, value=-1 if path.stem in "25" else 1)(path)
    paths[6].unlink()
    with pytest.raises(DataError) as caught:
        stack("depth", read_plane, paths)
    assert str(caught.value) == (
        f"{paths[2]} contains negative distances; store distances in meters, 0 or more. "
        f"2 more depth file(s) cannot be used, such as {paths[5]}, {paths[6]}."
    )


@pytest.mark.parametrize(
    ("mode", "pixel"), [("L", (7, 7, 7, 255)), ("RGB", (7, 0, 0, 255)), ("P", (0, 0, 0, 255))]
)
def test_images_of_other_modes_become_rgba(mode: str, pixel: tuple[int, ...], tmp_path: Path) -> None:
    Image.new(mode, (3, 2), 7).save(tmp_path / "a.png")
    image = read_rgba(tmp_path / "a.png")
    assert image.shape == (4, 2, 3)
    assert tuple(image[:, 0, 0].tolist()[3:]) == pixel[3:]
    assert mode == "P" or tuple(image[:, 0, 0].tolist()) == pixel
