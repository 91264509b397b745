"""Malformed files: each raises an error of one sentence that names the file and the remedy."""

import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from data_utils import DataError
from data_utils.layouts.media import MAX_PIXELS, by_stem, read_angles, read_image, read_values


def claim(width: int, height: int) -> Callable[[Path], None]:
    """A PNG of a few bytes whose header claims a huge size."""

    def write(path: Path) -> None:
        header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
        chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 4) + b"IDAT" + bytes(8))

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


def cut_npy(path: Path) -> None:
    np.save(path, np.ones((4, 4)))
    path.write_bytes(path.read_bytes()[:-1])


def two_arrays(path: Path) -> None:
    np.savez(path, a=np.ones((2, 2)), b=np.ones((2, 2)))


def header_of_npy(text: str) -> Callable[[Path], None]:
    """A npy whose header is this text."""

    def write(path: Path) -> None:
        header = text.encode().ljust(117) + b"\n"
        path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(32))

    return write


def npz(compression: int = zipfile.ZIP_STORED, **changes: int) -> Callable[[Path], None]:
    """A npz whose entry has other ``flags``, another ``method``, or another byte in its ``content``."""
    offsets = {"flags": (6, 8), "method": (8, 10), "content": (60, 60)}

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr("a.npy", bytes(range(256)))
        data = bytearray(path.read_bytes())
        directory = data.rfind(b"PK\1\2")
        for name, value in changes.items():
            local, central = offsets[name]
            data[local] = value
            if name != "content":
                data[directory + central] = value
        path.write_bytes(data)

    return write


def metadata_that_are_none(path: Path) -> None:
    """An image with a text where ImageMagick writes EXIF data in hexadecimal digits."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", "\nexif\n   4\nzzzz")
    Image.new("RGB", (4, 4)).save(path, pnginfo=text)


def pages(*sizes: tuple[int, int]) -> Callable[[Path], None]:
    """A TIFF with one page per size."""
    images = [Image.fromarray(np.full(size, 7, dtype=np.uint16)) for size in sizes]
    return lambda path: images[0].save(path, save_all=True, append_images=images[1:])


def deep_tiff(path: Path) -> None:
    """A TIFF of 4 x 4 pixels with three channels of 16 bits."""
    tags = {256: 4, 257: 4, 258: 8, 259: 1, 262: 2, 273: 14, 277: 3, 278: 4, 279: 96}
    entries = b"".join(struct.pack("<HHII", t, 3, 3 if t == 258 else 1, value) for t, value in tags.items())
    start = struct.pack("<2sHI3H", b"II", 42, 110, 16, 16, 16) + bytes(range(96))
    path.write_bytes(start + struct.pack("<H", len(tags)) + entries + bytes(4))


def deep_floats(path: Path) -> None:
    """A TIFF of 3 x 2 floats of 64 bits."""
    save_tiff(np.float64, 3)(path, VALUES)


BROKEN_HEADERS = ("{'descr': (", '"""a', "((", "{'descr':'<u2','fortran_order':False,'shape':(True,4)}", "-")


