"""Kernel locks on files. Each ends with the process that holds it, however that process ends."""

from __future__ import annotations

import errno
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from runner.core.files import open_descriptor, read_json
from runner.core.process import process_mark, ran_here

try:
    import fcntl
except ImportError:  # Windows: two processes are not kept apart there
    fcntl = None  # type: ignore[assignment]

_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
"""Error numbers of `flock` that mean that another process has the lock; any other means that the file system has no locks."""
_ALIVE_WAIT_S = 1.0
"""Time to wait for a holder that is alive: it may be ending, or only checking."""
_GONE_WAIT_S = 5.0
"""Time to wait where the process that took the lock is gone: its child processes, which end after it, still have it."""
_LOOK_INTERVAL_S = 0.01
_BYTES = 512
"""Size of a lock file, overwritten in place: one that is truncated and written again is written to the disk when it is closed (ext4)."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that took a lock.

    Args:
        pid, host: the process; pid is 0 where it is not known.
        since: seconds since 1970.
        process: which process `pid` was, see `runner.core.process.process_mark`.
    """

    pid: int
    host: str
    since: float
    process: str = ""

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        return f"process {self.pid} on {self.host} (since {time.strftime('%Y-%m-%d %H:%M', time.localtime(self.since))})"

    @property
    def is_here(self) -> bool:
        """True if it ran under this kernel or on this host, so that its locks are visible here."""
        return ran_here(self.host, self.process)

    @property
    def is_alive(self) -> bool:
        """True if it is known to run on this machine."""
        return bool(self.process) and process_mark(self.pid) == self.process


_UNKNOWN = Holder(0, "", 0.0)


class Held(Exception):
    """Lock held by another process."""

    def __init__(self, holder: Holder) -> None:
        super().__init__(str(holder))
        self.holder = holder


class Lock:
    """A lock that this process holds (see `take`).

    Args:
        path: the lock file.
        descriptor: open on it. Children that inherit it keep the lock alive.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self._folder = _identity(path.parent)

    def is_there(self) -> bool:
        """Return whether the lock file's folder is still at its path; False once it was moved, deleted or replaced."""
        return _identity(self.path.parent) == self._folder

    def moved_to(self) -> str:
        """Return the folder's current path, if it exists and the system reveals it; else empty."""
        try:
            now = os.readlink(f"/proc/self/fd/{self.descriptor}")
        except OSError:
            return ""
        return os.path.dirname(now) if os.path.exists(now) else ""

    def clear(self) -> None:
        """Remove this process's name from the file: the process is about to end, and the lock ends with it."""
        with suppress(OSError):
            os.pwrite(self.descriptor, b" " * (_BYTES - 1) + b"\n", 0)

    def release(self) -> None:
        """Release the lock. Idempotent."""
        if self.descriptor < 0:
            return
        self.clear()
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(self.descriptor, fcntl.LOCK_UN)  # also where a child has inherited the descriptor
        os.close(self.descriptor)
        self.descriptor = -1


def take(path: Path, *, wait: bool = True) -> Lock:
    """Take the lock `path`, whose folder must exist, and write this process's name into it. A lock whose holder is gone is taken over.

    Args:
        wait: for a moment, where it is held: `holder` of another process takes it for an instant, and a process that was killed may still
            be dying.

    Raises:
        Held: another process has it.
        OSError: the file cannot be written.
    """
    began = time.monotonic()
    while True:
        descriptor = open_descriptor(path, os.O_RDWR | os.O_CREAT)
        try:
            if _try(descriptor, "exclusive") is not False:
                if _identity(path) == _identity(descriptor):
                    _write(descriptor)
                    return Lock(path, descriptor)
            else:
                holder = _read(path) or _UNKNOWN
                if not wait or time.monotonic() > began + (_ALIVE_WAIT_S if holder.is_alive else _GONE_WAIT_S):
                    raise Held(holder)
                time.sleep(_LOOK_INTERVAL_S)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def holder(path: Path) -> Holder | None:
    """Return the current holder of the lock `path`; None if it is free or does not exist."""
    try:
        descriptor = open_descriptor(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        got = _try(descriptor, "shared")
    finally:
        os.close(descriptor)
    if got is None:  # no locks here: look for the process itself
        found = _read(path)
        return found if found is not None and (found.is_alive or not found.is_here) else None
    return None if got else _read(path) or _UNKNOWN


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Wait for and hold the lock of a folder itself, where the system has such locks."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows does not open folders
        yield
        return
    try:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def last_holder(path: Path) -> Holder | None:
    """Return the process that took the lock last and did not release it: it holds it now, or was killed."""
    return _read(path)


def _try(descriptor: int, kind: Literal["exclusive", "shared"]) -> bool | None:
    """Try to lock: True if it succeeded, False if another process has it, None if there are no locks here."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if kind == "exclusive" else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _HELD else None
    return True


def _write(descriptor: int) -> None:
    me = Holder(os.getpid(), platform.node(), time.time(), process_mark(os.getpid()))
    with suppress(OSError):  # a full disk: the lock holds all the same
        os.pwrite(descriptor, json.dumps(asdict(me)).encode().ljust(_BYTES - 1) + b"\n", 0)


def _read(path: Path) -> Holder | None:
    try:
        data = read_json(path)
        return Holder(int(data["pid"]), str(data["host"]), float(data["since"]), str(data.get("process", "")))
    except (TypeError, KeyError, ValueError, AttributeError, OSError, OverflowError):
        return None


def _identity(file: Path | int) -> tuple[int, int] | None:
    """Return device and inode; None if there is no such file."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino
