"""A task in a new process: the way that always works."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Protocol

from runner.core.process import PARENT_VARIABLE
from runner.launch.base import Task


class Process(Protocol):
    """A child of this process, leader of a session and process group of its own; `subprocess.Popen` is one."""

    pid: int

    def send_signal(self, sig: int, /) -> None:
        """Send a signal to it alone; nothing if it was reaped."""

    def poll(self) -> int | None:
        """Reap it if it has ended: its return code as `subprocess` gives it, else None."""

    def wait(self) -> int:
        """Wait until it has ended and reap it."""


def environment_of(task: Task) -> dict[str, str]:
    """All the variables a task sees."""
    return {"PYTHONUNBUFFERED": "1", **os.environ, **task.env, PARENT_VARIABLE: str(os.getpid())}


def spawn(task: Task) -> Process:
    """Start a task.

    Raises:
        OSError: its program, folder or log cannot be used.
        ValueError: a NUL in an argument.
    """
    with open(task.log, "ab") as log:
        return subprocess.Popen(
            list(task.argv),
            cwd=task.cwd,
            env=environment_of(task),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def kill_group(leader: int) -> None:
    """SIGKILL to every process of a group. `leader` must not be reaped yet, or its number may be another's."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nobody is left (macOS says "permission" where only a zombie is)


def reap_group(leader: int) -> bool:
    """Reap those of a killed group whose parent this process has become (see `adopt_orphans`); whether there are no more."""
    try:
        while os.waitpid(-leader, os.WNOHANG)[0]:
            pass
        return False
    except ChildProcessError:
        return True
