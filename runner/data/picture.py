"""Picture of a data set, drawn with Pillow alone: boxes per class, box sizes, nine images with their boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from runner.core.errors import InputError
from runner.core.text import printable
from runner.data.coco import CocoImage, CocoSet
from runner.data.colours import GREY, INK, LINE, PAPER, class_colour
from runner.data.fonts import fit, font
from runner.data.images import read_image
from runner.data.stats import SplitStats, box_sides, stats

_SIDE_COLOURS = ((55, 71, 92), (140, 152, 167), (198, 205, 212))  # greys: colours are for classes
_LEFT, _GAP, _TILE, _TOP = 620, 28, 268, 96
_MAX_CLASSES = 24
Area = tuple[int, int, int, int]


def write_picture(sides: Mapping[str, CocoSet], path: Path, title: str) -> None:
    """Write the picture of a data set as PNG: boxes per class, box sizes, nine images with their boxes.

    Raises:
        InputError: an image cannot be read, or `path` cannot be written.
    """
    try:
        draw(sides, stats(sides), title).save(path, format="PNG")
    except OSError as error:
        raise InputError(f"the picture cannot be written to {path}: {error.strerror}") from error


def draw(sides: Mapping[str, CocoSet], numbers: Mapping[str, SplitStats], title: str) -> Image.Image:
    """Draw the whole figure, RGB."""
    classes = next(iter(sides.values())).class_names
    width = _GAP + _LEFT + _GAP + 3 * _TILE + 2 * 8 + _GAP
    height = _TOP + 3 * _TILE + 2 * 8 + _GAP
    picture = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((_GAP, 18), printable(title), fill=INK, font=font(26, printable(title)))
    pen.text((_GAP, 56), _summary(numbers), fill=GREY, font=font(16 if len(numbers) < 3 else 13))
    middle = _TOP + (height - _TOP) * 56 // 100
    _class_bars(pen, (_GAP, _TOP, _GAP + _LEFT, middle), numbers, classes)
    _size_bars(pen, (_GAP, middle + 16, _GAP + _LEFT, height - _GAP), sides)
    _samples(picture, (_GAP + _LEFT + _GAP, _TOP), sides)
    return picture


def _summary(numbers: Mapping[str, SplitStats]) -> str:
    parts = [
        f"{name}: {one.images:,} images, {one.boxes:,} boxes, {one.without_objects:,} images without objects"
        for name, one in numbers.items()
    ]
    return "      ".join(parts)


def _class_bars(pen: ImageDraw.ImageDraw, area: Area, numbers: Mapping[str, SplitStats], classes: Sequence[str]) -> None:
    x1, y1, x2, y2 = area
    pen.text((x1, y1), "boxes per class", fill=INK, font=font(18))
    _legend(pen, (x2, y1), list(numbers))
    shown = classes[:_MAX_CLASSES]
    if len(classes) > len(shown):
        pen.text((x1 + 150, y1 + 3), f"the first {len(shown)} of {len(classes)}", fill=GREY, font=font(14))
    top, row = y1 + 34, (y2 - y1 - 34) / max(1, len(shown))
    text = font(min(15, max(9, int(row * 0.7))), "".join(map(printable, shown)))
    labels = min(200.0, max(pen.textlength(printable(name), font=text) for name in shown) + 34)
    most = max([1, *(one.per_class[name] for one in numbers.values() for name in shown)])
    bar = row * 0.72 / len(numbers)
    for index, name in enumerate(shown):
        y = top + index * row
        pen.rectangle((x1, y + row * 0.36 - 6, x1 + 11, y + row * 0.36 + 5), fill=class_colour(index))
        pen.text((x1 + 20, y + row * 0.36), fit(pen, printable(name), text, labels - 26), fill=INK, font=text, anchor="lm")
        for position, one in enumerate(numbers.values()):
            value, at = one.per_class[name], y + position * bar
            length = (x2 - x1 - labels - 60) * value / most
            pen.rectangle((x1 + labels, at, x1 + labels + max(1.0, length), at + bar - 2), fill=_SIDE_COLOURS[position])
            small = font(min(13, max(8, int(bar))))
            pen.text((x1 + labels + length + 6, at + bar / 2 - 1), f"{value:,}", fill=GREY, font=small, anchor="lm")


def _size_bars(pen: ImageDraw.ImageDraw, area: Area, sides: Mapping[str, CocoSet]) -> None:
    """Draw a histogram of the root of the box area, as shares of each split, so that a small split can be compared with a large one."""
    x1, y1, x2, y2 = area
    pen.text((x1, y1), "box size (root of the area, px), share of each side's boxes", fill=INK, font=font(18))
    lengths = [box_sides(data) for data in sides.values()]
    joined = np.concatenate(lengths)
    base, top = y2 - 26, y1 + 40
    if not len(joined):
        return
    edges = _edges(float(np.quantile(joined, 0.995)))
    shares = [np.histogram(np.minimum(one, edges[-1] - 1e-6), edges)[0] / max(1, len(one)) for one in lengths]
    most = max(float(share.max()) for share in shares)
    step = (x2 - x1) / (len(edges) - 1)
    for fraction in (0.5, 1.0):
        y = base - (base - top) * fraction
        pen.line((x1, y, x2, y), fill=LINE)
        pen.text((x2, y - 2), f"{100 * most * fraction:.0f} %", fill=GREY, font=font(13), anchor="rb")
    for position, share in enumerate(shares):
        part = step * 0.84 / len(shares)
        for index, value in enumerate(share.tolist()):
            x = x1 + index * step + step * 0.08 + position * part
            if value > 0:
                pen.rectangle((x, base - (base - top) * value / most, x + part - 1, base), fill=_SIDE_COLOURS[position])
    pen.line((x1, base, x2, base), fill=INK)
    every = max(1, (len(edges) - 1) // 8)
    for index in range(0, len(edges), every):
        last = index + every >= len(edges)
        pen.text(
            (x1 + index * step, base + 5),
            f"{edges[index]:g}{'+' if last else ''}",
            fill=GREY,
            font=font(13),
            anchor="rt" if last else "mt",
        )
    for limit, name in ((32.0, "small | medium"), (96.0, "medium | large")):
        if edges[0] < limit < edges[-1]:
            x = x1 + (limit - edges[0]) / (edges[-1] - edges[0]) * (x2 - x1)
            pen.line((x, top, x, base), fill=GREY)
            pen.text((x, top - 4), name, fill=GREY, font=font(13), anchor="mb")


def _edges(high: float) -> list[float]:
    """Choose bin edges from 0 in round steps, 16 to 24 bins."""
    for step in (0.5, 1, 2, 4, 5, 8, 10, 16, 20, 32, 40, 50, 64, 100, 128, 200, 256, 512, 1024):
        if high / step <= 24:
            return [step * index for index in range(max(16, int(high / step) + 1) + 1)]
    return [high / 24 * index for index in range(25)]


def _samples(picture: Image.Image, corner: tuple[int, int], sides: Mapping[str, CocoSet]) -> None:
    """Draw nine images of the first split, evenly spread over those that have objects."""
    data = next(iter(sides.values()))
    candidates = [image for image in data.images if image.has_objects] or list(data.images)
    chosen = [candidates[index * len(candidates) // 9] for index in range(9)] if len(candidates) > 9 else candidates
    for index, image in enumerate(chosen):
        place = corner[0] + index % 3 * (_TILE + 8), corner[1] + index // 3 * (_TILE + 8)
        picture.paste(_tile(data, image), place)


def _tile(data: CocoSet, image: CocoImage) -> Image.Image:
    pixels = Image.fromarray(read_image(data.path(image), (image.width, image.height)))
    scale = _TILE / max(pixels.size)
    size = max(1, round(pixels.width * scale)), max(1, round(pixels.height * scale))
    tile = Image.new("RGB", (_TILE, _TILE), LINE)
    left, top = (_TILE - size[0]) // 2, (_TILE - size[1]) // 2
    tile.paste(pixels.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC), (left, top))
    pen = ImageDraw.Draw(tile)
    for box, class_index in zip(image.boxes.tolist(), image.classes.tolist(), strict=True):
        x1, y1, x2, y2 = box[0] * scale + left, box[1] * scale + top, box[2] * scale + left, box[3] * scale + top
        pen.rectangle((x1 - 1, y1 - 1, max(x1, x2) + 1, max(y1, y2) + 1), outline=(0, 0, 0))  # visible on pale boards too
        pen.rectangle((x1, y1, max(x1 + 1, x2), max(y1 + 1, y2)), outline=class_colour(class_index), width=2)
    return tile


def _legend(pen: ImageDraw.ImageDraw, corner: tuple[int, int], names: Sequence[str]) -> None:
    x = float(corner[0])
    for position in reversed(range(len(names))):
        x -= pen.textlength(names[position], font=font(15))
        pen.text((x, corner[1] + 2), names[position], fill=INK, font=font(15))
        pen.rectangle((x - 20, corner[1] + 5, x - 7, corner[1] + 16), fill=_SIDE_COLOURS[position])
        x -= 40
