"""Names of splits: one rule for the files and folders of every format."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from runner.data.formats.base import SourceList, Split

SPLIT_NAMES: Mapping[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""What lists are called whose split needs no explanation; case does not matter. trainval is for training, too."""
_WORD = re.compile(r"(trainval|train(?:ing)?|val(?:id(?:ation)?)?|test(?:ing)?)(?:[-_ ]?(?:19|20)\d\d)?", re.IGNORECASE)
_FOLDER_END = re.compile(r"[-_ ]?(?:images?|imgs?|data|dataset|set)$", re.IGNORECASE)


def split_word(name: str) -> str | None:
    """Return the word for a split that `name` is as a whole, in lower case, perhaps with a year behind it (train2017);
    None for other names (testbench, valves)."""
    found = _WORD.fullmatch(name)
    return found[1].lower() if found else None


def split_of(name: str) -> str | None:
    """Return the split (train, val, test, or trainval) that a list called `name` is for; None where its name says nothing."""
    word = split_word(name) or name.lower()
    return next((split for split, known in SPLIT_NAMES.items() if word in known), "trainval" if word == "trainval" else None)


def split_of_folders(folders: Sequence[str]) -> str | None:
    """Return the list (train, val, test or trainval) that images in `folders`, the outermost first, belong to by the nearest
    folder with the name of a split (valid, val2017, train_images); None where there is none."""
    for name in reversed(folders):
        if word := split_word(name) or split_word(_FOLDER_END.sub("", name)):
            return split_of(word)
    return None


def lists_of_folders(items: Sequence[Sequence[str]], *, alone: bool = True) -> dict[str, SourceList]:
    """Return the lists that the folders of items are.

    Args:
        items: the paths of each, of which the first in a folder with the name of a split counts.
        alone: whether a single list is one.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for number, paths in enumerate(items):
        if split := next(filter(None, (split_of_folders(path.split("/")[:-1]) for path in paths)), None):
            members[split].append(number)
    if len(members) == 1 and not alone:
        return {}
    return {split: SourceList((f"folders named {split}…",), tuple(of_split)) for split, of_split in members.items()}
