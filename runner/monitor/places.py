"""Sweeps and runs below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from runner.core.errors import InputError, Problem
from runner.core.values import natural
from runner.store.run_dir import RunDir, not_a_directory

_DEPTH = 5
_SWEEP_FILES = ("plan.json", "journal.jsonl")


def find_places(path: Path) -> Iterator[tuple[Path, list[RunDir]]]:
    """Yield (directory of a sweep, nothing) and (folder, its runs that belong to no sweep), at `path` or below it, by name.

    Raises:
        InputError: it does not exist, or there is nothing.
    """
    if not path.is_dir():
        raise InputError(not_a_directory(path))
    path = path.resolve() if path.name in ("", "..") else path
    found = [(path, [RunDir(path)])] if RunDir(path).exists() else list(_places(path, _DEPTH))
    if not found:
        raise InputError(
            Problem("is neither a sweep nor a run and contains none; `runner sweep` and `runner train` create them", where=str(path))
        )
    yield from found


def _places(folder: Path, depth: int) -> Iterator[tuple[Path, list[RunDir]]]:
    try:
        entries = [entry for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")]
        below = sorted((entry.path for entry in entries), key=natural)
    except OSError:
        return  # no permission to read it
    if any((folder / name).is_file() for name in _SWEEP_FILES):
        yield folder, []
        return
    runs = [path for path in below if os.path.isfile(os.path.join(path, "run.json"))]
    if runs:
        yield folder, [RunDir(path) for path in runs]
    for path in [path for path in below if path not in runs] if depth else ():
        yield from _places(Path(path), depth - 1)
