"""Dividing images into train and val: the same images go the same way on every machine, whatever order they are
listed in.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence

from runner.core.errors import InputError, Problem
from runner.data.formats.base import Loaded, Split
from runner.data.notes import Note
from runner.data.spec import DataSpec


def divide(spec: DataSpec, loaded: Loaded, names: Sequence[str]) -> tuple[dict[Split, list[int]], list[Note]]:
    """The indices of `loaded.items` on each side, in item order, and notes on how it was done.

    Args:
        names: the items' file names; they alone (and the seed) decide a random cut.

    Raises:
        InputError: the source has no lists though the spec asks for them, or a side would be empty.
    """
    cut = spec.cut
    if loaded.has_cut and (cut.respect_source or cut.by == "source"):
        sides: dict[Split, list[int]] = {"train": [], "val": []}
        for index, item in enumerate(loaded.items):
            if item.split is not None:
                sides[item.split].append(index)
        left = len(loaded.items) - len(sides["train"]) - len(sides["val"])
        return sides, [Note("left out", "images in none of the source's lists", left)] if left else []
    if cut.by == "source":
        raise InputError(Problem("the source has no lists for train and val, and the spec has no other cut (cut.by)", str(spec.file)))
    wanted = _wanted(spec, len(names))
    if cut.by == "group":
        chosen, note = _whole_groups(spec, names, wanted)
    else:
        order = sorted(range(len(names)), key=lambda index: _draw(cut.seed, names[index]))
        chosen, note = set(order[:wanted]), f"cut at random (seed {cut.seed})"
    if not 0 < len(chosen) < len(names):
        raise InputError(Problem(f"the cut leaves a side empty: {len(names)} images, {len(chosen)} of them for val", str(spec.file)))
    sides = {"train": [i for i in range(len(names)) if i not in chosen], "val": sorted(chosen)}
    return sides, [Note("note", f"{note}: {len(sides['train']):,} for train, {len(sides['val']):,} for val")]


def groups(pattern: str, names: Sequence[str]) -> dict[str, list[int]]:
    """Group to indices of `names`, by the first bracket of `pattern` in the file's own name. Names that do not match
    are missing.
    """
    expression, found = re.compile(pattern), defaultdict(list)
    for index, name in enumerate(names):
        match = expression.search(name.rsplit("/", 1)[-1])
        if match:
            found[match.group(1)].append(index)
    return dict(found)


def _wanted(spec: DataSpec, count: int) -> int:
    val = spec.cut.val
    return round(count * val) if val < 1 else int(val)


def _whole_groups(spec: DataSpec, names: Sequence[str], wanted: int) -> tuple[set[int], str]:
    """Groups in random order, each taken if that brings val closer to the wanted number."""
    found = groups(spec.cut.group, names)
    if sum(map(len, found.values())) != len(names):
        known = {index for indices in found.values() for index in indices}
        example = next(name for index, name in enumerate(names) if index not in known)
        raise InputError(Problem(f"the file name {example!r} has no group by {spec.cut.group!r}", str(spec.file), "cut.group"))
    chosen: set[int] = set()
    taken = []
    for name in sorted(found, key=lambda group: _draw(spec.cut.seed, group)):
        if abs(len(chosen) + len(found[name]) - wanted) < abs(len(chosen) - wanted):
            chosen |= set(found[name])
            taken.append(name)
    return chosen, f"cut by group (seed {spec.cut.seed}), val holds {', '.join(sorted(taken))} of {len(found)} groups"


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()
