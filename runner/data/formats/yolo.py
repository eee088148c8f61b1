"""YOLO sources: data.yaml or classes.txt, images, and a text file of boxes for each."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from runner.core.errors import InputError, Problem
from runner.core.values import counted
from runner.data.classes import listed
from runner.data.formats.base import (
    IMAGE_SUFFIXES,
    UNREAD_SUFFIXES,
    Item,
    Loaded,
    NotThisFormat,
    Problems,
    SourceList,
    make_item,
    read_lines,
)
from runner.data.formats.splits import split_of, split_of_folders
from runner.data.formats.tree import Tree, below
from runner.data.formats.yolofile import DESCRIPTIONS, Description, describes_lists, read_class_file, read_description
from runner.data.formats.yololabels import LabelReader, compare_classes, label_of, lonely_labels
from runner.data.images import image_size
from runner.data.notes import Notes


def load(source: Path, classes: tuple[str, ...]) -> Loaded:
    """Read YOLO labels: the classes from data.yaml (``names``) or classes.txt, the lists from data.yaml's ``train``, ``val`` (``valid``,
    ``validation``) and ``test``, else from the folder names. An image without a label file has no objects.

    Args:
        classes: their order; every class with boxes has to be among them, and each has to be one of the source's.

    Raises:
        NotThisFormat, InputError: see `Format`.
    """
    notes = Notes()
    tree = Tree(source, notes)
    descriptions = [*tree.named(*DESCRIPTIONS[:2]), *tree.named(*DESCRIPTIONS[2:])]
    class_files = [*tree.named("classes.txt"), *tree.named("obj.names"), *tree.named("_darknet.labels")]
    others = [] if descriptions else [path for path in tree.files({".yaml", ".yml"}) if describes_lists(path)]
    if not class_files:
        if len(others) > 1:
            shown = ", ".join(tree.relative(path) for path in others)
            raise NotThisFormat(f"YOLO's data.yaml (which of {shown} is it? rename that one)")
        descriptions, others = descriptions or others, []
    if not descriptions and not class_files:
        raise NotThisFormat("YOLO's data.yaml or classes.txt beside images/ and labels/")
    description = read_description(descriptions[0]) if descriptions else Description(class_files[0])
    for path in [*descriptions[1:], *others, *tree.files({".data"})]:
        notes.add("left out", "descriptions that are not used", tree.relative(path))
    names = description.names or (read_class_file(class_files[0]) if class_files else ())
    problems = Problems()
    if not names:
        problems.add("unknown classes: neither names nor a classes.txt", description.file)
    for name in classes:
        if names and name not in names:
            problems.add(f"has no class {name!r}, which the spec expects; its classes are {listed(names)}", description.file)
    problems.check()
    entries = description.lists or _list_files(tree, description.file.parent)
    lists = _lists(tree, description, entries, notes, problems) if entries else _lists_by_folder(tree)
    problems.check()
    for key, texts in description.others.items():
        if any(_resolve(tree, description.file.parent, description.root, text) for text in texts):
            notes.add(
                "left out", "keys of the description that name files, but no split", f"{tree.relative(description.file)}: {key}: {texts[0]}"
            )
    labels = {image: label for image in tree.files(IMAGE_SUFFIXES) if (label := label_of(tree, image)) is not None}
    reader = LabelReader(tree, len(names), description.keypoints, notes, problems)
    items = _items(tree, lists, bool(entries), labels, reader, notes, problems)
    used = {path for item in items for path in (item.path, labels.get(item.path)) if path is not None}
    compare_classes(class_files, names, description.file if description.names else class_files[0], used, problems)
    if classes:
        items = _in_order(items, names, classes, description.file, problems)
    problems.check()
    if not items:
        raise InputError(Problem("no images", str(source)))
    index = {item.path: place for place, item in enumerate(items)}
    own = {
        name: SourceList((where,), tuple(sorted(index[image] for image in images if image in index)))
        for name, (where, images) in lists.items()
    }
    tree.note_others(UNREAD_SUFFIXES)
    notes.add("read", "images", tree.relative(items[0].path), len(items))
    return Loaded(classes or names, tuple(items), own, notes=notes.listed())


_Lists = dict[str, tuple[str, set[Path]]]
"""Maps the name of a list to its files and its images."""


def _items(
    tree: Tree, lists: _Lists, only_listed: bool, labels: Mapping[Path, Path], reader: LabelReader, notes: Notes, problems: Problems
) -> list[Item]:
    """Return the images in the order of their paths, those of test alone last: so they change nothing for the others."""
    listed = {image for _, images in lists.values() for image in images}
    learned = {image for name, (_, images) in lists.items() for image in images if split_of(name) != "test"}
    images = sorted(listed) if only_listed else tree.files(IMAGE_SUFFIXES)
    owners: dict[Path, Path] = {}
    items = []
    for image in sorted(images, key=lambda path: path in listed and path not in learned):
        label = labels.get(image) or label_of(tree, image)
        if label is None:
            notes.add("read", "images without a label file, which have no objects", tree.relative(image))
        elif owners.setdefault(label, image) != image:
            notes.add("read", "label files that several images share", f"{tree.relative(label)}: {owners[label].name}, {image.name}")
        try:
            size = image_size(image)
            items.append(make_item(image, size, reader.rows(label, size) if label is not None else ()))
        except InputError as error:
            problems.found.extend(error.problems)
    unused = [image for image in tree.files(IMAGE_SUFFIXES) if image not in listed] if only_listed else []
    notes.add("left out", "images in none of the lists", tree.relative(unused[0]) if unused else "", len(unused))
    lonely = lonely_labels(tree, {*owners, *labels.values()})
    notes.add("left out", "label files without an image", tree.relative(lonely[0]) if lonely else "", len(lonely))
    return items


def _in_order(items: list[Item], names: tuple[str, ...], order: tuple[str, ...], file: Path, problems: Problems) -> list[Item]:
    """Renumber the classes as in `order`, a selection of `names`; a class with boxes that is not in it is a problem."""
    places = np.array([order.index(name) if name in order else -1 for name in names], dtype=np.int64)
    counts = sum((np.bincount(item.classes, minlength=len(names)) for item in items), np.zeros(len(names), dtype=np.int64))
    for number in np.flatnonzero((places < 0) & (counts > 0)):
        problems.add(
            f"class {names[number]!r} has {counted(int(counts[number]), 'box')}, and is not in the spec's classes: {listed(order)}", file
        )
    return [replace(item, classes=places[item.classes]) for item in items]


def _list_files(tree: Tree, folder: Path) -> dict[str, tuple[str, ...]]:
    """Darknet's (and CVAT's) list files beside the classes, which no data.yaml names: recognised by an image on the first line."""
    found: dict[str, tuple[str, ...]] = {}
    for name in ("train", "training", "val", "valid", "validation", "test", "testing", "trainval"):
        if name == "trainval" and "train" in found:
            continue
        path = tree.find(folder, f"{name}.txt", quiet=True)
        lines = read_lines(path) if path is not None and path.is_file() else []
        if lines and Path(lines[0][1]).suffix.lower() in IMAGE_SUFFIXES:
            found[name] = (f"{name}.txt",)
    return found


def _lists(tree: Tree, description: Description, named: Mapping[str, Sequence[str]], notes: Notes, problems: Problems) -> _Lists:
    lists: _Lists = {}
    for name, entries in named.items():
        images: set[Path] = set()
        places = [_resolve(tree, description.file.parent, description.root, entry) for entry in entries]
        if split_of(name) == "test" and not any(places) and not any(os.path.exists(entry) for entry in entries if os.path.isabs(entry)):
            # Roboflow names a test folder whether it exported one or not.
            notes.add("left out", "lists of the description that are not there", f"{tree.relative(description.file)}: {name}: {entries[0]}")
            continue
        for entry, place in zip(entries, places, strict=True):
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
        image = _resolve(tree, path.parent, root, line)
        if image is None and below(line) is not None and (inner := _resolve(tree, path.parent, ".", re.sub(r"^[^/\\]*[/\\]", "", line))):
            notes.add("changed", "paths of lists whose first folder is not there, taken without it", line)
            image = inner
        if image in images:
            notes.add("left out", "lines of lists that name an image once more", f"{tree.relative(path)}:{place}: {line}")
        if image is None or not image.is_file():
            why = "is a folder; expected an image" if image is not None and image.is_dir() else _why_not(line, tree)
            problems.add(f"names {line!r}, which {why}", f"{path}:{place}")
        else:
            images.add(image)
    return images


def _resolve(tree: Tree, folder: Path, root: str, text: str) -> Path | None:
    """Resolve `text` in a file of `folder` to a path below the source, or None. Some exporters write one "../" too many,
    which is removed.
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
    """Return an absolute path relative to the source, if it lies below it."""
    paths = dict.fromkeys((os.path.normpath(text), os.path.realpath(text))) if os.path.isabs(text) and "\0" not in text else ()
    return [os.path.relpath(path, tree.root) for path in paths if Path(path).is_relative_to(tree.root)]


def _why_not(text: str, tree: Tree) -> str:
    if os.path.isabs(text) or below(text) is None and not text.startswith("."):
        return f"is an absolute path and not below {tree.root}; write it relative to the list"
    return f"is not below {tree.root}"


def _lists_by_folder(tree: Tree) -> _Lists:
    lists: dict[str, set[Path]] = defaultdict(set)
    for image in tree.files(IMAGE_SUFFIXES):
        name = split_of_folders(tree.relative(image).split("/")[:-1])
        if name is not None:
            lists[name].add(image)
    return {name: (f"folders named {name}…", lists[name]) for name in ("train", "val", "test", "trainval") if name in lists}
