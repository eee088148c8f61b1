"""Check of a data set: annotations, image files, and images in both splits."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runner.core.errors import InputError
from runner.core.files import read_bytes
from runner.core.values import counted
from runner.data.annotations import Tables, scan
from runner.data.boxes import CLIPPED_PX, boxes_as_shares, is_flat, place, reaches_out, slightly_out, table_overhang
from runner.data.choice import DatasetChoice, SplitPaths
from runner.data.coco import missing_images
from runner.data.cocofile import read_annotations
from runner.data.images import image_sizes, read_image
from runner.data.manifest import prepared_content, read_manifest
from runner.data.proposal import prepare_again
from runner.data.sources import Progress, silent
from runner.data.split import groups
from runner.data.synthetic.write import written_content

Severity = Literal["error", "warning", "note"]
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of fault in one file.

    Args:
        severity: ``error``: training or evaluation would fail or be wrong; ``warning``: metrics may mislead;
            ``note``: for information.
        what: description.
        file: the annotation file or folder it was found in.
        count: how many.
        examples: up to five.
    """

    severity: Severity
    what: str
    file: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Seen:
    """A decoded image: content hash, and whether its pixels have the annotated size."""

    name: str
    digest: str = ""
    size: tuple[int, int] = (0, 0)
    unreadable: str = ""


def inspect_set(
    data: DatasetChoice | Sequence[SplitPaths],
    *,
    num_classes: int | None = None,
    read_images: bool = True,
    progress: Progress = silent,
) -> list[Finding]:
    """Check a data set; return all findings, errors first. An empty list means that nothing is wrong.

    Args:
        data: a prepared set, or the sides of one (train first).
        num_classes: the number the config says; None: not compared.
        read_images: decode each image (cut-off files, sizes, equal pixels on both sides); else only annotations and
            names.

    Raises:
        InputError: the set is not prepared.
    """
    findings: list[Finding] = []
    if isinstance(data, DatasetChoice):
        if not data.prepared:
            raise InputError(data.message)
        findings += _against_manifest(data)
        sides: Sequence[SplitPaths] = (data.train, data.eval, *([data.test] if data.test else []))
    else:
        sides = data
    found = [(side, tables) for side in sides if (tables := _annotations(side, num_classes, findings)) is not None]
    if len({tuple(tables.categories) for _, tables in found}) > 1:
        findings.append(Finding("error", "the sides have different categories", str(found[1][0].annotations), 1))
    if found and not any(len(tables.boxes) for _, tables in found):
        findings.append(Finding("error", "no box, so there is nothing to learn", str(found[0][0].annotations), 1))
    findings += _on_both(found)
    if read_images:
        _images(found, findings, progress)
    if isinstance(data, DatasetChoice) and data.group:
        _groups(data.group, found, findings)
    ranks = {"error": 0, "warning": 1, "note": 2}
    return sorted(findings, key=lambda one: ranks[one.severity])


def _against_manifest(data: DatasetChoice) -> list[Finding]:
    """Find annotation files, and content as a whole, that have changed since the preparation."""
    folder = Path(data.train.dataset_dir)
    manifest = read_manifest(folder)
    if manifest is None:
        return []
    changed = [
        facts.annotations
        for facts in manifest.splits.values()
        if not (path := folder / facts.annotations).is_file() or hashlib.sha256(read_bytes(path)).hexdigest() != facts.sha256
    ]
    if not changed:
        try:
            content = written_content(folder) if manifest.generated else prepared_content(folder)
        except InputError:
            return []  # missing and damaged images are found individually below
        changed = [] if content == manifest.content else ["images/"]
    return _listed(
        "error", f"files changed since the set was prepared; prepare it again: {prepare_again(manifest.name, manifest)}", folder, changed
    )


def _annotations(side: SplitPaths, num_classes: int | None, findings: list[Finding]) -> Tables | None:
    """Return the side's columns and add findings about them; None if the file cannot be read at all."""
    path = side.annotations
    try:
        tables, faults = scan(read_annotations(path))
    except InputError as error:
        findings.append(Finding("error", str(error), str(path), 1))
        return None
    faults += [*missing_images(tables.file_names, side.images), *boxes_as_shares(tables)]
    by_kind: dict[str, list[str]] = defaultdict(list)
    for fault in faults:
        by_kind[f"{fault.of} that {fault.kind}" if fault.of else fault.kind].append(fault.example)
    for kind, examples in by_kind.items():
        findings += _listed("error", kind, path, examples)
    if num_classes is not None and num_classes != len(tables.categories):
        what = f"the config says num_classes: {num_classes}, the file has {counted(len(tables.categories), 'class')}"
        findings += _listed("error", what, path, [name for _, name in tables.categories])
    findings += _boxes(tables, path)
    return tables


