"""The exact look at annotations and predictions that the quick way in `load` could not accept.

Either everything wrong is named in one InputError, or the data comes back in the plain form hotcoco reads. Costs about
4 µs an entry; predictions handed over in memory always pass through here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.core.errors import InputError, Problem

_EXAMPLES = 3


class Findings:
    """Collects what is wrong, by kind, with a few examples of each."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._found: dict[tuple[str, str], list[str]] = {}

    def add(self, kind: str, example: str, advice: str = "") -> None:
        """Note one entry: `kind` completes the sentence "3 entries …", `example` says which, `advice` what to do."""
        self._found.setdefault((kind, advice), []).append(example)

    def raise_if_any(self, total: int, entries: str) -> None:
        """Raise InputError with a problem a kind, where there is one."""
        problems = []
        for (kind, advice), examples in self._found.items():
            shown = ", ".join(examples[:_EXAMPLES]) + (", …" if len(examples) > _EXAMPLES else "")
            message = f"{len(examples)} of {total} {entries} {kind}: {shown}" + (f"; {advice}" if advice else "")
            problems.append(Problem(message, where=self._where))
        if problems:
            raise InputError(problems)


def check_predictions(entries: Any, image_ids: Iterable[int], category_ids: Iterable[int], where: str) -> NDArray[np.float64]:
    """COCO results as Float64[N, 7]: image id, x, y, width, height (pixels), score, category id.

    Args:
        entries: what should be a sequence of {"image_id", "category_id", "bbox": [x, y, w, h], "score"}.
        image_ids, category_ids: those the annotations have.
        where: the file, for messages.

    Raises:
        InputError: entries of another form, unknown images or categories, numbers that are strings, missing or not
            finite, negative sizes.
    """
    if not isinstance(entries, Sequence) or isinstance(entries, (str, bytes)):
        raise InputError(Problem(f"expected a list of predictions, got {_kind(entries)}", where=where))
    images, categories = set(image_ids), set(category_ids)
    findings = Findings(where)
    rows = np.empty((len(entries), 7))
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            findings.add("are no objects", f"entry {index} is {_kind(entry)}")
            continue
        image, category, score = entry.get("image_id"), entry.get("category_id"), as_number(entry.get("score"))
        if as_id(image) not in images:
            advice = "are these the predictions of this data set?"
            findings.add("name an image that the annotations do not have", f"image_id {image!r} (entry {index})", advice)
        if as_id(category) not in categories:
            advice = f"category ids are those of the annotations ({_some(categories)})"
            findings.add("name a category that the annotations do not have", f"category_id {category!r} (entry {index})", advice)
        if score is None:
            findings.add("have a score that is no finite number", f"{entry.get('score')!r} (entry {index})")
        box = as_box(entry.get("bbox"))
        if box is None:
            kind = "have a bbox that is not [x, y, width, height] in finite numbers, sizes not negative"
            findings.add(kind, f"{_short(entry.get('bbox'))} (entry {index})")
        else:
            # the ids are whole numbers if they are known; where they are not, nobody reads the row
            rows[index] = (as_id(image) or 0, *box, score or 0.0, as_id(category) or 0)
    findings.raise_if_any(len(entries), "predictions")
    return rows


def check_truth(data: Any, where: str) -> dict[str, Any]:
    """COCO annotations with nothing but what box evaluation needs: images, categories, annotations, each in hotcoco's
    types.

    A missing area becomes width × height, a missing iscrowd 0; annotations are numbered anew, since their ids play no
    part.

    Raises:
        InputError: a list is missing or empty, ids that are missing, double or no whole numbers ≥ 0, annotations of
            unknown images or categories, boxes that are none.
    """
    if not isinstance(data, Mapping):
        raise InputError(Problem(f"expected COCO annotations (an object with images, categories, annotations), got {_kind(data)}", where))
    lists = [name for name in ("images", "categories", "annotations") if not isinstance(data.get(name), list)]
    empty = [name for name in ("images", "categories") if data.get(name) == []]
    if lists or empty:
        problems = [Problem(f"COCO annotations need the list {name!r}; it is missing", where) for name in lists]
        raise InputError(problems + [Problem(f"the list {name!r} is empty: there is nothing to evaluate", where) for name in empty])
    findings = Findings(where)
    images = _ids(data["images"], "images", findings)
    categories = _ids(data["categories"], "categories", findings)
    annotations = [_annotation(entry, index, images, categories, findings) for index, entry in enumerate(data["annotations"])]
    findings.raise_if_any(sum(len(data[name]) for name in ("images", "categories", "annotations")), "entries")
    names = {as_id(entry["id"]): entry.get("name") for entry in data["categories"]}
    return {
        "images": [{"id": image, "width": 0, "height": 0, "file_name": ""} for image in images],
        "categories": [{"id": key, "name": str(names[key] or f"class {key}")} for key in categories],
        "annotations": annotations,
    }


