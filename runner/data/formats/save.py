"""Conversion of a split to a COCO document, the only output format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runner.data.formats.base import Item


def to_coco(
    items: Sequence[tuple[int, str, Item]], classes: Sequence[str], category_ids: Sequence[int] | None, title: str
) -> dict[str, Any]:
    """Return a COCO document.

    Args:
        items: (image id, file name below the image folder, image).
        classes: names in order.
        category_ids: their numbers; None: 1, 2, …
        title: goes into ``info``.
    """
    numbers = list(category_ids) if category_ids is not None else list(range(1, len(classes) + 1))
    images = [{"id": image_id, "file_name": name, "width": item.width, "height": item.height} for image_id, name, item in items]
    annotations: list[dict[str, Any]] = []
    for image_id, _, item in items:
        rows = zip(item.boxes.tolist(), item.classes.tolist(), item.crowd.tolist(), item.areas.tolist(), strict=True)
        for (x1, y1, x2, y2), class_index, crowd, area in rows:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": numbers[class_index],
                    "bbox": [_tidy(x1), _tidy(y1), _tidy(x2 - x1), _tidy(y2 - y1)],
                    "area": _tidy(area),
                    "iscrowd": int(crowd),
                }
            )
    categories = [{"id": number, "name": name} for number, name in zip(numbers, classes, strict=True)]
    return {"info": {"description": title}, "images": images, "annotations": annotations, "categories": categories}


def _tidy(value: float) -> float | int:
    """Thousandths of a pixel, and whole numbers without a point."""
    rounded = round(value, 3)
    return int(rounded) if rounded == int(rounded) else rounded
