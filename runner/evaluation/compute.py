"""Computation of the metrics (`evaluate`): hotcoco's numbers under this project's names.

hotcoco 1.3.0 agrees with pycocotools to the last bit on the twelve numbers and the whole precision array
(tests/evaluation), crowd regions, ties and all. One difference is deliberate: an annotation with id 0 counts like any
other here, pycocotools takes it for "no match".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np
from numpy.typing import NDArray

from runner.core.errors import InputError, Problem
from runner.evaluation.confusion import confusion_counts
from runner.evaluation.load import load_predictions, load_truth
from runner.evaluation.result import (
    BEST_F1,
    BEST_F1_THRESHOLD,
    CLASS_PREFIX,
    STAT_TAGS,
    ClassResult,
    Confusion,
    Curve,
    Evaluation,
    TideErrors,
)

IOU = 0.5
"""Overlap at which F1, PR curves, confusion matrix and error types are taken."""

_SCORE_STEPS = 1000
_F1_POINTS = 1000
_UNDEFINED = -1.0
_ALL, _MAX_100 = 0, 2  # indices of "area all" and "100 detections" in a standard evaluator's arrays


def evaluate(
    annotations: Path,
    predictions: Path | Sequence[Mapping[str, Any]],
    *,
    iou_thresholds: Sequence[float] = (),
    image_ids: Sequence[int] | None = None,
    detail: bool = True,
) -> Evaluation:
    """Evaluate boxes the COCO way.

    Args:
        annotations: COCO JSON; boxes xywh in pixels.
        predictions: predictions.json (much the faster), or its entries: {"image_id", "category_id", "bbox" (xywh),
            "score"}. None at all is a result too: zeros.
        iou_thresholds: further IoUs in (0, 1] for ``bbox/AP@<iou>``: the mean over the classes of the AP at that IoU.
        image_ids: evaluate these images only; all if None.
        detail: also curves, best F1 of each class, confusion matrix and TIDE errors. Without: the twelve numbers, AP
            per class and at further IoUs, best F1 of all classes together; for snapshots, in half the time.

    Raises:
        InputError: a file is missing, cut off or holds what cannot be evaluated (all problems named), or an argument is
            out of range.
    """
    further = _checked_thresholds(iou_thresholds)
    truth = load_truth(annotations)
    images = _checked_images(image_ids, truth, annotations)
    found = load_predictions(predictions, truth)
    job = _Job(truth, found, images)

    standard = job.evaluator()
    standard.evaluate()
    standard.accumulate()
    standard.summary_lines()  # fills .stats as summarize() would, which prints
    stats = tuple(float(value) for value in standard.stats)
    classes = job.classes(standard.eval or {})
    metrics = {tag: value for tag, value in zip(STAT_TAGS, stats, strict=True) if value != _UNDEFINED}
    narrow = job.narrow_evaluator(sorted({*further, IOU})) if further or detail else None
    if narrow and further:
        metrics.update(_further_ap(narrow, further))
    metrics.update({f"{CLASS_PREFIX}{entry.name}": entry.ap for entry in classes if entry.ap is not None})
    boxes = sum(entry.boxes for entry in classes)
    best, notes = _best_f1(standard, boxes)
    metrics.update(best)
    result = Evaluation(stats, metrics, classes, len(images), boxes, job.detections(), notes=notes)
    return _with_detail(result, job, standard, narrow) if narrow and detail else result


class _Job:
    """Input of an evaluation: truth, predictions and the evaluated images."""

    def __init__(self, truth: hotcoco.COCO, found: hotcoco.COCO, images: list[int]) -> None:
        self.truth, self.found, self.images = truth, found, images
        # hotcoco takes an empty filter for none; a filter of all images would cost a set of them with every call
        self._filter = [] if len(images) == len(truth.get_img_ids()) else images
        self.categories = sorted(truth.get_cat_ids())
        self.names = _unique_names(truth.load_cats(self.categories))

    def evaluator(self, images: Sequence[int] | None = None) -> hotcoco.COCOeval:
        """Make a standard COCO evaluator of all images, or of some, with nothing computed yet."""
        evaluator = hotcoco.COCOeval(self.truth, self.found, "bbox")
        evaluator.params.img_ids = list(self.images if images is None else images)
        return evaluator

    def detections(self) -> int:
        """Count the predictions for the evaluated images."""
        return len(self.found.get_ann_ids(img_ids=self._filter))

    def narrow_evaluator(self, ious: Sequence[float]) -> hotcoco.COCOeval:
        """Make an evaluator at `ious` alone, of all sizes, with 100 detections; evaluated, not accumulated."""
        evaluator = self.evaluator()
        evaluator.params.iou_thrs = list(ious)
        evaluator.params.area_rng, evaluator.params.area_rng_lbl = [[0.0, 1e10]], ["all"]
        evaluator.params.max_dets = [100]
        evaluator.evaluate()
        return evaluator

    def classes(self, arrays: Mapping[str, Any]) -> tuple[ClassResult, ...]:
        """Compute each class's numbers from a standard evaluator's precision [T, R, K, A, M] and recall [T, K, A, M]."""
        precision, recall = arrays["precision"][..., _ALL, _MAX_100], arrays["recall"][..., _ALL, _MAX_100]
        result = []
        for index, category in enumerate(self.categories):
            at = precision[:, :, index]
            result.append(
                ClassResult(
                    name=self.names[index],
                    category_id=category,
                    boxes=len(self.truth.get_ann_ids(img_ids=self._filter, cat_ids=[category], iscrowd=False)),
                    ap=_mean(at),
                    ap50=_mean(at[0]),
                    ap75=_mean(at[5]),
                    ar100=_mean(recall[:, index]),
                )
            )
        return tuple(result)


def _further_ap(narrow: hotcoco.COCOeval, ious: Sequence[float]) -> dict[str, float]:
    """Compute AP at each of `ious`, by tag."""
    narrow.accumulate()
    precision, at = (narrow.eval or {})["precision"], narrow.params.iou_thrs
    means = {f"bbox/AP@{iou:g}": _mean(precision[at.index(iou)]) for iou in ious}
    return {tag: value for tag, value in means.items() if value is not None}


def _with_detail(result: Evaluation, job: _Job, standard: hotcoco.COCOeval, narrow: hotcoco.COCOeval) -> Evaluation:
    """Add to `result` everything that a snapshot does not need."""
    arrays = standard.eval or {}
    precision = arrays["precision"][0, :, :, _ALL, _MAX_100]  # [R, K] at IoU 0.50
    scores = arrays["scores"][0, :, :, _ALL, _MAX_100]
    present = [index for index, entry in enumerate(result.per_class) if entry.boxes]
    curves = {job.names[index]: Curve(_rounded(precision[:, index]), _rounded(scores[:, index])) for index in present}
    mean_curve = Curve(_rounded(precision[:, present].mean(axis=1))) if present else None
    threshold = result.metrics.get(BEST_F1_THRESHOLD, 0.0)
    counts = confusion_counts(job.truth, job.found, job.images, job.evaluator, iou=IOU, threshold=threshold)
    return replace(
        result,
        per_class=_with_class_f1(result.per_class, narrow),
        pr_curves=curves,
        mean_curve=mean_curve,
        confusion=Confusion((*job.names, "background"), tuple(tuple(row) for row in counts.tolist()), threshold, IOU),
        tide=_tide(standard),
    )


def _best_f1(standard: hotcoco.COCOeval, boxes: int) -> tuple[dict[str, float], tuple[str, ...]]:
    """Compute the best F1 over the boxes of all classes together and its threshold, as metrics, and a note if there is none.

    Counted from hotcoco's calibration bins: detections (crowd matches left out) and right ones for each step of the
    score.
    """
    if boxes == 0:
        return {}, ()
    try:
        bins = standard.calibration(_SCORE_STEPS, IOU)["bins"]
    except ValueError as error:
        return {}, (f"no best-F1 threshold: {error}",)
    count = np.array([entry["count"] for entry in bins])[::-1].cumsum()
    right = np.array([round(entry["count"] * entry["avg_accuracy"]) for entry in bins])[::-1].cumsum()
    f1 = 2.0 * right / (count + boxes)
    best = int(f1.argmax())  # of equals the highest threshold
    if right[best] == 0:
        return {BEST_F1: 0.0}, ()
    return {BEST_F1: float(f1[best]), BEST_F1_THRESHOLD: (_SCORE_STEPS - 1 - best) / _SCORE_STEPS}, ()


def _with_class_f1(classes: tuple[ClassResult, ...], narrow: hotcoco.COCOeval) -> tuple[ClassResult, ...]:
    """Add their best F1 to the classes.

    The interpolated precision is the highest at that recall or beyond, so the best F1 of the interpolated curve is
    that of the raw one and is at the same place, if the curve is read at every true positive. Recalls
    (i − ½) / points do that for a class of up to `points` boxes; a hair less, lest rounding decides which is met.
    """
    points = int(np.clip(max(entry.boxes for entry in classes), 1, _F1_POINTS))
    recalls = (np.arange(1, points + 1) - 0.5) / points - 1e-9
    row = narrow.params.iou_thrs.index(IOU)
    narrow.params.rec_thrs = recalls.tolist()
    narrow.accumulate()
    arrays = narrow.eval or {}
    result = []
    for index, entry in enumerate(classes):
        if entry.boxes == 0:
            result.append(entry)
            continue
        precision, scores = arrays["precision"][row, :, index, 0, 0], arrays["scores"][row, :, index, 0, 0]
        recall = np.ceil(recalls * entry.boxes) / entry.boxes  # that of the true positive which passes each recall
        f1 = 2.0 * precision * recall / np.maximum(precision + recall, 1e-12)
        best = int(f1.argmax())
        threshold = float(scores[best]) if f1[best] > 0 else None
        result.append(replace(entry, best_f1=float(f1[best]), best_f1_threshold=threshold))
    return tuple(result)


def _tide(standard: hotcoco.COCOeval) -> TideErrors:
    errors = standard.tide_errors(pos_thr=IOU, bg_thr=0.1)
    gain, kinds = errors["delta_ap"], ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")
    return TideErrors(
        delta_ap={kind.lower(): float(gain[kind]) for kind in kinds},
        counts={kind.lower(): int(errors["counts"][kind]) for kind in kinds},
        false_positive=float(gain["FP"]),
        false_negative=float(gain["FN"]),
    )


def _checked_thresholds(ious: Sequence[float]) -> list[float]:
    bad = [iou for iou in ious if isinstance(iou, bool) or not isinstance(iou, (int, float)) or not 0 < iou <= 1]
    if bad:
        raise InputError(f"expected IoU thresholds above 0 and at most 1, got {', '.join(map(repr, bad))}")
    return sorted({float(iou) for iou in ious})


def _checked_images(image_ids: Sequence[int] | None, truth: hotcoco.COCO, path: Path) -> list[int]:
    known = truth.get_img_ids()
    if image_ids is None:
        return sorted(known)
    unknown = sorted({str(image) for image in image_ids} - {str(image) for image in known})
    if unknown:
        shown = ", ".join(unknown[:3]) + (", …" if len(unknown) > 3 else "")
        raise InputError(Problem(f"{len(unknown)} of the images to evaluate are not in the annotations: {shown}", where=str(path)))
    if not image_ids:
        raise InputError(Problem("no images to evaluate were given", where=str(path)))
    return sorted({int(image) for image in image_ids})


def _unique_names(categories: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of the categories; where two share one, each is followed by its id."""
    entries = list(categories)
    names = [str(entry["name"]) for entry in entries]
    return [name if names.count(name) == 1 else f"{name} ({entry['id']})" for name, entry in zip(names, entries, strict=True)]


def _mean(values: NDArray[np.float64]) -> float | None:
    """Compute the mean of the defined values (COCO writes −1 for undefined); None if there is none."""
    defined = values[values > _UNDEFINED]
    return float(defined.mean()) if defined.size else None


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Round to five decimals: enough to draw a curve, and eval.json stays small."""
    return tuple(np.round(values, 5).tolist())
