"""Locks of a sweep and of a run, and the messages about a lock of another process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.core.errors import InputError, Problem
from runner.core.lock import Held, Lock, take
from runner.core.values import shell_path
from runner.store.run_dir import RunDir


class RunHeld(InputError):
    """Another process is working on the run."""


@contextmanager
def hold(path: Path) -> Iterator[Lock]:
    """Hold the lock `path` of a sweep. A lock left behind by a killed driver is taken over.

    Raises:
        InputError: another process holds it; the message says which.
    """
    try:
        lock = take(path)
    except Held as held:
        shown = shell_path(path.parent)
        text = f"{held} is working on this sweep; watch it: runner status {shown}; end it: runner stop {shown}"
        raise InputError(Problem(text, where=str(path.parent))) from None
    except OSError as error:
        raise InputError(Problem(f"the sweep directory cannot be written: {error.strerror}", where=str(path.parent))) from error
    try:
        yield lock
    finally:
        lock.release()


@contextmanager
def hold_run(run_dir: RunDir, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a run whose directory exists.

    Args:
        wait: see `runner.core.lock.take`.

    Raises:
        RunHeld: another process is working on it; the message says which.
        OSError: the lock cannot be written.
    """
    try:
        lock = take(run_dir.lock, wait=wait)
    except Held as held:
        raise run_held(run_dir, str(held), held.holder.pid) from None
    try:
        yield
    finally:
        lock.release()


def run_held(run_dir: RunDir, who: str, pid: int) -> RunHeld:
    """Make the message for a run that another process is working on."""
    stop = f", or stop it: kill {pid}" if pid else ""
    return RunHeld(Problem(f"{who} is working on this run right now; wait for it{stop}", where=str(run_dir.path)))
