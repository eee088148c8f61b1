"""Rule for boxes that extend beyond their image and for boxes without width or height, the same for every format.

A box that extends beyond it by up to `CLIPPED_PX` is clipped when a set is prepared, with a note: some tools count pixels from 1, others
round. One that extends further, or has no width or height, is an error until the data spec says what to do with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.core.errors import InputError
from runner.data.annotations import Fault, Tables, as_problems
from runner.data.formats.base import Item, Loaded
from runner.data.notes import Note, NoteKind, Notes, merged

CLIPPED_PX = 1.0
MIN_SIDE_PX = 1e-5
"""A box is without width or height where a side is no longer than this; PaddleDetection's limit."""
_ROUNDING_PX = 0.01
"""Less than this beyond the image is rounding and not noted."""
_WRITTEN_PX = 0.0005
"""Prepared sets store thousandths of a pixel: a shorter side would be written as 0."""
_SPEC_ADVICE = {
    "boxes_outside": "correct them, or let the data spec clip or drop them: boxes_outside: clip | drop (--boxes-outside)",
    "boxes_empty": "correct them, or let the data spec drop them: boxes_empty: drop (--boxes-empty drop)",
}
_SHARES = "every box lies within the first pixel of its image, as if its numbers were shares of 0 to 1; expected pixels"
_FILE_ADVICE = "correct the file, or prepare it as a data set (`runner data prepare coco --source …`) with boxes_outside: clip | drop"


