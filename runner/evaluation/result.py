"""Result of an evaluation, and its form in eval.json. Standard library only: every reader of a run can load it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from runner.store.run_dir import PrimaryMetric

FORMAT = 1
STAT_TAGS = tuple(f"bbox/{name}" for name in "AP AP50 AP75 APs APm APl AR1 AR10 AR100 ARs ARm ARl".split())
"""Tags of the twelve COCO numbers, in COCO's order."""


BEST_F1, BEST_F1_THRESHOLD = "bbox/best_f1", "bbox/best_f1_threshold"
CLASS_PREFIX = "bbox/AP/"
"""Beginning of the tag of a class's AP."""


@dataclass(frozen=True, slots=True)
class MetricSet:
    """Metrics that the evaluations of a run record.

    Args:
        primary: the one that decides where the user names none.
        tags: all tags that are known before any data is read.
        prefixes: beginnings of further tags: a class's name comes after ``bbox/AP/``.
    """

    primary: PrimaryMetric
    tags: tuple[str, ...]
    prefixes: tuple[str, ...] = ()

    def has(self, tag: str) -> bool:
        """Tell whether an evaluation may record `tag`."""
        return tag in self.tags or any(tag.startswith(prefix) and tag != prefix for prefix in self.prefixes)


def box_metrics(iou_thresholds: Sequence[float] = ()) -> MetricSet:
    """Return the metrics of a backend that detects boxes (see `runner.evaluation.evaluate`).

    Args:
        iou_thresholds: further IoUs that the AP is recorded at.
    """
    further = tuple(f"bbox/AP@{iou:g}" for iou in iou_thresholds)
    primary = PrimaryMetric("bbox/AP", "maximize", ("bbox/AP50", "bbox/AP75"))
    return MetricSet(primary, (*STAT_TAGS, BEST_F1, BEST_F1_THRESHOLD, *further), (CLASS_PREFIX,))


@dataclass(frozen=True, slots=True)
class ClassResult:
    """Numbers of one class. None means undefined: the class has no (non-crowd) box to find.

    Args:
        name: the class's name; followed by its category id where two classes share a name.
        category_id: its id in the annotations.
        boxes: ground truth boxes that count (crowd regions do not), in the evaluated images.
        ap: mean over IoU 0.50:0.95 of the 101-point AP; ap50, ap75: at one IoU.
        ar100: mean over IoU 0.50:0.95 of the recall with 100 detections per image.
        best_f1: the highest F1 on the PR curve at IoU 0.50; None also where only the summary was asked for. Read off at
            the class's true positives (at 1,000 of them where there are more); equal scores count in file order.
        best_f1_threshold: score of the last detection that F1 includes; None also where no detection is right.
    """

    name: str
    category_id: int
    boxes: int
    ap: float | None
    ap50: float | None
    ap75: float | None
    ar100: float | None
    best_f1: float | None = None
    best_f1_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """A precision-recall curve at IoU 0.50 and the 101 recalls 0.00, 0.01, …, 1.00.

    Args:
        precision: 101 interpolated precisions in [0, 1] (the highest at that recall or a higher one); 0 where the
            recall is never reached.
        score: the score a detection needs for that recall; 0 where it is never reached. Empty for the mean curve.
    """

    precision: tuple[float, ...]
    score: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Confusion:
    """Confusion matrix: each detection is matched to the box that it overlaps most, of any class.

    Args:
        names: K class names and, last, "background".
        matrix: (K+1) × (K+1) counts; row the true class, column the predicted one. Last column: boxes that were not found;
            last row: detections where nothing is. Detections on a crowd region are left out.
        score_threshold: detections below it do not take part (the best-F1 threshold of all classes together).
        iou: least overlap of a match.
    """

    names: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]
    score_threshold: float
    iou: float


@dataclass(frozen=True, slots=True)
class TideErrors:
    """Error types that cost AP: those of TIDE (Bolya et al., arXiv 2008.08115), at IoU 0.5 (background below 0.1).

    Args:
        delta_ap: AP50 gained if the one kind of error were repaired: ``cls`` (wrong class), ``loc`` (badly placed),
            ``both``, ``dupe`` (found twice), ``bkg`` (nothing there), ``miss`` (not found); in 0–1.
        counts: how often each occurs.
        false_positive, false_negative: AP50 gained if all of either were repaired.
    """

    delta_ap: Mapping[str, float]
    counts: Mapping[str, int]
    false_positive: float
    false_negative: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Result of `runner.evaluation.evaluate`; eval.json contains all of it.

    Args:
        stats: the twelve COCO numbers in COCO's order (`STAT_TAGS`), −1 where undefined.
        metrics: tag to number for records and tables, undefined ones left out: ``bbox/AP``, …, ``bbox/ARl``,
            ``bbox/AP@0.33``, ``bbox/AP/<class name>``, ``bbox/best_f1``, ``bbox/best_f1_threshold``. The last two: the
            threshold on a grid of 0.001 at which F1 over the boxes of all classes together is highest (IoU 0.50), and
            that F1.
        per_class: in the order of category ids.
        images, boxes, detections: how many were evaluated (boxes without crowd; detections before COCO's cap of 100 a
            class and image).
        pr_curves: class name to curve, for classes with boxes, and ``mean_curve``, their mean; None/empty without
            detail.
        confusion, tide: None without detail.
        notes: what could not be computed, and why.
    """

    stats: tuple[float, ...]
    metrics: Mapping[str, float]
    per_class: tuple[ClassResult, ...]
    images: int
    boxes: int
    detections: int
    pr_curves: Mapping[str, Curve] = field(default_factory=dict)
    mean_curve: Curve | None = None
    confusion: Confusion | None = None
    tide: TideErrors | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Convert to the form of eval.json: only dicts, lists, strings and finite numbers."""
        return {"format": FORMAT, **_plain(asdict(self))}


def _plain(value: Any) -> Any:
    """Replace every tuple by a list, as JSON returns it."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(entry) for entry in value]
    return value
