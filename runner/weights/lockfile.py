"""weights.lock: what each name of published weights means in a project, in a file to be committed.

Two people with the same file train from the same bytes, and a file that its publisher has replaced is refused.
"""

from __future__ import annotations

import functools
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from runner.core.errors import InputError, Problem
from runner.core.files import NO_FILE_THERE, atomic_write_text, read_text
from runner.core.lock import hold_folder
from runner.core.text import is_printable
from runner.weights.names import WeightsName

LOCK_FILE: Final = "weights.lock"
_VERSION = 1
_HEAD = "# Written by `runner weights fetch`. Commit this file: with it everyone trains from the same weights.\n"
_TEXTS = ("name", "url", "commit", "sha256", "licence", "date")


@dataclass(frozen=True, slots=True)
class LockEntry:
    """Published weights of one name.

    Args:
        name: as configs write it.
        url: where the file comes from.
        sha256: of its content, 64 hex digits.
        size_bytes: of the file.
        licence: as its publisher names it; ``unknown`` where nothing says so.
        date: day on which it was fetched first, ``2026-11-29``.
        commit: of the hub's repository; empty elsewhere.
    """

    name: str
    url: str
    sha256: str
    size_bytes: int
    licence: str = "unknown"
    date: str = ""
    commit: str = ""


def lock_path() -> Path:
    """Return the path of weights.lock: in the current folder or, within a git checkout, the nearest one above it; else the place for a new
    one, which is the checkout's top folder, or the current folder outside of a checkout."""
    here = Path.cwd()
    top = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)
    within = [folder for folder in (here, *here.parents) if folder.is_relative_to(top)]
    return next((folder for folder in within if (folder / LOCK_FILE).is_file()), top) / LOCK_FILE


def read_lock(path: Path) -> tuple[LockEntry, ...]:
    """Read the entries, sorted by name; none where there is no file.

    Raises:
        InputError: it is damaged, or of a newer version.
    """
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return _read(path, found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=8)
def _read(path: Path, _changed_ns: int, _size: int) -> tuple[LockEntry, ...]:
    try:
        content = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise _damaged(path, f"is not TOML: {error}; after a merge conflict keep the entries of both sides") from error
    except UnicodeDecodeError as error:
        raise _damaged(path, "is not UTF-8 text; restore it") from error
    except OSError as error:
        if error.errno in NO_FILE_THERE:
            return ()
        raise _damaged(path, f"cannot be read: {error.strerror}") from error
    if (version := content.get("version")) != _VERSION:
        raise _damaged(path, f"has version {version!r}, expected {_VERSION}; it was written by another version of runner")
    entries = content.get("weights", [])
    if not isinstance(entries, list):
        raise _damaged(path, "expected [[weights]] entries")
    read = [_entry(path, number, value) for number, value in enumerate(entries, 1)]
    names = [entry.name for entry in read]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise _damaged(path, f"has two entries for {', '.join(twice)}; keep one")
    return tuple(sorted(read, key=lambda entry: entry.name))


def _entry(path: Path, number: int, value: Any) -> LockEntry:
    if not isinstance(value, Mapping):
        raise _damaged(path, f"entry {number}: expected keys and values")
    texts = {key: value.get(key, "") for key in _TEXTS}
    size = value.get("bytes", 0)
    wrong = [key for key, text in texts.items() if not isinstance(text, str) or not is_printable(text)]
    wrong += [key for key in ("name", "url") if not texts[key]]
    wrong += ["sha256"] if not re.fullmatch("[0-9a-f]{64}", str(texts["sha256"])) else []
    wrong += ["bytes"] if isinstance(size, bool) or not isinstance(size, int) or size < 0 else []
    if wrong:
        raise _damaged(path, f"entry {number} ({str(texts['name'])[:100]!r}): {wrong[0]} is missing or invalid; restore the file")
    return LockEntry(size_bytes=size, **texts)


def find_entry(entries: Iterable[LockEntry], name: WeightsName) -> LockEntry | None:
    """Return the entry of a name, or of the same address in another spelling (``ppdet://…``); else None."""
    every = list(entries)
    named = next((entry for entry in every if entry.name == name.text), None)
    return named or next((entry for entry in every if name.url and entry.url == name.url), None)


def change_lock(path: Path, change: Callable[[tuple[LockEntry, ...]], Sequence[LockEntry]]) -> None:
    """Replace the entries by `change(entries)`, while no other process does.

    Raises:
        InputError: the file is damaged or cannot be written.
    """
    try:
        with hold_folder(path.parent):
            before = read_lock(path)
            after = change(before)
            if tuple(after) != before:
                atomic_write_text(path, _text(sorted(after, key=lambda entry: entry.name)))
                _read.cache_clear()
    except OSError as error:
        raise InputError(Problem(f"cannot be written: {error.strerror}", where=str(path))) from error


def _text(entries: Iterable[LockEntry]) -> str:
    """Write entries as TOML, one value per line, so that two branches that add weights can be merged."""
    lines = [_HEAD + f"version = {_VERSION}\n"]
    for entry in entries:
        values = [("name", entry.name), ("url", entry.url), ("commit", entry.commit), ("bytes", entry.size_bytes)]
        values += [("sha256", entry.sha256), ("licence", entry.licence), ("date", entry.date)]
        lines += ["\n[[weights]]\n", *(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values if value != "")]
    return "".join(lines)


def _damaged(path: Path, message: str) -> InputError:
    return InputError(Problem(message, where=str(path)))
