"""Exact check of annotations and predictions that the fast path in `load` could not accept.

Either everything wrong is named in one InputError, or the data comes back in the plain form hotcoco reads. Costs about
4 µs an entry; predictions handed over in memory always pass through here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.core.errors import InputError, Problem
from runner.data.annotations import Fault, as_id, as_number, as_problems, in_json, scan, shortened
from runner.data.boxes import negative_sizes


def check_predictions(entries: Any, image_ids: Iterable[int], category_ids: Iterable[int], where: str) -> NDArray[np.float64]:
    """Convert COCO results to Float64[N, 7]: image id, x, y, width, height (pixels), score, category id.

    Args:
        entries: expected to be a sequence of {"image_id", "category_id", "bbox": [x, y, w, h], "score"}.
        image_ids, category_ids: those the annotations have.
        where: the file, for messages.

    Raises:
        InputError: entries of another form, unknown images or categories, numbers that are strings, missing or not
            finite, negative sizes.
    """
    if not isinstance(entries, Sequence) or isinstance(entries, (str, bytes)):
        raise InputError(Problem(f"expected a list of predictions, got {in_json(entries)}", where=where))
    images, categories = set(image_ids), set(category_ids)
    faults: list[Fault] = []

    def add(kind: str, example: str, advice: str = "") -> None:
        faults.append(Fault(kind, example, "predictions", len(entries), advice))

    rows = np.empty((len(entries), 7))
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            add("are no objects", f"entry {index} is {in_json(entry)}")
            continue
        image, category, score = entry.get("image_id"), entry.get("category_id"), as_number(entry.get("score"))
        if as_id(image) not in images:
            advice = "check that these are the predictions of this data set"
            add("name an image that the annotations do not have", f"image_id {image!r} (entry {index})", advice)
        if as_id(category) not in categories:
            advice = f"category ids are those of the annotations ({_some(categories)})"
            add("name a category that the annotations do not have", f"category_id {category!r} (entry {index})", advice)
        if score is None:
            add("have a score that is no finite number", f"{entry.get('score')!r} (entry {index})")
        box = as_box(entry.get("bbox"))
        if box is None:
            kind = "have a bbox that is not [x, y, width, height] in finite numbers, sizes not negative"
            add(kind, f"{shortened(entry.get('bbox'))} (entry {index})")
        else:
            # known ids are integers; a row with unknown ones is not read
            rows[index] = (as_id(image) or 0, *box, score or 0.0, as_id(category) or 0)
    if faults:
        raise InputError(as_problems(faults, where))
    return rows


def check_truth(data: Any, where: str) -> dict[str, Any]:
    """COCO annotations with nothing but what box evaluation needs: images, categories, annotations, each in hotcoco's
    types.

    A missing area becomes width × height, a missing iscrowd 0; annotations are numbered anew, since their ids play no
    part.

    Raises:
        InputError: what `runner.data.annotations.scan` finds, and negative sizes.
    """
    tables, faults = scan(data, boxes_only=True)
    faults += negative_sizes(tables)
    if faults:
        raise InputError(as_problems(faults, where))
    categories = [number for number, _ in tables.categories]
    columns = (tables.image_index, tables.class_index, tables.boxes, tables.areas, tables.crowd)
    return {
        "images": [{"id": number, "width": 0, "height": 0, "file_name": ""} for number in tables.image_ids],
        "categories": [{"id": number, "name": name} for number, name in tables.categories],
        "annotations": [
            {
                "id": index + 1,
                "image_id": tables.image_ids[image],
                "category_id": categories[category],
                "bbox": box,
                "area": area,
                "iscrowd": int(crowd),
            }
            for index, (image, category, box, area, crowd) in enumerate(zip(*(column.tolist() for column in columns), strict=True))
        ],
    }


def as_box(value: Any) -> list[float] | None:
    """`value` as [x, y, width, height] if it is four finite numbers with sizes ≥ 0, else None."""
    if not isinstance(value, (list, tuple, np.ndarray)) or len(value) != 4:
        return None
    box = [as_number(number) for number in value]
    whole = [number for number in box if number is not None]
    return whole if len(whole) == 4 and whole[2] >= 0 and whole[3] >= 0 else None


def _some(ids: set[int]) -> str:
    shown = ", ".join(str(key) for key in sorted(ids)[:10])
    return shown + (", …" if len(ids) > 10 else "")