def _ids(entries: list[Any], name: str, findings: Findings) -> dict[int, None]:
    """The ids of `entries` in their order."""
    ids: dict[int, None] = {}
    for index, entry in enumerate(entries):
        raw = entry.get("id") if isinstance(entry, Mapping) else None
        key = as_id(raw)
        if key is None:
            findings.add(f"of {name} have no id that is a whole number ≥ 0", f"{raw!r} (entry {index})")
        elif key in ids:
            findings.add(f"of {name} repeat an id", f"{key} (entry {index})", "make ids unique")
        else:
            ids[key] = None
    return ids


def _annotation(entry: Any, index: int, images: Mapping[int, None], categories: Mapping[int, None], findings: Findings) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        findings.add("of annotations are no objects", f"entry {index} is {_kind(entry)}")
        return {}
    image, category, box = as_id(entry.get("image_id")), as_id(entry.get("category_id")), as_box(entry.get("bbox"))
    if image not in images:
        findings.add("of annotations name an image that is not listed", f"image_id {entry.get('image_id')!r} (entry {index})")
    if category not in categories:
        findings.add(
            "of annotations name a category that is not listed",
            f"category_id {entry.get('category_id')!r} (entry {index})",
        )
    if box is None:
        kind = "of annotations have a bbox that is not [x, y, width, height] in finite numbers, sizes not negative"
        findings.add(kind, f"{_short(entry.get('bbox'))} (entry {index})")
        return {}
    area = box[2] * box[3] if entry.get("area") is None else as_number(entry["area"])
    if area is None:
        findings.add("of annotations have an area that is no finite number", f"{entry['area']!r} (entry {index})")
    crowd = entry.get("iscrowd") or 0
    if crowd is not True and as_number(crowd) is None:
        findings.add("of annotations have an iscrowd that is no number", f"{crowd!r} (entry {index})")
    return {
        "id": index + 1,
        "image_id": image,
        "category_id": category,
        "bbox": box,
        "area": area,
        "iscrowd": int(bool(crowd)),
    }


def as_number(value: Any) -> float | None:
    """`value` as a float if it is a finite number (no string, no bool), else None."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def as_id(value: Any) -> int | None:
    """`value` as an int if it is a whole number ≥ 0 (3.0 is one, "3" and True are not), else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, Integral):
        whole = int(value)
        return whole if whole >= 0 else None
    number = as_number(value)
    return int(number) if number is not None and number.is_integer() and number >= 0 else None


def as_box(value: Any) -> list[float] | None:
    """`value` as [x, y, width, height] if it is four finite numbers with sizes ≥ 0, else None."""
    if not isinstance(value, (list, tuple, np.ndarray)) or len(value) != 4:
        return None
    box = [as_number(number) for number in value]
    whole = [number for number in box if number is not None]
    return whole if len(whole) == 4 and whole[2] >= 0 and whole[3] >= 0 else None


def _kind(value: Any) -> str:
    """What `value` is, in JSON's words."""
    names = (
        (type(None), "null"),
        (bool, "a boolean"),
        (Mapping, "an object"),
        (str, "a string"),
        (Real, "a number"),
        (list, "a list"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _some(ids: set[int]) -> str:
    shown = ", ".join(str(key) for key in sorted(ids)[:10])
    return shown + (", …" if len(ids) > 10 else "")
