"""COCO JSON in its common layouts: the article's, COCO's own, and ours."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runner.core.errors import InputError, Problem
from runner.data.annotations import Tables, as_problems, scan
from runner.data.cocofile import read_annotations
from runner.data.formats.base import IMAGE_SUFFIXES, Item, Loaded, NotThisFormat, Problems, SourceList
from runner.data.formats.splits import lists_of_folders, split_of, split_word
from runner.data.formats.tree import Tree, below
from runner.data.notes import Notes

_IN_FOLDERS = ("_annotations.coco.json", "annotation_coco.json")
"""Name of the annotation file in each split's folder, as Roboflow and MMDetection's tools write it."""
_PREFIX = re.compile(r"instances?_", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Part:
    """One annotation file: the list it is (None: the only file), and its columns."""

    path: Path
    list_name: str | None
    document: dict[str, Any]
    tables: Tables


def load(source: Path, classes: tuple[str, ...]) -> Loaded:
    """Read COCO JSON: ``Annotations/train.json`` and ``val.json`` with ``images/`` (the article's),
    ``annotations/instances_*.json`` with ``train2017/``, ``val2017/``, or ``train/`` and ``valid/`` with
    ``_annotations.coco.json`` in each; likewise ``test``. One file alone is no list, but the
    folders of its images may be. Categories that the files have in
    another order or under other numbers are matched by name; the first file, train's, has to have all of them.

    Class numbers of the source (of its first file) are kept, segmentations are not.

    Raises:
        NotThisFormat, InputError: see `Format`.
    """
    notes = Notes()
    tree = Tree(source, notes)
    files = _annotation_files(tree, notes)
    problems = Problems()
    parts = []
    for path, list_name in files:
        document = read_annotations(path, any_encoding=True)
        if list_name is not None and split_of(list_name) == "test" and "annotations" not in document:  # as COCO's image_info_test2017.json
            notes.add("left out", "test lists whose file has no annotations", tree.relative(path))
            continue
        tables, faults = scan(document)
        problems.found += as_problems(faults, path)
        parts.append(_Part(path, list_name, document, tables))
    problems.check()
    number = {name: category_id for category_id, name in parts[0].tables.categories}
    names = tuple(number)
    for part in parts[1:]:
        own = part.tables.categories
        if not {name for _, name in own} <= set(names):
            text = f"its categories differ from those of {parts[0].path.name}: {own} against {parts[0].tables.categories}"
            problems.add(text, part.path)
        elif len(own) < len(names):
            what = f"files that have only some of the categories of {parts[0].path.name}, matched by name"
            notes.add("changed", what, f"{tree.relative(part.path)}: {len(own)} of {len(names)}")
        elif own != parts[0].tables.categories:
            what = f"files whose categories have another order or other numbers than in {parts[0].path.name}, matched by name"
            notes.add("changed", what, tree.relative(part.path))
    if classes and set(classes) != set(names):
        problems.add(f"classes are {', '.join(names)}; the spec expects {', '.join(classes)}", parts[0].path)
    problems.check()
    order = classes or names
    items: list[Item] = []
    lists: dict[str, SourceList] = {}
    for part in parts:
        before = len(items)
        items += _items(tree, part, order, notes, problems)
        if part.list_name is not None:
            lists[part.list_name] = SourceList((tree.relative(part.path),), tuple(range(before, len(items))))
        notes.add("read", "annotated images", items[before].path.name if len(items) > before else "", len(items) - before)
        _count_left_out(part, notes)
    problems.check()
    lists = lists or lists_of_folders([[tree.relative(item.path)] for item in items], alone=False)
    used = {item.path for item in items}
    unused = [path for path in tree.files(IMAGE_SUFFIXES) if path not in used]
    notes.add("left out", "images in no annotation file", tree.relative(unused[0]) if unused else "", len(unused))
    return Loaded(order, tuple(items), lists, category_ids=tuple(number[name] for name in order), notes=notes.listed())


def _annotation_files(tree: Tree, notes: Notes) -> list[tuple[Path, str | None]]:
    """Return the annotation files, train's first, each with the name of its list; a file alone has none."""
    jsons = tree.files({".json"})
    places = {tree.root, *(path.parent for path in jsons if path.parent.name.lower().startswith("annotation"))}
    near = [path for path in jsons if path.parent in places]
    in_folders = list(_in_folders(tree, jsons, bool(near)))
    choices = [
        *(_lists_in((_PREFIX.sub("", path.stem, 1), path) for path in near if path.parent == place) for place in sorted(places)),
        *in_folders,
    ]
    found = next((lists for lists in choices if any(name.startswith("train") for name in lists) and len(lists) > 1), None)
    alone = near or [path for lists in in_folders for path in lists.values()]
    if found is None and len(alone) == 1:
        found = {"": alone[0]}
    if found is None:
        raise NotThisFormat("COCO JSON: Annotations/train.json and val.json (or annotations/instances_train2017.json, …) beside images/")
    named = [path for path in jsons if path in near or path.name.lower() in _IN_FOLDERS]
    unused = [path for path in named if path not in found.values()]
    notes.add("left out", "annotation files that are not used", tree.relative(unused[0]) if unused else "", len(unused))
    return [(path, name or None) for name, path in found.items()]


def _lists_in(named: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Return the lists among files with the names they have there, train's first; of train2017 and train2014 the later one,
    and a plain name before both."""
    found: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for name, path in named:
        if word := split_word(name):
            found[word].append((name, path))
    ordered = sorted(found, key=lambda word: not word.startswith("train"))
    return {word: min(found[word], key=lambda one: (len(one[0]), [-ord(letter) for letter in one[0]]))[1] for word in ordered}


def _in_folders(tree: Tree, jsons: Sequence[Path], others: bool) -> Iterator[dict[str, Path]]:
    """Yield the lists whose folders (train/, valid2017/) hold a file each: by its name, or the only one where there are no `others`."""
    files: dict[Path, list[Path]] = defaultdict(list)
    for path in jsons:
        if path.parent != tree.root and split_word(path.parent.name):
            files[path.parent].append(path)
    folders: dict[Path, list[tuple[str, Path]]] = defaultdict(list)
    for folder in sorted(files):
        known = [path for path in files[folder] if path.name.lower() in _IN_FOLDERS] or ([] if others else files[folder])
        if len(known) == 1:
            folders[folder.parent].append((folder.name, known[0]))
    for parent in sorted(folders):
        yield _lists_in(folders[parent])


def _items(tree: Tree, part: _Part, order: tuple[str, ...], notes: Notes, problems: Problems) -> Iterator[Item]:
    tables = part.tables
    folder = _image_folder(tree, part, notes)
    position = np.array([order.index(name) for _, name in tables.categories], dtype=np.int64)
    areas = np.where(tables.areas > 0, tables.areas, np.abs(tables.boxes[:, 2] * tables.boxes[:, 3]))
    by_image = np.argsort(tables.image_index, kind="stable")
    owners = tables.image_index[by_image]
    bounds = np.searchsorted(owners, np.arange(len(tables.image_ids) + 1))
    for index, image_id in enumerate(tables.image_ids):
        name = tables.file_names[index]
        file = _find_image(tree, folder, name)
        if file is None:
            outside = below(name) is None
            shown = f"file name {name!r} leads out of the image folder" if outside else f"image {_shown(tree, folder, name)} is missing"
            problems.add(f"the {shown}", part.path)
            continue
        mine = by_image[bounds[index] : bounds[index + 1]]
        mine = mine[~tables.ignore[mine]]
        xywh = tables.boxes[mine]
        yield Item(
            path=file,
            width=tables.sizes[index][0],
            height=tables.sizes[index][1],
            boxes=np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1),
            classes=position[tables.class_index[mine]],
            crowd=tables.crowd[mine],
            areas=areas[mine],
            id=image_id,
        )


def _find_image(tree: Tree, folder: Path, name: str, *, exact: bool = False, quiet: bool = False) -> Path | None:
    """Return the image file of a name in an annotation file, which may not leave the image folder."""
    if below(name) is None:
        return None
    found = tree.find(folder, name, exact=exact, quiet=quiet)
    return found if found is not None and found.is_file() else None


def _shown(tree: Tree, folder: Path, name: str) -> str:
    return (Path(tree.relative(folder)) / name).as_posix()


def _image_folder(tree: Tree, part: _Part, notes: Notes) -> Path:
    """Return the folder in which the first name is found that is found at all, tried near the annotation file."""
    stem = _PREFIX.sub("", part.path.stem, 1)
    bases = [base for base in (part.path.parent, part.path.parent.parent) if base.is_relative_to(tree.root)]
    places = [(base, under) for base in bases for under in ("images", stem, f"images/{stem}", "JPEGImages", "")]
    tried = [
        folder
        for base, under in (*places, *((base, "data") for base in bases))
        if (folder := tree.find(base, under, quiet=True)) and folder.is_dir()
    ]
    names = part.tables.file_names
    for exact in (True, False):
        for name in names:
            for folder in tried:
                if (file := _find_image(tree, folder, name, exact=exact, quiet=True)) is not None:
                    _note_choice(tree, part, folder, [other for other in tried if _holds_another(tree, other, name, file)], notes)
                    return folder
    outside = next((name for name in names if below(name) is None), None)
    if outside is not None:
        text = f"the file name {outside!r} leads out of the image folder; expected a path below it"
        raise InputError(Problem(text, str(part.path)))
    looked = ", ".join(dict.fromkeys(tree.relative(folder) for folder in tried))
    text = f"the image {names[0]!r} is missing, and so are all {len(names):,} that it names; looked for them in {looked} of {tree.root}"
    raise InputError(Problem(text, str(part.path)))


def _holds_another(tree: Tree, folder: Path, name: str, file: Path) -> bool:
    other = _find_image(tree, folder, name, exact=True, quiet=True)
    return other is not None and not other.samefile(file)


def _note_choice(tree: Tree, part: _Part, folder: Path, others: Sequence[Path], notes: Notes) -> None:
    if others:
        text = "annotation files whose images are in several folders, of which the first was taken"
        folders = ", ".join(dict.fromkeys(tree.relative(place) for place in (folder, *others)))
        notes.add("read", text, f"{tree.relative(part.path)}: {folders}")


def _count_left_out(part: _Part, notes: Notes) -> None:
    ignored = np.flatnonzero(part.tables.ignore)
    example = part.tables.file_names[part.tables.image_index[ignored[0]]] if len(ignored) else ""
    notes.add("left out", 'boxes marked "ignore"', example, len(ignored))
    count = sum(bool(entry.get("segmentation")) for entry in part.document["annotations"])
    notes.add("left out", "segmentations (the boxes are kept)", part.path.name, count)
