"""Conversion of the outputs of ppdet's models to COCO results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.backends.base import ImageRef
from runner.backends.paddle.ppdet import load_ppdet

load_ppdet()

from ppdet.metrics import Metric  # noqa: E402


class CollectedResults(Metric):  # type: ignore[misc]
    """Takes the place of ppdet's metrics in its evaluation loop: keeps the boxes and computes nothing.

    Args:
        images: what ``im_id`` counts.
        bias: added to width and height (PaddleDetection's key).
        progress: called after every batch with the number of images done and of all; may raise to end the evaluation.
    """

    def __init__(self, images: Sequence[ImageRef], bias: int, progress: Callable[[int, int], None] | None) -> None:
        super().__init__()
        self._images, self._bias, self._progress = images, bias, progress
        self._done = 0
        self.results: list[dict[str, Any]] = []

    def update(self, inputs: Any, outputs: Any) -> None:
        """Add a batch's ``bbox`` (Float[N, 6]: class, score, xyxy in pixels of the image) and ``bbox_num`` (Int[B])."""
        boxes = np.asarray(outputs["bbox"], dtype=np.float64).reshape(-1, 6) if outputs["bbox"] is not None else np.empty((0, 6))
        counts = np.asarray(outputs["bbox_num"]).reshape(-1)
        ids = np.asarray(inputs["im_id"]).reshape(-1)
        start = 0
        for number, count in zip(ids.tolist(), counts.tolist(), strict=True):
            self.results += coco_results(self._images[number].id, boxes[start : start + count], self._bias)
            start += count
        self._done += len(ids)
        if self._progress is not None:
            self._progress(self._done, len(self._images))


def coco_results(image_id: int, boxes: NDArray[np.float64], bias: int = 0) -> list[dict[str, Any]]:
    """COCO results of one image.

    Args:
        boxes: Float64[N, 6]: class, score, xyxy in pixels. Left out are fillers (class -1, or the score 0 of two-stage models) and what
            clipping has turned inside out (YOLOv3), which pycocotools never counts.
    """
    results = []
    for label, score, x1, y1, x2, y2 in boxes.tolist():
        if label >= 0 and score > 0 and x2 >= x1 and y2 >= y1:
            box = [x1, y1, x2 - x1 + bias, y2 - y1 + bias]
            results.append({"image_id": image_id, "category_id": int(label), "bbox": box, "score": score})
    return results
