"""Picture of a training batch: every image with its boxes and their classes, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from runner.core.errors import InputError
from runner.core.text import printable
from runner.data.colours import INK, PAPER
from runner.data.fonts import fit, font
from runner.evaluation.draw import MIN_SIDE_PX, Classes, Pen

_GAP, _TITLE, _MAX_TILE = 12, 22, 640


class Shown(Protocol):
    """Image with boxes: UInt8[H, W, 3]; Float[N, 4], xyxy in pixels; Int[N], 0-based; a name."""

    @property
    def image(self) -> NDArray[np.uint8]: ...  # noqa: D102 - see the class
    @property
    def boxes(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def classes(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102


def write_batch(images: Sequence[Shown], class_names: Sequence[str], path: Path) -> None:
    """Write the picture of a batch as PNG.

    Raises:
        InputError: `path` cannot be written.
    """
    try:
        draw_batch(images, class_names).save(path, format="PNG")
    except OSError as error:
        raise InputError(f"the picture cannot be written to {path}: {error.strerror}") from error


def draw_batch(images: Sequence[Shown], class_names: Sequence[str]) -> Image.Image:
    """Draw the images of a batch in a grid, RGB. Each is scaled by one factor, to at most 640 pixels per side."""
    tiles = [draw_image(one, class_names) for one in images]
    width, height = (max(tile.size[side] for tile in tiles) for side in (0, 1))
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    picture = Image.new("RGB", (_GAP + columns * (width + _GAP), _GAP + rows * (height + _TITLE + _GAP)), PAPER)
    pen = ImageDraw.Draw(picture)
    for index, (tile, one) in enumerate(zip(tiles, images, strict=True)):
        x, y = _GAP + index % columns * (width + _GAP), _GAP + index // columns * (height + _TITLE + _GAP)
        text = font(14, name := printable(one.name))
        pen.text((x, y), fit(pen, name, text, width), fill=INK, font=text)
        picture.paste(tile, (x, y + _TITLE))
    return picture


def draw_image(one: Shown, class_names: Sequence[str]) -> Image.Image:
    """Draw one image with its boxes, RGB: the longer side has 384 to 640 pixels."""
    height, width = one.image.shape[:2]
    longer = max(height, width)
    scale = max(1.0, math.ceil(MIN_SIDE_PX / longer)) * min(1.0, _MAX_TILE / longer)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    tile = Image.fromarray(one.image).resize(size, Image.Resampling.BICUBIC)
    pen, classes = Pen(tile, scale), Classes(class_names)
    objects = [((x1, y1, x2 - x1, y2 - y1), int(label)) for (x1, y1, x2, y2), label in zip(one.boxes.tolist(), one.classes, strict=True)]
    for box, label in objects:
        pen.dashed(box, classes.colour(label))
    for box, label in objects:
        pen.label(box, classes.name(label), classes.colour(label))
    return tile
