"""Training sets made of sizes alone, for the tests of `runner.advice`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runner.advice.measures import Measures, measure
from runner.data.coco import Category, CocoImage, CocoSet


def measured(
    boxes: Sequence[tuple[float, float]],
    *,
    size: tuple[int, int] = (480, 640),
    classes: Sequence[int] = (),
    images: int = 10,
    names: str = "",
) -> Measures:
    """A set of `images` images of (height, width) `size`, over which boxes of (height, width) are spread."""
    return measured_images(boxes, [size] * images, classes=classes, names=names)


def measured_images(
    boxes: Sequence[tuple[float, float]], sizes: Sequence[tuple[int, int]], *, classes: Sequence[int] = (), names: str = ""
) -> Measures:
    """The same with a size for each image; `names` are the classes, separated by spaces."""
    return measure(coco_of(boxes, sizes, classes=classes, names=names))


def coco_of(
    boxes: Sequence[tuple[float, float]], sizes: Sequence[tuple[int, int]], *, classes: Sequence[int] = (), names: str = ""
) -> CocoSet:
    """The set itself."""
    kinds = classes or [0] * len(boxes)
    class_names = names.split() or [f"class{index}" for index in range(max(kinds, default=0) + 1)]
    found = []
    for number, (height, width) in enumerate(sizes):
        own = range(number, len(boxes), len(sizes))
        corners = np.array([(1, 2, 1 + boxes[box][1], 2 + boxes[box][0]) for box in own], np.float32).reshape(-1, 4)
        kind = np.array([kinds[box] for box in own], np.int64)
        found.append(CocoImage(number + 1, f"{number}.jpg", width, height, corners, kind, np.zeros(len(own), np.bool_)))
    categories = tuple(Category(index + 1, name) for index, name in enumerate(class_names))
    return CocoSet(Path("train.json"), Path("images"), tuple(found), categories)
