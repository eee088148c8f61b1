"""YOLO text files: "class cx cy w h" a line, in shares of the image; or a polygon, whose box is taken."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from runner.core.errors import InputError, Problem
from runner.data.formats.base import (
    IMAGE_SUFFIXES,
    Loaded,
    NotThisFormat,
    Problems,
    Split,
    files_below,
    make_item,
    read_text,
)
from runner.data.images import image_size

_SLACK = 1e-3
_Row = tuple[int, float, float, float, float, bool]


def load(source: Path, classes: tuple[str, ...]) -> Loaded:
    """Read YOLO labels: the classes from data.yaml (``names``) or classes.txt, the cut from data.yaml's ``train`` and
    ``val``, else from the folder names train and val (valid, test). The label of ``…/images/a.jpg`` is
    ``…/labels/a.txt``, or lies beside it; an image without one has no objects.

    Raises:
        NotThisFormat, InputError: see `Format`.
    """
    description = next(iter([*sorted(source.rglob("data.y*ml")), *sorted(source.rglob("dataset.y*ml"))]), None)
    class_file = next(iter([*sorted(source.rglob("classes.txt")), *sorted(source.rglob("obj.names"))]), None)
    if description is None and class_file is None:
        raise NotThisFormat("YOLO's data.yaml or classes.txt beside images/ and labels/")
    data = _description(description) if description else {}
    names = _names(data, description) if "names" in data and description else ()
    if not names and class_file:
        names = tuple(line.strip() for line in read_text(class_file).splitlines() if line.strip())
    problems = Problems()
    if classes and classes != names:
        problems.add(
            f"its classes are {', '.join(names)}; the spec says {', '.join(classes)}",
            description or class_file or source,
        )
    sides = _sides(source, description, data, problems) if description else {}
    items = []
    for image in files_below(source, IMAGE_SUFFIXES):
        split = sides.get(image) if sides else _side_by_folder(image.relative_to(source))
        if sides and split is None:
            continue  # in neither list: the source leaves it out
        try:
            size = image_size(image)
            items.append(make_item(image, size, _rows(_label_of(image), size, len(names), problems), split))
        except InputError as error:
            problems.found.extend(error.problems)
    problems.check()
    if not items:
        raise InputError(Problem("has no images", str(source)))
    return Loaded(names, tuple(items))


def _description(path: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise InputError(Problem(f"is not valid YAML: {error}", str(path))) from error
    if not isinstance(value, dict):
        raise InputError(Problem("expected a mapping with names, train and val", str(path)))
    return value


def _names(data: dict[str, Any], path: Path) -> tuple[str, ...]:
    names = data["names"]
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise InputError(Problem(f"names must be numbered 0 to {len(names) - 1}, got {sorted(names, key=str)}", str(path)))
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list) or not names:
        raise InputError(Problem(f"names must be a list of class names, got {names!r}", str(path)))
    return tuple(str(name) for name in names)


def _sides(source: Path, description: Path, data: dict[str, Any], problems: Problems) -> dict[Path, Split]:
    sides: dict[Path, Split] = {}
    val = data.get("val") or data.get("valid") or data.get("test")
    entries: tuple[tuple[Split, Any], ...] = (("train", data.get("train")), ("val", val))
    for split, value in entries:
        for entry in value if isinstance(value, list) else [value] if value else []:
            place = _place(source, description, str(data.get("path") or "."), str(entry))
            if place is None:
                problems.add(f"{split}: {entry!r} is not below {source}", description)
            elif place.is_dir():
                sides.update({image: split for image in files_below(place, IMAGE_SUFFIXES)})
            else:
                for line in filter(None, (line.strip() for line in read_text(place).splitlines())):
                    image = _place(source, place, ".", line)
                    if image is None:
                        problems.add(f"names {line!r}, which is not below {source}", place)
                    else:
                        sides[image] = split
    return sides


def _place(source: Path, file: Path, base: str, text: str) -> Path | None:
    """What `text` in `file` means, if it lies below the source. Some exporters write one "../" too many: it is taken
    off.
    """
    stripped = text
    while stripped.startswith("../"):
        stripped = stripped[3:]
    root = source.resolve()
    for candidate in (
        file.parent / base / text,
        file.parent / text,
        file.parent / stripped,
        source / base / text,
        source / stripped,
    ):
        resolved = candidate.resolve()
        if resolved.exists() and resolved.is_relative_to(root):
            return source / resolved.relative_to(root)
    return None


def _side_by_folder(path: Path) -> Split | None:
    parts = [part.lower() for part in path.parts[:-1]]
    if any(part.startswith("train") for part in parts):
        return "train"
    return "val" if any(part.startswith(("val", "test")) for part in parts) else None


def _label_of(image: Path) -> Path | None:
    candidates = [image.with_suffix(".txt")]
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):  # the last folder called images is the one that labels stands for
        if parts[index] == "images":
            candidates.insert(0, Path(*parts[:index], "labels", *parts[index + 1 :]).with_suffix(".txt"))
            break
    return next((path for path in candidates if path.is_file()), None)


def _rows(label: Path | None, size: tuple[int, int], class_count: int, problems: Problems) -> list[_Row]:
    rows: list[_Row] = []
    if label is None:
        return rows
    for number, line in enumerate(read_text(label).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_row(line, size, class_count))
        except ValueError as error:
            problems.add(str(error), f"{label}:{number}")
    return rows


def _row(line: str, size: tuple[int, int], class_count: int) -> _Row:
    """Raises ValueError saying what is wrong with the line."""
    try:
        values = [float(field) for field in line.split()]
    except ValueError:
        raise ValueError(f"expected numbers, got {line!r}") from None
    polygon = len(values) >= 7 and len(values) % 2 == 1
    if not (len(values) == 5 or polygon) or not all(map(math.isfinite, values)):
        raise ValueError(f"expected 'class cx cy w h' or a polygon, got {line!r}")
    if values[0] != int(values[0]) or not 0 <= values[0] < class_count:
        raise ValueError(f"the class {line.split()[0]} is not in 0 to {class_count - 1}")
    if polygon:
        xs, ys = values[1::2], values[2::2]
        x1, y1, x2, y2 = min(xs), min(ys), max(xs), max(ys)
    else:
        cx, cy, w, h = values[1:]
        x1, y1, x2, y2 = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
    if min(x1, y1) < -_SLACK or max(x2, y2) > 1 + _SLACK or x2 <= x1 or y2 <= y1:
        raise ValueError(f"the box is empty or reaches out of the image (numbers are shares of it, 0 to 1): {line!r}")
    x1, y1, x2, y2 = (min(max(value, 0.0), 1.0) for value in (x1, y1, x2, y2))
    return int(values[0]), x1 * size[0], y1 * size[1], x2 * size[0], y2 * size[1], False