def overhang(boxes: NDArray[np.floating[Any]], sizes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Measure how far boxes extend beyond their image on the worst side.

    Args:
        boxes: Float[N, 4] xyxy in pixels; corners may be in the wrong order.
        sizes: Float[N, 2], width and height of each box's image.

    Returns:
        Float64[N] in pixels; 0 or less where the box lies within.
    """
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    return np.maximum(-low, high - sizes).max(axis=1) if len(boxes) else np.zeros(0)


def reaches_out(out: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether an `overhang` is an error. Bool[N]"""
    return out > CLIPPED_PX + _WRITTEN_PX


def slightly_out(out: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether an `overhang` is no error, and more than rounding. Bool[N]"""
    return (out > _ROUNDING_PX) & ~reaches_out(out)


# ---------------------------------------------------------------------------------------------- files that are read as they are
def negative_sizes(tables: Tables) -> list[Fault]:
    """Find boxes of negative width or height, which no evaluation accepts."""
    rows = np.flatnonzero((tables.boxes[:, 2:] < 0).any(axis=1))
    kind = "have a bbox that is not [x, y, width, height] with sizes of 0 or more"
    return [Fault(kind, place(tables, row), "annotations", len(tables.boxes)) for row in rows]


def boxes_outside(tables: Tables) -> list[Fault]:
    """Find boxes that extend beyond their image by more than `CLIPPED_PX`."""
    rows = np.flatnonzero(reaches_out(table_overhang(tables)) & ~tables.ignore)
    kind = f"extend beyond their image by more than {CLIPPED_PX:g} pixel"
    return [Fault(kind, place(tables, row), "boxes", len(tables.boxes), _FILE_ADVICE) for row in rows]


def boxes_as_shares(tables: Tables) -> list[Fault]:
    """Find a file whose boxes are shares of the image instead of pixels."""
    corners = np.concatenate([tables.boxes[:, :2], tables.boxes[:, :2] + tables.boxes[:, 2:]], axis=1)
    return [Fault(_SHARES, place(tables, 0))] if _within_a_pixel(corners) else []


def _within_a_pixel(boxes: NDArray[np.float64]) -> bool:
    """Return whether all boxes (xyxy) lie within the first pixel, counted from 0 or from 1. Whole numbers are pixels."""
    return len(boxes) > 0 and bool((np.abs(boxes) <= 1).all() and (boxes != np.round(boxes)).any())


def notes(tables: Tables, where: Path, *, evaluated: bool = False) -> tuple[str, ...]:
    """Describe the boxes that training ignores, those that the evaluation treats as COCO does, and odd ones that are used unchanged."""
    out, flat = table_overhang(tables), is_flat(tables)
    found = (
        (flat, "boxes without width or height in {} " + ("count as objects that nothing finds" if evaluated else "left out")),
        (tables.ignore & ~flat, 'boxes marked "ignore" in {} ' + ("count like others" if evaluated else "left out")),
        (slightly_out(out) & ~flat & ~tables.ignore, f"boxes in {{}} extend up to {CLIPPED_PX:g} pixel beyond their image"),
    )
    rows = [(np.flatnonzero(mask), text) for mask, text in found]
    return tuple(f"{len(which):,} {text.format(where)}, e.g. {place(tables, which[0])}" for which, text in rows if len(which))


def is_flat(tables: Tables) -> NDArray[np.bool_]:
    """Return whether a box has no width or no height. Bool[N]"""
    return np.asarray((tables.boxes[:, 2:] <= MIN_SIDE_PX).any(axis=1))


def table_overhang(tables: Tables) -> NDArray[np.float64]:
    """Compute the `overhang` of a file's boxes."""
    sizes = np.array(tables.sizes, dtype=np.float64).reshape(-1, 2)[tables.image_index]
    return overhang(np.concatenate([tables.boxes[:, :2], tables.boxes[:, :2] + tables.boxes[:, 2:]], axis=1), sizes)


def place(tables: Tables, row: int | np.integer[Any]) -> str:
    """Name the image and the box of a row, for messages."""
    return f"{tables.file_names[tables.image_index[row]]}: {tables.boxes[row].round(2).tolist()}"


# ---------------------------------------------------------------------------------------------- sources that are prepared
def settle(loaded: Loaded, source: Path, outside: str = "", empty: str = "") -> Loaded:
    """Apply the rule to a source's boxes; clipped and dropped boxes are noted in the result.

    Args:
        loaded: boxes as the source has them.
        source: where they came from, for messages.
        outside: ``clip`` or ``drop`` boxes that extend by more than `CLIPPED_PX`; empty: they are an error.
        empty: ``drop`` boxes without width or height; empty: they are an error.

    Raises:
        InputError: with the number of such boxes, examples, and the option of the data spec; or all boxes of a list are shares.
    """
    for members in (range(len(loaded.items)), *(one.members for one in loaded.lists.values())):
        items = [loaded.items[index] for index in members if len(loaded.items[index].boxes)]
        if items and _within_a_pixel(np.concatenate([item.boxes for item in items])):
            raise InputError(as_problems([Fault(_SHARES, _shown(items[0], 0))], source))
    settled = [_settle(item, outside, empty) for item in loaded.items]
    total = sum(len(item.boxes) for item in loaded.items)
    faults = [
        Fault(kind, _shown(item, row), "boxes", total, _SPEC_ADVICE[option])
        for option, given, kind in (
            ("boxes_outside", outside, f"extend beyond their image by more than {CLIPPED_PX:g} pixel"),
            ("boxes_empty", empty, "have no width or no height"),
        )
        if not given
        for item, one in zip(loaded.items, settled, strict=True)
        for row in (one.far if option == "boxes_outside" else one.flat)
    ]
    if faults:
        raise InputError(as_problems(faults, source))
    return replace(loaded, items=tuple(one.item for one in settled), notes=merged(loaded.notes, _notes(loaded.items, settled, outside)))


@dataclass(slots=True)
class _Settled:
    """An image after the rule, and the rows of the boxes it applied to: without width or height, clipped by up to a pixel, further out, and
    of these the ones of which nothing is left."""

    item: Item
    flat: list[int] = field(default_factory=list)
    near: list[int] = field(default_factory=list)
    far: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)


def _settle(item: Item, outside: str, empty: str) -> _Settled:
    size = np.array([item.width, item.height], dtype=np.float64)
    out = overhang(item.boxes, size)
    flat = _too_thin(item.boxes)
    if not len(out) or (not flat.any() and out.max() <= 0):
        return _Settled(item)
    clipped = np.where((out > 0)[:, None], np.clip(item.boxes, 0, np.concatenate([size, size])), item.boxes)
    far = reaches_out(out) & ~flat
    gone = _too_thin(clipped) & far
    flat |= _too_thin(clipped) & ~far
    keep = ~flat & ~gone & ~(far if outside == "drop" else np.zeros_like(far))
    own = np.isclose(item.areas, _areas(item.boxes), rtol=1e-3)  # else it is a mask's, which clipping a box does not change
    areas = np.where((out > 0) & own, _areas(clipped), item.areas)
    settled = replace(item, boxes=clipped[keep], classes=item.classes[keep], crowd=item.crowd[keep], areas=areas[keep])
    near = slightly_out(out) & ~flat
    return _Settled(settled, *(np.flatnonzero(mask).tolist() for mask in (flat, near, far, gone)))


def _notes(items: Sequence[Item], settled: Sequence[_Settled], outside: str) -> tuple[Note, ...]:
    notes, further = Notes(), "boxes that extend beyond their image by more than"
    for item, one in zip(items, settled, strict=True):
        clipped = [row for row in one.far if row not in one.gone] if outside == "clip" else []
        dropped = [row for row in one.far if row not in clipped]
        found: tuple[tuple[NoteKind, str, list[int]], ...] = (
            ("changed", f"boxes that extend up to {CLIPPED_PX:g} pixel beyond their image, clipped", one.near),
            ("changed", f"{further} {CLIPPED_PX:g} pixel, clipped (boxes_outside: clip)", clipped),
            ("left out", f"{further} {CLIPPED_PX:g} pixel" if outside == "drop" else "boxes wholly outside their image", dropped),
            ("left out", "boxes without width or height", one.flat),
        )
        for kind, what, rows in found:
            if rows:
                notes.add(kind, what, _shown(item, rows[0]), len(rows))
        if len(item.boxes) and not len(one.item.boxes):
            notes.add("changed", "images that have no box left and so count as background", item.path.name)
    return notes.listed()


def _too_thin(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((boxes[:, 2:] - boxes[:, :2] < _WRITTEN_PX).any(axis=1))


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _shown(item: Item, row: int) -> str:
    x1, y1, x2, y2 = (f"{value:.6g}" for value in item.boxes[row].tolist())
    return f"{item.path.name} ({item.width} x {item.height}): x {x1} to {x2}, y {y1} to {y2}"
