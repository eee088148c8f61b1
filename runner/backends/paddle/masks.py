"""Check of the polygons that ppdet's detectors with a mask head are trained on. Their boxes are evaluated, their masks are not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner.backends.paddle.schema import PaddleConfig
from runner.core.errors import InputError, Problem
from runner.core.values import counted
from runner.data.cocofile import read_annotations

FIELD = "gt_poly"
_FEWEST_NUMBERS = 6  # three corners


def check_polygons(config: PaddleConfig) -> Iterator[Problem]:
    """Find what keeps a mask head from being trained: polygons that are not read, or objects that have none."""
    data = config.train_dataset
    if FIELD not in data.data_fields:
        fields = ", ".join((*data.data_fields, FIELD))
        yield Problem(
            f"has no {FIELD}: MaskHead is trained on polygons; give -o 'TrainDataset.data_fields=[{fields}]'",
            key="TrainDataset.data_fields",
        )
        return
    path = Path(data.dataset_dir) / data.anno_path
    try:
        document = read_annotations(path)
    except InputError:
        return  # the check of the data says so
    annotations = document.get("annotations") if isinstance(document, dict) else None
    if not isinstance(annotations, list):
        return
    without = [entry for entry in annotations if isinstance(entry, dict) and not entry.get("iscrowd") and not _has_polygon(entry)]
    if without:
        first = f"the first is annotation {without[0].get('id')!r}"
        text = f"{counted(len(without), 'object')} of {len(annotations)} have no polygons in 'segmentation' ({first})"
        yield Problem(f"{text}, on which MaskHead is trained; add them, or train FasterRCNN", where=str(path), key="TrainDataset")


def _has_polygon(entry: dict[str, Any]) -> bool:
    found = entry.get("segmentation")
    return isinstance(found, list) and bool(found) and all(map(_is_polygon, found))


def _is_polygon(value: Any) -> bool:
    if not isinstance(value, list) or len(value) < _FEWEST_NUMBERS or len(value) % 2:
        return False
    return all(type(number) in (int, float) and math.isfinite(number) for number in value)
