"""Worst images of an evaluation: those with the most missed boxes, false alarms and wrong classes, as sheets of tiles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from PIL import Image, ImageDraw

from runner.core.errors import InputError
from runner.core.text import printable
from runner.data.coco import CocoImage, CocoSet
from runner.data.colours import GREY, INK, LINE, PAPER
from runner.data.fonts import fit, font
from runner.data.images import read_image
from runner.evaluation.confusion import Entry, Matching, match_image
from runner.evaluation.draw import Classes, Pen
from runner.evaluation.legend import LegendItem, class_items, draw_legend

_TILE, _GAP, _CAPTION, _HEAD = 480, 12, 46, 84
_COLUMNS = 3
_MOST_TILES = 9
_MOST_LABELS = 12
"""Labels in a tile, the most confident detections first; more would cover the image."""
_ROOM = 1.6
"""A tile shows this many times the part of the image that holds the errors, and not less than `_TILE` pixels of it."""

Kind = Literal["missed", "false", "confused"]
_TITLES: Final[Mapping[Kind, str]] = {"missed": "Missed boxes", "false": "False alarms", "confused": "Wrong classes"}
_COUNTS: Final[Mapping[Kind, str]] = {
    "missed": "{0} missed of {1} annotated",
    "false": "{0} false; {1} annotated",
    "confused": "{0} with another class; {1} annotated",
}
_NONE: Final[Mapping[Kind, str]] = {
    "missed": "No annotated box was missed.",
    "false": "Every detection matches an annotated box.",
    "confused": "Every detection that matches an annotated box has its class.",
}


@dataclass(frozen=True, slots=True)
class JudgedImage:
    """An image and what is wrong in it.

    Args:
        image: the image and its boxes.
        found: its matching.
    """

    image: CocoImage
    found: Matching

    def errors(self, kind: Kind) -> Sequence[tuple[Entry | None, Entry | None]]:
        """Return the errors of a kind as (true box, detection), the most confident detections first."""
        if kind == "missed":
            return [(box, None) for box in self.found.missed]
        if kind == "false":
            return [(None, detection) for detection in self.found.false]
        return [pair for pair in self.found.pairs if pair[0]["category_id"] != pair[1]["category_id"]]


def judge_images(data: CocoSet, results: Iterable[Entry], *, threshold: float, iou: float) -> list[JudgedImage]:
    """Match the detections of every image with its boxes, as the confusion matrix does.

    Args:
        results: COCO results with the category ids of `data`.
        threshold: least score of a detection. iou: least overlap of a match.
    """
    by_image: dict[int, list[Entry]] = {image.id: [] for image in data.images}
    for entry in results:
        if entry["image_id"] in by_image:
            by_image[entry["image_id"]].append(entry)
    return [
        JudgedImage(image, match_image(data.coco_boxes(image), by_image[image.id], iou=iou, threshold=threshold)) for image in data.images
    ]


def draw_worst(data: CocoSet, judged: Sequence[JudgedImage], kind: Kind, title: str, rule: str) -> tuple[Image.Image, list[str]]:
    """Draw the images with the most errors of a kind, at most nine, and the legend.

    Args:
        judged: of `judge_images`.
        title: name of what was evaluated. rule: which detections count, in words.

    Returns:
        The sheet, and the names of the images that could not be read: their tiles show the boxes alone.
    """
    with_errors = [one for one in judged if one.errors(kind)]
    worst = sorted(with_errors, key=lambda one: (-len(one.errors(kind)), -_confidence(one, kind)))[:_MOST_TILES]
    classes = Classes({category.id: category.name for category in data.categories})
    unreadable: list[str] = []
    tiles = []
    for one in worst:
        pixels = _pixels(data, one.image)
        if pixels is None:
            unreadable.append(str(data.path(one.image)))
        tiles.append(_tile(one, kind, classes, pixels))
    count = sum(len(one.errors(kind)) for one in with_errors)
    summary = f"{count:,} in {len(with_errors):,} of {len(judged):,} images; {rule}"
    if len(with_errors) > len(worst):
        summary += f"; shown: the {len(worst)} images with the most"
    drawn = {entry["category_id"] for one in worst for entry in _drawn(one)}
    heading = f"{_TITLES[kind]}: {title}"
    if not tiles:
        return _sheet(heading, summary, [_sentence(_NONE[kind])], []), unreadable
    return _sheet(heading, summary, tiles, [*_SIGNS[kind], *class_items(classes, drawn)]), unreadable


_SIGNS: Final[Mapping[Kind, Sequence[LegendItem]]] = {
    "missed": (LegendItem("dashed", "annotated and missed"), LegendItem("thin", "annotated and found")),
    "false": (LegendItem("solid", "predicted, matches no annotated box"), LegendItem("dashed", "annotated")),
    "confused": (LegendItem("solid", "predicted, of another class than annotated"), LegendItem("dashed", "annotated")),
}


def _confidence(one: JudgedImage, kind: Kind) -> float:
    return sum(float(detection["score"]) for _, detection in one.errors(kind) if detection is not None)


def _drawn(one: JudgedImage) -> list[Entry]:
    return [*(box for box, _ in one.found.pairs), *(found for _, found in one.found.pairs), *one.found.missed, *one.found.false]


def _pixels(data: CocoSet, image: CocoImage) -> Image.Image | None:
    try:
        return Image.fromarray(read_image(data.path(image), (image.width, image.height)))
    except InputError:
        return None


def _tile(one: JudgedImage, kind: Kind, classes: Classes, pixels: Image.Image | None) -> Image.Image:
    """Draw one tile with its caption."""
    image = one.image
    size = pixels.size if pixels is not None else (max(1, image.width), max(1, image.height))
    errors = one.errors(kind)
    left, top, right, bottom = part_around([entry["bbox"] for pair in errors for entry in pair if entry is not None], size)
    scale = _TILE / max(right - left, bottom - top)
    shape = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    if pixels is None:
        picture = Image.new("RGB", shape, (190, 194, 198))
    else:
        way = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
        picture = pixels.resize(shape, way, box=(left, top, right, bottom))
    pen = Pen(picture, scale, (left, top))
    _draw_boxes(pen, one, kind, classes)
    tile = Image.new("RGB", (_TILE, _TILE + _CAPTION), PAPER)
    tile.paste(LINE, (0, 0, _TILE, _TILE))
    tile.paste(picture, ((_TILE - shape[0]) // 2, (_TILE - shape[1]) // 2))
    text = ImageDraw.Draw(tile)
    text.rectangle((0, 0, _TILE - 1, _TILE - 1), outline=LINE)
    whole = (right - left, bottom - top) == size
    boxes = sum(not crowd for crowd in image.is_crowd.tolist())
    facts = f"{_COUNTS[kind].format(len(errors), boxes)}{'' if whole else '; part of the image'}"
    facts += "" if pixels is not None else "; the image cannot be read"
    name = font(16, printable(image.file_name))
    text.text((0, _TILE + 4), fit(text, printable(image.file_name), name, _TILE), fill=INK, font=name)
    text.text((0, _TILE + 24), fit(text, facts, font(14), _TILE), fill=GREY, font=font(14))
    return tile


def _draw_boxes(pen: Pen, one: JudgedImage, kind: Kind, classes: Classes) -> None:
    """Draw the errors with labels, and thinner what they are to be compared with."""
    found = one.found
    if kind == "missed":
        for box, _ in found.pairs:
            pen.solid(box["bbox"], classes.colour(box["category_id"]), thin=True)
        for box in found.missed:
            pen.dashed(box["bbox"], classes.colour(box["category_id"]))
        for box in found.missed[:_MOST_LABELS]:
            pen.label(box["bbox"], classes.name(box["category_id"]), classes.colour(box["category_id"]))
        return
    for true in [*(box for box, _ in found.pairs), *found.missed]:
        pen.dashed(true["bbox"], classes.colour(true["category_id"]), thin=True)
    wrong = [(box, detection) for box, detection in one.errors(kind) if detection is not None]
    for _, detection in wrong:
        pen.solid(detection["bbox"], classes.colour(detection["category_id"]))
    for instead_of, detection in wrong[:_MOST_LABELS]:
        instead = f", not {classes.name(instead_of['category_id'])}" if instead_of is not None else ""
        text = f"{classes.name(detection['category_id'])}{instead} {detection['score']:.2f}"
        pen.label(detection["bbox"], text, classes.colour(detection["category_id"]))


def part_around(boxes: Sequence[Sequence[float]], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the part of an image to show, xyxy in pixels: around `boxes` (xywh), or all of it where that is hardly more."""
    width, height = size
    x1, y1 = min(box[0] for box in boxes), min(box[1] for box in boxes)
    x2, y2 = max(box[0] + box[2] for box in boxes), max(box[1] + box[3] for box in boxes)
    side = max(_TILE, _ROOM * max(x2 - x1, y2 - y1))
    if side > 0.7 * max(width, height):
        return 0.0, 0.0, float(width), float(height)
    across, down = min(side, width), min(side, height)
    left = min(max(0.0, (x1 + x2 - across) / 2), width - across)
    top = min(max(0.0, (y1 + y2 - down) / 2), height - down)
    return left, top, left + across, top + down