@pytest.mark.parametrize(
    ("read", "name", "write", "message"),
    [
        pytest.param(
            read_image, "a.png", claim(100_000, 100_000), "a huge number of pixels, and the", id="huge PNG"
        ),
        pytest.param(
            read_image, "a.png", claim(5_000, 5_000), "5000 x 5000 pixels, and the limit", id="large PNG"
        ),
        pytest.param(read_image, "a.png", compressed_text, "damaged", id="bomb of text"),
        pytest.param(read_image, "a.png", cut, "damaged or truncated", id="cut PNG"),
        pytest.param(
            read_image, "a.png", link_to_itself, "Too many levels of symbolic links", id="link to itself"
        ),
        pytest.param(
            read_image, "a.png", lambda p: p.symlink_to("gone"), "link to gone, which does", id="no target"
        ),
        pytest.param(read_image, "a.png", lambda p: p.mkdir(), "directory", id="folder"),
        pytest.param(read_image, "a.png", lambda p: p.write_bytes(b""), "is empty", id="empty"),
        pytest.param(read_image, "a.exr", lambda p: p.write_bytes(b"v/1\x01" * 999), "float TIFF or", id="EXR"),
        pytest.param(
            read_values, "a.tif", deep_floats, "a kind that is not read, such as 64-bit floats; save", id="float64"
        ),
        pytest.param(
            read_values, "a.exr", lambda p: p.write_bytes(b"v/1\x01"), "an OpenEXR file, which", id="v/1"
        ),
        pytest.param(read_values, "a.mat", lambda p: p.write_bytes(b"MATLAB 5.0"), "is a MATLAB or", id="MATLAB"),
        pytest.param(read_values, "a.hdr", lambda p: p.write_bytes(b"#?RADIANCE\n"), "is a Radiance", id="HDR"),
        pytest.param(read_image, "a.heic", lambda p: p.write_bytes(bytes(4) + b"ftypheic"), "HEIC", id="HEIC"),
        pytest.param(
            read_values, "a.png", lambda p: p.write_bytes(b"\x93NUMPY"), "name does not end in .npy", id="array"
        ),
        pytest.param(read_image, "a.tiff", new("F", "TIFF"), 'kind = "thermal" or "raw"', id="float image"),
        pytest.param(read_image, "a.npy", save(6, 6, 5, dtype="u1"), "5 channel", id="five channels"),
        pytest.param(read_values, "a.png", new("P"), "has a palette", id="palette"),
        pytest.param(
            read_values,
            "a.png",
            lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\n"),
            "git lfs pull",
            id="Git LFS",
        ),
        pytest.param(read_values, "a.npy", claim_npy, "holds .* values, and the limit", id="huge npy"),
        pytest.param(read_values, "a.npy", save(4097, 4097, dtype="f2"), f"{4097**2} values", id="large npy"),
        pytest.param(read_values, "a.npy", save(4), "2 or 3 dimension", id="one dimension"),
        pytest.param(read_values, "a.npy", save(3, 4, 4, 2), "2 or 3 dimension", id="four dimensions"),
        pytest.param(
            read_values, "a.npy", save(3, 2, 3), r"\(3, 2, 3\), without a dimension of ch", id="no channels"
        ),
        pytest.param(read_values, "a.npy", save(4, 4, dtype="c8"), "holds complex64", id="complex"),
        pytest.param(read_values, "a.npz", two_arrays, "holds 2 arrays", id="npz of two"),
        pytest.param(
            read_values,
            "a.npy",
            lambda p: np.save(p, np.array([[print]]), allow_pickle=True),
            "cannot be read as a plain npy",
            id="pickle",
        ),
        pytest.param(read_values, "a.npy", link_to_itself, "cannot be read", id="npy link to itself"),
        pytest.param(read_values, "a.npy", cut_npy, "truncated", id="cut npy"),
        pytest.param(read_values, "a.npy", save(0, 4), r"\(0, 4\), which has no values", id="empty npy"),
        *(
            pytest.param(read_values, "a.npy", header_of_npy(text), "cannot be read as a plain npy", id=text)
            for text in BROKEN_HEADERS
        ),
        pytest.param(read_values, "a.npz", npz(flags=1), "plain npy array .*encrypted", id="encrypted npz"),
        pytest.param(read_values, "a.npz", npz(method=99), "plain npy array .*not supported", id="other npz"),
        pytest.param(
            read_values, "a.npz", npz(zipfile.ZIP_LZMA, content=255), "cannot be read as a plain", id="LZMA npz"
        ),
        pytest.param(read_image, "a.png", metadata_that_are_none, "damaged", id="EXIF of no digits"),
        pytest.param(
            read_values,
            "a.ppm",
            lambda p: p.write_bytes(b"P6\n4 4\n1023\n" + bytes(96)),
            "several channels of 10 bits",
            id="PPM of 10 bits",
        ),
        pytest.param(read_values, "a.tif", deep_tiff, "several channels of 16 bits", id="TIFF of 16 bits"),
        pytest.param(read_values, "a.tif", pages((4, 4), (4, 4)), "has 2 pages, of which only", id="pages"),
        pytest.param(
            read_values,
            "a.png",
            lambda p: p.write_bytes(b"/annex/objects/SHA256E-s9--a.png\n"),
            "git annex get",
            id="git-annex",
        ),
        pytest.param(read_angles, "a.npy", save(4, value=90.0), "in radians", id="degrees"),
        pytest.param(read_angles, "a.npy", save(4, dtype="i4"), "holds int32", id="integer angles"),
    ],
)
def test_refuses_in_one_sentence(
    read: Callable[[Path], object], name: str, write: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / f"ein Bild {name}"
    write(path)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_previews_in_further_pages_are_no_values(tmp_path: Path) -> None:
    pages((4, 4), (2, 2))(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_values(tmp_path / "a.tif"), np.full((4, 4), 7))


def test_colors_of_any_depth_are_images(tmp_path: Path) -> None:
    deep_tiff(tmp_path / "a.tif")
    (tmp_path / "a.ppm").write_bytes(b"P6\n1 1\n1023\n" + struct.pack(">3H", 1023, 512, 0))
    assert read_image(tmp_path / "a.tif").shape == (4, 4, 4)
    assert read_image(tmp_path / "a.ppm").tolist() == [[[255, 128, 0, 255]]]


def test_the_size_of_images_is_limited() -> None:
    assert MAX_PIXELS == 4096**2


@pytest.mark.parametrize(
    ("mode", "suffix", "pixel"),
    [
        ("1", "png", (255, 255, 255, 255)),
        ("L", "png", (7, 7, 7, 255)),
        ("LA", "png", (7, 7, 7, 9)),
        ("RGB", "png", (7, 9, 11, 255)),
        ("RGBA", "png", (7, 9, 11, 13)),
        ("RGB", "tiff", (7, 9, 11, 255)),
        ("CMYK", "tiff", (255 - 7, 255 - 9, 255 - 11, 255)),
        ("RGB", "bmp", (7, 9, 11, 255)),
        ("RGBA", "webp", (7, 9, 11, 13)),
        ("RGB", "jpg", (7, 9, 11, 255)),
        ("RGB", "gif", (7, 9, 11, 255)),
    ],
)
def test_images_of_any_mode_and_format_become_rgba(
    mode: str, suffix: str, pixel: tuple[int, ...], tmp_path: Path
) -> None:
    colors: dict[str, int | tuple[int, ...]] = {"1": 1, "L": 7, "LA": (7, 9), "CMYK": (7, 9, 11, 0)}
    image_file = Image.new(mode, (3, 2), colors.get(mode, (7, 9, 11, 13)[: len(mode)]))
    image_file.save(tmp_path / f"a.{suffix}", lossless=True)
    image = read_image(tmp_path / f"a.{suffix}")
    assert image.dtype == np.uint8
    assert image.shape == (2, 3, 4)
    np.testing.assert_allclose(image[1, 2], pixel, atol=2 if suffix == "jpg" else 0)


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2), (10, 20, 30)).quantize(4).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0, 0].tolist() == [10, 20, 30, 255]


