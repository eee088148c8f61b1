from __future__ import annotations

from pathlib import Path

import numpy as np
from support.measured import measured, measured_images

from runner.advice.measures import measure
from runner.data.coco import Category, CocoImage, CocoSet


def test_boxes_as_they_are_resized() -> None:
    data = measured([(48, 64), (24, 32)], size=(480, 640))
    assert data.typical == (480, 640) and np.allclose(data.sides, [55.43, 27.71], atol=0.01)
    assert np.allclose(data.resized((240, 160), keep_ratio=False), [(24, 16), (12, 8)])
    assert np.allclose(data.resized((240, 160), keep_ratio=True), [(16, 64 / 3), (8, 32 / 3)])  # shorter 160, longer 240 at most
    assert np.allclose(data.resized(None, keep_ratio=False), data.boxes)


def test_each_box_follows_its_own_image() -> None:
    data = measured_images([(10, 10), (10, 10)], [(100, 200), (400, 200)])
    assert np.allclose(data.resized((100, 100), keep_ratio=False), [(10, 5), (2.5, 5)])
    assert np.allclose(data.resized((100, 100), keep_ratio=True), [(5, 5), (2.5, 2.5)])


def test_crowd_boxes_and_empty_images_count_for_nothing() -> None:
    boxes = np.array([(0, 0, 10, 10), (0, 0, 50, 50)], np.float32)
    crowded = CocoImage(1, "a.jpg", 64, 48, boxes, np.array([0, 1]), np.array([False, True]))
    empty = CocoImage(2, "b.jpg", 64, 48, boxes[:0], np.zeros(0, np.int64), np.zeros(0, np.bool_))
    data = measure(CocoSet(Path("a.json"), Path(), (empty, crowded), (Category(1, "x"), Category(2, "y"))))
    assert data.boxes.tolist() == [[10, 10]] and data.owner.tolist() == [1] and data.classes.tolist() == [0]
    nothing = measure(CocoSet(Path("a.json"), Path(), (), (Category(1, "x"),)))
    assert nothing.boxes.shape == nothing.images.shape == (0, 2)
