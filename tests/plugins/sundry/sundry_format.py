"""A data format: ``dots.txt`` with one image per line, ``FILE CLASS X Y``: a dot of 8 pixels around a point."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from runner.data.formats.base import Loaded, NotThisFormat, SourceList, make_item


def load(source: Path, classes: tuple[str, ...]) -> Loaded:
    """Read a folder."""
    if not (source / "dots.txt").is_file():
        raise NotThisFormat("no dots.txt")
    rows = [line.split() for line in (source / "dots.txt").read_text().splitlines()]
    names = classes or tuple(sorted({row[1] for row in rows}))
    items = []
    for file, name, x, y in rows:
        with Image.open(source / file) as image:
            size = image.size
        box = (float(x) - 4, float(y) - 4, float(x) + 4, float(y) + 4)
        items.append(make_item(source / file, size, [(names.index(name), *box, False)]))
    half = len(items) * 3 // 4
    lists = {"train": SourceList(("dots.txt",), tuple(range(half))), "val": SourceList(("dots.txt",), tuple(range(half, len(items))))}
    return Loaded(names, tuple(items), lists)
