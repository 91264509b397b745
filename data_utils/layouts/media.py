"""Reading single files into arrays, as they were stored; every defect raises a DataError.

Sizes are read from the file's header and checked before anything is decoded, so a small file that claims to be a
huge image takes no memory.
"""

import io
import math
import os
import re
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile
from torch import Tensor

from data_utils.errors import DataError
from data_utils.layouts.content import content
from data_utils.layouts.paths import entries, is_data
from fusiongauge import some

Values: TypeAlias = npt.NDArray[Any]
"""What a file holds: (H, W), or (H, W, C) with channels last."""

MAX_PIXELS = 4096 * 4096
"""The largest image or array that is read."""

DEPTH_FORMATS = "16-bit PNG or TIFF (in millimeters), float TIFF or .npy (in meters)"
"""How depth can be stored, for messages."""

SAVE_AS = "save images as PNG or JPEG, and measurements as .npy or 16-bit PNG"
"""What to do with files of types that are not read, for messages."""

_FORMATS = ("PNG", "JPEG", "MPO", "JPEG2000", "TIFF", "WEBP", "AVIF", "BMP", "DIB", "GIF", "PPM", "TGA")
_UNREAD = {
    rb"II[*+]\0|MM\0[*+]": "is a TIFF that is truncated, or of a kind that is not read, such as 64-bit floats",
    rb"v/1\x01": "is an OpenEXR file, which is not read",
    rb"#\?R": "is a Radiance HDR file, which is not read",
    rb"MATLAB |\x89HDF": "is a MATLAB or HDF5 file, which is not read here",
    rb"\x93NUMPY": "is a npy array, but its name does not end in .npy",
    rb".{4}ftyp(hei|mif|msf)": "is a HEIC or HEIF image, which is not read",
}
"""What files are that Pillow does not open, by how they begin."""

