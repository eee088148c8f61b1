"""Conversion of a source folder into the files of a prepared set: annotations of each split, and their images."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from runner.core.errors import InputError, Problem, RunnerError
from runner.data.annotations import as_problems
from runner.data.boxes import settle
from runner.data.coco import save_json
from runner.data.formats import FORMATS
from runner.data.formats.base import Loaded, NotThisFormat, Split, capped
from runner.data.formats.save import to_coco
from runner.data.formats.tree import alike_key
from runner.data.headers import other_sizes
from runner.data.images import image_size
from runner.data.manifest import (
    ANNOTATIONS,
    IMAGE_DIR,
    Manifest,
    SplitFacts,
    prepared_content,
)
from runner.data.notes import Notes, merged
from runner.data.sources import Progress, link_or_copy
from runner.data.spec import DataSpec
from runner.data.split import divide


def convert(spec: DataSpec, source: Path, folder: Path, progress: Progress, read_as: Callable[[str], str]) -> Manifest:
    """Read a source folder and write its splits and images into `folder`.

    Args:
        read_as: returns the command that reads the source in a format.

    Raises:
        InputError: it has none of the spec's formats, is damaged, or does not pass the spec's checks.
    """
    progress(0, 0, "reading annotations")
    loaded = _load(spec, source, read_as)
    if not loaded.items:
        raise InputError(Problem("no annotation belongs to an image", str(source)))
    _verify_counts(spec, loaded, source)
    loaded = settle(loaded, source, spec.boxes_outside, spec.boxes_empty)
    names = _names(loaded, source)
    _refuse_without_boxes(loaded, source)
    progress(0, 0, "reading image headers")
    files = [item.path.relative_to(source).as_posix() for item in loaded.items]
    if wrong := other_sizes(source, files, [(item.width, item.height) for item in loaded.items]):
        raise InputError(as_problems(wrong, source))
    division = divide(spec, loaded, names)
    notes = Notes()
    _note_alike_classes(loaded.classes, notes)
    used = Counter(names[index] for members in division.sides.values() for index in members)
    for name, count in used.items():
        if count > 1:
            notes.add("read", "images that the source lists more than once, and that count as often", name)
    chosen = {names[index]: index for members in division.sides.values() for index in members}
    real_folders = {parent: Path(os.path.realpath(parent)) for parent in {item.path.parent for item in loaded.items}}
    for done, (name, index) in enumerate(chosen.items()):
        progress(done, len(chosen), "linking images")
        path = loaded.items[index].path
        _put_image(path, real_folders[path.parent], folder / IMAGE_DIR / name, source, notes)
    ids = _ids(loaded, division.sides)
    facts: dict[Split, SplitFacts] = {}
    for split, members in division.sides.items():
        rows = [(ids[index], names[index], loaded.items[index]) for index in members]
        path = folder / ANNOTATIONS[split]
        sha256 = save_json(path, to_coco(rows, loaded.classes, loaded.category_ids, spec.title))
        boxes = sum(len(item.boxes) for _, _, item in rows)
        facts[split] = SplitFacts(len(rows), boxes, ANNOTATIONS[split], sha256, division.lists.get(split, ()))
    return Manifest(
        name=spec.name,
        classes=loaded.classes,
        splits={split: facts[split] for split in ANNOTATIONS if split in facts},
        content=prepared_content(folder),
        spec_hash=spec.hash(),
        source="",
        source_hash="",
        notes=merged(loaded.notes, division.notes, notes.listed()),
        boxes_outside=spec.boxes_outside,
        boxes_empty=spec.boxes_empty,
    )


def _refuse_without_boxes(loaded: Loaded, source: Path) -> None:
    if any(len(item.boxes) for item in loaded.items):
        return
    found = "".join(f"\n{note}" for note in loaded.notes)
    text = f"{len(loaded.items):,} images without a single box, so there is nothing to learn; check where the annotations are"
    raise InputError(Problem(f"{text}{found}", str(source)))


def _note_alike_classes(classes: Sequence[str], notes: Notes) -> None:
    by_key: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        by_key[" ".join(alike_key(name).split())].append(name)
    for names in by_key.values():
        if len(names) > 1:
            shown = ", ".join(map(ascii, names))
            notes.say(f"these are {len(names)} classes, though their names differ in case, spaces or Unicode form only: {shown}")


def _names(loaded: Loaded, source: Path) -> list[str]:
    """Return the items' names below the image folder: their paths below their common folder. Paths outside of the source, which a
    format (also of another package) might give, are refused: they would be written outside of the set.
    """
    problems = []
    for item in loaded.items:
        if ".." in item.path.parts or not item.path.is_relative_to(source):
            problems.append(Problem(f"path {str(item.path)!r} leads out of the source", str(source)))
        elif (text := str(item.path)).encode("utf-8", "replace").decode() != text:
            problems.append(Problem(f"file name {text!r} is not UTF-8; rename the file (convmv -f gbk -t utf-8 …)", str(source)))
    if problems:
        raise InputError(capped(problems))
    base = Path(os.path.commonpath([item.path.parent for item in loaded.items]))
    return [item.path.relative_to(base).as_posix() for item in loaded.items]


def _ids(loaded: Loaded, sides: Mapping[Split, list[int]]) -> dict[int, int]:
    """Return image ids by index of `loaded.items`: the source's own if they are complete and unique, else consecutive numbers. A test
    split, in a file of its own, does not change those of the others."""
    ids: dict[int, int] = {}
    test = set(sides.get("test", ()))
    learned = [index for index in range(len(loaded.items)) if index not in test]
    for indices in (sorted(test), learned):
        own = [loaded.items[index].id for index in indices]
        usable = None not in own and len(set(own)) == len(own)
        ids |= {index: int(own[place] or 0) if usable else index + 1 for place, index in enumerate(indices)}
    return ids


def _put_image(path: Path, folder: Path, target: Path, source: Path, notes: Notes) -> None:
    """Link an image into the set. A link out of the source is the user's choice, but has to be an image.

    Args:
        folder: the image's folder, its links resolved.
    """
    real = Path(os.path.realpath(path)) if path.is_symlink() else folder / path.name
    if not real.is_relative_to(source):
        image_size(path)
        notes.add("read", "images that symbolic links out of the source lead to", f"{path.relative_to(source).as_posix()} → {real}")
    target.parent.mkdir(parents=True, exist_ok=True)
    link_or_copy(real, target)


def _load(spec: DataSpec, source: Path, read_as: Callable[[str], str]) -> Loaded:
    looked_for = []
    for name in spec.formats:
        try:
            loaded: Loaded = FORMATS.get(name)(source, spec.classes)
            return loaded
        except NotThisFormat as error:
            looked_for.append(str(error))
    message = f"not the source of {spec.name}; expected: {'; or '.join(looked_for)}."
    others = [f"It is in {name} format: {read_as(name)}" for name in _readable_as(source, spec.formats)]
    raise InputError(Problem("\n".join(filter(None, [message, *(others or [spec.where])])), str(source)))


def _readable_as(source: Path, besides: Sequence[str]) -> Iterator[str]:
    """Yield the formats that can read a source, besides those that were tried."""
    for name in FORMATS.names():
        if name not in besides:
            try:
                FORMATS.get(name)(source, ())
            except (NotThisFormat, RunnerError):
                continue
            yield name


def _verify_counts(spec: DataSpec, loaded: Loaded, source: Path) -> None:
    images, boxes = len(loaded.items), sum(len(item.boxes) for item in loaded.items)
    if spec.images in (None, images) and spec.boxes in (None, boxes):
        return
    per_class = Counter(np.concatenate([item.classes for item in loaded.items]).tolist())
    counted = ", ".join(f"{name} {per_class[index]}" for index, name in enumerate(loaded.classes))
    raise InputError(
        Problem(
            f"{images:,} images and {boxes:,} boxes found ({counted}); "
            f"{spec.name} has {spec.images or images:,} and {spec.boxes or boxes:,}. Files may be missing: get it again. "
            f"If this is the intended data, give its counts: images={images} boxes={boxes}",
            str(source),
        )
    )
