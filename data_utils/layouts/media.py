"""Reading single files into arrays, as they were stored; every defect raises a DataError.

Sizes are read from the file's header and checked before anything is decoded, so a small file that claims to be a
huge image takes no memory.
"""

import io
import math
import re
import struct
import threading
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from data_utils.errors import DataError
from data_utils.layouts.paths import entries

Values: TypeAlias = npt.NDArray[Any]
"""What a file holds: (H, W), or (H, W, C) with channels last."""

MAX_PIXELS = 4096 * 4096
"""The largest image or array that is read."""

DEPTH_FORMATS = "16-bit PNG or TIFF (in millimeters), float TIFF or .npy (in meters)"
"""How depth can be stored, for messages."""

_FORMATS = ("PNG", "JPEG", "MPO", "JPEG2000", "TIFF", "WEBP", "AVIF", "BMP", "DIB", "GIF", "PPM", "TGA")
_ARRAYS = (".npy", ".npz")
_SUFFIXES = (
    *_ARRAYS,
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".jp2", ".j2k", ".tif", ".tiff", ".webp", ".avif", ".bmp"),
    *(".dib", ".gif", ".pgm", ".ppm", ".pnm", ".pfm", ".tga", ".exr", ".hdr"),
)
_STUB_BYTES = 1024  # a link's target or a pointer to large-file storage is shorter, an image hardly ever is
_STUBS = 8  # a chain of links that is longer is a loop
_npy_headers = threading.Lock()  # numpy parses them with `ast`, which is not thread-safe (CPython 3.11)


def is_media(path: Path) -> bool:
    """Whether the name of a file ends as one of an image or of an array."""
    return path.suffix.lower() in _SUFFIXES


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
    data = _content(path)
    with _opened(path, data) as image:
        if image.mode in ("I", "F") or image.mode.startswith("I;16"):
            return as_rgba(path, _own_values(path, image, data))
        return np.asarray(ImageOps.exif_transpose(image).convert("RGBA"))


def read_values(path: Path) -> Values:
    """The values of a file as they are: gray images of any depth, .npy or .npz arrays, or an image's channels.

    Returns:
        Integers or floats of any width, (H, W) or (H, W, C).

    Raises:
        DataError: The file is missing, damaged, too large or in an unknown format.
    """
    if path.suffix.lower() in _ARRAYS:
        return _read_array(path)
    data = _content(path)
    if data.startswith(b"\x89PNG") and data[24:25] == b"\x10" and data[25:26] != b"\0":
        raise DataError(
            f"{path} has several channels of 16 bits, of which only 8 could be read; save it as .npy, or as one "
            "gray image per channel."
        )
    with _opened(path, data) as image:
        return _own_values(path, image, data)


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
    if image.format == "PPM" and (header := re.match(rb"P[2356]\s+(?:#[^\n]*\s+)*\d+\s+\d+\s+(\d+)", data)):
        # Pillow scales the values to 8 or 16 bits; the file's own are wanted.
        largest, full = int(header[1]), 255 if values.dtype == np.uint8 else 65535
        return np.rint(values * (largest / full)).astype(np.uint8 if full == 255 else np.uint16)
    return values.astype(np.uint8 if values.dtype == np.bool_ else values.dtype.newbyteorder("="), copy=False)


def _content(path: Path) -> bytes:
    """The bytes of a file; those of another file if this one holds its name in place of a link."""
    for _ in range(_STUBS):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise DataError(f"{_missing(path)}; restore it or leave its pair out.") from None
        except OSError as error:
            raise DataError(
                f"{path} cannot be read ({error.strerror}); restore it or leave its pair out."
            ) from None
        target = _stub(path, data)
        if target is None:
            return data
        path = target
    raise DataError(f"{path} is the end of a chain of links; restore the file itself.")


def _missing(path: Path) -> str:
    if path.is_symlink():
        return f"{path} is a link to {path.readlink()}, which does not exist (fetch it: git annex get, dvc pull)"
    return f"{path} does not exist"


def _stub(path: Path, data: bytes) -> Path | None:
    """The file that a small text file stands for, as copies and checkouts without symbolic links leave it."""
    if len(data) > _STUB_BYTES or b"\0" in data:
        return None
    if data.startswith(b"version https://git-lfs"):
        raise DataError(f"{path} is a pointer of Git LFS, not the file itself; fetch it with git lfs pull.")
    try:
        name = data.decode("utf-8").strip()
        target = path.parent / name
        return target if name and "\n" not in name and target.is_file() else None
    except (UnicodeDecodeError, OSError, ValueError):
        return None


def _opened(path: Path, data: bytes) -> Image.Image:
    """The image in these bytes, not decoded further than its size; decoding errors surface as DataError on use."""
    Image.init()
    limit = f"and the limit is {MAX_PIXELS}; make it smaller."
    try:
        image = Image.open(io.BytesIO(data), formats=[name for name in _FORMATS if name in Image.OPEN])
    except Image.DecompressionBombError:
        raise DataError(f"{path} claims to have a huge number of pixels, {limit}") from None
    except UnidentifiedImageError:
        what = "is empty" if not data else "is truncated or in an unknown format"
        raise DataError(
            f"{path} {what}; restore it or leave its pair out; images can be {', '.join(_FORMATS[:6])} or BMP, "
            f"and depth {DEPTH_FORMATS}."
        ) from None
    except (OSError, SyntaxError, ValueError, struct.error, EOFError):  # what Pillow raises on damaged files
        raise DataError(f"{path} is damaged or truncated; restore it or leave its pair out.") from None
    if image.width * image.height > MAX_PIXELS:
        raise DataError(f"{path} has {image.width} x {image.height} pixels, {limit}")
    try:
        image.load()
    except (OSError, SyntaxError, ValueError, struct.error, EOFError):
        raise DataError(f"{path} is damaged or truncated; restore it or leave its pair out.") from None
    return image


def _read_array(path: Path, dimensions: tuple[int, ...] = (2, 3)) -> Values:
    """The array of a .npy file, or the only one of a .npz file; three dimensions become (H, W, C)."""
    data = _content(path)
    try:
        if path.suffix.lower() == ".npz":
            array = _only_member(path, data, dimensions)
        else:
            array = _array(path, io.BytesIO(data), dimensions)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path} cannot be read as a plain npy array ({error}); save it again with "
            "numpy.save(..., allow_pickle=False)."
        ) from None
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
