"""What every format's `load` returns, and what they share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from runner.core.errors import InputError, Problem
from runner.data.notes import Note

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})
MAX_PROBLEMS = 20
Split = Literal["train", "val"]


class NotThisFormat(Exception):
    """The source has another layout; the message says what was looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One image of a source.

    Args:
        path: the image file, below the source folder.
        width, height: in pixels, as the boxes mean them.
        boxes: Float64[N, 4] xyxy in pixels.
        classes: Int64[N], indices into `Loaded.classes`.
        crowd: Bool[N]: neither object nor background (COCO's crowds, VOC's difficult ones).
        areas: Float64[N], in square pixels; COCO sorts objects into small, medium and large by it.
        split: the side the source's own lists put it on; None if it has no lists, or lists it for neither.
        id: the source's own number for it, or None.
    """

    path: Path
    width: int
    height: int
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.float64]
    split: Split | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A source as read.

    Args:
        classes: names in order.
        items: images, in an order that depends on the source's content alone.
        category_ids: the source's own numbers of the classes; None: 1, 2, …
        notes: what was read, left out and changed, counted by `runner.data.notes.Notes`.
    """

    classes: tuple[str, ...]
    items: tuple[Item, ...]
    category_ids: tuple[int, ...] | None = None
    notes: tuple[Note, ...] = ()

    @property
    def has_cut(self) -> bool:
        """Whether the source's own lists put images on both sides."""
        sides = {item.split for item in self.items}
        return {"train", "val"} <= sides


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
    """The first problems, and a line that counts the rest."""
    rest = len(problems) - MAX_PROBLEMS
    return problems[:MAX_PROBLEMS] + ([Problem(f"… and {rest:,} more problems like these")] if rest > 0 else [])


def make_item(path: Path, size: tuple[int, int], rows: Iterable[tuple[int, float, float, float, float, bool]], split: Split | None) -> Item:
    """An item from (class index, x1, y1, x2, y2, crowd) rows; `size` is (width, height); areas are the boxes' own."""
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
        split=split,
    )


def files_below(source: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    """Files with one of `suffixes` (lower case) at or below `source`, in the order of their paths; hidden ones are
    left out.
    """
    for path in sorted(source.rglob("*")):
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(source).parts)
        if path.suffix.lower() in suffixes and not hidden and path.is_file():
            yield path


def read_text(path: Path) -> str:
    """The text of a source's file. Raises InputError naming it."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(Problem("is not UTF-8 text", str(path))) from error
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", str(path))) from error
