"""Part `image`: an image that a run has made, drawn anew so that nothing but its pixels reaches the page."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Final

from runner.core.errors import InputError
from runner.views.page.data import PageData
from runner.views.page.part import PartAnswer, Query
from runner.views.page.parts.run import image_file
from runner.views.page.run_files import read_inside

_MOST_BYTES: Final = 1 << 25
_MOST_PIXELS: Final = 1 << 25
_FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP")


class ImagePart:
    """The part."""

    keys: frozenset[str] = frozenset({"id"})

    def answer(self, data: PageData, query: Query) -> PartAnswer:
        """Answer the image `id` as PNG, or as JPEG if it is one. The ids are those of the part `run`."""
        root, parts = image_file(data, query.get("id", ""))
        try:
            return draw_anew(read_inside(root, parts, _MOST_BYTES))
        except OSError as error:
            raise InputError(f"the image cannot be read: {error.strerror or error}") from error

    def frozen(self, data: PageData) -> Iterable[Query]:
        """Yield nothing: a frozen file holds no samples of single runs."""
        return ()


def draw_anew(data: bytes) -> PartAnswer:
    """Decode an image and encode its pixels anew.

    Raises:
        InputError: it is none of PNG, JPEG, WebP and BMP, whatever its name, is damaged, or has more than 2**25 pixels.
    """
    from PIL import Image  # noqa: PLC0415 - takes 50 ms

    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise InputError(f"the image has {image.width} × {image.height} pixels; at most {_MOST_PIXELS} are shown")
            jpeg = image.format == "JPEG"
            mode = "RGB" if jpeg else image.mode if image.mode in ("L", "RGB", "RGBA") else "RGBA"
            pixels = image.convert(mode)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"the image has too many pixels; at most {_MOST_PIXELS} are shown") from error
    except (OSError, SyntaxError, ValueError, MemoryError) as error:
        raise InputError(f"not an image that can be shown (expected one of {', '.join(_FORMATS)})") from error
    pixels.info = {}
    encoded = io.BytesIO()
    pixels.save(encoded, "JPEG" if jpeg else "PNG", **({"quality": 90} if jpeg else {}))
    return PartAnswer(encoded.getvalue(), "image/jpeg" if jpeg else "image/png")