def _boxes(tables: Tables, path: Path) -> list[Finding]:
    out, flat = table_overhang(tables), is_flat(tables)
    without = sorted(set(range(len(tables.image_ids))) - set(tables.image_index[~tables.crowd].tolist()))
    unused = sorted(set(range(len(tables.categories))) - set(tables.class_index.tolist()))

    def shown(mask: NDArray[np.bool_]) -> list[str]:
        return [place(tables, row) for row in np.flatnonzero(mask)]

    return [
        *_listed("error", "boxes without width or height", path, shown(flat)),
        *_listed("error", "boxes that extend beyond their image", path, shown(reaches_out(out) & ~flat)),
        *_listed("note", f"boxes that extend up to {CLIPPED_PX:g} pixel beyond their image", path, shown(slightly_out(out) & ~flat)),
        *_listed("warning", "file names that are listed twice", path, _twice(tables.file_names)),
        *_listed("warning", "categories without a box", path, [tables.categories[index][1] for index in unused]),
        *_listed("note", "images without objects", path, [tables.file_names[index] for index in without]),
    ]


def _on_both(found: Sequence[tuple[SplitPaths, Tables]]) -> list[Finding]:
    """Find file names that both sides list, of one folder of images."""
    if len(found) < 2 or found[0][0].images.resolve() != found[1][0].images.resolve():
        return []
    both = sorted(set(found[0][1].file_names) & set(found[1][1].file_names))
    return _listed(
        "warning", "images that are listed for training and for evaluation, so the metrics mislead", found[1][0].annotations, both
    )


def _images(found: Sequence[tuple[SplitPaths, Tables]], findings: list[Finding], progress: Progress) -> None:
    """Decode all images and find those that are unreadable, of another size, or duplicated."""
    total = sum(len(tables.file_names) for _, tables in found)
    done = 0
    places: list[dict[str, list[str]]] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # Pillow decodes outside the interpreter's lock
        for side, tables in found:
            unreadable, wrong_size = [], []
            place: dict[str, list[str]] = defaultdict(list)
            arguments = ((side.images, name, size) for name, size in zip(tables.file_names, tables.sizes, strict=True))
            for seen, size in zip(pool.map(_inspect_image, arguments), tables.sizes, strict=True):
                done += 1
                progress(done, total, "reading images")
                if seen.unreadable:
                    unreadable.append(f"{seen.name}: {seen.unreadable}")
                elif seen.digest:
                    place[seen.digest].append(seen.name)
                    if seen.size != size:
                        wrong_size.append(f"{seen.name}: {seen.size[0]}x{seen.size[1]}, annotated as {size[0]}x{size[1]}")
            places.append(place)
            findings += _listed("error", "images that cannot be read", side.annotations, unreadable)
            findings += _listed("error", "images of another size than annotated", side.annotations, wrong_size)
            same = [", ".join(names) for names in place.values() if len(set(names)) > 1]
            findings += _listed("warning", "images with the same pixels on one side", side.annotations, same)
    for first in range(len(places)):
        for second in range(first + 1, len(places)):
            both = [f"{places[first][digest][0]} = {places[second][digest][0]}" for digest in places[first] if digest in places[second]]
            what = f"images with the same pixels in both splits (other split: {found[first][0].anno_path})"
            findings += _listed("warning", what, found[second][0].annotations, both)


def _inspect_image(argument: tuple[Path, str, tuple[int, int]]) -> _Seen:
    folder, name, size = argument
    path = folder / name
    if not path.is_file():
        return _Seen(name)  # missing images were found already
    try:
        pixels = read_image(path, size)
        stored, _ = image_sizes(path)
    except InputError as error:
        return _Seen(name, unreadable=error.problems[0].message)
    height, width = pixels.shape[:2]
    actual = stored if stored == size else (width, height)
    return _Seen(name, hashlib.sha256(pixels.tobytes() + bytes(str(pixels.shape), "ascii")).hexdigest(), actual)


def _groups(pattern: str, found: Sequence[tuple[SplitPaths, Tables]], findings: list[Finding]) -> None:
    """Find groups (boards) that have images on both sides."""
    if len(found) < 2:
        return
    first, second = (groups(pattern, tables.file_names) for _, tables in found[:2])
    both = sorted(set(first) & set(second))
    what = "boards with images in both splits, so figures are better than on boards never seen"
    findings += _listed("note", what, found[1][0].annotations, both)


def _twice(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]


def _listed(severity: Severity, what: str, file: Path, items: Sequence[str]) -> list[Finding]:
    return [Finding(severity, what, str(file), len(items), tuple(items[:_EXAMPLES]))] if items else []
