"""Reading a COCO annotation file and finding everything wrong with it, grouped by kind of fault."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

import numpy as np
from numpy.typing import NDArray

from runner.core.errors import InputError, Problem

MAX_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an annotation file: a kind (the same words for the same fault) and a message."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """The columns of an annotation file.

    Args:
        image_ids, file_names, sizes: an entry an image, file order; sizes are (width, height).
        categories: (id, name) in file order.
        boxes: Float64[N, 4] xywh in pixels, as in the file.
        image_index, class_index: Int64[N], positions in the lists above.
        crowd, ignore: Bool[N].
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


def read_annotations(path: Path) -> dict[str, Any]:
    """The JSON object in `path`.

    Raises:
        InputError: missing, cut off or not JSON (with line and byte), or not an object.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        missing = "the annotation file is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise InputError(Problem(missing, str(path))) from error
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise _broken(path, data, error.start, "not UTF-8 text") from error
    except json.JSONDecodeError as error:
        at = len(error.doc[: error.pos].encode("utf-8")) + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        raise _broken(path, data, at, error.msg) from error
    except RecursionError as error:
        raise InputError(Problem("is nested too deeply to be an annotation file", str(path))) from error
    except ValueError as error:
        raise InputError(Problem(f"is not valid JSON: {error}", str(path))) from error
    if not isinstance(value, dict):
        raise InputError(
            Problem(
                f"expected a JSON object with images, annotations and categories, got a {type(value).__name__}",
                str(path),
            )
        )
    return value


def scan(document: dict[str, Any]) -> tuple[Tables, list[Fault]]:
    """The columns of a document and its faults. With faults, what is at fault is missing from the columns."""
    faults: list[Fault] = []
    for key in ("images", "annotations", "categories"):
        if not isinstance(document.get(key), list):
            faults.append(Fault("missing list", f"has no list {key!r}; expected images, annotations and categories"))
    categories = _categories(_entries(document, "categories", faults), faults)
    image_ids, names, sizes = _images(_entries(document, "images", faults), faults)
    if not faults and not (image_ids and categories):
        faults.append(Fault("empty", f"has {len(image_ids)} images and {len(categories)} categories; at least one of each is needed"))
    image_of = {image_id: index for index, image_id in enumerate(image_ids)}
    class_of = {category_id: index for index, (category_id, _) in enumerate(categories)}
    rows = _annotations(_entries(document, "annotations", faults), image_of, class_of, faults)
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), (), ()]
    tables = Tables(
        image_ids,
        names,
        sizes,
        categories,
        boxes=np.array(columns[0], dtype=np.float64).reshape(-1, 4),
        image_index=np.array(columns[1], dtype=np.int64),
        class_index=np.array(columns[2], dtype=np.int64),
        crowd=np.array(columns[3], dtype=np.bool_),
        ignore=np.array(columns[4], dtype=np.bool_),
    )
    return tables, faults


def as_problems(faults: Iterable[Fault], path: Path) -> list[Problem]:
    """Faults as problems of `path`: the first ones, then a count of the rest by kind."""
    listed = list(faults)
    problems = [Problem(fault.message, str(path)) for fault in listed[:MAX_SHOWN]]
    rest: dict[str, int] = {}
    for fault in listed[MAX_SHOWN:]:
        rest[fault.kind] = rest.get(fault.kind, 0) + 1
    problems += [Problem(f"… and {count:,} more of the kind: {kind}", str(path)) for kind, count in rest.items()]
    return problems


def _entries(document: dict[str, Any], key: str, faults: list[Fault]) -> list[tuple[str, dict[str, Any]]]:
    """(place, entry) of a list; entries that are no objects are faults."""
    result = []
    found = document.get(key)
    for index, entry in enumerate(found if isinstance(found, list) else []):
        if isinstance(entry, dict):
            result.append((f"{key}[{index}]", entry))
        else:
            faults.append(Fault("not an object", f"{key}[{index}] is not an object"))
    return result


def _categories(entries: list[tuple[str, dict[str, Any]]], faults: list[Fault]) -> list[tuple[int, str]]:
    seen: set[int] = set()
    names: set[str] = set()
    result: list[tuple[int, str]] = []
    for place, entry in entries:
        number, name = entry.get("id"), entry.get("name")
        if not _whole(number) or not isinstance(name, str) or not name:
            faults.append(Fault("bad category", f"{place}: expected a whole-number id and a name, got {_short(entry)}"))
        elif number in seen or name in names:
            faults.append(Fault("duplicate category", f"{place}: the id {number} or the name {name!r} stands twice"))
        else:
            seen.add(number)
            names.add(name)
            result.append((number, name))
    return result


def _images(entries: list[tuple[str, dict[str, Any]]], faults: list[Fault]) -> tuple[list[int], list[str], list[tuple[int, int]]]:
    seen: dict[int, str] = {}
    ids: list[int] = []
    names: list[str] = []
    sizes: list[tuple[int, int]] = []
    for place, entry in entries:
        number, name, width, height = (entry.get(key) for key in ("id", "file_name", "width", "height"))
        if not _whole(number) or not isinstance(name, str) or not name or "\0" in name:
            faults.append(Fault("bad image entry", f"{place}: expected a whole-number id and a file_name, got {_short(entry)}"))
        elif not _number(width) or not _number(height) or width < 1 or height < 1:
            faults.append(
                Fault(
                    "bad image size",
                    f"{place} ({name}): width and height must be positive, got {width!r} and {height!r}",
                )
            )
        elif number in seen:
            faults.append(Fault("duplicate image id", f"{place} ({name}): the id {number} is also that of {seen[number]}"))
        else:
            seen[number] = name
            ids.append(number)
            names.append(name)
            sizes.append((int(width), int(height)))
    return ids, names, sizes


_Row = tuple[list[float], int, int, bool, bool]


def _annotations(
    entries: list[tuple[str, dict[str, Any]]], image_of: dict[int, int], class_of: dict[int, int], faults: list[Fault]
) -> list[_Row]:
    seen: set[int] = set()
    rows: list[_Row] = []
    for place, entry in entries:
        number, box = entry.get("id"), entry.get("bbox")
        image_id, category_id = entry.get("image_id"), entry.get("category_id")
        if not _whole(number):
            faults.append(Fault("bad box id", f"{place}: expected a whole-number id, got {number!r}"))
        elif number in seen:
            faults.append(Fault("duplicate box id", f"{place}: the id {number} stands twice"))
        elif not _whole(image_id) or image_id not in image_of:
            faults.append(Fault("unknown image", f"{place} (id {number}): there is no image with the id {image_id!r}"))
        elif not _whole(category_id) or category_id not in class_of:
            faults.append(Fault("unknown category", f"{place} (id {number}): there is no category with the id {category_id!r}"))
        elif not isinstance(box, list) or len(box) != 4 or not all(map(_number, box)):
            faults.append(Fault("bad box", f"{place} (id {number}): expected bbox [x, y, width, height], got {_short(box)}"))
        else:
            rows.append((box, image_of[image_id], class_of[category_id], bool(entry.get("iscrowd")), bool(entry.get("ignore"))))
        if _whole(number):
            seen.add(number)
    return rows


def _whole(value: Any) -> TypeGuard[int]:
    return type(value) is int and -(2**63) <= value < 2**63


def _number(value: Any) -> TypeGuard[float]:
    return (type(value) is int and abs(value) < 2**53) or (type(value) is float and math.isfinite(value))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:99] + "…"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that JSON knows")


def _broken(path: Path, data: bytes, at: int, why: str) -> InputError:
    """The error for JSON that stops making sense at byte `at`."""
    line = data.count(b"\n", 0, at) + 1
    if not data.strip():
        why = "the file is empty"
    elif not data.rstrip().endswith(b"}") or at >= len(data.rstrip()):
        why = f"the file is cut off ({why})"
    return InputError(Problem(f"is not valid JSON at byte {at:,} of {len(data):,}: {why}; get the file again", f"{path}:{line}"))
