"""Statistics of a data set. `runner.data.picture` draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.core.errors import InputError
from runner.data.choice import DatasetChoice
from runner.data.coco import CocoSet, load_coco

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
SMALL, MEDIUM = 32**2, 96**2
"""COCO's limits in square pixels: small below the first, large from the second."""


@dataclass(frozen=True, slots=True)
class SplitStats:
    """Statistics of one split. Crowd boxes are counted separately and in nothing else.

    Args:
        images, boxes, crowd: counts.
        without_objects: images that have none.
        per_class: boxes of each class, in class order.
        images_per_class: images with at least one box of each class.
        side_px: quantiles (`QUANTILES`) of the root of a box's area, in pixels; empty without boxes.
        small, medium, large: boxes by COCO's limits on the box's area.
        image_sizes: (width, height) to number of images, the most frequent first, at most five.
    """

    images: int
    boxes: int
    crowd: int
    without_objects: int
    per_class: Mapping[str, int]
    images_per_class: Mapping[str, int]
    side_px: tuple[float, ...]
    small: int
    medium: int
    large: int
    image_sizes: Mapping[tuple[int, int], int]


def load_sides(choice: DatasetChoice) -> dict[str, CocoSet]:
    """Read the splits of a prepared set, images without objects included. Raises InputError."""
    if not choice.prepared:
        raise InputError(choice.message)
    sides = {"train": choice.train, "val": choice.eval, "test": choice.test}
    return {name: load_coco(side.annotations, side.images, allow_empty=True) for name, side in sides.items() if side is not None}


def stats(sides: Mapping[str, CocoSet]) -> dict[str, SplitStats]:
    """Compute the statistics of each split."""
    return {name: _split(data) for name, data in sides.items()}


def box_sides(data: CocoSet) -> NDArray[np.float64]:
    """Compute the root of the area of each box that is not a crowd, in pixels. Float64[N]"""
    boxes = [image.boxes[~image.is_crowd] for image in data.images]
    joined = np.concatenate(boxes).astype(np.float64) if boxes else np.zeros((0, 4))
    return np.sqrt((joined[:, 2] - joined[:, 0]) * (joined[:, 3] - joined[:, 1]))


def _split(data: CocoSet) -> SplitStats:
    names = data.class_names
    per_class, with_class = np.zeros(len(names), np.int64), np.zeros(len(names), np.int64)
    sizes: dict[tuple[int, int], int] = {}
    crowd = 0
    for image in data.images:
        counted = np.bincount(image.classes[~image.is_crowd], minlength=len(names))
        per_class += counted
        with_class += counted > 0
        crowd += int(image.is_crowd.sum())
        sizes[(image.width, image.height)] = sizes.get((image.width, image.height), 0) + 1
    lengths = box_sides(data)
    areas = lengths**2
    return SplitStats(
        images=len(data.images),
        boxes=int(per_class.sum()),
        crowd=crowd,
        without_objects=sum(not image.has_objects for image in data.images),
        per_class=dict(zip(names, per_class.tolist(), strict=True)),
        images_per_class=dict(zip(names, with_class.tolist(), strict=True)),
        side_px=tuple(np.quantile(lengths, QUANTILES).round(1).tolist()) if len(lengths) else (),
        small=int((areas < SMALL).sum()),
        medium=int(((areas >= SMALL) & (areas < MEDIUM)).sum()),
        large=int((areas >= MEDIUM).sum()),
        image_sizes=dict(sorted(sizes.items(), key=lambda entry: -entry[1])[:5]),
    )
