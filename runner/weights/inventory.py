"""Weights of a project and of this machine: listed, verified, removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runner.core.errors import InputError, Problem, nearest
from runner.weights.lockfile import LockEntry, change_lock, find_entry, lock_path, read_lock
from runner.weights.names import parse_name
from runner.weights.store import digest_of, find_stored, store_held, stored_files

State = Literal["intact", "stored", "missing", "damaged"]


@dataclass(frozen=True, slots=True)
class StockItem:
    """An entry of weights.lock, or a file that only other projects name.

    Args:
        entry: None for such a file.
        path: of the stored file; None if it is not on this machine.
        state: stored: there, and not read; intact: read, and its digest is right.
    """

    entry: LockEntry | None
    path: Path | None
    state: State


def inventory(names: Sequence[str] = (), *, read: bool) -> list[StockItem]:
    """List the entries of weights.lock, then the stored files that it does not name.

    Args:
        names: of entries; default: everything.
        read: compare the digests, which reads the files.

    Raises:
        InputError: weights.lock is damaged, or has no such entry.
    """
    entries = read_lock(lock_path())
    chosen = [_named(name, entries) for name in names] if names else list(entries)
    items = []
    for entry in chosen:
        path = find_stored(entry.sha256)
        items.append(StockItem(entry, path, _state(path, entry.sha256, read)))
    if names:
        return items
    locked = {entry.sha256 for entry in entries}
    return items + [StockItem(None, path, _state(path, path.stem, read)) for path in stored_files() if path.stem not in locked]


def remove(name: str, *, keep_lock: bool, say: Callable[[str], None]) -> LockEntry:
    """Delete the entry of a name from weights.lock, and its file from the store.

    Args:
        keep_lock: delete the file alone.
        say: see `store_held`.

    Raises:
        InputError: weights.lock has no such entry, or something cannot be deleted.
    """
    lock = lock_path()
    entry = _named(name, read_lock(lock))
    if not keep_lock:
        change_lock(lock, lambda entries: [one for one in entries if one != entry])
    others = [one for one in read_lock(lock) if one.sha256 == entry.sha256 and one != entry]
    if not others and find_stored(entry.sha256) is not None:
        with store_held(say):
            if (path := find_stored(entry.sha256)) is not None:
                path.unlink()
    return entry


def _named(name: str, entries: Sequence[LockEntry]) -> LockEntry:
    entry = find_entry(entries, parse_name(name))
    if entry is None:
        hint = nearest(name, [one.name for one in entries])
        raise InputError(Problem(f"has no entry {name!r}; {hint}".rstrip("; "), where=str(lock_path())))
    return entry


def _state(path: Path | None, sha256: str, read: bool) -> State:
    if path is None:
        return "missing"
    if not read:
        return "stored"
    try:
        return "intact" if digest_of(path) == sha256 else "damaged"
    except OSError:
        return "damaged"
