"""Store of weights on this machine: files named for the SHA-256 of their content, shared by all projects."""

from __future__ import annotations

import functools
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from runner.core.errors import InputError, Problem
from runner.core.files import open_descriptor, sync_folder, user_cache
from runner.core.lock import Held, Lock, take

PLACE_VARIABLE: Final = "RUNNER_WEIGHTS"
_CONTENT = "sha256"
_POLL_S = 0.2
_READ_ONLY = 0o444


def store_folder() -> Path:
    """Return the folder of the store: ``$RUNNER_WEIGHTS``, else ``weights`` in this program's folder in the user's cache."""
    named = os.environ.get(PLACE_VARIABLE)
    return Path(named).expanduser().absolute() if named else user_cache() / "weights"


def find_stored(sha256: str) -> Path | None:
    """Return the stored file that was written with this digest; None if there is none. It may have been damaged since."""
    return next(iter(sorted((store_folder() / _CONTENT).glob(f"{sha256}.*"))), None)


def stored_files() -> list[Path]:
    """List all stored files."""
    return sorted((store_folder() / _CONTENT).glob("*.*"))


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hex. A file that has not changed since is not read again. Raises OSError."""
    found = os.stat(path)
    return _digest(str(path), found.st_ino, found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _digest(path: str, _inode: int, _size: int, _changed_ns: int) -> str:
    with open(path, "rb", opener=open_descriptor) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def store_held(say: Callable[[str], None]) -> Iterator[Path]:
    """Hold the store, waiting for another process that fills it; yield a folder for unfinished files, which is empty at both ends.

    Args:
        say: takes a line that names the process waited for.

    Raises:
        InputError: the store cannot be written.
    """
    folder = store_folder()
    unfinished = folder / "unfinished"
    try:
        (folder / _CONTENT).mkdir(parents=True, exist_ok=True)
        unfinished.mkdir(exist_ok=True)
        lock = _wait_for(folder / ".lock", say)
    except OSError as error:
        text = f"the store of weights cannot be written: {error.strerror}; set {PLACE_VARIABLE} to another folder"
        raise InputError(Problem(text, where=str(folder))) from error
    try:
        _clear(unfinished)
        yield unfinished
    finally:
        _clear(unfinished)
        lock.release()


def _wait_for(path: Path, say: Callable[[str], None]) -> Lock:
    said = False
    while True:
        try:
            return take(path, wait=False)
        except Held as held:
            if not said:
                say(f"waiting for {held}, which is fetching weights")
            said = True
            time.sleep(_POLL_S)


def _clear(folder: Path) -> None:
    """Delete what a killed process left."""
    for file in folder.iterdir():
        with suppress(OSError):
            file.unlink()


def put(file: Path, sha256: str, suffix: str) -> Path:
    """Move an unfinished file into the store; its content has this digest.

    Args:
        suffix: by which readers know its format, such as ``.safetensors``.
    """
    for former in (store_folder() / _CONTENT).glob(f"{sha256}.*"):
        former.unlink()  # damaged, or it would not be fetched again
    path = store_folder() / _CONTENT / f"{sha256}{suffix}"
    os.chmod(file, _READ_ONLY)
    os.replace(file, path)
    sync_folder(path.parent)
    return path
