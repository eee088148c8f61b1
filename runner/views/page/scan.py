"""Search for run directories below folders, and the fingerprints that say whether one has changed. It only looks: nothing is opened."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from runner.core.values import natural
from runner.store import legacy
from runner.views.page.plan import PLAN_FILE

Mark = tuple[int, int, int]
"""Inode, size and time of change in ns of a file or folder."""
Fingerprint = tuple[Mark | None, ...]
"""Mark of each of `WATCHED`; None where there is no such file."""

WATCHED = ("run.json", "status.json", "override.json", legacy.VERDICT, "eval.json", "config.yml", "metrics.jsonl")
_YOUNG_S = 2.0
"""Age below which a folder is listed again: its time of change may be too coarse to show the next entry."""

_MOST_LOOKS = 200
"""Folders that are looked at per call of `RunSearch.look`."""


def fingerprint(path: Path | str) -> Fingerprint:
    """Return the fingerprint of a run directory. Never raises."""
    folder = os.fspath(path)
    return tuple(file_mark(f"{folder}/{name}") for name in WATCHED)


def file_mark(path: Path | str) -> Mark | None:
    """Return inode, size and time of change of one file or folder; None where there is none."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns


def links_outside(run: Path, roots: Iterable[Path]) -> str:
    """Return the name of a watched file of a run that is a symbolic link to outside of `roots`; empty where none is."""
    folder = os.fspath(run)
    for name in WATCHED:
        file = f"{folder}/{name}"
        if os.path.islink(file) and not any(Path(os.path.realpath(file)).is_relative_to(os.path.realpath(root)) for root in roots):
            return name
    return ""


@dataclass(slots=True)
class _Folder:
    """A folder that is no run: when it had last changed, and what it holds."""

    changed_ns: int = -1
    below: frozenset[str] = frozenset()


@dataclass(slots=True)
class RunSearch:
    """Run directories below some folders, kept up to date by looking only at folders that have changed.

    Symbolic links to folders are not followed, and a run directory is not searched for others.

    Args:
        roots: where to search; one that is itself a run is one.
        runs: the run directories found.
        sweeps: folders with a plan.json.
        version: counts up whenever a run has come or gone.
    """

    roots: tuple[Path, ...]
    runs: set[str] = field(default_factory=set)
    sweeps: set[str] = field(default_factory=set)
    version: int = 0
    _folders: dict[str, _Folder] = field(default_factory=dict)
    _queue: list[str] = field(default_factory=list)

    def look(self) -> None:
        """Look at all folders the first time, later at some of them in turn."""
        if not self._folders:
            for root in self.roots:
                self._add(str(root))
            return
        turn, self._queue = self._queue[:_MOST_LOOKS], self._queue[_MOST_LOOKS:]
        for path in turn:
            if path in self._folders:
                self._update(path)
        self._queue += [path for path in turn if path in self._folders]

    def ordered(self) -> list[str]:
        """Return the run directories in the order of `runner.store.run_dir.find_runs`."""
        if len(self.roots) == 1:
            return sorted(self.runs, key=natural)
        return sorted(
            self.runs, key=lambda run: (next(at for at, root in enumerate(self.roots) if Path(run).is_relative_to(root)), natural(run))
        )

    def _add(self, path: str) -> None:
        if path in self.runs or path in self._folders:
            return
        if os.path.lexists(os.path.join(path, "run.json")):
            self.runs.add(path)
            self.version += 1
            return
        self._folders[path] = _Folder()
        self._queue.append(path)
        self._update(path)

    def _update(self, path: str) -> None:
        folder = self._folders[path]
        try:
            changed_ns = os.stat(path).st_mtime_ns
            if changed_ns == folder.changed_ns and abs(time.time() - changed_ns / 1e9) > _YOUNG_S:
                return
            names = {_joined(path, entry.name): entry.is_dir(follow_symlinks=False) for entry in os.scandir(path)}
        except OSError:  # gone, or no permission to read it
            changed_ns, names = -1, {}
        below = frozenset(name for name, is_folder in names.items() if is_folder)
        for gone in folder.below - below:
            self._remove(gone)
        if _joined(path, "run.json") in names:  # it has become a run
            self._remove(path)
            self._add(path)
            return
        folder.changed_ns, folder.below = changed_ns, below
        (self.sweeps.add if _joined(path, PLAN_FILE) in names else self.sweeps.discard)(path)
        for new in sorted(below - self.runs - self._folders.keys()):
            self._add(new)

    def _remove(self, path: str) -> None:
        self.runs.discard(path)
        self.sweeps.discard(path)
        self.version += 1
        if (folder := self._folders.pop(path, None)) is not None:
            for below in folder.below:
                self._remove(below)


def _joined(folder: str, name: str) -> str:
    return name if folder == "." else os.path.join(folder, name)
