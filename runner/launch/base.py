"""Protocol of launchers, which start commands, report how they ended, and stop them. They know nothing of runs or backends."""

from __future__ import annotations

import signal as signals
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Protocol, runtime_checkable

from runner.core.registry import Registry

Warm = Literal["no", "fork", "standby"]

NOT_STARTED = 127
"""Return code of a command that could not be started (as in a shell)."""

TRACE_S = 0.3
"""Time for a task to write its stack trace before it is asked to end."""


@dataclass(frozen=True, slots=True)
class TaskResources:
    """Resources of one task.

    Args:
        cpus: cores.
        gpus: number of GPUs: whole, or a fraction below 1 (0.5: two tasks share a GPU); 0: none.
        memory_gib: maximum memory (2**30 bytes) of all its processes together, above which they are killed; None: no limit.
            Checked about once per second; pages shared with others count in part (see `runner.launch.memory`).
    """

    cpus: int = 1
    gpus: float = 0.0
    memory_gib: float | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """Tasks that a launcher has to make room for, all alike.

    Args:
        task: resources of each.
        concurrency: tasks at a time; auto: as many as there is room for.
        seen_gpus: GPUs that the tasks' framework has seen on this machine.
    """

    task: TaskResources = TaskResources()
    concurrency: int | Literal["auto"] = 1
    seen_gpus: int = 0


@dataclass(frozen=True, slots=True)
class Capacity:
    """Room that a launcher has for tasks.

    Args:
        tasks: at a time, at least 1.
        notes: remarks for the user.
        memory_gib: memory for all of them together; the number of active tasks is limited by it as they are measured;
            None: there is nothing to measure (each has a limit, a number of tasks was asked for, or they run on other machines).
        gpu_memory_gib: the same, of one GPU for the tasks that share it.
        tasks_per_gpu: how many share a GPU; 0 where they use none.
    """

    tasks: int
    notes: tuple[str, ...] = ()
    memory_gib: float | None = None
    gpu_memory_gib: float | None = None
    tasks_per_gpu: int = 0

    def __post_init__(self) -> None:
        if self.tasks < 1:
            raise ValueError(f"a launcher has room for at least one task, not {self.tasks}; without room `open` raises InputError")

    @property
    def is_measured(self) -> bool:
        """True where the number of active tasks is to be limited by the memory they are seen to use."""
        return self.memory_gib is not None or self.gpu_memory_gib is not None


@dataclass(frozen=True, slots=True)
class Task:
    """A command to run.

    Args:
        name: unique among the launcher's unfinished tasks.
        argv: the command and its arguments; ``python -P -m MODULE …`` works with every launcher. A Python in it does not import from
            `cwd`, also without ``-P``: `runner.core.importing.child_environment` makes its variables.
        cwd: the folder it starts in.
        log: what it writes to stdout and stderr is appended here; the folder must exist.
        env: variables set on top of this process's own.
        preload: modules the command will import; a launcher with warm processes may import them in advance.
        warm: how such a process may be kept for ``python -P -m MODULE …``. "fork": a parent that has imported `preload` forks a child
            per task; importing must start no thread and open no GPU, and happens with OMP_NUM_THREADS, MKL_NUM_THREADS and
            OPENBLAS_NUM_THREADS at 1, so a task that needs more sets its own. "standby": one process per task, which has imported
            and waits. "no": neither. It changes only when the modules are imported; a launcher may ignore it.
        resources: what it needs; a launcher that has divided its room into equal slots goes by its `Demand`.
    """

    name: str
    argv: Sequence[str]
    cwd: Path
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    preload: tuple[str, ...] = ()
    warm: Warm = "no"
    resources: TaskResources = TaskResources()


