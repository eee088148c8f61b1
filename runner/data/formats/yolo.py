"""YOLO text files: "class cx cy w h" a line, in shares of the image; or a polygon, whose box is taken. A sixth number is a confidence."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from runner.core.errors import InputError, Problem
from runner.data.formats.base import IMAGE_SUFFIXES, Item, Loaded, NotThisFormat, Problems, SourceList, make_item, number, read_lines
from runner.data.formats.tree import Tree, below
from runner.data.formats.yolofile import LIST_KEYS, Description, read_class_file, read_description
from runner.data.images import image_size
from runner.data.notes import Notes

_MOST_SHARE = 2.0
"""A box may reach out of its image, see `runner.data.boxes`; larger numbers are pixels."""
_WITH_CONFIDENCE = 6
"""Numbers of a line that ends with a confidence; a polygon has an odd number of them."""
_CONFIDENCE = re.compile(r"\s+(0?\.\d+|0|1|1\.0*|0\.0*)\s*$")
_Row = tuple[int, float, float, float, float, bool]


def load(source: Path, classes: tuple[str, ...]) -> Loaded:
    """Read YOLO labels: the classes from data.yaml (``names``) or classes.txt, the lists from data.yaml's ``train``,
    ``val`` (``valid``) and ``test``, else from the folder names. The label of ``…/images/a.jpg`` is ``…/labels/a.txt``,
    or lies beside it; an image without one has no objects.

    Raises:
        NotThisFormat, InputError: see `Format`.
    """
    notes = Notes()
    tree = Tree(source, notes)
    descriptions = [*tree.named("data.yaml", "data.yml"), *tree.named("dataset.yaml", "dataset.yml")]
    class_files = [*tree.named("classes.txt"), *tree.named("obj.names")]
    if not descriptions and not class_files:
        raise NotThisFormat("YOLO's data.yaml or classes.txt beside images/ and labels/")
    description = read_description(descriptions[0]) if descriptions else Description(class_files[0])
    for path in [*descriptions[1:], *tree.files({".data"})]:
        notes.add("left out", "descriptions that are not used", tree.relative(path))
    names = description.names or (read_class_file(class_files[0]) if class_files else ())
    problems = Problems()
    if not names:
        problems.add("has no names, and there is no classes.txt: the classes are not known", description.file)
    elif classes and classes != names:
        problems.add(f"its classes are {', '.join(names)}; the spec says {', '.join(classes)}", description.file)
    problems.check()
    entries = description.lists or _list_files(tree, description.file.parent)
    lists = _lists(tree, description, entries, notes, problems) if entries else _lists_by_folder(tree)
    problems.check()
    items = _items(tree, lists, names, bool(entries), notes, problems)
    problems.check()
    if not items:
        raise InputError(Problem("has no images", str(source)))
    index = {item.path: place for place, item in enumerate(items)}
    own = {
        name: SourceList((where,), tuple(sorted(index[image] for image in images if image in index)))
        for name, (where, images) in lists.items()
    }
    notes.add("read", "images", tree.relative(items[0].path), len(items))
    return Loaded(names, tuple(items), own, notes=notes.listed())


_Lists = dict[str, tuple[str, set[Path]]]
"""Name of a list to where it stands, and the images it names."""


def _items(tree: Tree, lists: _Lists, names: tuple[str, ...], only_listed: bool, notes: Notes, problems: Problems) -> list[Item]:
    """The images in the order of their paths, those of test alone last: so they change nothing for the others."""
    listed = {image for _, images in lists.values() for image in images}
    learned = {image for name, (_, images) in lists.items() for image in images if name != "test"}
    images = sorted(listed) if only_listed else tree.files(IMAGE_SUFFIXES)
    labels: set[Path] = set()
    items = []
    for image in sorted(images, key=lambda path: path in listed and path not in learned):
        label = _label_of(tree, image)
        if label is None:
            notes.add("read", "images without a label file, which have no objects", tree.relative(image))
        else:
            labels.add(label)
        try:
            size = image_size(image)
            items.append(make_item(image, size, _rows(tree, label, size, len(names), notes, problems)))
        except InputError as error:
            problems.found.extend(error.problems)
    unused = [image for image in tree.files(IMAGE_SUFFIXES) if image not in listed] if only_listed else []
    notes.add("left out", "images in none of the lists", tree.relative(unused[0]) if unused else "", len(unused))
    in_lists = {label for image in unused if (label := _label_of(tree, image)) is not None}
    lonely = [path for path in tree.files({".txt"}) if _in_labels(tree, path) and path not in labels and path not in in_lists]
    notes.add("left out", "label files without an image", tree.relative(lonely[0]) if lonely else "", len(lonely))
    return items


def _list_files(tree: Tree, folder: Path) -> dict[str, tuple[str, ...]]:
    """Darknet's (and CVAT's) list files beside the classes, which no data.yaml names: recognised by an image on the first line."""
    found: dict[str, tuple[str, ...]] = {}
    for name in LIST_KEYS:
        path = tree.find(folder, f"{name}.txt", quiet=True)
        lines = read_lines(path) if path is not None and path.is_file() else []
        if lines and Path(lines[0][1]).suffix.lower() in IMAGE_SUFFIXES:
            found[name] = (f"{name}.txt",)
    return found


def _lists(tree: Tree, description: Description, named: Mapping[str, Sequence[str]], notes: Notes, problems: Problems) -> _Lists:
    lists: _Lists = {}
    for name, entries in named.items():
        images: set[Path] = set()
        for entry in entries:
            place = _place(tree, description.file.parent, description.root, entry)
            if place is None:
                problems.add(f"{name}: {entry!r} {_why_not(entry, tree)}", description.file)
            elif place.is_dir():
                images.update(tree.files(IMAGE_SUFFIXES, place))
            elif place.suffix.lower() in IMAGE_SUFFIXES:
                images.add(place)
            else:
                images |= _listed(tree, place, description.root, notes, problems)
        where = f"{tree.relative(description.file)}: {name}" if name in description.lists else entries[0]
        lists[name] = where, images
    return lists


def _listed(tree: Tree, path: Path, root: str, notes: Notes, problems: Problems) -> set[Path]:
    images: set[Path] = set()
    for place, line in read_lines(path):
        image = _place(tree, path.parent, root, line)
        if image is None and below(line) is not None and (inner := _place(tree, path.parent, ".", re.sub(r"^[^/\\]*[/\\]", "", line))):
            notes.add("changed", "paths of lists whose first folder is not there, taken without it", line)
            image = inner
        if image in images:
            notes.add("left out", "lines of lists that name an image once more", f"{tree.relative(path)}:{place}: {line}")
        if image is None or not image.is_file():
            problems.add(f"names {line!r}, which {_why_not(line, tree)}", f"{path}:{place}")
        else:
            images.add(image)
    return images


def _place(tree: Tree, folder: Path, root: str, text: str) -> Path | None:
    """What `text` in a file of `folder` means, if it lies below the source. Some exporters write one "../" too many: it
    is taken off.
    """
    tries = [(tree.root, path) for path in _absolute(tree, text)]
    if not os.path.isabs(text):
        stripped = re.sub(r"^(\.\.[/\\])+", "", text)
        roots = _absolute(tree, root) if os.path.isabs(root) else (root,)
        tries += [(folder, f"{one}/{text}") for one in roots if not os.path.isabs(root)]
        tries += [(folder, text), (folder, stripped), *((tree.root, f"{one}/{text}") for one in roots), (tree.root, stripped)]
    for exact in (True, False):
        for base, path in tries:
            if (found := tree.find(base, path, exact=exact)) is not None:
                return found
    return None


def _absolute(tree: Tree, text: str) -> list[str]:
    """An absolute path relative to the source, if it lies below it."""
    paths = dict.fromkeys((os.path.normpath(text), os.path.realpath(text))) if os.path.isabs(text) and "\0" not in text else ()
    return [os.path.relpath(path, tree.root) for path in paths if Path(path).is_relative_to(tree.root)]


def _why_not(text: str, tree: Tree) -> str:
    if os.path.isabs(text) or below(text) is None and not text.startswith("."):
        return f"is an absolute path and not below {tree.root}; write it relative to the list"
    return f"is not below {tree.root}"


def _lists_by_folder(tree: Tree) -> _Lists:
    lists: dict[str, set[Path]] = defaultdict(set)
    for image in tree.files(IMAGE_SUFFIXES):
        parts = tree.relative(image).lower().split("/")[:-1]
        name = next((name for name in ("train", "val", "test") if any(part.startswith(name) for part in parts)), None)
        if name is not None:
            lists[name].add(image)
    return {name: (f"folders named {name}…", lists[name]) for name in ("train", "val", "test") if name in lists}


def _label_of(tree: Tree, image: Path) -> Path | None:
    parts = tree.relative(image).split("/")
    for place in range(len(parts) - 2, -1, -1):  # the last folder called images is the one that labels stands for
        if parts[place].lower() == "images":
            label = PurePosixPath(*parts[:place], "labels", *parts[place + 1 :]).with_suffix(".txt")
            if (found := tree.find(tree.root, str(label), quiet=True)) is not None:
                return found
            break
    beside = image.with_suffix(".txt")
    return beside if beside.is_file() else None


def _in_labels(tree: Tree, path: Path) -> bool:
    return "labels" in tree.relative(path).lower().split("/")[:-1]


def _rows(tree: Tree, label: Path | None, size: tuple[int, int], class_count: int, notes: Notes, problems: Problems) -> list[_Row]:
    rows: list[_Row] = []
    if label is None:
        return rows
    for place, line in read_lines(label):
        if _CONFIDENCE.search(line) and len(line.split()) == _WITH_CONFIDENCE:  # written by a detector
            notes.add("left out", "confidences behind the boxes of labels", f"{tree.relative(label)}:{place}: {line}")
            line = _CONFIDENCE.sub("", line)
        try:
            rows.append(_row(line, size, class_count))
        except ValueError as error:
            problems.add(str(error), f"{label}:{place}")
    return rows


def _row(line: str, size: tuple[int, int], class_count: int) -> _Row:
    """Raises ValueError saying what is wrong with the line."""
    try:
        values = [number(field) for field in line.split()]
    except ValueError:
        raise ValueError(f"expected numbers, got {line!r}") from None
    polygon = len(values) >= 7 and len(values) % 2 == 1
    if not (len(values) == 5 or polygon):
        raise ValueError(f"expected 'class cx cy w h', with or without a confidence, or a polygon; got {line!r}")
    if values[0] != int(values[0]) or not 0 <= values[0] < class_count:
        raise ValueError(f"the class {line.split()[0]} is not in 0 to {class_count - 1}")
    if polygon:
        xs, ys = values[1::2], values[2::2]
        x1, y1, x2, y2 = min(xs), min(ys), max(xs), max(ys)
    else:
        cx, cy, w, h = values[1:]
        x1, y1, x2, y2 = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
    if max(map(abs, values[1:])) > _MOST_SHARE:
        raise ValueError(f"numbers are shares of the image, 0 to 1, not pixels: {line!r}")
    return int(values[0]), x1 * size[0], y1 * size[1], x2 * size[0], y2 * size[1], False
