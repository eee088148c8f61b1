"""Part `image`: an image that a run has made or was evaluated on, drawn anew so that nothing but its pixels reaches the page."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Final

from runner.core.errors import InputError
from runner.views.page.data import PageData
from runner.views.page.evaluations import evaluated_image
from runner.views.page.part import PartAnswer, Query
from runner.views.page.parts.gallery import first_images
from runner.views.page.parts.run import image_file
from runner.views.page.run_files import open_inside, read_inside

if TYPE_CHECKING:
    from PIL import Image

_MOST_BYTES: Final = 1 << 25
_MOST_DATA_BYTES: Final = 1 << 27
"""Limit for an image of a data set, which is decoded from its file."""
_MOST_PIXELS: Final = 1 << 25
_FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP")
_DATA_FORMATS: Final = (*_FORMATS, "TIFF", "PPM", "GIF")
_SMALL_SIDE: Final = 640
_SMALL_BYTES: Final = 80_000
_QUALITIES: Final = (85, 70, 55, 40)
_WEBP_EFFORT: Final = 2  # of 0–6: half the time of the usual 4, and files hardly larger
_FROZEN_IMAGES: Final = 50
_SIZES: Final = ("small", "whole")


class ImagePart:
    """The part."""

    keys: frozenset[str] = frozenset({"id", "size"})

    def answer(self, data: PageData, query: Query) -> PartAnswer:
        """Answer the image `id`. The ids are those of the parts `run` and `gallery`.

        An image of a run is PNG, or JPEG if it is one. One of the evaluated data set is reduced to 640 pixels and about 80 kB;
        with ``size=whole`` it has all of its pixels, a photo of more than 2**25 those of 1/2, 1/4 or 1/8 of its sides.
        """
        identifier, size = query.get("id", ""), query.get("size", _SIZES[0])
        if size not in _SIZES:
            raise InputError(f"size is {size!r}; expected one of {', '.join(_SIZES)}")
        try:
            if not identifier.startswith("g"):
                return draw_anew(read_inside(*image_file(data, identifier), _MOST_BYTES))
            evaluated, index = evaluated_image(data, identifier)
            image = evaluated.data.images[index]
            with open_inside(evaluated.data.image_dir, evaluated.parts(index)) as file:
                return draw_evaluated(file, (image.width, image.height), small=size == "small")
        except OSError as error:
            raise InputError(f"the image cannot be read: {error.strerror or error}") from error

    def frozen(self, data: PageData, view: Query) -> Iterable[Query]:
        """Yield the images that the galleries show first, small; a frozen file holds no samples of single runs."""
        for identifier in first_images(data, view, _FROZEN_IMAGES):
            yield {"id": identifier}


def draw_anew(data: bytes) -> PartAnswer:
    """Decode an image and encode its pixels anew.

    Raises:
        InputError: it is none of PNG, JPEG, WebP and BMP, whatever its name, is damaged, or has more than 2**25 pixels.
    """
    from PIL import Image  # noqa: PLC0415 - takes 50 ms

    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_pixels(image)
            jpeg = image.format == "JPEG"
            mode = "RGB" if jpeg else image.mode if image.mode in ("L", "RGB", "RGBA") else "RGBA"
            pixels = image.convert(mode)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"the image has too many pixels; at most {_MOST_PIXELS} are shown") from error
    except (OSError, SyntaxError, ValueError, MemoryError) as error:
        raise InputError(f"not an image that can be shown (expected one of {', '.join(_FORMATS)})") from error
    pixels.info = {}
    return _encoded(pixels, "JPEG", quality=90) if jpeg else _encoded(pixels, "PNG")


def draw_evaluated(file: IO[bytes], size: tuple[int, int], *, small: bool) -> PartAnswer:
    """Decode an image of a data set as evaluation reads it, and encode its pixels anew. A JPEG with more than 2**25 is reduced.

    Args:
        file: at its start.
        size: (width, height) in the annotations.
        small: reduce it to 640 pixels and about 80 kB.

    Raises:
        InputError: it is of no format that a data set may have, is damaged, too large, or has too many pixels and cannot be reduced.
    """
    from PIL import Image  # noqa: PLC0415 - takes 50 ms

    from runner.data.images import decode_image, is_row_by_row  # noqa: PLC0415 - loads numpy

    if (length := file.seek(0, os.SEEK_END)) > _MOST_DATA_BYTES:
        raise InputError(f"the image is not shown: its file has {length >> 20} MiB, more than {_MOST_DATA_BYTES >> 20}")
    file.seek(0)
    try:
        image = Image.open(file, formats=_DATA_FORMATS)
    except Image.DecompressionBombError as error:
        raise InputError(f"the image is not shown: it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels") from error
    except (OSError, SyntaxError, ValueError, MemoryError) as error:
        raise InputError("not an image that can be shown") from error
    jpeg = image.format in ("JPEG", "MPO")
    if image.width * image.height > _MOST_PIXELS and not (jpeg and is_row_by_row(file)):
        kind = "progressive JPEG" if jpeg else image.format
        raise InputError(
            f"the image is not shown: it has {image.width} × {image.height} pixels, and a {kind} of more than {_MOST_PIXELS} would have to "
            "be decoded whole; a JPEG that is not progressive is shown reduced"
        )
    file.seek(0)
    pixels = Image.fromarray(decode_image(file, "the image", size, most_pixels=_MOST_PIXELS))
    if not small:
        return _encoded(pixels, "JPEG", quality=92) if jpeg else _encoded(pixels, "PNG")
    if max(pixels.size) > _SMALL_SIDE:
        pixels.thumbnail((_SMALL_SIDE, _SMALL_SIDE), Image.Resampling.LANCZOS)
    if not jpeg and len((exact := _encoded(pixels, "PNG")).body) <= _SMALL_BYTES:
        return exact
    for quality in _QUALITIES:
        answer = _encoded(pixels, "WEBP", quality=quality, method=_WEBP_EFFORT)
        if len(answer.body) <= _SMALL_BYTES:
            break
    return answer


def _check_pixels(image: Image.Image) -> None:
    if image.width * image.height > _MOST_PIXELS:
        raise InputError(f"the image has {image.width} × {image.height} pixels; at most {_MOST_PIXELS} are shown")


def _encoded(pixels: Image.Image, form: str, **options: int) -> PartAnswer:
    encoded = io.BytesIO()
    pixels.save(encoded, form, **options)
    return PartAnswer(encoded.getvalue(), f"image/{form.lower()}")
