"""A launcher that starts tasks by a shell, as one that reaches other machines does; it takes no notice of `Task.warm`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from dataclasses import dataclass
from typing import ClassVar

from runner.launch.base import NOT_STARTED, TRACE_S, Capacity, Demand, Exit, Task, exit_of


@dataclass
class Running:
    """A task that is running. `end_at`, `kill_at`: when it is sent SIGTERM and SIGKILL, in monotonic seconds."""

    process: subprocess.Popen[bytes]
    end_at: float = float("inf")
    kill_at: float = float("inf")

    def kill(self) -> None:
        """End all its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class ShellLauncher:
    """Runs each task by ``sh``."""

    in_process: ClassVar[bool] = False
    shares_machine: ClassVar[bool] = False

    def __init__(self, tasks: int) -> None:
        self.tasks = tasks
        self.waiting: deque[Task] = deque()
        self.running: dict[str, Running] = {}
        self.ended: list[Exit] = []
        self.closed = False

    @classmethod
    def open(cls, demand: Demand) -> ShellLauncher:
        """Make room for two, or as many as are asked for."""
        return cls(2 if demand.concurrency == "auto" else demand.concurrency)

    def capacity(self) -> Capacity:
        """Return its room."""
        return Capacity(self.tasks, ("started by sh",))

    def submit(self, task: Task) -> None:
        """Take a task on."""
        if self.closed:
            raise RuntimeError("the launcher is closed")
        if task.name in self.running or any(task.name == other.name for other in self.waiting):
            raise ValueError(f"an unfinished task has the name {task.name!r}")
        self.waiting.append(task)
        self.start_waiting()

    def poll(self, timeout_s: float = 0.0) -> list[Exit]:
        """Return the tasks that have ended."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.look_after_running()
            if self.ended or not self.running or time.monotonic() >= deadline:
                ended, self.ended = self.ended, []
                return ended
            time.sleep(0.01)

    def cancel(self, name: str, *, grace_s: float = 10.0, trace: bool = False) -> None:
        """Ask a task to end."""
        for task in self.waiting:
            if task.name == name:
                self.waiting.remove(task)
                self.ended.append(exit_of(name, -signal.SIGTERM))
                return
        running = self.running.get(name)
        if running is None:
            return
        now = time.monotonic()
        if running.kill_at == float("inf"):
            running.end_at = now + (TRACE_S if trace else 0.0)
            if trace:
                running.process.send_signal(signal.SIGUSR1)
        running.kill_at = min(running.kill_at, now + grace_s)
        self.look_after_running()

    def free(self) -> int:
        """Return its free places."""
        return 0 if self.closed else max(0, self.tasks - len(self.running) - len(self.waiting))

    def close(self) -> None:
        """End everything."""
        self.closed = True
        self.waiting.clear()
        for running in self.running.values():
            running.kill()
            running.process.wait()
        self.running.clear()
        self.ended.clear()

    def start_waiting(self) -> None:
        """Start tasks in free places."""
        while self.waiting and len(self.running) < self.tasks and not self.closed:
            task = self.waiting.popleft()
            try:
                with open(task.log, "ab") as log:
                    process = subprocess.Popen(
                        ["sh", "-c", 'exec "$@"', "sh", *task.argv],
                        cwd=task.cwd,
                        env={**os.environ, **task.env, "SUNDRY_CPUS": str(task.resources.cpus)},
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
            except OSError as error:
                self.ended.append(Exit(task.name, NOT_STARTED, error=str(error)))
            else:
                self.running[task.name] = Running(process)

    def look_after_running(self) -> None:
        """Send signals that are due, and find what has ended."""
        now = time.monotonic()
        for name, running in list(self.running.items()):
            returncode = running.process.poll()
            if returncode is not None:
                running.kill()  # what it has left behind
                del self.running[name]
                self.ended.append(exit_of(name, returncode))
                continue
            if now >= running.end_at:
                running.process.terminate()
                running.end_at = float("inf")
            if now >= running.kill_at:
                running.kill()
        self.start_waiting()


class UnfinishedLauncher:
    """A launcher that lacks most of what one needs."""

    in_process = "no"

    def submit(self, task: Task) -> None:
        """Take a task on."""
