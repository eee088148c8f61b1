"""The legend below a picture."""

from __future__ import annotations

import numpy as np

from runner.data.colours import class_colour
from runner.evaluation.draw import Classes
from runner.evaluation.legend import add_legend, box_items, class_items, draw_legend

NAMES = {7: "spur", 3: "short", 5: "mouse bite"}


def test_classes_have_the_colours_of_their_order_in_the_list() -> None:
    classes = Classes(NAMES)
    items = class_items(classes, [5, 7, 5])
    assert [(item.text, item.colour) for item in items] == [("spur", class_colour(0)), ("mouse bite", class_colour(2))]
    assert (classes.name(99), classes.ordered([99, 5])) == ("99", [5, 99])
    assert Classes(["a", "b"]).colour(1) == class_colour(1)


def test_a_legend_is_below_the_picture_as_wide_as_it() -> None:
    picture = np.zeros((200, 384, 3), np.uint8)
    found = add_legend(picture, [*box_items(0.3), *class_items(Classes(NAMES), NAMES)])
    assert found.shape[1:] == (384, 3) and found.shape[0] > 200
    assert not found[:200].any() and (found[200:] == class_colour(1)).all(axis=2).any()


def test_a_narrow_legend_takes_more_lines() -> None:
    items = class_items(Classes({number: f"a rather long name {number}" for number in range(8)}), range(8))
    assert draw_legend(items, 200).height > 2 * draw_legend(items, 1000).height
    assert draw_legend(items, 30).width == 30
