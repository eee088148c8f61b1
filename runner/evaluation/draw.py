"""Pictures of detections: true boxes dashed, predicted ones solid with class and score, one colour per class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from runner.data.colours import Colour, class_colour
from runner.data.fonts import font

MIN_SIDE_PX = 384
"""A picture's longer side is brought up to this, by a whole factor, so that labels on a crop of 128 px can be read."""

MAX_DRAWN = 100
"""Largest number of predicted boxes that are drawn, best first."""

Box = Sequence[float]
"""xywh in pixels."""


def draw_boxes(
    image: NDArray[np.uint8],
    truth: Iterable[Mapping[str, Any]],
    predictions: Iterable[Mapping[str, Any]],
    class_names: Mapping[int, str] | Sequence[str],
    score_threshold: float = 0.3,
) -> NDArray[np.uint8]:
    """Draw one image's true and predicted boxes.

    Args:
        image: UInt8[H, W, 3], RGB.
        truth: COCO annotations of the image: "category_id", "bbox" (xywh in pixels of `image`); crowd regions are drawn
            thinner.
        predictions: COCO results of the image: the same and "score".
        class_names: category id to name; a sequence is indexed by category id. An id without a name is shown as a
            number.
        score_threshold: predictions below it are left out, and so are those after the best `MAX_DRAWN`.

    Returns:
        UInt8[H·s, W·s, 3] with the whole number s ≥ 1 that makes the longer side at least `MIN_SIDE_PX`.

    Raises:
        ValueError: `image` has another shape or type.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(f"expected an image UInt8[H, W, 3], got {image.dtype}{list(image.shape)}")
    height, width = image.shape[:2]
    scale = max(1, math.ceil(MIN_SIDE_PX / max(height, width)))
    picture = Image.fromarray(image).resize((width * scale, height * scale), Image.Resampling.BICUBIC)
    pen, classes = Pen(picture, scale), Classes(class_names)
    for box in truth:
        pen.dashed(box["bbox"], classes.colour(box["category_id"]), thin=bool(box.get("iscrowd")))
    shown = sorted((entry for entry in predictions if entry["score"] >= score_threshold), key=lambda entry: -float(entry["score"]))
    shown = shown[:MAX_DRAWN]
    for entry in reversed(shown):  # the best on top
        pen.solid(entry["bbox"], classes.colour(entry["category_id"]))
    for entry in shown:  # labels above all boxes; the best choose their place first
        pen.label(entry["bbox"], f"{classes.name(entry['category_id'])} {entry['score']:.2f}", classes.colour(entry["category_id"]))
    return np.asarray(picture)


class Classes:
    """Names and colours of classes by category id; the colours follow the order of the names.

    Args:
        names: category id to name; a sequence is indexed by category id. An id without a name is shown as a number.
    """

    def __init__(self, names: Mapping[int, str] | Sequence[str]) -> None:
        self._names = dict(names) if isinstance(names, Mapping) else dict(enumerate(names))
        self._index = {category: index for index, category in enumerate(self._names)}

    def name(self, category: int) -> str:
        """Return the name of a category."""
        return self._names.get(int(category), str(category))

    def colour(self, category: int) -> Colour:
        """Return the colour of a category."""
        return class_colour(self._index.get(int(category), int(category)))

    def ordered(self, categories: Iterable[int]) -> list[int]:
        """Return the categories in the order of the class list, each once."""
        return sorted({int(category) for category in categories}, key=lambda category: (self._index.get(category, math.inf), category))


class Pen:
    """Pen that draws boxes, given in pixels of an image, on a scaled part of it.

    Args:
        picture: what is drawn on.
        scale: pixels of `picture` per pixel of the image.
        origin: (x, y) of the image at the upper left corner of `picture`.
    """

    def __init__(self, picture: Image.Image, scale: float, origin: tuple[float, float] = (0.0, 0.0)) -> None:
        self._draw = ImageDraw.Draw(picture)
        self._size = picture.size
        self._scale, self._origin = scale, origin
        longer = max(picture.size)
        self._line = max(2, round(longer / 300))
        self._text_size = max(14, round(longer / 40))
        self._taken: list[tuple[float, float, float, float]] = []

    def solid(self, box: Box, colour: Colour, *, thin: bool = False) -> None:
        """Draw a predicted box."""
        self._draw.rectangle(self._corners(box), outline=colour, width=1 if thin else self._line)

    def dashed(self, box: Box, colour: Colour, *, thin: bool = False) -> None:
        """Draw a true box: dashes of its class's colour on black, which are visible on any background."""
        x0, y0, x1, y1 = self._corners(box, grow=self._line)  # outside a predicted box that fits exactly
        width = 1 if thin else self._line
        dash = 3.0 * self._line
        for start, end in (((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)), ((x0, y1), (x1, y1)), ((x0, y0), (x0, y1))):
            self._draw.line((start, end), fill=(0, 0, 0), width=width)
            length = math.dist(start, end)
            for step in range(max(1, math.ceil(length / (2 * dash)))):
                first, last = 2 * step * dash, min(length, (2 * step + 1) * dash)
                self._draw.line((_along(start, end, first, length), _along(start, end, last, length)), fill=colour, width=width)

    def label(self, box: Box, text: str, colour: Colour) -> None:
        """Write class and score on a patch of the box's colour: above the box, else below it, else beside it.

        The first of these places that no other label has; on the box itself if all are taken.
        """
        x0, y0, x1, y1 = self._corners(box)
        used = font(self._text_size, text)
        left, top, right, bottom = self._draw.textbbox((0, 0), text, font=used)
        width, height = right - left + 4, bottom - top + 4
        places = (
            (x0, y0 - height),
            (x0, y1),
            (x1 - width, y0 - height),
            (x1 - width, y1),
            (x1, y0),
            (x0 - width, y0),
            (x0, y0),
        )
        fitted = [self._inside(x, y, width, height) for x, y in places]
        patch = next((place for place in fitted if not any(_overlap(place, other) for other in self._taken)), fitted[0])
        self._taken.append(patch)
        self._draw.rectangle(patch, fill=colour)
        self._draw.text((patch[0] + 2 - left, patch[1] + 2 - top), text, fill=(0, 0, 0), font=used)

    def _corners(self, box: Box, grow: int = 0) -> tuple[float, float, float, float]:
        """Return xyxy on the picture, clipped at its border, at least a pixel wide and high."""
        left, top, *size = (float(value) for value in box)
        x, y = ((at - zero) * self._scale for at, zero in zip((left, top), self._origin, strict=True))
        w, h = (side * self._scale for side in size)
        right, bottom = self._size[0] - 1.0, self._size[1] - 1.0
        x0, y0 = min(max(x - grow, 0.0), right), min(max(y - grow, 0.0), bottom)
        return x0, y0, max(x0, min(x + w + grow, right)), max(y0, min(y + h + grow, bottom))

    def _inside(self, x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Move the patch inside the picture."""
        x = max(0.0, min(x, self._size[0] - width))
        y = max(0.0, min(y, self._size[1] - height))
        return x, y, x + width, y + height


def _along(start: tuple[float, float], end: tuple[float, float], at: float, length: float) -> tuple[float, float]:
    part = at / length if length else 0.0
    return start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