_ARRAYS = (".npy", ".npz")
_SUFFIXES = (
    *_ARRAYS,
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".jp2", ".j2k", ".tif", ".tiff", ".webp", ".avif", ".bmp"),
    *(".dib", ".gif", ".pgm", ".ppm", ".pnm", ".pfm", ".tga", ".exr", ".hdr"),
)
_NOT_READ = (
    *(".heic", ".heif", ".jxl", ".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".bin", ".pcd", ".ply", ".las"),
    *(".laz", ".mat", ".h5", ".hdf5", ".pt", ".pth", ".pkl", ".gz", ".mp4", ".avi", ".mov", ".mkv"),
)
"""Endings of images and measurements of types that are not read."""
_RESTORE = "restore it or leave its pair out"
_READ = f"images can be {', '.join(_FORMATS[:6])} or BMP, and depth {DEPTH_FORMATS}"
_BITS_PER_SAMPLE, _SAMPLE_FORMAT = 258, 339  # of TIFF
_TIFF_INTEGERS = {(2, 8): np.int8, (2, 16): np.int16, (1, 32): np.uint32}
"""Integers that Pillow reads as others, by format (2: with a sign) and bits; their largest value matters."""
_REASON = 200  # characters of what a decoder raised
_npy_headers = threading.Lock()  # numpy parses them with `ast`, which is not thread-safe (CPython 3.11)


def is_media(path: Path) -> bool:
    """Whether the name of a file ends as one of an image or of an array."""
    return path.suffix.lower() in _SUFFIXES


def holds_media(folder: Path) -> bool:
    """Whether there are media in a folder or in folders below it."""
    return any(media_below(folder))


def media_below(folder: Path) -> Iterator[Path]:
    """The media in a folder and in folders below it, in any order."""
    for place, inner, names in os.walk(folder):
        inner[:] = filter(is_data, inner)
        yield from (Path(place, name) for name in names if is_media(Path(name)) and is_data(name))


def of_other_types(folder: Path) -> list[Path]:
    """The images and measurements in a folder whose type is not read, unless the same stem has one that is."""
    files = entries(folder)
    read = {path.stem for path in files if is_media(path)}
    return [path for path in files if path.suffix.lower() in _NOT_READ and path.stem not in read]


def not_read(files: Sequence[str]) -> tuple[str, ...]:
    """The note on files of types that are not read; no note without such files."""
    if not files:
        return ()
    return (f"{len(files)} file(s) of types that are not read were left out: {some(files)}; {SAVE_AS}.",)


def by_stem(folder: Path, preferred: str = "") -> dict[str, Path]:
    """The media files of a folder by their stems, sorted.

    Args:
        folder: With files.
        preferred: Of two files with one stem the one that ends like this is taken.

    Raises:
        DataError: Two files have one stem, and neither is preferred.
    """
    files: dict[str, Path] = {}
    for path in filter(is_media, entries(folder)):
        other = files.get(path.stem, path)
        if other != path and preferred not in (path.suffix.lower(), other.suffix.lower()):
            raise DataError(f"{path} has the stem of {other.name}; keep one of the two files.")
        if other == path or path.suffix.lower() == preferred:
            files[path.stem] = path
    return files


def read_image(path: Path) -> Values:
    """An image as RGBA, uint8 or uint16 (H, W, 4); without transparency alpha is the largest value.

    Everything that Pillow decodes becomes RGBA: gray, palette, CMYK and others; an orientation in its EXIF data is
    applied. Gray images of 16 bits and .npy arrays of such values stay uint16; of colors with 16 bits per channel
    Pillow keeps the upper 8.

    Raises:
        DataError: The file is missing, damaged, too large, in an unknown format, or has values of other types.
    """
    if path.suffix.lower() in _ARRAYS:
        return as_rgba(path, _read_array(path))
    data = content(path, _RESTORE)
    with _opened(path, data) as image, _undamaged(path):
        ImageOps.exif_transpose(image, in_place=True)
        if image.format == "PPM" and image.mode.startswith("I"):
            return as_rgba(path, np.asarray(image).astype(np.uint16))  # Pillow scales the largest value to 65535
        if image.mode in ("I", "F") or image.mode.startswith("I;16"):
            return as_rgba(path, _own_values(path, image, data))
        return np.asarray(image.convert("RGBA"))


def read_values(path: Path) -> Values:
    """The values of a file as they are: gray images of any depth, .npy or .npz arrays, or an image's channels.

    Returns:
        Integers or floats of any width, (H, W) or (H, W, C).

    Raises:
        DataError: The file is missing, damaged, too large or in an unknown format.
    """
    if path.suffix.lower() in _ARRAYS:
        return _read_array(path)
    data = content(path, _RESTORE)
    with _opened(path, data) as image, _undamaged(path):
        values = _own_values(path, image, data)
        if values.dtype == np.uint8 and (bits := _bits(image, data)) > 8:
            raise DataError(
                f"{path} has several channels of {bits} bits, of which only 8 could be read; save it as .npy, or "
                "as one gray image per channel."
            )
        if (pages := _pages(image)) > 1:
            raise DataError(
                f"{path} has {pages} pages, of which only the first would be read; save one page per file, or all "
                "of them as the channels of a .npy array."
            )
        return values


def read_angles(path: Path) -> Tensor:
    """A npy of angles in radians as float64 (A,).

    Raises:
        DataError: The file is missing, damaged, not a one-dimensional array of floats, or holds values that cannot
            be angles.
    """
    angles = _read_array(path, dimensions=(1,))
    if angles.dtype.kind != "f":
        raise DataError(f"{path} holds {angles.dtype}; save the angles in radians, as floats.")
    return check_angles(str(path), torch.from_numpy(angles.astype(np.float64)))


def check_angles(place: str, angles: Tensor) -> Tensor:
    """The angles (A,) as float64; ``place`` is where they come from, for the message.

    Raises:
        DataError: There are values above a full turn, or NaN.
    """
    if not bool((angles.abs() <= 2 * torch.pi).all()):  # false for NaN too
        raise DataError(f"{place} contains values above a full turn; store the angles in radians.")
    return angles.double()


def as_rgba(path: Path, values: Values) -> Values:
    """Values of 8 or 16 bits, (H, W) or (H, W, C) with 1 to 4 channels, as RGBA.

    Raises:
        DataError: They are something else.
    """
    values = values[..., None] if values.ndim == 2 else values
    if values.dtype not in (np.uint8, np.uint16) or values.shape[2] > 4:
        raise DataError(
            f"{path} holds {values.dtype} in {values.shape[2]} channel(s), which is not an image; declare its "
            'modality in dataset.toml with kind = "thermal" or "raw", or save it with 8 or 16 bits per channel.'
        )
    channels = values.shape[2]
    colors = values[..., :3] if channels > 2 else values[..., :1].repeat(3, axis=2)
    alpha = values[..., -1:] if channels in (2, 4) else np.full_like(values[..., :1], np.iinfo(values.dtype).max)
    return np.concatenate([colors, alpha], axis=2)


def _own_values(path: Path, image: Image.Image, data: bytes) -> Values:
    """The values of an open image without any conversion, in the machine's byte order."""
    values = np.asarray(image)
    if image.mode in ("P", "PA"):
        raise DataError(f"{path} has a palette, so its values are no measurements; save the values themselves.")
    if image.format == "PPM" and (largest := _largest_value(data)):
        # Pillow scales the values to 8 or 16 bits; the file's own are wanted.
        full = 255 if values.dtype == np.uint8 else 65535
        return np.rint(values * (largest / full)).astype(np.uint8 if full == 255 else np.uint16)
    if isinstance(image, TiffImageFile):
        values = values.astype(
            _TIFF_INTEGERS.get((_tag(image, _SAMPLE_FORMAT, 1), _bits(image, data)), values.dtype)
        )
    return values.astype(np.uint8 if values.dtype == np.bool_ else values.dtype.newbyteorder("="), copy=False)


def _bits(image: Image.Image, data: bytes) -> int:
    """The bits per channel that a file declares, where Pillow keeps only the upper 8 of more."""
    if image.format == "PNG":
        return data[24]
    if isinstance(image, TiffImageFile):
        return _tag(image, _BITS_PER_SAMPLE, 8)
    return _largest_value(data).bit_length() if image.format == "PPM" else 8


def _tag(image: TiffImageFile, tag: int, default: int) -> int:
    """The largest value of a tag, which has one per channel."""
    return int(max(image.tag_v2.get(tag, (default,))))


def _largest_value(data: bytes) -> int:
    """What the header of a PGM or PPM declares as the largest value; 0 if it declares none (PBM, PFM)."""
    header = re.match(rb"P[2356]" + 3 * rb"(?:\s|#[^\r\n]*[\r\n])+(\d+)", data)
    return int(header[3]) if header else 0


def _pages(image: Image.Image) -> int:
    """The number of pages of one size, as TIFF can have them; smaller ones are previews of the first."""
    if not isinstance(image, TiffImageFile):
        return 1
    size, sizes = image.size, []
    for page in range(image.n_frames):
        image.seek(page)
        sizes.append(image.size)
    return sizes.count(size)


@contextmanager
def _undamaged(path: Path, what: str = "is damaged or truncated", remedy: str = _RESTORE) -> Iterator[None]:
    """Whatever a decoder raises means that the file is damaged; their errors have no common base.

    Raises:
        DataError: The file is damaged.
    """
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:_REASON]
        raise DataError(f"{path} {what.format(reason=reason or type(error).__name__)}; {remedy}.") from None


