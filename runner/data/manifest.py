"""Manifest of a prepared set, dataset.json. It is written last, so a folder that has it is complete."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.core.files import atomic_write_json, read_json
from runner.core.typed import Count, build, fits
from runner.data.coco import fingerprint
from runner.data.formats.base import Split
from runner.data.notes import Note, note_of

MANIFEST = "dataset.json"
IMAGE_DIR = "images"
SIDES: tuple[Split, Split] = ("train", "val")
"""Splits that every set has: for training, and for evaluation."""
ANNOTATIONS: Mapping[Split, str] = {split: f"annotations/{split}.json" for split in (*SIDES, "test")}
_LAYOUT = 1


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """One split: how many images and boxes, the annotation file (below the set's folder) and its SHA-256, and the files
    of the source's lists that it was taken from (none: it was split here)."""

    images: Count
    boxes: Count
    annotations: str
    sha256: str
    lists: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """Manifest of a prepared set.

    Args:
        name: the set's name.
        classes: in order.
        splits: ``train``, ``val``, and ``test`` where the source keeps one.
        content: hash of the whole: of pixels and boxes for a generated set; of annotations, names and sizes for others.
        spec_hash: of the spec it was prepared by, with `options`.
        source: its origin, for people.
        source_hash: of the source's listing; empty for a generated set.
        options: as given on the command line.
        notes: what was read, dropped and changed.
        boxes_outside, boxes_empty: the spec's rule for boxes that could not be used as they are; empty: such boxes were an error.
        reused: True where `prepare` found it already there (not stored).
    """

    name: str
    classes: tuple[str, ...]
    splits: Mapping[Split, SplitFacts]
    content: str
    spec_hash: str
    source: str
    source_hash: str
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    boxes_outside: str = ""
    boxes_empty: str = ""
    reused: bool = False

    @property
    def generated(self) -> bool:
        """True if it was generated, without a source."""
        return not self.source_hash


def prepared_content(folder: Path) -> str:
    """Hash the content of a set that was prepared from a source: the fingerprints of train and val, which alone can change a run. Raises
    InputError."""
    content = hashlib.sha256()
    for split in SIDES:
        content.update(fingerprint(folder / ANNOTATIONS[split], folder / IMAGE_DIR).encode())
    return content.hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write dataset.json."""
    data = dataclasses.asdict(manifest)
    del data["reused"]
    atomic_write_json(folder / MANIFEST, {"layout": _LAYOUT, **data}, indent=2)


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a prepared set; None if there is none, or one of another layout."""
    data = read_json(folder / MANIFEST)
    if not isinstance(data, dict) or data.pop("layout", None) != _LAYOUT:
        return None
    notes = data.pop("notes", [])
    found = build(Manifest, data)
    if (
        found is None
        or not fits(notes, list[str | Note])
        or any(ANNOTATIONS.get(name) != each.annotations for name, each in found.splits.items())
    ):
        return None
    return dataclasses.replace(found, notes=tuple(map(note_of, notes)), reused=False)
