"""Pictures with boxes: their size, and where colour appears."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from runner.evaluation import draw_boxes
from runner.evaluation.draw import Pen

NAMES = {3: "short", 7: "spur"}


def box(x: float, y: float, w: float, h: float, category: int = 3, score: float | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"category_id": category, "bbox": [x, y, w, h]}
    return entry if score is None else {**entry, "score": score}


def test_small_images_are_scaled_up_by_a_whole_factor() -> None:
    assert draw_boxes(np.zeros((128, 100, 3), np.uint8), [], [], NAMES).shape == (384, 300, 3)
    assert draw_boxes(np.zeros((1, 2, 3), np.uint8), [], [], NAMES).shape == (192, 384, 3)
    image = np.full((640, 400, 3), 7, np.uint8)
    picture = draw_boxes(image, [], [], NAMES)
    assert picture.dtype == np.uint8 and np.array_equal(picture, image)


def test_a_predicted_box_is_solid_and_a_true_one_dashed() -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    solid = draw_boxes(image, [], [box(100, 200, 150, 100, score=0.8)], NAMES)
    assert solid[250, 98:103].any() and solid[210:290, 100].any(axis=1).all()
    assert not solid[250, 130:200].any()
    assert solid[175:199, 100:200].any()  # the label stands above
    dashed = draw_boxes(image, [box(100, 200, 150, 100)], [], NAMES)
    edge = dashed[200:300, 97:101].any(axis=(1, 2))
    assert edge.any() and not edge.all()


def test_a_label_hides_no_small_box() -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    boxes = [box(x, y, 10, 10) for x in (0, 30, 60, 390) for y in (0, 30, 60, 390)]
    for labelled in boxes:
        picture = Image.fromarray(image)
        pen = Pen(picture, 1.0)
        for each in boxes:
            pen.dashed(each["bbox"], (255, 255, 255))
        before = np.asarray(picture).copy()
        pen.label(labelled["bbox"], "a long name", (255, 0, 0))
        changed = (np.asarray(picture) != before).any(axis=2)
        assert changed.sum() > 300
        for x, y, w, h in (each["bbox"] for each in boxes):
            assert changed[y + 1 : y + h - 1, x + 1 : x + w - 1].mean() < 0.2


def test_true_boxes_show_on_white_and_the_image_is_left_alone() -> None:
    image = np.full((400, 400, 3), 255, np.uint8)
    picture = draw_boxes(image, [box(100, 200, 150, 100)], [], NAMES)
    assert (picture == 0).all(axis=2).any()
    assert (image == 255).all()


def test_low_scores_are_left_out() -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    found = [box(100, 200, 150, 100, score=0.29)]
    assert not draw_boxes(image, [], found, NAMES, 0.3).any()
    assert draw_boxes(image, [], found, NAMES, 0.29).any()


def test_boxes_over_the_border_empty_ones_and_unknown_classes() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    odd = [box(-20, -20, 500, 500), box(63, 63, 0, 0), box(500, 500, 5, 5), box(-50, -50, 5, 5)]
    found = [{**entry, "score": 0.9, "category_id": 99} for entry in odd] * 60
    picture = draw_boxes(image, odd, found, ["zero", "Löcher – 孔"])
    assert picture.shape == (384, 384, 3) and picture.any()


@pytest.mark.parametrize("image", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3)), np.zeros((0, 5, 3), np.uint8)])
def test_another_shape_or_type_is_refused(image: Any) -> None:
    with pytest.raises(ValueError, match="expected an image UInt8"):
        draw_boxes(image, [], [], NAMES)