def test_the_orientation_of_a_camera_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # the camera was held upright: rows run from right to left
    image = Image.new("RGB", (16, 8))
    image.paste((255, 255, 255), (0, 0, 16, 4))  # the upper half, which is the right one of the photograph
    image.save(tmp_path / "a.jpg", exif=exif)
    turned = read_image(tmp_path / "a.jpg")
    assert turned.shape == (16, 8, 4)
    assert turned[:, 5:, 0].min() > 200
    assert turned[:, :3, 0].max() < 50


def write_deep_png(path: Path, values: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> None:
    """A PNG of 16 bits per channel, which Pillow cannot write."""
    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    content = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(content))


def test_gray_images_of_16_bits_keep_them(tmp_path: Path) -> None:
    Image.fromarray(np.array([[1000, 65535]], dtype=np.uint16)).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.uint16
    assert image.tolist() == [[[1000, 1000, 1000, 65535], [65535] * 4]]


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colors_of_16_bits_keep_the_upper_8_and_are_no_measurements(channels: int, tmp_path: Path) -> None:
    write_deep_png(tmp_path / "a.png", np.full((2, 3, channels), 0x1234, dtype=np.uint16))
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.uint8
    assert image[0, 0, 0] == 0x12
    with pytest.raises(DataError, match="several channels of 16 bits"):
        read_values(tmp_path / "a.png")


VALUES = np.array([[0, 1, 1000], [2500, 4095, 4000]])


def save_pgm(
    largest: int, size: str = "# by a camera\n3 2"
) -> Callable[[Path, np.ndarray[tuple[int, ...], np.dtype[np.int64]]], object]:
    header = f"P5\n{size}\n{largest}\n".encode()
    return lambda path, values: path.write_bytes(header + values.astype(">u2").tobytes())


