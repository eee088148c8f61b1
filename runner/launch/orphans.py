"""Child processes that tasks leave behind: they are killed and reaped with their task, or when this process dies."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable

from runner.core.process import adopt_orphans
from runner.launch import leftovers
from runner.launch.starters.spawn import MARK_VARIABLE, kill_group, mark_of, reap_session

_CLOSE_INTERVAL_S = 0.001


class Orphans:
    """Care for orphans of the tasks: on Linux this process becomes their parent, and a guard process kills them if it dies."""

    def __init__(self) -> None:
        self.adopts = _adopt()
        """True if this process is their parent."""
        self.guard: subprocess.Popen[bytes] | None = None
        """The process that cleans up if this one is killed; None before the first task, and on other systems."""
        self._killed_groups: list[int] = []

    def start_guard(self) -> None:
        """Start the guard, unless it runs."""
        if self.guard is None and sys.platform == "linux":
            mark = f"{MARK_VARIABLE}={mark_of(os.getpid())}"
            with contextlib.suppress(OSError):  # workers die with this process all the same
                self.guard = subprocess.Popen(
                    [sys.executable, "-I", "-S", leftovers.__file__, mark],
                    env={},
                    cwd="/",
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )

    def kill(self, group: int) -> None:
        """Kill a process group; what this process adopts of it is reaped later."""
        kill_group(group)
        self._killed_groups.append(group)

    def reap(self, running: Iterable[int]) -> bool:
        """Reap killed child processes of tasks that this process has adopted; return whether none is left.

        Args:
            running: process ids of the tasks that are running.
        """
        if self._killed_groups:
            known = set(running)
            self._killed_groups = [group for group in self._killed_groups if not reap_session(group, known)]
        return not self._killed_groups

    def close(self) -> None:
        """Wait until all that was killed is reaped, and dismiss the guard. No task is running any more."""
        while not self.reap(()):
            time.sleep(_CLOSE_INTERVAL_S)
        if self.guard is not None and self.guard.stdin is not None:
            with contextlib.suppress(OSError):  # it was killed by another process
                self.guard.stdin.write(b"!")
            self.guard.stdin.close()
            self.guard.wait()
            self.guard = None
        if self.adopts:
            adopt_orphans(False)
            self.adopts = False


def _adopt() -> bool:
    """Make orphans of the tasks children of this process; return whether the system supports it."""
    if sys.platform != "linux":
        return False
    try:
        adopt_orphans()
    except OSError:
        return False
    return True
