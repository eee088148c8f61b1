"""Matching of detections with true boxes as arrays, once for every score: what is matched at a threshold does not depend on lower scores.

Detections are taken from the highest score to the lowest, and each takes the box of its class that it overlaps most among those not taken,
as COCO's evaluation does. So the true boxes that are found at a score threshold are those whose `Matched.found` is at least that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from runner.core.errors import InputError
from runner.data.coco import CocoSet

RIGHT, CONFUSED, FALSE, IGNORED = 0, 1, 2, 3
"""Kinds of a detection: it is the one of a true box; it overlaps one of another class or one that has a better detection; it overlaps none;
it lies on a crowd region."""


@dataclass(frozen=True, slots=True, eq=False)
class TruthArrays:
    """True boxes of a data set, crowd regions included, ordered by image.

    Args:
        image: Int64[N], index of the image.
        label: Int64[N], contiguous class.
        box: Float64[N, 4], xyxy in pixels.
        crowd: Bool[N].
        first: Int64[I + 1], index of each image's first box, and N.
    """

    image: NDArray[np.int64]
    label: NDArray[np.int64]
    box: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    first: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class DetectionArrays:
    """Detections of a run, from the highest score to the lowest.

    Args:
        image: Int64[D], index of the image.
        label: Int64[D], contiguous class.
        box: Float64[D, 4], xyxy in pixels.
        score: Float64[D].
    """

    image: NDArray[np.int64]
    label: NDArray[np.int64]
    box: NDArray[np.float64]
    score: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Detections and true boxes, matched.

    Args:
        found: Float64[N], score of the detection that found each true box; 0 where none did.
        by: Int64[N], index of that detection; −1.
        overlap: Float64[N], its IoU with the box; 0.
        confused: Float64[N], highest score of a detection of another class on the box that is not the right one of another box; 0.
        confused_as: Int64[N], its class; −1.
        kind: Int64[D], of each detection: `RIGHT`, `CONFUSED`, `FALSE` or `IGNORED`.
    """

    found: NDArray[np.float64]
    by: NDArray[np.int64]
    overlap: NDArray[np.float64]
    confused: NDArray[np.float64]
    confused_as: NDArray[np.int64]
    kind: NDArray[np.int64]


def truth_arrays(data: CocoSet) -> TruthArrays:
    """Return the true boxes of a data set; indices of images are those of `data.images`."""
    counts = np.array([len(image.boxes) for image in data.images], np.int64)
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def joined(name: str, shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
        parts = [getattr(image, name) for image in data.images]
        return np.concatenate(parts).astype(kind) if parts else np.zeros(shape, kind)

    return TruthArrays(
        np.repeat(np.arange(len(counts)), counts),
        joined("classes", (0,), np.int64),
        joined("boxes", (0, 4), np.float64),
        joined("is_crowd", (0,), np.bool_),
        first,
    )


def detection_arrays(entries: Sequence[Any], images: Mapping[int, int], labels: Mapping[int, int]) -> DetectionArrays:
    """Convert COCO results with the attributes `image_id`, `category_id`, `bbox` (xywh in pixels) and `score`.

    Args:
        images, labels: id in the results to index of the image, and to contiguous class.

    Raises:
        InputError: an image or a class that is unknown, or a number that is not finite.
    """
    try:
        image = np.fromiter((images[entry.image_id] for entry in entries), np.int64, len(entries))
        label = np.fromiter((labels[entry.category_id] for entry in entries), np.int64, len(entries))
    except KeyError as error:
        raise InputError(f"the predictions name an image or a class that the annotations do not have (id {error})") from error
    score = np.fromiter((entry.score for entry in entries), np.float64, len(entries))
    box = np.array([entry.bbox for entry in entries], np.float64).reshape(-1, 4)
    if not (np.isfinite(score).all() and np.isfinite(box).all()):
        raise InputError("the predictions have a number that is not finite")
    box[:, 2:] += box[:, :2]
    order = np.argsort(-score, kind="stable")
    return DetectionArrays(image[order], label[order], box[order], score[order])


def overlaps(one: NDArray[np.float64], other: NDArray[np.float64], own: NDArray[np.bool_] | bool = False) -> NDArray[np.float64]:
    """Compute the IoU Float64[P] of pairs of boxes Float64[P, 4] (xyxy); where `own`, the share of the first one's area."""
    low, high = np.maximum(one[:, :2], other[:, :2]), np.minimum(one[:, 2:], other[:, 2:])
    sides = np.clip(high - low, 0.0, None)
    common = sides[:, 0] * sides[:, 1]
    area = (one[:, 2] - one[:, 0]) * (one[:, 3] - one[:, 1])
    both = area + (other[:, 2] - other[:, 0]) * (other[:, 3] - other[:, 1]) - common
    whole = np.where(own, area, both)
    result: NDArray[np.float64] = np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)
    return result


