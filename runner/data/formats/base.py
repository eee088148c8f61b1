"""Result of every format's `load`, and code that the formats share."""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from runner.core.errors import InputError, Problem
from runner.core.files import read_bytes
from runner.data.notes import Note

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})
UNREAD_SUFFIXES = frozenset({".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".tga", ".dng", ".svg"})
"""Image types that no format reads: annotations beside them would be lost silently."""
MAX_PROBLEMS = 20
Split = Literal["train", "val", "test"]


class NotThisFormat(Exception):
    """Source with another layout; the message says what was expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One image of a source.

    Args:
        path: the image file, below the source folder.
        width, height: in pixels, as the boxes mean them.
        boxes: Float64[N, 4] xyxy in pixels, as the source has them: `runner.data.boxes` looks after those that extend beyond or are empty.
        classes: Int64[N], indices into `Loaded.classes`.
        crowd: Bool[N]: neither object nor background (COCO's crowds, VOC's difficult ones).
        areas: Float64[N], in square pixels; COCO sorts objects into small, medium and large by it.
        id: the source's own number for it, or None.
    """

    path: Path
    width: int
    height: int
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.float64]
    id: int | None = None


@dataclass(frozen=True, slots=True)
class SourceList:
    """One of the source's own lists: the images that it puts together under a name such as train, trainval or test.

    Args:
        files: its places: text files, keys of data.yaml, annotation files or folders, below the source.
        members: indices of `Loaded.items`, ascending.
        missing: its entries that belong to no image, or to several: "FILE:LINE: the entry … matches no image …".
    """

    files: tuple[str, ...]
    members: tuple[int, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A source as read.

    Args:
        classes: names in order.
        items: images, in an order that depends on the source's content alone.
        lists: the source's own lists by name.
        split_lists: the lists that are each split where the format itself defines it; empty: by their names, see
            `runner.data.split`.
        category_ids: the source's own numbers of the classes; None: 1, 2, …
        notes: what was read, left out and changed, counted by `runner.data.notes.Notes`.
    """

    classes: tuple[str, ...]
    items: tuple[Item, ...]
    lists: Mapping[str, SourceList] = field(default_factory=dict)
    split_lists: Mapping[Split, tuple[str, ...]] = field(default_factory=dict)
    category_ids: tuple[int, ...] | None = None
    notes: tuple[Note, ...] = ()


class Format(Protocol):
    """`load` of a format's module."""

    def __call__(self, source: Path, classes: tuple[str, ...]) -> Loaded:
        """Read `source`, a folder. `classes` fixes the class order; empty: take it from the source's own files.

        Raises:
            NotThisFormat: the layout is another one.
            InputError: the layout is right, but files are wrong: all problems, capped.
        """
        ...


@dataclass(slots=True)
class Problems:
    """Collects problems and raises them together; the list shown is capped, the count is not."""

    found: list[Problem] = field(default_factory=list)

    def add(self, message: str, where: str | Path = "") -> None:
        """Note one problem."""
        self.found.append(Problem(message, str(where)))

    def check(self) -> None:
        """Raise InputError if any was noted."""
        if self.found:
            raise InputError(capped(self.found))


def capped(problems: list[Problem]) -> list[Problem]:
    """Return the first problems, and a line that counts the rest."""
    rest = len(problems) - MAX_PROBLEMS
    return problems[:MAX_PROBLEMS] + ([Problem(f"… and {rest:,} more problems like these")] if rest > 0 else [])


def make_item(path: Path, size: tuple[int, int], rows: Iterable[tuple[int, float, float, float, float, bool]]) -> Item:
    """Return an item from (class index, x1, y1, x2, y2, crowd) rows; `size` is (width, height); areas are the boxes' own."""
    listed = list(rows)
    boxes = np.array([row[1:5] for row in listed], dtype=np.float64).reshape(-1, 4)
    return Item(
        path=path,
        width=size[0],
        height=size[1],
        boxes=boxes,
        classes=np.array([row[0] for row in listed], dtype=np.int64),
        crowd=np.array([row[5] for row in listed], dtype=np.bool_),
        areas=(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]),
    )


_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Marks that a text begins with, and the encodings they declare."""


def read_text(path: Path, declared: Callable[[bytes], str | None] = lambda _: None) -> str:
    """Return the text of a source's file.

    Args:
        declared: finds the encoding that the content names; used where no byte order mark says it. Default: UTF-8.

    Raises:
        InputError: the file cannot be read, or is not text of its encoding.
    """
    try:
        data = read_bytes(path)
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", str(path))) from error
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None) or declared(data) or "utf-8"
    try:
        return data.decode(encoding)
    except LookupError as error:
        raise InputError(Problem(f"unknown encoding {encoding!r}; save the file as UTF-8", str(path))) from error
    except UnicodeError as error:
        name = "UTF-8" if encoding == "utf-8" else encoding
        raise InputError(Problem(f"not {name} text (perhaps GBK or Latin-1); save the file as UTF-8", str(path))) from error


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines of a source's text file that are not blank, stripped, each with its number from 1. Raises InputError."""
    return [(number, line.strip()) for number, line in enumerate(re.split(r"\r\n?|\n", read_text(path)), start=1) if line.strip()]


def number(text: str) -> float:
    """Return the finite number that `text` says; raises ValueError where it is none, also for what only Python takes (1_000)."""
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"expected a number, got {text!r}")
    return value
