"""DeepPCB as published (arXiv 1902.06197): lists of image and annotation pairs, one "x1 y1 x2 y2 type" per line."""

from __future__ import annotations

import re
from pathlib import Path

from runner.core.errors import InputError
from runner.data.formats.base import IMAGE_SUFFIXES, Item, Loaded, NotThisFormat, Problems, SourceList, Split, make_item, read_lines
from runner.data.formats.tree import Tree, below
from runner.data.images import image_size
from runner.data.notes import Notes

CLASSES = ("open", "short", "mousebite", "spur", "copper", "pin-hole")
"""Classes by type number, 1 to 6."""
_LISTS = ("trainval.txt", "test.txt")


def load(source: Path, classes: tuple[str, ...]) -> Loaded:
    """Read DeepPCB. The lists of the source are the split: trainval.txt for training, test.txt for evaluation, whatever
    they hold.

    Raises:
        NotThisFormat, InputError: see `Format`.
    """
    notes = Notes()
    tree = Tree(source, notes)
    root = next((path.parent for path in tree.named(_LISTS[0]) if tree.find(path.parent, _LISTS[1], quiet=True)), None)
    if root is None:
        raise NotThisFormat("DeepPCB's PCBData folder with trainval.txt and test.txt")
    problems = Problems()
    if classes and classes != CLASSES:
        problems.add(f"the classes of DeepPCB are {', '.join(CLASSES)} in this order; the spec says {', '.join(classes)}")
    items: list[Item] = []
    lists: dict[str, SourceList] = {}
    for name in _LISTS:
        path = tree.find(root, name, quiet=True) or root / name
        read = [_item(tree, root, line, f"{path}:{number}", problems) for number, line in read_lines(path)]
        found = [item for item in read if item is not None]
        lists[path.stem.lower()] = SourceList((tree.relative(path),), tuple(range(len(items), len(items) + len(found))))
        items += found
    problems.check()
    used = {item.path for item in items}
    unused = [path for path in tree.files(IMAGE_SUFFIXES, root) if path not in used and not path.stem.endswith("_temp")]
    notes.add("left out", "images in none of the lists", tree.relative(unused[0]) if unused else "", len(unused))
    notes.add("read", "annotated images", tree.relative(items[0].path) if items else "", len(items))
    split_lists: dict[Split, tuple[str, ...]] = {"train": ("trainval",), "val": ("test",)}
    return Loaded(CLASSES, tuple(items), lists, split_lists, notes=notes.listed())


def _item(tree: Tree, root: Path, line: str, where: str, problems: Problems) -> Item | None:
    parts = line.split()
    if len(parts) != 2 or any(below(part) is None for part in parts):
        problems.add(f"expected 'image annotation', two paths below {root.name}, got {line!r}", where)
        return None
    stem, dot, suffix = parts[0].rpartition(".")
    image = tree.find(root, f"{stem}_test{dot}{suffix}", quiet=True) or tree.find(root, parts[0])  # the list leaves "_test" out
    annotation = tree.find(root, parts[1])
    for name, path in ((parts[0], image), (parts[1], annotation)):
        if path is None or not path.is_file():
            problems.add(f"file {name} is missing", where)
            return None
    assert image is not None and annotation is not None
    try:
        size, lines = image_size(image), read_lines(annotation)
    except InputError as error:
        problems.found.extend(error.problems)
        return None
    rows = []
    for number, row in lines:
        fields = [field for field in re.split(r"[,\s]+", row) if field]
        if len(fields) != 5 or not all(re.fullmatch("[0-9]{1,9}", field) for field in fields) or not 1 <= int(fields[4]) <= len(CLASSES):
            problems.add(f"expected 'x1 y1 x2 y2 type' with type 1 to {len(CLASSES)}, got {row!r}", f"{annotation}:{number}")
            continue
        x1, y1, x2, y2, kind = (int(field) for field in fields)
        rows.append((kind - 1, float(x1), float(y1), float(x2), float(y2), False))
    return make_item(image, size, rows)
