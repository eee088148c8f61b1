"""Confusion matrix of boxes, without crowd regions.

hotcoco counts a detection on a crowd region as a false one. So it counts the images without crowd regions, and
`match_image`, with the same rule and the one exception, the few that have some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hotcoco
import numpy as np
from numpy.typing import NDArray

MAX_DETECTIONS = 100
"""Detections of an image that take part, best first (all classes together), as in hotcoco."""

Evaluator = Callable[[Sequence[int]], hotcoco.COCOeval]
Entry = Mapping[str, Any]
"""A COCO annotation or result."""


def confusion_counts(
    truth: hotcoco.COCO,
    found: hotcoco.COCO,
    image_ids: Sequence[int],
    evaluator: Evaluator,
    *,
    iou: float,
    threshold: float,
) -> NDArray[np.int64]:
    """Count Int64[K+1, K+1]: row the true class and column the predicted one in the order of category ids, last the
    background.

    Args:
        image_ids: the images to count.
        evaluator: makes an evaluator of `truth` and `found` for some of the images, with nothing computed yet.
        iou: least overlap of a match. threshold: least score of a detection.
    """
    classes = {category: index for index, category in enumerate(sorted(truth.get_cat_ids()))}
    crowds = truth.load_anns(truth.get_ann_ids(iscrowd=True))
    with_crowd = {crowd["image_id"] for crowd in crowds}.intersection(image_ids)
    without = [image for image in image_ids if image not in with_crowd]
    counts = np.zeros((len(classes) + 1, len(classes) + 1), np.int64)
    if without:
        plain = evaluator(without).confusion_matrix(iou_thr=iou, min_score=threshold)
        counts += plain["matrix"].astype(np.int64)
    if with_crowd:
        boxes, detections = _by_image(truth, with_crowd), _by_image(found, with_crowd)
        for image in with_crowd:
            _add(counts, classes, match_image(boxes[image], detections[image], iou=iou, threshold=threshold))
    return counts


@dataclass(frozen=True, slots=True)
class Matching:
    """Detections and true boxes of one image, matched.

    Args:
        pairs: a true box and its detection, of any class.
        missed: true boxes without a detection.
        false: detections of nothing; those on a crowd region of their class are left out.
    """

    pairs: tuple[tuple[Entry, Entry], ...]
    missed: tuple[Entry, ...]
    false: tuple[Entry, ...]


def match_image(boxes: Sequence[Entry], detections: Sequence[Entry], *, iou: float, threshold: float) -> Matching:
    """Match the detections of one image with its true boxes.

    Best score first, each detection takes the box it overlaps most among those not taken, whatever its class, if by
    `iou` or more. A detection left over is dropped if it lies on a crowd region of its class by as much of its own
    area, else it is a false one.

    Args:
        boxes: COCO annotations: "category_id", "bbox" (xywh in pixels), "iscrowd".
        detections: COCO results: "category_id", "bbox", "score".
        iou: least overlap of a match. threshold: least score of a detection.
    """
    real = [box for box in boxes if not box["iscrowd"]]
    crowd = [box for box in boxes if box["iscrowd"]]
    best = sorted(detections, key=lambda detection: -float(detection["score"]))[:MAX_DETECTIONS]
    best = [detection for detection in best if detection["score"] >= threshold]
    overlap, on_crowd = _overlap(best, real), _overlap(best, crowd)
    free = np.ones(len(real), bool)
    pairs, false = [], []
    for row, detection in enumerate(best):
        candidates = np.where(free, overlap[row], -1.0)
        taken = int(candidates.argmax()) if len(real) else -1
        if taken >= 0 and candidates[taken] >= iou:
            free[taken] = False
            pairs.append((real[taken], detection))
        elif not any(
            region["category_id"] == detection["category_id"] and on_crowd[row, column] >= iou for column, region in enumerate(crowd)
        ):
            false.append(detection)
    return Matching(tuple(pairs), tuple(box for box, missed in zip(real, free, strict=True) if missed), tuple(false))


def _add(counts: NDArray[np.int64], classes: Mapping[int, int], found: Matching) -> None:
    """Add one image to `counts`."""
    background = len(classes)
    for box, detection in found.pairs:
        counts[classes[box["category_id"]], classes[detection["category_id"]]] += 1
    for detection in found.false:
        counts[background, classes[detection["category_id"]]] += 1
    for box in found.missed:
        counts[classes[box["category_id"]], background] += 1


def _by_image(annotations: hotcoco.COCO, images: Iterable[int]) -> dict[int, list[dict[str, Any]]]:
    """Group the annotations by image for `images`, in the file's order."""
    result: dict[int, list[dict[str, Any]]] = {image: [] for image in images}
    for entry in annotations.load_anns(annotations.get_ann_ids(img_ids=list(result))):
        result[entry["image_id"]].append(entry)
    return result


def _overlap(detections: Sequence[Entry], boxes: Sequence[Entry]) -> NDArray[np.float64]:
    """Compute IoU Float64[D, G]; with a crowd region the share of the detection's own area."""
    if not detections or not boxes:
        return np.zeros((len(detections), len(boxes)))
    crowd = [bool(box["iscrowd"]) for box in boxes]
    return hotcoco.primitives.bbox_iou([entry["bbox"] for entry in detections], [box["bbox"] for box in boxes], crowd)