def save_tiff(
    dtype: type[np.generic], form: int
) -> Callable[[Path, np.ndarray[tuple[int, ...], np.dtype[np.int64]]], object]:
    """A TIFF of 3 x 2 integers, without a sign (form 1) or with one (2), some of which Pillow cannot write."""
    bits = 8 * np.dtype(dtype).itemsize
    tags = {256: 3, 257: 2, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: 2, 279: 6 * bits // 8, 339: form}
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags.items())
    rest = struct.pack("<H", len(tags)) + entries + bytes(4)
    header = struct.pack("<2sHI", b"II", 42, 8 + 6 * bits // 8)
    return lambda path, values: path.write_bytes(header + values.astype(dtype).tobytes() + rest)


def save_pfm(path: Path, values: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> None:
    path.write_bytes(b"Pf\n3 2\n-1.0\n" + values[::-1].astype("<f4").tobytes())  # rows from the bottom


@pytest.mark.parametrize(
    ("name", "write", "dtype"),
    [
        ("a.png", lambda p, v: Image.fromarray(v.astype(np.uint16)).save(p), np.uint16),
        ("a.tiff", lambda p, v: Image.fromarray(v.astype(np.uint16)).save(p), np.uint16),
        ("a.tif", lambda p, v: Image.fromarray(v.astype(np.float32)).save(p), np.float32),
        ("a.tif", lambda p, v: Image.fromarray(v.astype(np.int32)).save(p), np.int32),
        ("a.pgm", save_pgm(65535), np.uint16),
        ("a.pgm", save_pgm(4095), np.uint16),
        ("a.pgm", save_pgm(4095, "3 2\n# by a camera"), np.uint16),
        ("a.pgm", save_pgm(4095, "3\n#one\r#two\n 2 # three\n#four"), np.uint16),
        ("a.tif", save_tiff(np.int16, 2), np.int16),
        ("a.tif", save_tiff(np.uint16, 1), np.uint16),
        ("a.tif", save_tiff(np.int32, 2), np.int32),
        ("a.tif", save_tiff(np.uint32, 1), np.uint32),
        ("a.pfm", save_pfm, np.float32),
        ("a.npy", lambda p, v: np.save(p, v.astype(">u2")), np.uint16),
        ("a.npy", lambda p, v: np.save(p, np.asfortranarray(v.astype("f2"))), np.float16),
        ("a.npy", lambda p, v: np.save(p, v[..., None]), np.int64),
        ("a.npy", lambda p, v: np.save(p, v[None]), np.int64),
        ("a.npz", lambda p, v: np.savez_compressed(p, depth=v.astype("f8")), np.float64),
    ],
)
def test_values_are_those_of_the_file(
    name: str, write: Callable[[Path, object], object], dtype: type[np.generic], tmp_path: Path
) -> None:
    write(tmp_path / name, VALUES)
    values = read_values(tmp_path / name)
    assert values.dtype == dtype
    np.testing.assert_array_equal(np.atleast_3d(values)[..., 0], VALUES.astype(dtype))


@pytest.mark.parametrize(
    ("dtype", "form"), [(np.int16, 2), (np.uint16, 1), (np.int32, 2), (np.uint32, 1), (np.int8, 2)]
)
def test_integers_of_a_tiff_keep_their_type_and_so_their_largest_value(
    dtype: type[np.generic], form: int, tmp_path: Path
) -> None:
    limits = np.iinfo(dtype)  # type: ignore[type-var]
    values = np.array([[limits.min, 0, 1], [2, 3, limits.max]])
    save_tiff(dtype, form)(tmp_path / "a.tif", values)
    read = read_values(tmp_path / "a.tif")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, values)


def test_a_gray_image_is_divided_by_the_largest_value_that_its_header_declares(tmp_path: Path) -> None:
    save_pgm(1000)(tmp_path / "a.pgm", VALUES.clip(max=1000))
    image = read_image(tmp_path / "a.pgm")
    assert image.dtype == np.uint16
    assert image[0, 2].tolist() == [65535] * 4
    assert image[0, 1, 0] == 66  # 65535 / 1000


@pytest.mark.parametrize("folder", ["", "../cache"])
def test_a_text_in_place_of_a_link_is_followed(folder: str, tmp_path: Path) -> None:
    """Copies and checkouts without symbolic links hold the name of the target."""
    data = tmp_path / "data"
    (data / folder).mkdir(parents=True)
    Image.new("L", (3, 2), 7).save(data / folder / "bbe784.png")
    (data / "0000.png").write_text(str(Path(folder) / "bbe784.png"))
    assert read_image(data / "0000.png")[0, 0].tolist() == [7, 7, 7, 255]
    (data / "a.png").write_text("b.png")
    (data / "b.png").write_text("a.png")
    with pytest.raises(DataError, match="a chain of links"):
        read_image(data / "a.png")


def test_of_files_with_one_stem_one_must_be_preferred(tmp_path: Path) -> None:
    for name in ("0.png", "0.npy", "1.npy", "._0.npy", "notes.md"):
        (tmp_path / name).touch()
    assert {stem: path.name for stem, path in by_stem(tmp_path, ".npy").items()} == {"0": "0.npy", "1": "1.npy"}
    with pytest.raises(DataError, match=r"0.png has the stem of 0.npy; keep one"):
        by_stem(tmp_path)
