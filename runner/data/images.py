"""Reader of images of every usual kind as RGB, 8 bits per channel."""

from __future__ import annotations

import os
import struct
import warnings
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from runner.core.errors import InputError, Problem
from runner.core.files import open_regular

_ORIENTATION = 0x0112
_PNG_TEXTS = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt"})
_MARKER, _SCAN = 0xFF, 0xDA
_SEQUENTIAL_FRAMES = frozenset({0xC0, 0xC1})
"""Markers of a JPEG: the byte before each, the start of a scan, the headers of what is not progressive, and its number of components."""
_SWAPS_SIDES = frozenset({5, 6, 7, 8})
# Boards are photographed in large; beyond twice that size Pillow's error remains. Set once: changing filters a call is not safe in threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, TypeError, MemoryError)
"""Exceptions of Pillow's decoders on damaged files."""


def read_image(path: Path | str, expected_size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Read an image as UInt8[H, W, 3] RGB, writable.

    16-bit images are scaled to 8 bits (65535 becomes 255), transparency is dropped, grey is repeated, palettes and
    CMYK are converted. An EXIF rotation is applied, as viewers do, unless `expected_size` says otherwise.

    Args:
        path: the image file.
        expected_size: (width, height) of the annotation. Where it is the size of the stored pixels and not that of
            the rotated ones, the boxes were drawn on the stored pixels, so the rotation is left out.

    Raises:
        InputError: missing, no image, cut off, or of a kind without a defined white (32-bit, floating point).
    """
    try:
        with open_regular(path) as file:
            return decode_image(file, path, expected_size)
    except FileNotFoundError as error:
        raise _unusable(path, "missing image; restore it or remove it from the annotation file") from error
    except IsADirectoryError as error:
        raise _unusable(path, "a folder, expected an image") from error
    except PermissionError as error:
        raise _unusable(path, "permission denied") from error
    except OSError as error:
        raise _damaged(path, error) from error


def decode_image(
    file: IO[bytes], path: Path | str, expected_size: tuple[int, int] | None = None, *, most_pixels: int | None = None
) -> NDArray[np.uint8]:
    """Decode an opened image as `read_image` does; `path` is its name in messages. Raises InputError, see there.

    Args:
        most_pixels: a JPEG with more is decoded at 1/2, 1/4 or 1/8 of its sides; where `is_row_by_row`, the memory is that of the result.
    """
    try:
        with Image.open(file) as image:
            width, height = image.size
            if most_pixels is not None and width * height > most_pixels:
                divisor = next((each for each in (2, 4) if (width // each + 1) * (height // each + 1) <= most_pixels), 8)
                image.draft("RGB", (width // divisor, height // divisor))
            image.load()
            return to_array(upright(image, expected_size, (width, height)), path)
    except Image.DecompressionBombError as error:
        raise _unusable(path, f"{error}; split it into smaller images") from error
    except UnidentifiedImageError as error:
        raise _unusable(path, "unreadable image (wrong format, or empty); replace it") from error
    except UNREADABLE as error:
        raise _damaged(path, error) from error


def is_row_by_row(file: IO[bytes]) -> bool:
    """Return whether a JPEG has all of its components in one scan, so that it is decoded from row to row: all coefficients of one with
    several, such as a progressive one, are held in memory. The file is left at its start."""
    file.seek(2)
    components = 0
    while len(head := file.read(5)) == 5 and head[0] == _MARKER:
        if head[1] == _SCAN:
            break
        body = file.read(max(0, int.from_bytes(head[2:4], "big") - 3))
        if head[1] in _SEQUENTIAL_FRAMES and len(body) > 4:
            components = body[4]
    file.seek(0)
    return len(head) == 5 and head[1] == _SCAN and head[4] == components


def image_size(path: Path | str) -> tuple[int, int]:
    """Read (width, height) from the file's header, without decoding: upright, as `read_image` returns it.

    Raises:
        InputError: missing, or no image.
    """
    return image_sizes(path)[1]


def image_sizes(path: Path | str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Read (width, height) of the stored pixels and of the upright image from the header. Boxes may refer to either, see `read_image`.

    Raises:
        InputError: missing, no image, or of a kind without a defined white.
    """
    try:
        with open_regular(path) as file, Image.open(file) as image:
            width, height = image.size
            _require_defined_white(image, path)
            # Pillow rotates a TIFF by itself, and returns the upright size from the start
            turned = image.format != "TIFF" and _orientation(image, path) in _SWAPS_SIDES
    except FileNotFoundError as error:
        raise _unusable(path, "missing image") from error
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        raise _unusable(path, "unreadable image; replace it") from error
    return (width, height), (height, width) if turned else (width, height)


def _require_defined_white(image: Image.Image, path: Path | str) -> None:
    """Refuse what `read_image` will refuse, so that it is found before training starts. The pixels are read only where the header
    is not enough: a file of 32 bits per pixel may use only 16."""
    if image.mode == "F":
        raise _unusable(path, _FLOATING)
    if image.mode == "I" and image.format not in _16_BIT_AT_MOST:
        least, most = image.getextrema()
        if int(least) < 0 or int(most) > _MOST_16_BIT:  # type: ignore[arg-type]
            raise _unusable(path, _32_BIT)


def _orientation(image: Image.Image, path: Path | str) -> int | None:
    """Return the EXIF orientation of an opened image. Pillow decodes a PNG for it, since EXIF data may follow the pixels: rarely true, and
    quickly checked."""
    try:
        exif = Image.Image.getexif(image) if image.format == "PNG" and not _has_texts_at_its_end(path) else image.getexif()
        return exif.get(_ORIENTATION)
    except UNREADABLE:
        return None  # damaged EXIF says nothing about the pixels


def _has_texts_at_its_end(path: Path | str) -> bool:
    """Return whether a PNG has EXIF data, or texts that may contain them, after its pixels. Reads the headers of its chunks."""
    with open(path, "rb") as file:
        file.seek(8)
        pixels = False
        while len(head := file.read(8)) == 8:
            kind = head[4:]
            if pixels and kind in _PNG_TEXTS:
                return True
            pixels = pixels or kind == b"IDAT"
            file.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
    return False


_FLOATING = "a floating-point image, whose white is not defined; save it with 8 or 16 bits"
_32_BIT = "a 32-bit image, whose white is not defined; save it with 8 or 16 bits"
_16_BIT_AT_MOST = ("PNG", "PPM")
"""Formats that Pillow opens in its 32-bit mode, although they have only 16."""
_MOST_16_BIT = 65535


def _damaged(path: Path | str, error: Exception) -> InputError:
    return _unusable(path, f"damaged or truncated image ({error}); replace it or remove it from the annotation file")


def _unusable(path: Path | str, message: str) -> InputError:
    return InputError(Problem(message, os.fspath(path)))


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an opened image, 1 to 8; 1 where there is none, or none that makes sense."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except UNREADABLE:
        return 1  # damaged EXIF says nothing about the pixels
    return found if found in range(1, 9) else 1


def upright(image: Image.Image, expected_size: tuple[int, int] | None, stored: tuple[int, int] | None = None) -> Image.Image:
    """Rotate an opened image as its EXIF data say, unless its stored pixels have `expected_size` (see `read_image`).

    Args:
        stored: (width, height) in the file; None: those of `image`.
    """
    turned = orientation(image)
    if turned == 1:
        return image
    stored = stored or image.size
    rotated = (stored[1], stored[0]) if turned in _SWAPS_SIDES else stored
    if expected_size is not None and tuple(expected_size) == stored and rotated != stored:
        return image
    return ImageOps.exif_transpose(image)


def to_array(image: Image.Image, path: Path | str) -> NDArray[np.uint8]:
    """Convert a decoded image to UInt8[H, W, 3] RGB as `read_image` does. Raises InputError: its white is not defined."""
    mode = image.mode
    if mode == "L":
        return _repeat_grey(np.asarray(image))
    if mode.startswith("I"):
        return _from_16_bit(np.array(image), path)
    if mode == "F":
        raise _unusable(path, _FLOATING)
    if mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if mode == "LA":
        image = image.getchannel("L")
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _from_16_bit(values: NDArray[np.generic], path: Path | str) -> NDArray[np.uint8]:
    wide = values.astype(np.int64)
    if wide.size and (wide.min() < 0 or wide.max() > _MOST_16_BIT):
        raise _unusable(path, _32_BIT)
    return _repeat_grey(((wide + 128) // 257).astype(np.uint8))


def _repeat_grey(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert UInt8[H, W] to UInt8[H, W, 3] by three strided copies, twice as fast as `np.repeat` or a conversion in Pillow."""
    pixels = np.empty((*grey.shape, 3), dtype=np.uint8)
    for channel in range(3):
        pixels[:, :, channel] = grey
    return pixels
