"""Start of a task in a new process, which works everywhere."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
from collections.abc import Collection, Iterator
from typing import Protocol

import psutil

from runner.core.files import open_regular
from runner.core.importing import child_environment
from runner.core.process import PARENT_VARIABLE
from runner.launch.base import Task
from runner.launch.memory import session_of

MARK_VARIABLE = "RUNNER_LAUNCHER"
"""Environment variable that all processes of this one's tasks inherit: by it `runner.launch.leftovers` knows them."""


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
    """Return all environment variables of a task."""
    pid = os.getpid()
    unbuffered = {} if "PYTHONUNBUFFERED" in os.environ else {"PYTHONUNBUFFERED": "1"}
    return child_environment(unbuffered, dict(task.env), {PARENT_VARIABLE: str(pid), MARK_VARIABLE: mark_of(pid)})


@functools.cache
def mark_of(pid: int) -> str:
    """Return what distinguishes a process from all others with the same id."""
    return f"{pid}-{psutil.Process(pid).create_time():.2f}"


def spawn(task: Task) -> Process:
    """Start a task.

    Raises:
        OSError: its program, folder or log cannot be used.
        ValueError: a NUL in an argument.
    """
    with open_regular(task.log, "ab") as log:
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
    """Send SIGKILL to every process of a group. `leader` must not be reaped yet, or its number may be another's."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(leader, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # no process is left (macOS reports a permission error where only a zombie is)
        return
    try:
        first = psutil.Process(leader)
        family = [*first.children(recursive=True), first]
    except psutil.Error:
        return
    for process in family:
        try:
            process.kill()
        except psutil.Error:
            pass  # it has ended


def reap_session(leader: int, known: Collection[int] = ()) -> bool:
    """Kill and reap the adopted processes that an ended task left in its session (see `adopt_orphans`); return whether none is left.

    Args:
        known: children of this process that need no look, since they lead sessions of their own.
    """
    if not hasattr(os, "WNOHANG"):
        return True  # Windows has neither groups nor adoption
    try:
        while os.waitpid(-leader, os.WNOHANG)[0]:
            pass
        return False
    except ChildProcessError:
        pass
    left = [pid for pid in _adopted() if pid not in known and session_of(pid) == leader]  # in a process group of their own
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, os.WNOHANG)
    return not left


def _adopted() -> Iterator[int]:
    """Yield the children of this process's first thread, which adopts orphans."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
            yield from map(int, file.read().split())
    except OSError:  # a kernel without this list
        return
