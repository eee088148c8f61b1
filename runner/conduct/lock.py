"""One driver a sweep: a lock that ends with the process that holds it, however that ends."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from runner.core.errors import InputError, Problem
from runner.core.files import read_json

try:
    import fcntl
except ImportError:  # Windows: two drivers are not kept apart there
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who drives a sweep: process id, host, and since when (seconds since 1970)."""

    pid: int
    host: str
    since: float

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} (since {time.strftime('%Y-%m-%d %H:%M', time.localtime(self.since))})"


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock `path` of a sweep. What a driver that was killed left behind is taken over.

    Raises:
        InputError: another process holds it; the message says which.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(Problem(f"the sweep directory cannot be written: {error.strerror}", where=str(path.parent))) from error
    try:
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                who = _read(path) or "another process"
                text = f"{who} is working on this sweep; watch it: runner status {path.parent}; end it: runner stop {path.parent}"
                raise InputError(Problem(text, where=str(path.parent))) from None
        os.ftruncate(descriptor, 0)
        try:
            os.write(descriptor, json.dumps(asdict(Holder(os.getpid(), platform.node(), time.time()))).encode() + b"\n")
        except OSError:
            pass  # a full disk: the lock holds all the same
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def holder(path: Path) -> Holder | None:
    """Who holds the lock `path` now; None if nobody does."""
    if fcntl is None:
        return _read(path)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _read(path) or Holder(0, "this machine", 0.0)
    finally:
        os.close(descriptor)
    return None


def _read(path: Path) -> Holder | None:
    try:
        return Holder(**read_json(path))
    except (TypeError, OSError):
        return None