@dataclass(frozen=True, slots=True)
class Exit:
    """End of a task.

    Args:
        name: the task's.
        returncode: exit status 0–255, or minus the number of the signal that killed it (as in `subprocess`).
        signal: that signal's number, else None.
        error: why it could not be started; empty if it was.
        over_memory_gib: memory of its processes when they were killed for exceeding `TaskResources.memory_gib`; None if they were not.
        oom_killed: it died of SIGKILL, which was not ours, while the kernel killed processes for lack of memory (Linux; False elsewhere).
    """

    name: str
    returncode: int
    signal: int | None = None
    error: str = ""
    over_memory_gib: float | None = None
    oom_killed: bool = False

    def __str__(self) -> str:
        if self.error:
            return f"could not be started: {self.error}"
        if self.over_memory_gib is not None:
            return f"killed for holding {self.over_memory_gib:.2f} GiB of memory, more than its limit"
        if self.oom_killed:
            return "killed by the kernel, which was out of memory"
        if self.signal is not None:
            try:
                return f"killed by {signals.Signals(self.signal).name}"
            except ValueError:
                return f"killed by signal {self.signal}"
        return f"ended with exit status {self.returncode}"


def exit_of(name: str, returncode: int) -> Exit:
    """Return the `Exit` for a return code as `subprocess` gives it."""
    return Exit(name, returncode, -returncode if returncode < 0 else None)


class Launcher(Protocol):
    """Runs tasks, some at a time.

    Contract: all calls come from one thread, which lives as long as the launcher. Every submitted task is answered by
    exactly one `Exit`, also one that was cancelled or could not be started; after `close` none is answered any more.
    Tasks start in the order they were submitted. Nothing a task started outlives it, and no task outlives this
    process. A launcher owns no files but what it appends to a task's log.
    """

    in_process: ClassVar[bool]
    """True if tasks run inside this process: one at a time, with its signals. An interrupted task then ends the sweep."""

    shares_machine: ClassVar[bool]
    """True if tasks run on this machine: they share its memory and GPUs, and measurements made here apply to them."""

    @classmethod
    def open(cls, demand: Demand) -> Launcher:
        """Make a launcher with room for such tasks.

        Raises:
            InputError: there is no room for one; the keys named are those of a sweep file.
        """

    def capacity(self) -> Capacity:
        """Return its capacity."""

    def submit(self, task: Task) -> None:
        """Accept a task, and start it if there is a free slot. Never waits, and never fails because of the task itself.

        Raises:
            ValueError: an unfinished task has the same name.
            RuntimeError: the launcher was closed.
        """

    def poll(self, timeout_s: float = 0.0) -> list[Exit]:
        """Return the tasks that have ended since the last call; a task that waits takes a freed slot before this returns.

        Returns at once if a task has ended or nothing is running, else after at most about `timeout_s`.
        (The inline launcher runs a task here, and returns when it has ended.)
        """

    def cancel(self, name: str, *, grace_s: float = 10.0, trace: bool = False) -> None:
        """Ask a task to end: SIGTERM now, SIGKILL to all its processes if it is still there after `grace_s`. Never
        waits. With `trace` its first process gets SIGUSR1 now, which the worker answers with a stack trace in its log, and
        SIGTERM `TRACE_S` later, by `poll`.

        A task that has not started never will; it is answered as killed by SIGTERM. A second call can only shorten
        the grace. A name that is not (or no longer) known is ignored, since a task may end at any moment.
        """

    def free(self) -> int:
        """Return the number of tasks that would start at once if submitted now."""

    def close(self) -> None:
        """Stop all tasks and wait until their processes are gone. Idempotent."""


@runtime_checkable
class MeasuresMemory(Protocol):
    """A launcher that can measure the memory of its tasks."""

    def held_gib(self) -> dict[str, float]:
        """Measure the memory of all processes of each running task, in 2**30 bytes. Takes up to 0.05 s per process: call it every ten
        seconds."""


LAUNCHERS: Registry[type[Launcher]] = Registry(
    "launcher",
    {
        "inline": "runner.launch.inline:InlineLauncher",
        "local": "runner.launch.local:LocalLauncher",
    },
    Launcher,
)

DEFAULT_LAUNCHER = "local"
"""Launcher of a command that names none."""
