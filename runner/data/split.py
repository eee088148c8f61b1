"""Dividing images into train, val and test: the same images go the same way on every machine, whatever order they are
listed in.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.core.errors import InputError, Problem
from runner.data.formats.base import Loaded, Split, capped
from runner.data.formats.splits import SPLIT_NAMES, split_of
from runner.data.notes import Note, Notes
from runner.data.spec import DataSpec


@dataclass(frozen=True, slots=True)
class Division:
    """Division of a source into splits.

    Args:
        sides: indices of `Loaded.items` for each split, in item order; ``test`` only where the source keeps one.
        lists: the files of the source's lists that each split was taken from; missing where it was split here.
        notes: how it was done, and what was left out.
    """

    sides: Mapping[Split, list[int]]
    lists: Mapping[Split, tuple[str, ...]]
    notes: tuple[Note, ...]


def divide(spec: DataSpec, loaded: Loaded, names: Sequence[str]) -> Division:
    """Divide `loaded.items` as the spec and the source's own lists say. A test list never becomes the validation set
    unless the spec says so; where the source has no list for validation it is taken from the training images.

    Args:
        names: the items' file names; they alone (and the seed) decide a random split.

    Raises:
        InputError: the source lacks lists that the spec asks for, a list names what is not there, or a side would be
            empty.
    """
    notes = Notes()
    used = _lists_of_splits(spec, loaded)
    _refuse_missing(loaded, used)
    for name, one in loaded.lists.items():
        if not any(name in of_split for of_split in used.values()):
            what = "lists of the source that are not used" if one.members else "lists of the source that are empty"
            notes.add("left out", what, ", ".join(one.files))
    files = {split: tuple(file for name in of_split for file in loaded.lists[name].files) for split, of_split in used.items()}
    sides = {split: sorted({index for name in of_split for index in loaded.lists[name].members}) for split, of_split in used.items()}
    if "train" in sides:
        known = {index for members in sides.values() for index in members}
        left = [index for index in range(len(names)) if index not in known]
        notes.add("left out", "images in none of the lists that are used", names[left[0]] if left else "", len(left))
    else:
        sides["train"] = _pool(loaded, names, notes)
    _part(spec, sides, loaded, names, files, notes)
    if "val" not in sides:
        _split_off_val(spec, sides, loaded, names, notes)
    if empty := [split for split, members in sides.items() if not members]:
        counts = ", ".join(f"{len(members)} for {split}" for split, members in sides.items())
        raise InputError(Problem(f"the split leaves {' and '.join(empty)} empty: {counts}; set split.val (--val)", str(spec.file), "split"))
    kept = {split: files[split] for split in sides if split in files}
    return Division(sides, kept, notes.listed())


def _lists_of_splits(spec: DataSpec, loaded: Loaded) -> dict[Split, tuple[str, ...]]:
    """Return the names of the lists that make up each split; a split without an entry is absent."""
    rule = spec.split
    if rule.lists:
        there = ", ".join(loaded.lists) or "none"
        problems = [
            Problem(f"the source has no list {name!r}; its lists: {there}", str(spec.file), f"split.lists.{split}")
            for split, wanted in rule.lists.items()
            for name in wanted
            if name not in loaded.lists
        ]
        if problems:
            raise InputError(problems)
        return dict(rule.lists)
    if not rule.respect_source and rule.by != "source":
        return {}
    filled = [name for name, one in loaded.lists.items() if one.members or one.missing]
    if loaded.split_lists and all(name in filled for of_split in loaded.split_lists.values() for name in of_split):
        return dict(loaded.split_lists)
    return _by_name(filled)


def _by_name(available: Sequence[str]) -> dict[Split, tuple[str, ...]]:
    """Assign lists to splits by their names. trainval is for training, where no list is for that alone; a list for
    validation without one for training is not used, and one with a year only where none has the plain name."""
    found = {split: tuple(name for name in available if name.lower() in known) for split, known in SPLIT_NAMES.items()}
    for split in SPLIT_NAMES:
        found[split] = found[split] or tuple(name for name in available if split_of(name) == split)
    found["train"] = found["train"] or tuple(name for name in available if split_of(name) == "trainval")
    if not found["train"]:
        found["val"] = ()
    return {split: lists for split, lists in found.items() if lists}


def _refuse_missing(loaded: Loaded, used: Mapping[Split, tuple[str, ...]]) -> None:
    missing = [entry for of_split in used.values() for name in of_split for entry in loaded.lists[name].missing]
    if missing:
        where = [entry.partition(": ") for entry in dict.fromkeys(missing)]
        raise InputError(capped([Problem(f"{entry}; correct the list, or remove the line", place) for place, _, entry in where]))


def _pool(loaded: Loaded, names: Sequence[str], notes: Notes) -> list[int]:
    """Return all items; those whose file another list names as well only once."""
    list_of = {index: name for name, one in loaded.lists.items() for index in one.members}
    first: dict[tuple[int, int], str | None] = {}
    pool = []
    for index in range(len(names)):
        if first.setdefault(_file_key(loaded, index), list_of.get(index)) == list_of.get(index):
            pool.append(index)
        else:
            notes.add("left out", "images that two lists of the source name, used once", names[index])
    return pool


def _part(
    spec: DataSpec,
    sides: dict[Split, list[int]],
    loaded: Loaded,
    names: Sequence[str],
    files: dict[Split, tuple[str, ...]],
    notes: Notes,
) -> None:
    """Remove from train what other lists name as well, so that no image is used for training and evaluation."""
    who = {split: [_file_key(loaded, index) for index in members] for split, members in sides.items()}
    for split in ("val", "test"):
        if split not in who:
            continue
        if "train" in files and set(who["train"]) < set(who[split]):
            places = f"train ({', '.join(files['train'])}) also for {split} ({', '.join(files[split])})"
            raise InputError(Problem(f"the source names all {len(who['train']):,} images of {places}; correct its lists", str(spec.file)))
        if "train" in files and set(who["train"]) == set(who[split]):
            notes.say(
                f"the source names the same images for train ({', '.join(files['train'])}) and {split} "
                f"({', '.join(files[split])}), so it has none for {split}",
                names[sides["train"][0]] if sides["train"] else "",
            )
            del sides[split], who[split], files[split]
            continue
        others = set(who[split])
        both = [index for index, key in zip(sides["train"], who["train"], strict=True) if key in others]
        if "train" in files:
            what = f"images of train that the source names for {split} too"
            notes.add("left out", what, names[both[0]] if both else "", len(both))
        sides["train"] = [index for index, key in zip(sides["train"], who["train"], strict=True) if key not in others]
        who["train"] = [_file_key(loaded, index) for index in sides["train"]]
    shared = set(who.get("val", ())) & set(who.get("test", ()))
    if shared:
        example = next(names[index] for index in sides["val"] if _file_key(loaded, index) in shared)
        notes.add("read", "images that are in val and in test", example, len(shared))


def _file_key(loaded: Loaded, index: int) -> tuple[int, int]:
    """Return an identity that is equal for two paths of one file."""
    status = os.stat(loaded.items[index].path)
    return status.st_dev, status.st_ino


def _split_off_val(spec: DataSpec, sides: dict[Split, list[int]], loaded: Loaded, names: Sequence[str], notes: Notes) -> None:
    rule = spec.split
    if rule.by == "source":
        there = ", ".join(f"{name} ({len(one.members):,} images)" for name, one in loaded.lists.items()) or "none"
        text = f"the source has no lists for train and val (its lists: {there}), and the spec has no other split"
        advice = "set split.by to random or group, or name the lists: split.lists: {train: [NAME], val: [NAME]}"
        raise InputError(Problem(f"{text}; {advice}", str(spec.file), "split"))
    pool = sides["train"]
    first: dict[tuple[int, int], int] = {}  # of entries of one file, which have to be on one side
    place_of = {index: first.setdefault(_file_key(loaded, index), len(first)) for index in pool}
    files = dict((place, index) for index, place in reversed(place_of.items()))
    own = [names[files[place]] for place in range(len(files))]
    wanted = _wanted(spec, len(own))
    if rule.by == "group":
        chosen, note = _whole_groups(spec, own, wanted)
    else:
        order = sorted(range(len(own)), key=lambda index: _draw(rule.seed, own[index]))
        chosen, note = set(order[:wanted]), f"split at random (seed {rule.seed})"
    sides["train"] = [index for index in pool if place_of[index] not in chosen]
    sides["val"] = [index for index in pool if place_of[index] in chosen]
    notes.say(f"{note}: {len(sides['train']):,} for train, {len(sides['val']):,} for val")


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
    val = spec.split.val
    return round(count * val) if val < 1 else int(val)


def _whole_groups(spec: DataSpec, names: Sequence[str], wanted: int) -> tuple[set[int], str]:
    """Take groups in random order, each if that brings val closer to the wanted number."""
    found = groups(spec.split.group, names)
    if sum(map(len, found.values())) != len(names):
        known = {index for indices in found.values() for index in indices}
        example = next(name for index, name in enumerate(names) if index not in known)
        raise InputError(Problem(f"file name {example!r} has no group by {spec.split.group!r}", str(spec.file), "split.group"))
    chosen: set[int] = set()
    taken = []
    for name in sorted(found, key=lambda group: _draw(spec.split.seed, group)):
        if abs(len(chosen) + len(found[name]) - wanted) < abs(len(chosen) - wanted):
            chosen |= set(found[name])
            taken.append(name)
    return chosen, f"split by group (seed {spec.split.seed}), val holds {', '.join(sorted(taken))} of {len(found)} groups"


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()