_CHUNK: Final = 500_000


def _pairs(truth: TruthArrays, found: DetectionArrays, iou: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return (detection, true box, overlap) of all pairs in one image that overlap by `iou` or more."""
    counts = np.diff(truth.first)[found.image] if len(found.image) else np.zeros(0, np.int64)
    ends = np.cumsum(counts)
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
    start = 0
    while start < len(counts):  # in pieces: all pairs of a large data set would take gigabytes
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _CHUNK, side="right")))
        here = counts[start:stop]
        detection = np.repeat(np.arange(start, stop), here)
        within = np.arange(len(detection)) - np.repeat(ends[start:stop] - here - before, here)
        box = truth.first[found.image[detection]] + within
        overlap = overlaps(found.box[detection], truth.box[box], truth.crowd[box])
        near = overlap >= iou
        parts.append((detection[near], box[near], overlap[near]))
        start = stop
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))  # type: ignore[return-value]


def match(truth: TruthArrays, found: DetectionArrays, iou: float) -> Matched:
    """Match the detections of a run with the true boxes at one overlap."""
    count = len(truth.label)
    result = Matched(
        np.zeros(count), np.full(count, -1), np.zeros(count), np.zeros(count), np.full(count, -1), np.full(len(found.score), FALSE)
    )
    detection, box, overlap = _pairs(truth, found, iou)
    same, crowd = found.label[detection] == truth.label[box], truth.crowd[box]
    candidates = np.flatnonzero(same & ~crowd)
    order = candidates[np.lexsort((-overlap[candidates], detection[candidates]))]
    taken, used = [False] * count, [False] * len(found.score)
    for at, one, other in zip(order.tolist(), detection[order].tolist(), box[order].tolist(), strict=True):
        if not used[one] and not taken[other]:
            used[one] = taken[other] = True
            result.by[other], result.overlap[other] = one, overlap[at]
    hit = result.by >= 0
    result.found[hit] = found.score[result.by[hit]]
    is_used = np.array(used, np.bool_)
    result.kind[detection[crowd & same]] = IGNORED
    result.kind[detection[~crowd]] = CONFUSED
    result.kind[is_used] = RIGHT
    wrong = np.flatnonzero(~same & ~crowd & ~is_used[detection])
    first = wrong[np.argsort(detection[wrong], kind="stable")[::-1]]  # the highest score last, which stays
    result.confused[box[first]] = found.score[detection[first]]
    result.confused_as[box[first]] = found.label[detection[first]]
    return result


@dataclass(frozen=True, slots=True)
class ScoreBin:
    """Detections of a range of scores: a point of a reliability diagram.

    Args:
        low, high: the range.
        count: detections in it, those on crowd regions left out.
        score: their mean score; None without any.
        right: share of them that are right.
    """

    low: float
    high: float
    count: int
    score: float | None
    right: float | None


def reliability(found: DetectionArrays, matched: Matched, bins: int = 10) -> list[ScoreBin]:
    """Return how many detections are right in each of `bins` ranges of scores in 0–1."""
    counted = matched.kind != IGNORED
    score, right = found.score[counted], matched.kind[counted] == RIGHT
    at = np.clip((score * bins).astype(np.int64), 0, bins - 1)
    counts = np.bincount(at, minlength=bins)
    scores, hits = np.bincount(at, score, bins), np.bincount(at, right, bins)
    return [
        ScoreBin(
            index / bins,
            (index + 1) / bins,
            n := int(counts[index]),
            float(scores[index] / n) if n else None,
            float(hits[index] / n) if n else None,
        )
        for index in range(bins)
    ]
