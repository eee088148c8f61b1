"""Pictures of detections: true boxes dashed, predicted ones solid with class and score, one colour per class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
Corners = tuple[float, float, float, float]
"""xyxy in pixels of the picture."""
_LEAST_TEXT_PX, _SMALLER = 11, 0.75
"""Size of the text beside a small box: this share of the usual one, and at least so many pixels."""
_DISTANCES = (1.5, 3.0, 6.0, 10.0)
"""Distances of a label to its box, in heights of the label, that are tried where there is no room next to it."""


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
        self._boxes: list[Corners] = []
        self._labels: list[Corners] = []

    def solid(self, box: Box, colour: Colour, *, thin: bool = False) -> None:
        """Draw a predicted box."""
        self._draw.rectangle(self._corners(box), outline=colour, width=1 if thin else self._line)
        self._boxes.append(self._corners(box))

    def dashed(self, box: Box, colour: Colour, *, thin: bool = False) -> None:
        """Draw a true box: dashes of its class's colour on black, which are visible on any background."""
        x0, y0, x1, y1 = self._corners(box, grow=self._line)  # outside a predicted box that fits exactly
        self._boxes.append((x0, y0, x1, y1))
        width = 1 if thin else self._line
        dash = 3.0 * self._line
        for start, end in (((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)), ((x0, y1), (x1, y1)), ((x0, y0), (x0, y1))):
            self._draw.line((start, end), fill=(0, 0, 0), width=width)
            length = math.dist(start, end)
            for step in range(max(1, math.ceil(length / (2 * dash)))):
                first, last = 2 * step * dash, min(length, (2 * step + 1) * dash)
                self._draw.line((_along(start, end, first, length), _along(start, end, last, length)), fill=colour, width=width)

    def label(self, box: Box, text: str, colour: Colour) -> None:
        """Write class and score on a patch of the box's colour, beside the box; smaller beside a small box.

        The place that hides least of the boxes and labels drawn so far; a line leads to one that does not touch its box.
        """
        corners = self._corners(box, grow=self._line)
        size = self._text_size
        if max(corners[2] - corners[0], corners[3] - corners[1]) < 2 * size:
            size = max(_LEAST_TEXT_PX, round(_SMALLER * size))
        used = font(size, text)
        left, top, right, bottom = self._draw.textbbox((0, 0), text, font=used)
        width, height = right - left + 4, bottom - top + 4
        places = [self._inside(x, y, width, height) for x, y in _places(corners, width, height)]
        patch = min(places, key=lambda place: round(self._hidden(place), 1))  # the first of those that are equally good
        self._labels.append(patch)
        self._lead(corners, patch, colour)
        self._draw.rectangle(patch, fill=colour)
        self._draw.text((patch[0] + 2 - left, patch[1] + 2 - top), text, fill=(0, 0, 0), font=used)

    def _hidden(self, place: Corners) -> float:
        """Return how much a label there would hide: the sum of the hidden shares of the boxes, and more than 1 per label."""
        labels = (_shared(other, place) for other in self._labels)
        return sum(_shared(box, place) for box in self._boxes) + sum(1 + share for share in labels if share)

    def _lead(self, box: Corners, patch: Corners, colour: Colour) -> None:
        """Draw a line from a label to its box, where they do not touch."""
        start, end = _nearest(patch, box), _nearest(box, patch)
        if math.dist(start, end) > self._line + 1:
            self._draw.line((start, end), fill=colour, width=1)

    def _corners(self, box: Box, grow: int = 0) -> Corners:
        """Return xyxy on the picture, clipped at its border, at least a pixel wide and high."""
        left, top, *size = (float(value) for value in box)
        x, y = ((at - zero) * self._scale for at, zero in zip((left, top), self._origin, strict=True))
        w, h = (side * self._scale for side in size)
        right, bottom = self._size[0] - 1.0, self._size[1] - 1.0
        x0, y0 = min(max(x - grow, 0.0), right), min(max(y - grow, 0.0), bottom)
        return x0, y0, max(x0, min(x + w + grow, right)), max(y0, min(y + h + grow, bottom))

    def _inside(self, x: float, y: float, width: float, height: float) -> Corners:
        """Move the patch inside the picture."""
        x = max(0.0, min(x, self._size[0] - width))
        y = max(0.0, min(y, self._size[1] - height))
        return x, y, x + width, y + height


def _along(start: tuple[float, float], end: tuple[float, float], at: float, length: float) -> tuple[float, float]:
    part = at / length if length else 0.0
    return start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part


def _places(box: Corners, width: float, height: float) -> Iterator[tuple[float, float]]:
    """Yield upper left corners for a label: above the box, below it, beside it, then around it at growing distances."""
    x0, y0, x1, y1 = box
    yield from ((x0, y0 - height), (x0, y1), (x1 - width, y0 - height), (x1 - width, y1), (x1, y0), (x0 - width, y0))
    for distance in (height * factor for factor in _DISTANCES):
        above, below, before, after = y0 - distance - height, y1 + distance, x0 - distance - width, x1 + distance
        yield from ((x0, above), (x0, below), (after, y0), (before, y0), (after, above), (after, below), (before, above), (before, below))


def _shared(box: Corners, place: Corners) -> float:
    """Return the share of `box` that `place` hides, from 0 to 1."""
    wide = min(box[2], place[2]) - max(box[0], place[0])
    high = min(box[3], place[3]) - max(box[1], place[1])
    if wide <= 0 or high <= 0:
        return 0.0
    return wide * high / ((box[2] - box[0]) * (box[3] - box[1]))


def _nearest(of: Corners, to: Corners) -> tuple[float, float]:
    """Return the point of `of` that is nearest to the centre of `to`."""
    x, y = (to[0] + to[2]) / 2, (to[1] + to[3]) / 2
    return min(max(x, of[0]), of[2]), min(max(y, of[1]), of[3])
