"""Image i of a generated set. It depends on (seed, split, index, size) alone, whatever the number of images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.data.synthetic.board import lay_out
from runner.data.synthetic.defects import CLASSES, add_defects
from runner.data.synthetic.dice import Dice
from runner.data.synthetic.render import draw_masks, render

GENERATOR_VERSION = 1
"""Counted up whenever the same seed gives another picture: sets made by an older one are then known as such."""
SHARE_WITHOUT_DEFECTS = 0.1
SIZES = (64, 2048)

__all__ = ["CLASSES", "GENERATOR_VERSION", "SIZES", "GeneratedImage", "generate"]


@dataclass(frozen=True, slots=True, eq=False)
class GeneratedImage:
    """A generated picture.

    Args:
        pixels: UInt8[size, size, 3] RGB.
        boxes: Float32[N, 4] xyxy in pixels.
        classes: Int64[N], indices into `CLASSES`.
    """

    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]


def generate(seed: int, split: str, index: int, size: int) -> GeneratedImage:
    """Make picture `index` of a split: 1 to 4 defects on 128 px, more on larger ones; one picture in ten has none."""
    dice = Dice(f"synthetic_pcb/{GENERATOR_VERSION}/{seed}/{split}/{index}/{size}")
    board = lay_out(dice, size)
    masks = draw_masks(board)
    number = 0 if dice.chance(SHARE_WITHOUT_DEFECTS) else dice.whole(1, max(4, 4 * size // 192))
    defects = add_defects(dice, board, masks, number)
    pixels = render(dice, board, masks, [box for _, box in defects])
    boxes = np.array([box for _, box in defects], dtype=np.float32).reshape(-1, 4)
    return GeneratedImage(pixels, boxes, np.array([index for index, _ in defects], dtype=np.int64))
