"""Legend below a picture with boxes: the kinds of lines and the colours of the classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from runner.core.text import printable
from runner.data.colours import GREY, INK, PAPER, Colour
from runner.data.fonts import fit, font
from runner.evaluation.draw import Classes

_SAMPLE_PX, _GAP_PX, _MARGIN_PX = 26, 7, 8
Sign = Literal["solid", "dashed", "thin", "swatch"]


@dataclass(frozen=True, slots=True)
class LegendItem:
    """A sign and its meaning; a thin sign stands for a thin solid line."""

    sign: Sign
    text: str
    colour: Colour = GREY


def class_items(classes: Classes, categories: Iterable[int]) -> list[LegendItem]:
    """Return a swatch for each of `categories`, in the order of the class list."""
    return [LegendItem("swatch", classes.name(category), classes.colour(category)) for category in classes.ordered(categories)]


def draw_legend(items: Sequence[LegendItem], width: int, size: int = 14) -> Image.Image:
    """Draw the items one after the other, in as many lines as they need.

    Args:
        width: of the strip, in pixels.
        size: of the text, in pixels.
    """
    row = size + 8
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    places: list[tuple[int, int, LegendItem, str]] = []
    x, y = _MARGIN_PX, 4
    for item in items:
        text = font(size, printable(item.text))
        shown = fit(measure, printable(item.text), text, max(20, width - 2 * _MARGIN_PX - _SAMPLE_PX - _GAP_PX))
        taken = _SAMPLE_PX + _GAP_PX + int(measure.textlength(shown, font=text))
        if x > _MARGIN_PX and x + taken > width - _MARGIN_PX:
            x, y = _MARGIN_PX, y + row
        places.append((x, y, item, shown))
        x += taken + 2 * _MARGIN_PX
    strip = Image.new("RGB", (width, y + row + 2), PAPER)
    pen = ImageDraw.Draw(strip)
    for x, y, item, shown in places:
        _draw_sign(pen, (x, y + row // 2), item)
        pen.text((x + _SAMPLE_PX + _GAP_PX, y + row // 2), shown, fill=INK, font=font(size, printable(item.text)), anchor="lm")
    return strip


def add_legend(picture: NDArray[np.uint8], items: Sequence[LegendItem]) -> NDArray[np.uint8]:
    """Return UInt8[H + h, W, 3]: the picture UInt8[H, W, 3] with the legend below it."""
    width = picture.shape[1]
    return np.concatenate([picture, np.asarray(draw_legend(items, width, min(24, max(12, width // 40))))])


def box_items(score_threshold: float) -> list[LegendItem]:
    """Return the meaning of the two kinds of boxes."""
    return [LegendItem("dashed", "annotated"), LegendItem("solid", f"predicted, from score {score_threshold:.2f}")]


def _draw_sign(pen: ImageDraw.ImageDraw, at: tuple[int, int], item: LegendItem) -> None:
    x, y = at
    if item.sign == "swatch":
        pen.rectangle((x + 6, y - 6, x + _SAMPLE_PX - 6, y + 6), fill=item.colour)
    elif item.sign == "dashed":
        pen.line((x, y, x + _SAMPLE_PX, y), fill=(0, 0, 0), width=3)
        for start in (0, 11, 22):
            pen.line((x + start, y, x + min(start + 5, _SAMPLE_PX), y), fill=(200, 200, 200), width=3)
    else:
        pen.line((x, y, x + _SAMPLE_PX, y), fill=item.colour, width=1 if item.sign == "thin" else 3)
