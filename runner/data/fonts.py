"""Text in pictures: Pillow's own font, and for scripts that it lacks one of the machine's."""

from __future__ import annotations

from functools import lru_cache

from PIL import ImageDraw, ImageFont

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


@lru_cache(maxsize=64)
def font(size: int) -> Font:
    """Load Pillow's own font, so that no font of the machine is needed."""
    return ImageFont.load_default(size)


def fit(pen: ImageDraw.ImageDraw, text: str, of: Font, width: float) -> str:
    """Shorten `text` to `width` pixels, with an ellipsis at its end."""
    while len(text) > 3 and pen.textlength(text, font=of) > width:
        text = text[:-2] + "…"
    return text
