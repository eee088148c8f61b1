"""DeepPCB as published (arXiv 1902.06197): lists of image and annotation pairs, one "x1 y1 x2 y2 type" a line."""

from __future__ import annotations

import re
from pathlib import Path

from runner.core.errors import InputError
from runner.data.formats.base import Item, Loaded, NotThisFormat, Problems, Split, make_item, read_text
from runner.data.images import image_size

CLASSES = ("open", "short", "mousebite", "spur", "copper", "pin-hole")
"""By type number, 1 to 6."""
_LISTS: tuple[tuple[str, Split], ...] = (("trainval.txt", "train"), ("test.txt", "val"))


def load(source: Path, classes: tuple[str, ...]) -> Loaded:
    """Read DeepPCB. The lists of the source are the cut: trainval.txt for training, test.txt for evaluation, whatever
    they hold.

    Raises:
        NotThisFormat, InputError: see `Format`.
    """
    root = next((path.parent for path in sorted(source.rglob("trainval.txt")) if (path.parent / "test.txt").is_file()), None)
    if root is None:
        raise NotThisFormat("DeepPCB's PCBData folder with trainval.txt and test.txt")
    problems = Problems()
    if classes and classes != CLASSES:
        problems.add(f"the classes of DeepPCB are {', '.join(CLASSES)} in this order; the spec says {', '.join(classes)}")
    items: list[Item] = []
    for list_name, split in _LISTS:
        for number, line in enumerate(read_text(root / list_name).splitlines(), start=1):
            if line.strip():
                item = _item(root, line, split, f"{root / list_name}:{number}", problems)
                items += [item] if item else []
    problems.check()
    return Loaded(CLASSES, tuple(items))


def _item(root: Path, line: str, split: Split, where: str, problems: Problems) -> Item | None:
    parts = line.split()
    if len(parts) != 2 or any(".." in Path(part).parts or Path(part).is_absolute() for part in parts):
        problems.add(f"expected 'image annotation', two paths below {root.name}, got {line!r}", where)
        return None
    listed = root / parts[0]
    image = listed.with_name(f"{listed.stem}_test{listed.suffix}")  # the list leaves "_test" out
    if not image.is_file():
        image = listed
    annotation = root / parts[1]
    for path in (image, annotation):
        if not path.is_file():
            problems.add(f"names {path.relative_to(root)}, which is missing", where)
            return None
    try:
        size, text = image_size(image), read_text(annotation)
    except InputError as error:
        problems.found.extend(error.problems)
        return None
    rows = []
    for number, row in enumerate(text.splitlines(), start=1):
        if not row.strip():
            continue
        fields = [field for field in re.split(r"[,\s]+", row.strip()) if field]
        if len(fields) != 5 or not all(field.isdigit() for field in fields) or not 1 <= int(fields[4]) <= len(CLASSES):
            problems.add(f"expected 'x1 y1 x2 y2 type' with type 1 to {len(CLASSES)}, got {row!r}", f"{annotation}:{number}")
            continue
        x1, y1, x2, y2, kind = (int(field) for field in fields)
        if x2 <= x1 or y2 <= y1:
            problems.add(f"the box {row!r} is empty", f"{annotation}:{number}")
            continue
        rows.append((kind - 1, float(x1), float(y1), float(x2), float(y2), False))
    return make_item(image, size, rows, split)