def _opened(path: Path, data: bytes) -> Image.Image:
    """The image in these bytes, decoded; its size is checked first."""
    Image.init()
    limit = f"and the limit is {MAX_PIXELS}; make it smaller."
    with _undamaged(path):
        try:
            image = Image.open(io.BytesIO(data), formats=[name for name in _FORMATS if name in Image.OPEN])
        except Image.DecompressionBombError:
            raise DataError(f"{path} claims to have a huge number of pixels, {limit}") from None
        except UnidentifiedImageError:
            raise DataError(f"{path} {_why_not_opened(data)}; {_READ}.") from None
        if image.width * image.height > MAX_PIXELS:
            raise DataError(f"{path} has {image.width} x {image.height} pixels, {limit}")
        image.load()
    return image


def _why_not_opened(data: bytes) -> str:
    """What a file is that is no image in a known format, and what to do."""
    if not data:
        return f"is empty; {_RESTORE}"
    known = (what for start, what in _UNREAD.items() if re.match(start, data, re.DOTALL))
    what = next(known, "")
    return f"{what}; save it in another format" if what else f"is truncated or in an unknown format; {_RESTORE}"


def _read_array(path: Path, dimensions: tuple[int, ...] = (2, 3)) -> Values:
    """The array of a .npy file, or the only one of a .npz file; three dimensions become (H, W, C)."""
    data = content(path, _RESTORE)
    save = "save it again with numpy.save(..., allow_pickle=False)"
    with _undamaged(path, "cannot be read as a plain npy array ({reason})", save):
        if path.suffix.lower() == ".npz":
            array = _only_member(path, data, dimensions)
        else:
            array = _array(path, io.BytesIO(data), dimensions)
    return _channels_last(path, array) if array.ndim == 3 else array


def _only_member(path: Path, data: bytes, dimensions: tuple[int, ...]) -> Values:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if len(names := archive.namelist()) != 1:
            raise DataError(f"{path} holds {len(names)} arrays; save one array per file.")
        with archive.open(names[0]) as member:
            return _array(path, member, dimensions)


def _array(path: Path, stream: IO[bytes], dimensions: tuple[int, ...]) -> Values:
    """The array that begins here, in the machine's byte order; its header is checked first."""
    with _npy_headers:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if len(shape) not in dimensions or dtype.kind not in "fiub":
        wanted = " or ".join(map(str, dimensions))
        raise DataError(f"{path} holds {dtype} of shape {shape}; save numbers with {wanted} dimension(s).")
    count = math.prod(shape)
    if count < 1:
        raise DataError(f"{path} holds an array of shape {shape}, which has no values; {_RESTORE}.")
    if count > MAX_PIXELS:
        raise DataError(f"{path} holds {count} values, and the limit is {MAX_PIXELS}; make it smaller.")
    content = stream.read(count * dtype.itemsize)
    if len(content) < count * dtype.itemsize:
        raise ValueError("it is truncated")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")
    return array.astype(np.uint8 if dtype.kind == "b" else dtype.newbyteorder("="), copy=False)


def _channels_last(path: Path, array: Values) -> Values:
    """(H, W, C) of an array with three dimensions: the channels are the smallest dimension, first or last."""
    first, middle, last = array.shape
    if last <= first and last <= middle:
        return array
    if first < middle and first < last:
        return np.ascontiguousarray(array.transpose(1, 2, 0))
    raise DataError(f"{path} has the shape {array.shape}, without a dimension of channels at either end.")
