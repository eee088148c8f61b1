"""Pictures of an evaluation as PNG files: three charts from eval.json, and three sheets of the worst images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from PIL import Image

from runner.core.errors import InputError, Problem
from runner.core.files import blocked_by
from runner.data.coco import CocoSet
from runner.evaluation.charts import counted_from, draw_confusion, draw_errors, draw_pr_curves
from runner.evaluation.confusion import Entry
from runner.evaluation.worst import Kind, draw_worst, judge_images

_CHARTS: Final = {"confusion.png": draw_confusion, "pr_curves.png": draw_pr_curves, "errors.png": draw_errors}
_SHEETS: Final[Mapping[str, Kind]] = {"missed.png": "missed", "false_alarms.png": "false", "wrong_class.png": "confused"}
FILES: Final = (*_CHARTS, *_SHEETS)
"""Names of the files."""


def check_folder(folder: Path, force: bool) -> None:
    """Check that the pictures can be written into `folder`, before anything is computed.

    Raises:
        InputError: it cannot be made or written, or has some of the files already (unless `force`).
    """
    there = [str(folder / name) for name in FILES if os.path.lexists(folder / name)]
    if there and not force:
        raise InputError(f"{there[0]} would be overwritten; give another folder to --pictures, or --force")
    if (blocking := blocked_by(folder)) is not None:
        raise InputError(Problem("is not a folder that can be written; give another one to --pictures", where=str(blocking)))


def write_pictures(
    result: Mapping[str, Any], folder: Path, title: str, data: CocoSet | None, predictions: Iterable[Entry]
) -> tuple[list[Path], list[str]]:
    """Write the pictures of an evaluation into `folder`.

    Args:
        result: what eval.json holds.
        title: name of what was evaluated, for the pictures' titles.
        data: the evaluated images and boxes; None: they are gone, and the sheets are not written.
        predictions: COCO results with the category ids of `data`.

    Returns:
        The files, and the images that could not be read.

    Raises:
        InputError: there is nothing to draw (the evaluation has no boxes), or a file cannot be written.
    """
    if not result.get("confusion") or not result.get("tide"):
        raise InputError("--pictures needs an evaluation of boxes: this one has no confusion matrix and no error types")
    pictures: dict[str, Image.Image] = {name: draw(result, title) for name, draw in _CHARTS.items()}
    unreadable: dict[str, None] = {}
    if data is not None:
        confusion = result["confusion"]
        judged = judge_images(data, predictions, threshold=confusion["score_threshold"], iou=confusion["iou"])
        rule = counted_from(confusion)
        for name, kind in _SHEETS.items():
            pictures[name], missing = draw_worst(data, judged, kind, title, rule)
            unreadable.update(dict.fromkeys(missing))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            picture.save(folder / name, format="PNG")
    except OSError as error:
        raise InputError(Problem(f"cannot be written: {error.strerror}", where=str(folder))) from error
    return [folder / name for name in pictures], list(unreadable)
