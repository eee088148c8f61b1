"""Validator of COCO annotations, the only one: the columns of a document, and all its faults, grouped by kind.

`config check`, the start of a run, `data check`, `data prepare` and the evaluation all use it, so that none of them accepts what another
one refuses. Rules about boxes and their images together are in `runner.data.boxes`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.core.errors import Problem

MAX_AREA = 1e10
"""In square pixels. COCO's evaluation ignores objects with a larger or a negative area."""
_MAX_ID = 2**63 - 1
_MAX_NUMBER = 2.0**53
_MAX_SIDE = 2**31 - 1
_EXAMPLES = 3
_HALVES = "with half a character (a lone surrogate)"
_LISTS = ("images", "categories", "annotations")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a file.

    Args:
        kind: the same words for the same fault: completes "3 of 4 annotations …"; a whole sentence if `of` is empty.
        example: the entry's value, and its index.
        of: the list it was found in, ``annotations`` for one; empty for a fault of the whole file.
        total: entries of that list.
        advice: what to do about it.
    """

    kind: str
    example: str = ""
    of: str = ""
    total: int = 0
    advice: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """The columns of an annotation file.

    Args:
        image_ids, file_names, sizes: an entry per image, file order; sizes are (width, height).
        categories: (id, name) in file order.
        boxes: Float64[N, 4] xywh in pixels, as in the file; sizes may be 0 or negative, see `runner.data.boxes`.
        image_index, class_index: Int64[N], positions in the lists above.
        crowd, ignore: Bool[N].
        areas: Float64[N] in square pixels, as in the file; width × height where it has none.
    """

    image_ids: list[int]
    file_names: list[str]
    sizes: list[tuple[int, int]]
    categories: list[tuple[int, str]]
    boxes: NDArray[np.float64]
    image_index: NDArray[np.int64]
    class_index: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    ignore: NDArray[np.bool_]
    areas: NDArray[np.float64]


def scan(document: Any, *, boxes_only: bool = False) -> tuple[Tables, list[Fault]]:
    """Read the columns of a COCO document and find its faults. Entries at fault are missing from the columns.

    Args:
        document: the content of the JSON file.
        boxes_only: skip what the evaluation of boxes does not read: image names and sizes, annotation ids, category names.
    """
    if not isinstance(document, Mapping):
        what = f"expected COCO annotations (an object with images, annotations and categories), got {in_json(document)}"
        return _tables([], [], []), [Fault(what)]
    faults: list[Fault] = []
    for key in _LISTS:
        found = document.get(key)
        if not isinstance(found, list):
            faults.append(
                Fault(f"COCO annotations need the list {key!r}; " + (f"it is {in_json(found)}" if key in document else "it is missing"))
            )
        elif not found and key != "annotations":
            faults.append(Fault(f"the list {key!r} is empty; at least one entry is needed"))
    images, categories = _Ids("images", document, faults), _Ids("categories", document, faults)
    image_rows = list(_images(images, boxes_only))
    category_rows = list(_categories(categories, boxes_only))
    entries = _Ids("annotations", document, faults)
    images.index_rows(number for number, *_ in image_rows)
    categories.index_rows(number for number, _ in category_rows)
    return _tables(image_rows, category_rows, list(_annotations(entries, images, categories, boxes_only))), faults


def as_problems(faults: Iterable[Fault], where: Path | str) -> list[Problem]:
    """Convert faults to problems of a file: one per kind, with their number, a few examples, and advice."""
    groups: dict[tuple[str, str, int, str], list[str]] = {}
    for fault in faults:
        groups.setdefault((fault.of, fault.kind, fault.total, fault.advice), []).append(fault.example)
    problems = []
    for (of, kind, total, advice), examples in groups.items():
        text = f"{len(examples):,} of {total:,} {of} {kind}" if of else kind
        shown = ", ".join(filter(None, examples[:_EXAMPLES])) + (", …" if len(examples) > _EXAMPLES else "")
        text += (f": {shown}" if shown else "") + (f"; {advice}" if advice else "")
        problems.append(Problem(text, str(where)))
    return problems


def as_number(value: Any) -> float | None:
    """Convert `value` to a float if it is a finite number (no string, no bool), else return None."""
    if type(value) is not float:
        if isinstance(value, bool) or not isinstance(value, Real):
            return None
        try:
            value = float(value)
        except OverflowError:
            return None
    return value if math.isfinite(value) else None


def as_id(value: Any) -> int | None:
    """Convert `value` to an int if it is an integer from 0 to 2⁶³ - 1 (3.0 is one, "3" and True are not), else return None."""
    if type(value) is not int:
        if isinstance(value, bool):
            return None
        if isinstance(value, Integral):
            value = int(value)
        else:
            number = as_number(value)
            if number is None or not number.is_integer():
                return None
            value = int(number)
    return value if 0 <= value <= _MAX_ID else None


def in_json(value: Any) -> str:
    """Name the kind of `value` in JSON's words."""
    names = (
        (type(None), "null"),
        (bool, "a boolean"),
        (Mapping, "an object"),
        (str, "a string"),
        (Real, "a number"),
        (list, "a list"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)


def shortened(value: Any) -> str:
    """Return the text of a value, shortened if it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


@dataclass(slots=True)
class _Ids:
    """A list of the document: its entries, the ids they have, and the faults found in them.

    Args:
        seen: valid ids.
        bad: ids that are none, with their type (True is not 1): an annotation that names one is not at fault itself.
        rows: valid id to position among the rows that are kept.
    """

    name: str
    document: Mapping[str, Any]
    faults: list[Fault]
    seen: set[int] = field(default_factory=set)
    bad: set[tuple[type, Any]] = field(default_factory=set)
    rows: dict[int, int] = field(default_factory=dict)

    @property
    def entries(self) -> list[Any]:
        found = self.document.get(self.name)
        return found if isinstance(found, list) else []

    def objects(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Iterate over (index, entry); entries that are no objects are faults."""
        for index, entry in enumerate(self.entries):
            if isinstance(entry, Mapping):
                yield index, entry
            else:
                self.fault("are not objects", in_json(entry), index)

    def fault(self, kind: str, example: str, index: int, advice: str = "") -> None:
        self.faults.append(Fault(kind, f"{example} (entry {index})", self.name, len(self.entries), advice))

    def take_id(self, entry: Mapping[str, Any], index: int) -> int | None:
        """Take the entry's id, if it is valid and new."""
        raw = entry.get("id")
        number = as_id(raw)
        if number is None:
            self.fault("have no id that is a whole number ≥ 0", shortened(raw), index)
            if isinstance(raw, str | int | float):
                self.bad.add((type(raw), raw))
        elif number in self.seen:
            self.fault("repeat an id", str(number), index, "make ids unique")
            return None
        else:
            self.seen.add(number)
        return number

    def index_rows(self, kept: Iterable[int]) -> None:
        self.rows = {number: position for position, number in enumerate(kept)}

    def knows(self, raw: Any, number: int | None) -> bool:
        """Return whether an entry has this id, or would have, were the id valid."""
        return number in self.seen or (number is None and isinstance(raw, str | int | float) and (type(raw), raw) in self.bad)


_Image = tuple[int, str, tuple[int, int]]


def _images(images: _Ids, boxes_only: bool) -> Iterator[_Image]:
    for index, entry in images.objects():
        number, name, (width, height) = images.take_id(entry, index), entry.get("file_name"), _size(entry)
        whole = number is not None
        if not boxes_only:
            if not isinstance(name, str) or not name or "\0" in name:
                images.fault("have no file_name", shortened(name), index)
                whole = False
            elif _has_half_characters(name):
                images.fault(f"have a file_name {_HALVES}", ascii(name), index)
                whole = False
            if width is None or height is None:
                example = f"{shortened(name)}: {shortened(entry.get('width'))} x {shortened(entry.get('height'))}"
                images.fault("have a width or height that is not a whole number ≥ 1", example, index)
                whole = False
        if whole and number is not None:
            yield number, str(name or ""), (width or 0, height or 0)


def _size(entry: Mapping[str, Any]) -> tuple[int | None, int | None]:
    sides = [as_id(entry.get(key)) for key in ("width", "height")]
    width, height = (side if side is not None and 1 <= side <= _MAX_SIDE else None for side in sides)
    return width, height


def _categories(categories: _Ids, boxes_only: bool) -> Iterator[tuple[int, str]]:
    names: set[str] = set()
    for index, entry in categories.objects():
        number, name = categories.take_id(entry, index), entry.get("name")
        if boxes_only:
            name = str(name or f"class {number}")
        elif not isinstance(name, str) or not name.strip():
            categories.fault("have a name that is not a string", shortened(name), index)
            continue
        elif _has_half_characters(name):
            categories.fault(f"have a name {_HALVES}", ascii(name), index)
            continue
        elif name in names:
            categories.fault("repeat a name", repr(name), index, "make names unique")
            continue
        names.add(name)
        if number is not None:
            yield number, name


def _has_half_characters(text: str) -> bool:
    """Return whether a text contains surrogates, which JSON can write and no file or terminal accepts."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


_Row = tuple[list[float], int, int, bool, bool, float]


def _annotations(annotations: _Ids, images: _Ids, categories: _Ids, boxes_only: bool) -> Iterator[_Row]:
    for index, entry in annotations.objects():
        before = len(annotations.faults)
        if not boxes_only:
            _take_any_id(annotations, entry, index)
        image, category = as_id(entry.get("image_id")), as_id(entry.get("category_id"))
        for key, number, known, what in (
            ("image_id", image, images, "an image"),
            ("category_id", category, categories, "a category"),
        ):
            if number not in known.rows and not known.knows(entry.get(key), number):
                annotations.fault(f"name {what} that is not listed", f"{key} {shortened(entry.get(key))}", index)
        box = _box(entry.get("bbox"))
        if box is None:
            annotations.fault("have a bbox that is not [x, y, width, height] in finite numbers", shortened(entry.get("bbox")), index)
        area = _area(entry.get("area"), box)
        if area is None:
            annotations.fault(f"have an area that is not a number of 0 to {MAX_AREA:.0e}", shortened(entry["area"]), index)
        crowd, ignore = (_flag(annotations, entry, index, key) for key in ("iscrowd", "ignore"))
        if len(annotations.faults) == before and image in images.rows and category in categories.rows and box and area is not None:
            yield box, images.rows[image], categories.rows[category], crowd, ignore, area


def _take_any_id(annotations: _Ids, entry: Mapping[str, Any], index: int) -> None:
    """Check an annotation's id, which may be negative: only tools that look up annotations read it."""
    raw = entry.get("id")
    number = -as_id(-raw) if type(raw) is int and -_MAX_ID <= raw < 0 else as_id(raw)  # type: ignore[operator]
    if number is None:
        annotations.fault("have no id that is a whole number", shortened(raw), index)
    elif number in annotations.seen:
        annotations.fault("repeat an id", str(number), index, "make ids unique")
    else:
        annotations.seen.add(number)


def _box(value: Any) -> list[float] | None:
    if not isinstance(value, list) or len(value) != 4:
        return None
    box = [number for side in value if (number := as_number(side)) is not None and abs(number) < _MAX_NUMBER]
    return box if len(box) == 4 else None


def _area(value: Any, box: list[float] | None) -> float | None:
    if value is None:
        return abs(box[2] * box[3]) if box else 0.0
    number = as_number(value)
    return number if number is not None and 0 <= number <= MAX_AREA else None


def _flag(annotations: _Ids, entry: Mapping[str, Any], index: int, key: str) -> bool:
    value = entry.get(key)
    if value is None or value is False or value is True:
        return bool(value)
    if as_number(value) not in (0.0, 1.0):
        annotations.fault(f"have an {key} that is neither 0 nor 1", shortened(value), index)
    return bool(value)


def _tables(images: list[_Image], categories: list[tuple[int, str]], rows: list[_Row]) -> Tables:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    return Tables(
        image_ids=[number for number, _, _ in images],
        file_names=[name for _, name, _ in images],
        sizes=[size for _, _, size in images],
        categories=categories,
        boxes=np.array(columns[0], dtype=np.float64).reshape(-1, 4),
        image_index=np.array(columns[1], dtype=np.int64),
        class_index=np.array(columns[2], dtype=np.int64),
        crowd=np.array(columns[3], dtype=np.bool_),
        ignore=np.array(columns[4], dtype=np.bool_),
        areas=np.array(columns[5], dtype=np.float64),
    )
