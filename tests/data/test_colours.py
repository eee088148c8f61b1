"""Colours of classes: enough of them, told apart, and readable under black text."""

from __future__ import annotations

import itertools

from runner.data.colours import CLASS_COLOURS, class_colour


def test_colours_differ_and_carry_black_text() -> None:
    for one, other in itertools.combinations(CLASS_COLOURS, 2):
        assert sum(abs(a - b) for a, b in zip(one, other, strict=True)) > 80
    for red, green, blue in CLASS_COLOURS:
        assert 0.299 * red + 0.587 * green + 0.114 * blue > 100


def test_colours_repeat() -> None:
    assert class_colour(len(CLASS_COLOURS)) == class_colour(0)
