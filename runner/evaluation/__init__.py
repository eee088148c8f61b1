"""Evaluation of predictions.json against annotations: the one evaluator of every backend, so that their numbers are comparable.

    result.py      what an evaluation is, and its form in eval.json; standard library only
    load.py        both files into hotcoco's objects; names everything wrong with them
    validate.py    the slow, exact check of entries that the fast path could not accept
    compute.py     `evaluate`: hotcoco's numbers under this project's names
    confusion.py   the confusion matrix, crowd regions left out
    matching.py    detections and true boxes matched as arrays, for every score at once
    changes.py     what two detectors find and miss over their seeds
    draw.py        images with true and predicted boxes (Pillow)
    legend.py      the legend below such an image
    charts.py      confusion matrix, PR curves and error types as charts
    worst.py       the images with the most errors, as sheets of tiles
    pictures.py    `runner eval --pictures`: the files of all of these

Importing this package loads neither numpy nor hotcoco; the first use of `evaluate` or `draw_boxes` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.evaluation.result import STAT_TAGS, ClassResult, Confusion, Curve, Evaluation, MetricSet, TideErrors, box_metrics

if TYPE_CHECKING:
    from runner.evaluation.compute import evaluate
    from runner.evaluation.draw import draw_boxes

__all__ = [
    "NUMERICS_VERSION",
    "STAT_TAGS",
    "ClassResult",
    "Confusion",
    "Curve",
    "Evaluation",
    "MetricSet",
    "TideErrors",
    "box_metrics",
    "draw_boxes",
    "evaluate",
]

NUMERICS_VERSION = 1
"""Increased when a change here changes a metric of the same predictions: earlier runs then no longer count as the same runs."""


def __getattr__(name: str) -> Any:
    """Resolve the two heavy names on first use (PEP 562)."""
    if name == "evaluate":
        from runner.evaluation.compute import evaluate  # noqa: PLC0415  (loads numpy and hotcoco)

        return evaluate
    if name == "draw_boxes":
        from runner.evaluation.draw import draw_boxes  # noqa: PLC0415  (loads numpy and Pillow)

        return draw_boxes
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
