"""Tasks as processes of this machine, a fixed number at a time."""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from runner.launch.base import NOT_STARTED, Exit, Task, exit_of
from runner.launch.spawn import Process, kill_group, reap_group, spawn
from runner.launch.warm import WarmStart, WarmStarter

_CLOSE_INTERVAL_S = 0.001
_LOOK_INTERVAL_S = 0.02  # where the kernel has no pidfd to wait on


@dataclass(slots=True)
class _Child:
    """A task that is running, or on its way to. `kill_at` (monotonic seconds) is when its grace is over."""

    start: WarmStart | None = None
    process: Process | None = None
    pidfd: int | None = None
    kill_at: float = float("inf")

    def descriptor(self) -> int | None:
        """Readable when there is something to look at; negative if there is already, None if it cannot tell."""
        return self.start.fileno() if self.start is not None else self.pidfd


class LocalLauncher:
    """Runs each task in a process, session and process group of its own, at most `slots` at a time.

    A task that calls `runner.core.process.die_with_parent` (the worker does) dies with this process, however that
    ends. Linux ties this to the thread that called `submit` or `poll`: it must live as long as the launcher. Where a task allows it, it
    starts in a warm process (see `Task.warm`); this process then becomes the parent of orphans below it.

    Args:
        slots: tasks at a time.
        close_grace_s: what `close` gives running tasks between SIGTERM and SIGKILL.

    Raises:
        ValueError: fewer than one slot.
    """

    def __init__(self, slots: int = 1, *, close_grace_s: float = 10.0) -> None:
        if slots < 1:
            raise ValueError(f"slots must be at least 1, not {slots}")
        self.slots = slots
        self._close_grace_s = close_grace_s
        self._waiting: deque[Task] = deque()
        self._children: dict[str, _Child] = {}
        self._warm = WarmStarter()
        self._killed_groups: list[int] = []
        self._ended: list[Exit] = []
        self._closed = False

    def submit(self, task: Task) -> None:
        """See `Launcher.submit`."""
        if self._closed:
            raise RuntimeError("the launcher is closed")
        if task.name in self._children or any(task.name == other.name for other in self._waiting):
            raise ValueError(f"an unfinished task has the name {task.name!r}")
        self._waiting.append(task)
        self._fill_slots()

    def poll(self, timeout_s: float = 0.0) -> list[Exit]:
        """See `Launcher.poll`."""
        deadline = time.monotonic() + timeout_s
        self._look()
        while not self._ended and self._children and (left := deadline - time.monotonic()) > 0:
            _wait_for_any(self._children.values(), min(left, self._until_next_kill()))
            self._look()
        ended, self._ended = self._ended, []
        return ended

    def cancel(self, name: str, *, grace_s: float = 10.0, trace: bool = False) -> None:
        """See `Launcher.cancel`. SIGTERM goes to the task's first process alone, which may need its helpers to save
        its state."""
        for task in self._waiting:
            if task.name == name:
                self._waiting.remove(task)
                self._ended.append(exit_of(name, -signal.SIGTERM))
                return
        child = self._children.get(name)
        if child is None:
            return
        if child.start is not None:
            running = child.start.cancel()
            if running is None:
                del self._children[name]
                self._ended.append(exit_of(name, -signal.SIGTERM))
                return
            child = self._children[name] = _running(running)
        if child.process is not None:
            if child.kill_at == float("inf"):
                child.process.send_signal(signal.SIGTERM)
            child.kill_at = min(child.kill_at, time.monotonic() + grace_s)

    def free(self) -> int:
        """See `Launcher.free`."""
        return 0 if self._closed else max(0, self.slots - len(self._children) - len(self._waiting))

    def close(self) -> None:
        """See `Launcher.close`."""
        self._closed = True
        self._waiting.clear()
        for name in list(self._children):
            self.cancel(name, grace_s=self._close_grace_s)
        try:
            while self._children:
                _wait_for_any(self._children.values(), self._until_next_kill())
                self._look()
        finally:  # a second Ctrl-C while waiting: no more patience
            for child in self._children.values():
                if child.process is not None:
                    self._end(child, child.process)
            self._children.clear()
            self._warm.close()
        while not self._reap_helpers():
            time.sleep(_CLOSE_INTERVAL_S)
        self._ended.clear()

    def _fill_slots(self) -> None:
        while self._waiting and len(self._children) < self.slots:
            task = self._waiting.popleft()
            try:
                start = self._warm.start(task)
                if start is None:
                    self._children[task.name] = _running(spawn(task))
                else:
                    self._children[task.name] = _Child(start)
                    self._look_at_start(task.name, start)
            except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
                self._ended.append(Exit(task.name, NOT_STARTED, error=str(error)))

    def _look(self) -> None:
        """See who has started, reap who has ended, kill whose grace is over, refill the slots."""
        now = time.monotonic()
        for name, child in list(self._children.items()):
            if child.start is not None:
                self._look_at_start(name, child.start)
            elif child.process is not None:
                if now >= child.kill_at:
                    kill_group(child.process.pid)
                    child.kill_at = now + 1.0
                if _has_ended(child.process):
                    self._ended.append(exit_of(name, self._end(child, child.process)))
                    del self._children[name]
        self._warm.tidy()
        self._reap_helpers()
        if not self._closed:
            self._fill_slots()

    def _look_at_start(self, name: str, start: WarmStart) -> None:
        try:
            process = start.look()
            if process is not None:
                self._children[name] = _running(process)
        except (OSError, ValueError) as error:
            del self._children[name]
            self._ended.append(Exit(name, NOT_STARTED, error=str(error)))

    def _end(self, child: _Child, process: Process) -> int:
        """Kill a task and the helpers it left behind; its return code. It is not reaped yet, so its number is not reused."""
        kill_group(process.pid)
        returncode = process.wait()
        self._killed_groups.append(process.pid)
        if child.pidfd is not None:
            os.close(child.pidfd)
            child.pidfd = None
        return returncode

    def _reap_helpers(self) -> bool:
        """Reap helpers that were killed, where this process has become their parent; whether that was the last of them."""
        self._killed_groups = [group for group in self._killed_groups if not reap_group(group)]
        return not self._killed_groups

    def _until_next_kill(self) -> float:
        """Seconds until some grace is over, at most a minute, or a second where a start may be taking too long."""
        most = 1.0 if any(child.start is not None for child in self._children.values()) else 60.0
        return max(0.0, min([most, *(child.kill_at - time.monotonic() for child in self._children.values())]))


def _running(process: Process) -> _Child:
    try:
        return _Child(process=process, pidfd=os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None)
    except OSError:  # an old kernel, a sandbox, or no descriptor left: it is looked at now and then instead
        return _Child(process=process)


def _has_ended(process: Process) -> bool:
    """Whether the process has ended; it is left for `wait` to reap where the system can look without reaping."""
    if hasattr(os, "waitid"):
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return process.poll() is not None


def _wait_for_any(children: Iterable[_Child], timeout_s: float) -> None:
    """Return when one of them has ended, or after `timeout_s`."""
    descriptors = [child.descriptor() for child in children]
    if None in descriptors:
        time.sleep(min(timeout_s, _LOOK_INTERVAL_S))
        return
    poller = select.poll()
    for descriptor in descriptors:
        if descriptor is None or descriptor < 0:
            return
        poller.register(descriptor, select.POLLIN)
    poller.poll(timeout_s * 1000)
