"""One image with its boxes on its way through the transforms, and the generators they draw from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

cv2.setNumThreads(0)  # every data worker is one thread; OpenCV's own pool would not survive the fork either

_AUGMENT, _BATCH = 1, 2
"""Purposes of derived generators, which keep their streams apart (0 is runner.training.sampler's)."""

Draws = np.random.Generator
"""Source of random numbers. Transforms use its `random`, `uniform`, `integers`, `permutation` and `beta` only, in PaddleDetection's order,
so that tests can feed both the same numbers."""


@dataclass(frozen=True, slots=True)
class ImageSample:
    """One image on its way through the transforms.

    Args:
        image: UInt8[H, W, 3] or Float32[H, W, 3], RGB; Float32[3, H, W] after Permute.
        boxes: Float32[N, 4], xyxy in pixels of `image`.
        classes: Int64[N], 0-based.
        scale: (resized / stored) of height and width.
        id: image id.
        name: file name, for messages.
        channels_first: whether Permute has been applied.
        unpadded: (height, width) in pixels before Pad filled up right and below; None: the image has no such border.
    """

    image: NDArray[Any]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    scale: tuple[float, float]
    id: int
    name: str
    channels_first: bool = False
    unpadded: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.image.shape[1:] if self.channels_first else self.image.shape[:2]
        return int(height), int(width)

    def with_boxes(self, boxes: NDArray[Any], keep: NDArray[Any] | slice = slice(None)) -> ImageSample:
        """Return the same image with other boxes, one for each of its own, of which `keep` selects some; classes stay with their boxes."""
        return replace(self, boxes=boxes[keep].astype(np.float32, copy=False), classes=self.classes[keep])


Step = Callable[[ImageSample, Draws], ImageSample]
"""Transform with its config."""


def sample_rng(seed: int, epoch: int, index: int) -> Draws:
    """Return the generator of everything random about sample `index` in `epoch` (0-based), the same in every reading process."""
    return np.random.default_rng((_AUGMENT, seed, epoch, index))


def batch_rng(seed: int, epoch: int, first: int) -> Draws:
    """Return the generator of what a batch has in common; `first` is the index of its first sample, which no other batch of the epoch
    has."""
    return np.random.default_rng((_BATCH, seed, epoch, first))
