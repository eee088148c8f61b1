"""Distractors that a detector must learn to ignore: silkscreen, dust, scratches. None overlaps a defect."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from runner.data.synthetic.board import SUPER
from runner.data.synthetic.defects import Box
from runner.data.synthetic.dice import Dice

_STROKES = (((0, 0), (0, 2)), ((1, 0), (1, 2)), ((0, 0), (1, 0)), ((0, 1), (1, 1)), ((0, 2), (1, 2)), ((0, 2), (1, 0)))


def silkscreen(dice: Dice, size: int, avoid: Sequence[Box]) -> Image.Image:
    """Return a mask (mode L, `SUPER` times `size`) of part outlines and letters, off the boxes of `avoid`."""
    mask = Image.new("L", (size * SUPER, size * SUPER))
    draw = ImageDraw.Draw(mask)
    unit = SUPER * (size / 128.0) ** 0.5
    for _ in range(dice.whole(0, max(2, size // 96))):
        width, height = unit * dice.between(18, 44), unit * dice.between(14, 30)
        x, y = dice.between(0, size * SUPER - width / 2), dice.between(0, size * SUPER - height / 2)
        if _hits((x, y, x + width, y + height), avoid):
            continue
        if dice.chance(0.7):
            draw.rectangle((x, y, x + width, y + height), outline=255, width=round(unit * dice.between(1.0, 1.8)))
        else:
            draw.ellipse((x, y, x + height, y + height), outline=255, width=round(unit * dice.between(1.0, 1.8)))
    for _ in range(dice.whole(0, max(2, size // 64))):
        height = unit * dice.between(6, 9)
        count = dice.whole(2, 4)
        x, y = dice.between(0, size * SUPER * 0.9), dice.between(0, size * SUPER * 0.9)
        if not _hits((x, y, x + count * height * 0.75, y + height), avoid):
            _letters(dice, draw, x, y, height, count)
    return mask


def _letters(dice: Dice, draw: ImageDraw.ImageDraw, x: float, y: float, height: float, count: int) -> None:
    """Draw marks that look like letters: strokes between six points, so that no font is needed (fonts differ between
    machines).
    """
    for number in range(count):
        left = x + number * height * 0.75
        for (ax, ay), (bx, by) in dice.shuffled(_STROKES)[: dice.whole(3, 5)]:
            draw.line(
                (left + ax * height / 2, y + ay * height / 2, left + bx * height / 2, y + by * height / 2),
                fill=255,
                width=max(2, round(height / 7)),
            )


def blemishes(dice: Dice, picture: Image.Image, avoid: Sequence[Box]) -> None:
    """Draw dust specks and scratches onto `picture` (RGB, in place), off the boxes of `avoid`."""
    draw = ImageDraw.Draw(picture)
    size = picture.width
    for _ in range(dice.whole(0, max(3, size // 28))):
        x, y, radius = dice.between(0, size), dice.between(0, size), dice.between(0.5, 1.6)
        box = (x - radius, y - radius, x + radius * dice.between(0.7, 1.4), y + radius)
        if not _hits(_times(box, SUPER), avoid):
            grey = dice.whole(20, 70) if dice.chance(0.5) else dice.whole(170, 215)
            draw.ellipse(box, fill=(grey, grey, grey))
    for _ in range(dice.whole(0, 2)):
        x, y = dice.between(0, size), dice.between(0, size)
        dx, dy = dice.between(-0.22, 0.22) * size, dice.between(-0.22, 0.22) * size
        box = (min(x, x + dx), min(y, y + dy), max(x, x + dx), max(y, y + dy))
        if not _hits(_times(box, SUPER), avoid):
            grey = dice.whole(120, 190)
            draw.line((x, y, x + dx, y + dy), fill=(grey, grey, grey), width=1)


def _times(box: tuple[float, float, float, float], factor: int) -> tuple[float, float, float, float]:
    return box[0] * factor, box[1] * factor, box[2] * factor, box[3] * factor


def _hits(area: tuple[float, float, float, float], avoid: Sequence[Box]) -> bool:
    """Return whether `area` (xyxy, mask pixels) comes within 2 mask pixels of a box of `avoid` (xyxy, picture pixels)."""
    x1, y1, x2, y2 = area
    return any(x1 < b2 * SUPER + 2 and x2 > a1 * SUPER - 2 and y1 < d2 * SUPER + 2 and y2 > c1 * SUPER - 2 for a1, c1, b2, d2 in avoid)
