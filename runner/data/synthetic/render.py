"""Masks to a picture: colours, light, blur, noise. Whole-number arithmetic where pixels are made, so that machines
agree.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from runner.data.synthetic.board import SUPER, Board
from runner.data.synthetic.defects import Box, Masks
from runner.data.synthetic.dice import Dice
from runner.data.synthetic.distractors import blemishes, silkscreen

Colour = tuple[int, int, int]

# solder mask over bare board, and over copper
_SOLDER_MASKS: tuple[tuple[Colour, Colour], ...] = (
    ((16, 74, 42), (50, 138, 74)),
    ((22, 92, 62), (76, 160, 104)),
    ((14, 56, 46), (40, 118, 84)),
    ((24, 48, 108), (66, 108, 180)),
    ((112, 24, 30), (186, 74, 66)),
    ((30, 33, 36), (104, 106, 98)),
    ((92, 78, 26), (176, 148, 64)),
)
_METALS: tuple[Colour, ...] = ((206, 206, 198), (222, 184, 108), (206, 148, 98), (186, 190, 192))


def draw_masks(board: Board) -> Masks:
    """Return the copper and the holes of a sound board."""
    side = board.size * SUPER
    copper, holes = Image.new("L", (side, side)), Image.new("L", (side, side))
    on_copper, on_holes = ImageDraw.Draw(copper), ImageDraw.Draw(holes)
    for trace in board.traces:
        points = [board.place(node) for node in trace.nodes]
        on_copper.line(points, fill=255, width=round(trace.width), joint="curve")
        for x, y in (points[0], points[-1]):
            on_copper.ellipse(_around(x, y, trace.width / 2), fill=255)
    for pad in board.pads:
        shape = on_copper.ellipse if pad.hole else on_copper.rectangle
        shape(_around(pad.x, pad.y, pad.radius), fill=255)
        if pad.hole:
            on_holes.ellipse(_around(pad.x, pad.y, pad.hole), fill=255)
    return Masks(copper, holes)


def render(dice: Dice, board: Board, masks: Masks, defects: Sequence[Box]) -> NDArray[np.uint8]:
    """Return the picture of a board, UInt8[size, size, 3] RGB. `defects` are the boxes that no distractor may lie on."""
    ground, over_copper = (_vary(dice, colour, 12) for colour in dice.pick(_SOLDER_MASKS))
    picture = Image.new("RGB", (board.size, board.size), ground)
    picture.paste(over_copper, mask=masks.copper.reduce(SUPER))
    metal = _vary(dice, dice.pick(_METALS), 14)
    picture.paste(metal, mask=_openings(dice, board).reduce(SUPER))
    picture.paste(_vary(dice, (216, 218, 210), 18), mask=silkscreen(dice, board.size, defects).reduce(SUPER))
    # light falls through the holes of some boards; against pale metal it would hide them
    backlit = dice.chance(0.3) and metal[2] < 150
    drilled = _vary(dice, (244, 243, 238), 8) if backlit else _vary(dice, (24, 22, 20), 14)
    picture.paste(drilled, mask=masks.holes.reduce(SUPER))
    blemishes(dice, picture, defects)
    return _photograph(dice, _blur(dice, np.asarray(picture)), board.size)


def _openings(dice: Dice, board: Board) -> Image.Image:
    """Draw the openings of the solder mask: every pad without a thin rim."""
    mask = Image.new("L", (board.size * SUPER, board.size * SUPER))
    draw = ImageDraw.Draw(mask)
    rim = dice.between(0.82, 0.98)
    for pad in board.pads:
        (draw.ellipse if pad.hole else draw.rectangle)(_around(pad.x, pad.y, pad.radius * rim), fill=255)
    return mask


def _blur(dice: Dice, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the lens: a binomial kernel of random width, in whole numbers. Larger pictures are blurred more often."""
    middle, bits = dice.pick(((2, 4), (6, 6), (14, 8)))
    values = picture.astype(np.uint16)
    for _ in range(max(1, round(len(picture) / 160))):
        for axis in (0, 1):
            turned = values.swapaxes(0, axis)
            total = turned * np.uint16(middle)
            total[1:] += turned[:-1]
            total[:-1] += turned[1:]
            total[0] += turned[0]  # beyond the edge, the edge is repeated
            total[-1] += turned[-1]
            values = total.swapaxes(0, axis)
        values >>= np.uint16(bits)
    return values.astype(np.uint8)


def _photograph(dice: Dice, picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Uneven light, blotches of the solder mask and the camera's noise. In 64ths of a grey level, which fit 16 bits."""
    light = dice.between(0.82, 1.12)
    slope_x, slope_y = dice.between(-0.2, 0.2), dice.between(-0.2, 0.2)
    ramp = np.arange(size) / size - 0.5
    gain = np.round((light + slope_x * ramp[None, :] + slope_y * ramp[:, None]) * 64).astype(np.int16)
    coarse = Image.frombytes("L", (9, 9), dice.bytes(81)).resize((size, size), Image.Resampling.BILINEAR)
    strength, noise = dice.whole(2, 5), dice.whole(2, 7)
    grain = np.frombuffer(dice.bytes(size * size), np.uint8).reshape(size, size)
    colour_grain = np.frombuffer(dice.bytes(size * size * 3), np.int8).reshape(size, size, 3)
    added = (np.asarray(coarse).astype(np.int16) - 128) * strength + (grain.astype(np.int16) - 128) * noise
    lit = picture * gain[:, :, None]
    lit += colour_grain * np.int16(noise)
    lit += added[:, :, None]
    lit >>= 6
    return np.clip(lit, 0, 255, out=lit).astype(np.uint8)


def _vary(dice: Dice, colour: Colour, by: int) -> Colour:
    shift = dice.whole(-by, by)
    red, green, blue = (min(255, max(0, value + shift + dice.whole(-by // 3, by // 3))) for value in colour)
    return red, green, blue


def _around(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    return x - radius, y - radius, x + radius, y + radius
