"""COCO JSON in the layouts people have it in: the article's, COCO's own, and ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from runner.core.errors import InputError, Problem
from runner.data.cocofile import Tables, as_problems, read_annotations, scan
from runner.data.formats.base import Item, Loaded, NotThisFormat, Problems, Split

_TRAIN = (
    "train.json",
    "instances_train2017.json",
    "instances_train2014.json",
    "instances_train.json",
    "_annotations.coco.json",
)
_VAL = ("val.json", "valid.json", "test.json", "instances_val2017.json", "instances_val2014.json", "instances_val.json")


def load(source: Path, classes: tuple[str, ...]) -> Loaded:
    """Read COCO JSON: ``Annotations/train.json`` and ``val.json`` with ``images/`` (the article's),
    ``annotations/instances_*.json`` with ``train2017/``, ``val2017/``, or ``train/`` and ``valid/`` with
    ``_annotations.coco.json`` in each. One file alone has no cut.

    Class numbers of the source are kept, segmentations are not.

    Raises:
        NotThisFormat, InputError: see `Format`.
    """
    files = _annotation_files(source)
    documents = [(path, split, read_annotations(path)) for path, split in files]
    problems = Problems()
    parts: list[tuple[Path, Split | None, dict[str, Any], Tables]] = []
    for path, split, document in documents:
        tables, faults = scan(document)
        problems.found += as_problems(faults, path)
        parts.append((path, split, document, tables))
    problems.check()
    categories = parts[0][3].categories
    for path, _, _, tables in parts[1:]:
        if tables.categories != categories:
            problems.add(
                f"its categories differ from those of {parts[0][0].name}: {tables.categories} against {categories}",
                path,
            )
    names = tuple(name for _, name in categories)
    if classes and set(classes) != set(names):
        problems.add(f"its classes are {', '.join(names)}; the spec says {', '.join(classes)}", parts[0][0])
    problems.check()
    order = classes or names
    position = np.array([order.index(name) for name in names], dtype=np.int64)
    number = {name: category_id for category_id, name in categories}
    items = [item for part in parts for item in _items(source, *part, position, problems)]
    problems.check()
    return Loaded(order, tuple(items), tuple(number[name] for name in order))


def _annotation_files(source: Path) -> list[tuple[Path, Split | None]]:
    folders = [
        source,
        *(path for path in sorted(source.rglob("*")) if path.is_dir() and path.name.lower().startswith("annotation")),
    ]
    for folder in folders:
        train = next((folder / name for name in _TRAIN if (folder / name).is_file()), None)
        val = next((folder / name for name in _VAL if (folder / name).is_file()), None)
        if train and val:
            return [(train, "train"), (val, "val")]
    for train_folder in [source / "train", *sorted(source.glob("*/train"))]:
        for other in ("valid", "val", "test"):
            pair = [train_folder / "_annotations.coco.json", train_folder.parent / other / "_annotations.coco.json"]
            if all(path.is_file() for path in pair):
                return [(pair[0], "train"), (pair[1], "val")]
    alone = [path for folder in folders for path in sorted(folder.glob("*.json"))]
    if len(alone) == 1:
        return [(alone[0], None)]
    raise NotThisFormat("COCO JSON: Annotations/train.json and val.json (or annotations/instances_train2017.json, …) beside images/")


def _items(
    source: Path,
    path: Path,
    split: Split | None,
    document: dict[str, Any],
    tables: Tables,
    position: Any,
    problems: Problems,
) -> Iterator[Item]:
    folder = _image_folder(source, path, tables.file_names)
    areas = np.array([_area(entry) for entry in document["annotations"]], dtype=np.float64)
    order = np.argsort(tables.image_index, kind="stable")
    owners = tables.image_index[order]
    bounds = np.searchsorted(owners, np.arange(len(tables.image_ids) + 1))
    for index, image_id in enumerate(tables.image_ids):
        file = folder / tables.file_names[index]
        if not file.is_file():
            problems.add(f"the image {file} is missing", path)
            continue
        mine = order[bounds[index] : bounds[index + 1]]
        mine = mine[(tables.boxes[mine, 2:] > 0).all(axis=1) & ~tables.ignore[mine]]
        xywh = tables.boxes[mine]
        yield Item(
            path=file,
            width=tables.sizes[index][0],
            height=tables.sizes[index][1],
            boxes=np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1),
            classes=position[tables.class_index[mine]],
            crowd=tables.crowd[mine],
            areas=areas[mine],
            split=split,
            id=image_id,
        )


def _image_folder(source: Path, annotation: Path, names: list[str]) -> Path:
    """The folder the first image lies in, tried near the annotation file."""
    for name in names[:1]:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InputError(Problem(f"the file name {name!r} leads out of the image folder", str(annotation)))
    near = [annotation.parent, annotation.parent.parent]
    stem = annotation.stem.removeprefix("instances_")
    candidates = [base / below for base in near for below in ("images", stem, f"images/{stem}", "JPEGImages", "")]
    for folder in candidates:
        if folder.is_relative_to(source) and (folder / names[0]).is_file():
            return folder
    tried = ", ".join(sorted({str(folder.relative_to(source)) for folder in candidates if folder.is_relative_to(source)}))
    raise InputError(Problem(f"its first image {names[0]!r} is in none of the folders {tried} of {source}", str(annotation)))


def _area(entry: dict[str, Any]) -> float:
    area = entry.get("area")
    if isinstance(area, int | float) and not isinstance(area, bool) and area > 0:
        return float(area)
    return float(entry["bbox"][2] * entry["bbox"][3])