def _sentence(text: str) -> Image.Image:
    """Write what a sheet without tiles says in their place."""
    picture = Image.new("RGB", (_COLUMNS * _TILE, _TILE // 4), PAPER)
    ImageDraw.Draw(picture).text((0, 12), text, fill=INK, font=font(22, text))
    return picture


def _sheet(title: str, summary: str, tiles: Sequence[Image.Image], items: Sequence[LegendItem]) -> Image.Image:
    """Put the tiles in rows below a title, and the legend below them."""
    width = _COLUMNS * _TILE + (_COLUMNS + 1) * _GAP
    rows = -(-len(tiles) // _COLUMNS)
    legend = draw_legend(items, width, 18)
    sheet = Image.new("RGB", (width, _HEAD + rows * (max(tile.height for tile in tiles) + _GAP) + legend.height), PAPER)
    pen = ImageDraw.Draw(sheet)
    heading = font(28, printable(title))
    pen.text((_GAP, 14), fit(pen, printable(title), heading, width - 2 * _GAP), fill=INK, font=heading)
    pen.text((_GAP, 52), fit(pen, summary, font(18), width - 2 * _GAP), fill=GREY, font=font(18))
    for number, tile in enumerate(tiles):
        x, y = _GAP + number % _COLUMNS * (_TILE + _GAP), _HEAD + number // _COLUMNS * (_TILE + _CAPTION + _GAP)
        sheet.paste(tile, (x, y))
    sheet.paste(legend, (0, sheet.height - legend.height))
    return sheet
