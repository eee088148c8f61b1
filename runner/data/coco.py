"""Strict reader of COCO JSON into arrays: all problems of a file at once, and nothing dropped without a note."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.core.errors import InputError, Problem
from runner.core.files import read_bytes, similar_name
from runner.core.values import counted
from runner.data import boxes as geometry
from runner.data.annotations import Fault, Tables, as_problems, scan
from runner.data.cocofile import read_annotations


@dataclass(frozen=True, slots=True)
class Category:
    """A category of the file: its id and its name."""

    id: int
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class CocoImage:
    """One image and its boxes.

    Args:
        id: the file's number for it.
        file_name: below the image folder.
        width, height: in pixels, as the annotation says.
        boxes: Float32[N, 4] xyxy in pixels, not clipped.
        classes: Int64[N], contiguous indices from 0 in the file's category order.
        is_crowd: Bool[N].
    """

    id: int
    file_name: str
    width: int
    height: int
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    is_crowd: NDArray[np.bool_]

    @property
    def has_objects(self) -> bool:
        """True if it has a box to learn from; crowd boxes do not count."""
        return bool((~self.is_crowd).any())


@dataclass(frozen=True, slots=True, eq=False)
class CocoSet:
    """A loaded annotation file.

    Args:
        anno_path, image_dir: where it came from.
        images: in file order.
        categories: index is the contiguous class.
        notes: what was dropped, for the user: "3 boxes without area".
    """

    anno_path: Path
    image_dir: Path
    images: tuple[CocoImage, ...]
    categories: tuple[Category, ...]
    notes: tuple[str, ...] = ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Category names in contiguous order."""
        return tuple(category.name for category in self.categories)

    @property
    def category_ids(self) -> NDArray[np.int64]:
        """Int64[C]: the file's category number of each contiguous class."""
        return np.array([category.id for category in self.categories], dtype=np.int64)

    def path(self, image: CocoImage) -> Path:
        """Return the path of the image's file."""
        return self.image_dir / image.file_name

    def coco_boxes(self, image: CocoImage) -> list[dict[str, Any]]:
        """Return the image's boxes in COCO's form: "category_id", "bbox" (xywh in pixels) and "iscrowd"."""
        return [
            {"category_id": self.categories[index].id, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": int(crowd)}
            for (x1, y1, x2, y2), index, crowd in zip(image.boxes.tolist(), image.classes.tolist(), image.is_crowd.tolist(), strict=True)
        ]


def no_faults(_tables: Tables) -> Iterable[Fault]:
    """Check nothing beyond the standard checks."""
    return ()


def load_coco(
    anno_path: Path | str,
    image_dir: Path | str,
    *,
    allow_empty: bool = False,
    sample_num: int = -1,
    empty_ratio: float = 1.0,
    check_images: bool = True,
    examine: Callable[[Tables], Iterable[Fault]] = no_faults,
) -> CocoSet:
    """Load an annotation file. Contiguous classes follow the file's category order, as in pycocotools and
    PaddleDetection have it.

    Boxes without area and those marked "ignore" are left out, with a note (PaddleDetection leaves them out too).

    Args:
        anno_path: the JSON file.
        image_dir: the folder that file names are relative to.
        allow_empty: keep images without objects (needed for evaluation).
        sample_num: keep the first n images of those that are kept; 0 or less keeps all.
        empty_ratio: in [0, 1): keep at most this share of images without objects (a fixed draw); else all. As
            PaddleDetection's.
        check_images: refuse image files that do not exist (one listing per folder, nothing is opened).
        examine: finds further faults to refuse the file for.

    Raises:
        InputError: with all problems: file missing or cut off, ids twice, boxes of unknown images or categories,
            images missing, …
    """
    anno_path, image_dir = Path(anno_path), Path(image_dir)
    tables, faults = scan(read_annotations(anno_path))
    if not faults and check_images:
        faults += missing_images(tables.file_names, image_dir)
    if not faults:
        faults += examine(tables)
    if faults:
        raise InputError(as_problems(faults, anno_path))
    found = _assemble(tables, anno_path, image_dir)
    kept = [image for image in found.images if allow_empty or image.has_objects]
    if sample_num > 0:
        kept = kept[:sample_num]
    kept = _thin_out(kept, empty_ratio)
    if not kept:
        raise InputError(
            Problem(f"none of the {counted(len(found.images), 'image')} has a box; allow_empty: true keeps such images", str(anno_path))
        )
    return replace(found, images=tuple(kept))


def missing_images(file_names: Sequence[str], image_dir: Path) -> list[Fault]:
    """Find names that do not exist below `image_dir`, or lead outside it. Each folder is listed once."""
    if not image_dir.is_dir():
        return [Fault(f"the image folder {image_dir} does not exist{similar_name(image_dir)}")]
    listings: dict[str, frozenset[str]] = {}
    faults: list[Fault] = []
    for name in file_names:
        folder, base = os.path.split(name)
        if os.path.isabs(name) or ".." in folder.split("/"):
            faults.append(Fault("have a file_name that leads out of the image folder", repr(name), "images", len(file_names)))
            continue
        if folder not in listings:
            listings[folder] = _listing(image_dir / folder)
        if base not in listings[folder]:
            faults.append(Fault("are missing", str(image_dir / name), "images", len(file_names)))
    return faults


def fingerprint(anno_path: Path | str, image_dir: Path | str) -> str:
    """Hash (SHA-256) the annotation's bytes and the sorted (file name, size in bytes) of its images: the data's part of
    the run key.

    Raises:
        InputError: the annotation cannot be read, or an image is missing.
    """
    anno_path, image_dir = Path(anno_path), Path(image_dir)
    document = read_annotations(anno_path)
    names = sorted(str(entry.get("file_name", "")) for entry in document.get("images", []) if isinstance(entry, dict))
    digest = hashlib.sha256(read_bytes(anno_path))
    faults: list[Fault] = []
    for name in names:
        try:
            digest.update(f"{name}\0{os.stat(image_dir / name).st_size}\n".encode())
        except (OSError, ValueError):
            faults.append(Fault("are missing", str(image_dir / name), "images", len(names)))
    if faults:
        raise InputError(as_problems(faults, anno_path))
    return digest.hexdigest()


def _listing(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def _assemble(tables: Tables, anno_path: Path, image_dir: Path) -> CocoSet:
    keep = ~geometry.is_flat(tables) & ~tables.ignore
    owner = tables.image_index[keep]
    order = np.argsort(owner, kind="stable")
    xywh = tables.boxes[keep][order]
    boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1).astype(np.float32)
    classes, crowd = tables.class_index[keep][order], tables.crowd[keep][order]
    bounds = np.searchsorted(owner[order], np.arange(len(tables.image_ids) + 1)).tolist()
    images = tuple(
        CocoImage(image_id, name, width, height, boxes[start:end], classes[start:end], crowd[start:end])
        for image_id, name, (width, height), start, end in zip(
            tables.image_ids, tables.file_names, tables.sizes, bounds, bounds[1:], strict=False
        )
    )
    return CocoSet(anno_path, image_dir, images, tuple(Category(*one) for one in tables.categories), geometry.notes(tables, anno_path))


def _thin_out(images: list[CocoImage], empty_ratio: float) -> list[CocoImage]:
    """Reduce images without objects to `empty_ratio` of the whole by a fixed draw; PaddleDetection draws anew in each
    process.
    """
    if not 0.0 <= empty_ratio < 1.0:
        return images
    empty = [index for index, image in enumerate(images) if not image.has_objects]
    wanted = min(int((len(images) - len(empty)) * empty_ratio / (1.0 - empty_ratio)), len(empty))
    kept = set(random.Random(0).sample(empty, wanted))
    return [image for index, image in enumerate(images) if image.has_objects or index in kept]


def save_json(path: Path, document: dict[str, Any]) -> str:
    """Write a COCO document; the same document gives the same bytes. Returns their SHA-256."""
    data = (json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n").encode("utf-8")
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
