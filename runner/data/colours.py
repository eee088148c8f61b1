"""One colour per class, the same in every picture: of a data set, of samples, of detections and of an evaluation."""

from __future__ import annotations

from typing import Final

Colour = tuple[int, int, int]
"""RGB, 0–255."""

CLASS_COLOURS: Final[tuple[Colour, ...]] = (  # distinguishable on boards, photographs and paper, also with red-green blindness
    (230, 159, 0),  # the first seven after Okabe and Ito, the blue one lighter: black text is written on them
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (120, 130, 255),
    (255, 135, 135),
    (170, 215, 90),
    (176, 128, 80),
)
"""Colours of the classes in the order of the data set's class list; repeated after ten."""

INK: Final[Colour] = (32, 36, 40)
GREY: Final[Colour] = (104, 110, 116)
LINE: Final[Colour] = (222, 225, 228)
PAPER: Final[Colour] = (255, 255, 255)


def class_colour(index: int) -> Colour:
    """Return the colour of the class at `index` of the data set's class list."""
    return CLASS_COLOURS[index % len(CLASS_COLOURS)]
