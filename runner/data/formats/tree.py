"""The files of a source, found once: symbolic links are followed without running in circles, and a path that a source's
own files name is looked up below the source and nowhere else.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from runner.core.errors import InputError, Problem
from runner.data.notes import Notes

_LINKS_DEEP = 3
"""Links to folders are followed this deep within each other: more is a maze, not a data set."""
FOLDERS_DEEP = 100
_MATCHED = "names that differ from the disk's in case or Unicode form, matched"
_BACKSLASHES = "paths written with backslashes, taken as folders"


@dataclass(slots=True)
class Walk:
    """Result of `walk`, as posix paths relative to the folder.

    Args:
        files: in the order of their parts.
        linked: those of them that are symbolic links, or lie behind one.
        left: links that lead nowhere or in a circle.
    """

    files: list[str] = field(default_factory=list)
    linked: set[str] = field(default_factory=set)
    left: list[str] = field(default_factory=list)


def walk(folder: Path, *, hidden: bool = False) -> Walk:
    """Find every regular file below `folder`, also through symbolic links to files and folders, wherever these lead: it
    is the user's own folder. Files and folders whose name starts with a dot, and ``__MACOSX``, only if `hidden`.
    """
    found = Walk()
    _walk(folder, "", frozenset([_identity(folder)]), 0, hidden, found)
    found.files.sort(key=lambda name: name.split("/"))
    return found


def _walk(folder: Path, prefix: str, above: frozenset[tuple[int, int]], links: int, hidden: bool, found: Walk) -> None:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(Problem(f"the folder cannot be read: {error.strerror}", str(folder))) from error
    if prefix.count("/") > FOLDERS_DEEP:
        raise InputError(Problem(f"lies more than {FOLDERS_DEEP} folders deep, which no data set needs", str(folder)))
    for entry in listed:
        if not hidden and (entry.name.startswith(".") or entry.name == "__MACOSX"):
            continue
        name, link = prefix + entry.name, entry.is_symlink()
        if entry.is_dir():
            here = _identity(entry.path)
            if here in above or links + link > _LINKS_DEEP:
                found.left.append(name)
            else:
                _walk(Path(entry.path), f"{name}/", above | {here}, links + link, hidden, found)
        elif entry.is_file():
            found.files.append(name)
            if link or links:
                found.linked.add(name)
        elif link:
            found.left.append(name)


def _identity(path: Path | str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


class Tree:
    """The files below `root`, hidden ones left out."""

    def __init__(self, root: Path, notes: Notes) -> None:
        self.root = root
        self._notes = notes
        walked = walk(root)
        self._names = walked.files
        behind_links = {_identity(root / name) for name in walked.linked}
        # A link is there to give the data another layout, so its path is meant and not that of the file it leads to.
        self._own = (
            [name for name in walked.files if name in walked.linked or _identity(root / name) not in behind_links]
            if behind_links
            else walked.files
        )
        self._index: dict[str, list[str]] | None = None
        for name in walked.left:
            notes.add("left out", "symbolic links that lead nowhere or in a circle", name)

    def files(self, suffixes: Collection[str], below: Path | None = None) -> list[Path]:
        """Files with one of `suffixes` (lower case), in the order of their paths.

        Args:
            below: a folder at or below the root; then also files that a link elsewhere leads to. None: each file once.
        """
        names = self._own
        if below is not None and below != self.root:
            prefix = f"{self.relative(below)}/"
            names = [name for name in self._names if name.startswith(prefix)]
        return [self.root / name for name in names if os.path.splitext(name)[1].lower() in suffixes]

    def note_others(self, suffixes: Collection[str]) -> None:
        """Note the files with one of `suffixes`, which are pictures that nothing looks for."""
        found = self.files(suffixes)
        what = "pictures of types that are not read; save them as PNG or JPEG"
        self._notes.add("left out", what, self.relative(found[0]) if found else "", len(found))

    def named(self, *names: str) -> list[Path]:
        """Files of one of these names (lower case; case does not matter), the one nearest to the root first."""
        found = [name for name in self._own if posixpath.basename(name).lower() in names]
        return [self.root / name for name in sorted(found, key=lambda name: name.count("/"))]

    def folders(self) -> list[Path]:
        """Folders that hold a file at any depth, in the order of their paths, the root first."""
        found = {parent for name in self._own for parent in _parents(name)}
        return [self.root, *(self.root / name for name in sorted(found, key=lambda name: name.split("/")))]

    def relative(self, path: Path) -> str:
        """`path` below the root, for messages."""
        return path.relative_to(self.root).as_posix()

    def find(self, folder: Path, text: str, *, exact: bool = False, quiet: bool = False) -> Path | None:
        """Return the file or folder that `text`, from the source's own files, means within `folder`.

        Backslashes are taken as folders. A name that differs in case or Unicode form only (NFC, NFD) is matched if a
        single one does, with a note.

        Args:
            exact: only the name as written.
            quiet: no note: the name is a convention and not written in a file.

        Returns:
            A path at or below the root; None if there is none, or `text` leads out of the root.
        """
        base, name = self.relative(folder), None
        for written in dict.fromkeys((text, text.replace("\\", "/"))):
            name = below(written, base)
            if name is None:
                return None
            if os.path.exists(self.root / name):
                if written != text and not quiet:
                    self._notes.add("changed", _BACKSLASHES, f"{text} as {written}")
                return self.root / name
        if exact or name is None:
            return None
        alike = self._alike().get(alike_key(name), [])
        if len(alike) != 1:
            return None
        if not quiet:
            self.matched(text, self.root / alike[0])
        return self.root / alike[0]

    def matched(self, text: str, file: Path) -> None:
        """Note that `text` was taken to mean `file`, though it is written in another way."""
        self._notes.add("changed", _MATCHED, f"{text} = {self.relative(file)}")

    def _alike(self) -> dict[str, list[str]]:
        if self._index is None:
            index: dict[str, list[str]] = defaultdict(list)
            for name in {*self._names, *(parent for file in self._names for parent in _parents(file))}:
                index[alike_key(name)].append(name)
            self._index = dict(index)
        return self._index


def alike_key(name: str) -> str:
    """Return a key that is equal for names that differ only in case or Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def below(text: str, folder: str = ".") -> str | None:
    """Return the posix path of `text` within `folder` (itself relative to some root), or None where `text` is absolute, on
    Windows too, or leads out of the root.
    """
    if "\0" in text or text.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[\\/]", text):
        return None
    forms = [posixpath.normpath(posixpath.join(folder, form)) for form in (text, text.replace("\\", "/"))]
    return None if any(form == ".." or form.startswith("../") for form in forms) else forms[0]


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]
