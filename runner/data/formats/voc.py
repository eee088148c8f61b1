"""Pascal VOC XML: VOC's own layout, the six class folders of the PCB set, or any tree of images and XML files."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from runner.core.errors import InputError
from runner.data.formats.base import (
    IMAGE_SUFFIXES,
    Item,
    Loaded,
    NotThisFormat,
    Problems,
    Split,
    files_below,
    make_item,
    read_text,
)
from runner.data.images import image_size
from runner.data.notes import Notes

_LABEL_FILES = ("labels.txt", "label_list.txt", "classes.txt")


@dataclass(slots=True)
class _Object:
    name: str
    box: tuple[float, float, float, float]
    difficult: bool


@dataclass(slots=True)
class _Annotation:
    file: Path
    image: Path
    size: tuple[int, int]
    objects: list[_Object] = field(default_factory=list)


def load(source: Path, classes: tuple[str, ...]) -> Loaded:
    """Read every XML annotation below `source`.

    VOC counts pixels from 1 and means both ends: (xmin, ymin, xmax, ymax) becomes (xmin - 1, ymin - 1, xmax, ymax). A
    box that reaches at most one pixel out (files that count from 0) is clipped. Difficult objects become crowd: neither
    object nor background, which is how VOC's own evaluation treats them. An image belongs to an XML file by its stem,
    else by <filename>; where a stem occurs in several folders, the one named like the XML's folder is meant.

    The cut is ImageSets/Main's: trainval and test where both are there, else train and val. Class order: `classes`,
    else labels.txt, label_list.txt or classes.txt, else the sorted names.

    Raises:
        NotThisFormat, InputError: see `Format`.
    """
    xml_files = list(files_below(source, frozenset({".xml"})))
    if not xml_files:
        raise NotThisFormat("VOC XML files (Annotations/*.xml, or a folder of them for each class)")
    images: dict[str, list[Path]] = defaultdict(list)
    for path in files_below(source, IMAGE_SUFFIXES):
        images[path.stem].append(path)
    problems = Problems()
    clipped: list[str] = []
    read = [_read(path, images, problems, clipped) for path in xml_files]
    annotations = [one for one in read if one is not None]
    order = classes or _listed_classes(source) or tuple(sorted({found.name for one in annotations for found in one.objects}))
    for one in annotations:
        for found in one.objects:
            if found.name not in order:
                problems.add(f"the class {found.name!r} is none of {', '.join(order)}", one.file)
    problems.check()
    sides = _cut(source)
    items = [_item(one, order, sides.get((_top(source, one.file), one.file.stem))) for one in annotations]
    notes = Notes()
    notes.add("changed", "boxes that reached up to a pixel out of their image, clipped", clipped[0] if clipped else "", len(clipped))
    return Loaded(order, tuple(items), notes=notes.listed())


def _item(one: _Annotation, order: tuple[str, ...], split: Split | None) -> Item:
    return make_item(one.image, one.size, ((order.index(found.name), *found.box, found.difficult) for found in one.objects), split)


def _read(path: Path, images: dict[str, list[Path]], problems: Problems, clipped: list[str]) -> _Annotation | None:
    text = read_text(path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can be made to expand without end
        problems.add("declares XML entities, which an annotation does not need; refused", path)
        return None
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        problems.add(f"is not valid XML: {error}; the file may be cut off", path)
        return None
    if root.tag != "annotation":
        return None  # some other XML file of the tree
    image = _image_of(path, root.findtext("filename") or "", images)
    if image is None:
        problems.add(
            f"its image ({path.stem} or {root.findtext('filename')!r}) is not below the source, or more than once there",
            path,
        )
        return None
    try:
        size = (int(float(root.findtext("size/width") or 0)), int(float(root.findtext("size/height") or 0)))
        if min(size) < 1:
            size = image_size(image)
        one = _Annotation(path, image, size)
        for element in root.iterfind("object"):
            found = _object(element, size, clipped, path)
            one.objects.append(found)
    except InputError as error:
        problems.found.extend(error.problems)
        return None
    except (ValueError, OverflowError) as error:
        problems.add(str(error), path)
        return None
    return one


def _object(element: ET.Element, size: tuple[int, int], clipped: list[str], path: Path) -> _Object:
    """Raises ValueError saying what is wrong with the object."""
    name = (element.findtext("name") or "").strip()
    if not name:
        raise ValueError("an object has no name")
    texts = [element.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
    try:
        x1, y1, x2, y2 = (float(text or "nan") for text in texts)
    except ValueError as error:
        raise ValueError(f"the object {name!r} has a box that is not four numbers: {texts}") from error
    if not all(map(math.isfinite, (x1, y1, x2, y2))) or x2 < x1 or y2 < y1:
        raise ValueError(f"the object {name!r} has an empty box or none: {texts}")
    box = [x1 - 1, y1 - 1, x2, y2]
    limits = (*size, *size)
    inside = [min(max(value, 0.0), float(limit)) for value, limit in zip(box, limits, strict=True)]
    if inside != box and all(abs(one - other) <= 1 for one, other in zip(inside, box, strict=True)):
        clipped.append(path.name)
        box = inside
    difficult = (element.findtext("difficult") or "0").strip() == "1"
    return _Object(name, (box[0], box[1], box[2], box[3]), difficult)


def _image_of(path: Path, file_name: str, images: dict[str, list[Path]]) -> Path | None:
    for stem in dict.fromkeys((path.stem, Path(file_name.replace("\\", "/")).stem)):
        found = images.get(stem, [])
        if len(found) > 1:
            near = [image for image in found if image.parent.name == path.parent.name]
            near = near or [image for image in found if image.parent.parent == path.parent.parent]
            found = near or found
        if len(found) == 1:
            return found[0]
    return None


def _listed_classes(source: Path) -> tuple[str, ...]:
    for name in _LABEL_FILES:
        for path in sorted(source.rglob(name)):
            return tuple(dict.fromkeys(line.strip() for line in read_text(path).splitlines() if line.strip()))
    return ()


def _top(source: Path, path: Path) -> Path:
    """The folder that holds Annotations (VOC2007, VOC2012): stems are unique only within it."""
    for parent in path.parents:
        if parent == source:
            break
        if parent.name == "Annotations" or parent.name == "ImageSets":
            return parent.parent
    return source


def _cut(source: Path) -> dict[tuple[Path, str], Split]:
    lists: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(source.rglob("ImageSets/Main/*.txt")):
        lists[path.stem].append(path)
    pair = ("trainval", "test") if lists["trainval"] and lists["test"] else ("train", "val")
    sides: dict[tuple[Path, str], Split] = {}
    for name, split in ((pair[0], "train"), (pair[1], "val")):
        for path in lists[name]:
            for line in read_text(path).splitlines():
                if line.strip():
                    sides[(_top(source, path), line.split()[0])] = "train" if split == "train" else "val"
    return sides
