"""Measures of a training set that decide how to train on it: sizes of its images and boxes, and of the boxes as a config resizes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.data.coco import CocoSet


@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """Sizes in pixels of the stored images and their boxes, crowd boxes left out.

    Args:
        images: Float[I, 2], (height, width) of each image.
        boxes: Float[N, 2], (height, width) of each box.
        owner: Int64[N], index of each box's image.
        classes: Int64[N], class of each box, an index into `class_names`.
        class_names: in the order of the model's outputs.
    """

    images: NDArray[np.float64]
    boxes: NDArray[np.float64]
    owner: NDArray[np.int64]
    classes: NDArray[np.int64]
    class_names: tuple[str, ...]

    @property
    def typical(self) -> tuple[float, float]:
        """(height, width) of an image: the medians of the longer and the shorter sides, upright if most images are."""
        shorter, longer = (float(np.median(side(axis=1))) for side in (self.images.min, self.images.max))
        return (longer, shorter) if (self.images[:, 0] > self.images[:, 1]).mean() > 0.5 else (shorter, longer)

    @property
    def sides(self) -> NDArray[np.float64]:
        """Float[N]: root of the area of each stored box."""
        return sides_of(self.boxes)

    def resized(self, size: tuple[int, int] | None, *, keep_ratio: bool) -> NDArray[np.float64]:
        """Compute the (height, width) of each box after its image is resized. Float[N, 2]

        Args:
            size: (height, width), with `keep_ratio` (shorter, longer side); None: images stay as they are.
        """
        if size is None or not len(self.boxes):
            return self.boxes
        if keep_ratio:
            factors = np.minimum(min(size) / self.images.min(axis=1), max(size) / self.images.max(axis=1))
            scales = np.stack((factors, factors), axis=1)
        else:
            scales = np.asarray(size, np.float64) / self.images
        resized: NDArray[np.float64] = self.boxes * scales[self.owner]
        return resized


def sides_of(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the root of the area of boxes, Float[N, 2] (height, width). Float[N]"""
    sides: NDArray[np.float64] = np.sqrt(boxes.prod(axis=1))
    return sides


def measure(data: CocoSet) -> Measures:
    """Measure a training set."""
    counts = [len(image.boxes) for image in data.images]
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(image.boxes for image in data.images)]).astype(np.float64)
    classes = np.concatenate([np.zeros(0, np.int64), *(image.classes for image in data.images)])
    keep = ~np.concatenate([np.zeros(0, np.bool_), *(image.is_crowd for image in data.images)])
    images = np.array([(image.height, image.width) for image in data.images], np.float64).reshape(-1, 2)
    sizes = np.maximum(boxes[:, [3, 2]] - boxes[:, [1, 0]], 0.0)
    return Measures(images, sizes[keep], np.repeat(np.arange(len(counts)), counts)[keep], classes[keep], data.class_names)
