"""Tasks as processes of this machine, a fixed number at a time."""

from __future__ import annotations

import contextlib
import heapq
import os
import select
import signal
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from runner.launch.base import NOT_STARTED, TRACE_S, Capacity, Demand, Exit, Task, exit_of
from runner.launch.machine import read_machine
from runner.launch.memory import Gauge, OomKills, pss_gib, sessions
from runner.launch.orphans import Orphans
from runner.launch.slots import plan_slots
from runner.launch.starters.spawn import Process, kill_group, spawn
from runner.launch.starters.warm import WarmStart, WarmStarter

_LOOK_INTERVAL_S = 0.02  # where the kernel has no pidfd to wait on
_KILL_AGAIN_S = 1.0
_MEASURE_INTERVAL_S = 1.0
_MEASURE_SHARE = 0.02
"""Measuring memory takes at most this share of the time."""
_NEVER = float("inf")


@dataclass(slots=True)
class _Child:
    """A task that is running, or on its way to. `end_at` and `kill_at` (monotonic seconds): when it is sent SIGTERM, and when its grace is
    over. `gauge` where its memory is limited."""

    slot: int
    gauge: Gauge | None = None
    start: WarmStart | None = None
    process: Process | None = None
    pidfd: int | None = None
    end_at: float = _NEVER
    kill_at: float = _NEVER
    killed: bool = False
    over_memory_gib: float | None = None

    def descriptor(self) -> int | None:
        """Return a descriptor that becomes readable at an event; negative if there is one already, None if the system has none."""
        return self.start.fileno() if self.start is not None else self.pidfd

    def runs(self, process: Process) -> None:
        """Mark the task as started."""
        self.start, self.process = None, process
        with contextlib.suppress(AttributeError, OSError):  # another system, an old kernel, a sandbox, no descriptor left
            self.pidfd = os.pidfd_open(process.pid)

    def kill(self, now: float) -> None:
        """Send SIGKILL to its whole group; again later if that did not help."""
        if self.process is not None:
            kill_group(self.process.pid)
        self.killed, self.kill_at = True, now + _KILL_AGAIN_S


class LocalLauncher:
    """Runs each task in a process, session and process group of its own, at most one per slot at a time.

    A task that calls `runner.core.process.die_with_parent` (the worker does) dies with this process, however that ends. Linux ties this to
    the thread that called `submit` or `poll`: it must live as long as the launcher. What a task has started besides is killed by
    `runner.launch.leftovers` then, and by the launcher when the task ends (`runner.launch.orphans`).
    Where a task allows it, it starts in a warm process (see `Task.warm`).

    Args:
        slots: tasks at a time; or the environment variables of each slot (CUDA_VISIBLE_DEVICES), which its task gets on top of its own. Of
            the free slots a task gets one whose variables fewest others have.
        close_grace_s: what `close` gives running tasks between SIGTERM and SIGKILL.
        capacity: its answer to `capacity`; None: the number of slots.

    Raises:
        ValueError: fewer than one slot.
    """

    in_process: ClassVar[bool] = False
    shares_machine: ClassVar[bool] = True

    def __init__(
        self, slots: int | Sequence[Mapping[str, str]] = 1, *, close_grace_s: float = 10.0, capacity: Capacity | None = None
    ) -> None:
        variables: Sequence[Mapping[str, str]] = [{}] * slots if isinstance(slots, int) else [dict(slot) for slot in slots]
        if not variables:
            raise ValueError(f"slots must be at least 1, not {slots}")
        self._capacity = capacity or Capacity(len(variables))
        self._slots = _Slots(variables)
        self._close_grace_s = close_grace_s
        self._waiting: deque[Task] = deque()
        self._children: dict[str, _Child] = {}
        self._orphans = Orphans()
        self._warm = WarmStarter(self._orphans.adopts, variables)
        self._oom_kills = OomKills()
        self._measure_at = 0.0
        self._ended: list[Exit] = []
        self._closed = False

    @classmethod
    def open(cls, demand: Demand) -> LocalLauncher:
        """See `Launcher.open`."""
        machine = read_machine()
        plan = plan_slots(machine, demand)
        measured = demand.concurrency == "auto"
        capacity = Capacity(
            len(plan.slots),
            plan.notes,
            machine.free_gib if measured and demand.task.memory_gib is None else None,
            plan.gpu_memory_gib if measured and plan.tasks_per_gpu > 1 else None,
            plan.tasks_per_gpu,
        )
        return cls(plan.slots, capacity=capacity)

    def capacity(self) -> Capacity:
        """See `Launcher.capacity`."""
        return self._capacity

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
        self._update()
        while not self._ended and self._children and (left := deadline - time.monotonic()) > 0:
            _wait_for_any(self._children.values(), min(left, self._until_next_look()))
            self._update()
        ended, self._ended = self._ended, []
        return ended

    def cancel(self, name: str, *, grace_s: float = 10.0, trace: bool = False) -> None:
        """See `Launcher.cancel`. The signals go to the task's first process alone, which may need its helpers to save its state. The grace
        begins with SIGTERM. A process that has no handler for SIGUSR1 dies of it."""
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
                self._leave(name, child, exit_of(name, -signal.SIGTERM))
                return
            child.runs(running)
        now = time.monotonic()
        if child.process is not None:
            if child.kill_at == _NEVER:
                child.end_at = now
                if trace and hasattr(signal, "SIGUSR1"):
                    _send(child.process, signal.SIGUSR1)
                    child.end_at += TRACE_S
                grace_s += child.end_at - now
            child.kill_at = min(child.kill_at, now + grace_s)
            self._signal(child, now)

    def free(self) -> int:
        """See `Launcher.free`."""
        return 0 if self._closed else max(0, self._capacity.tasks - len(self._children) - len(self._waiting))

    def held_gib(self) -> dict[str, float]:
        """See `MeasuresMemory.held_gib`."""
        running = {name: child.process.pid for name, child in self._children.items() if child.process is not None}
        members = sessions(running.values())
        return {name: pss_gib(members[pid].pids) for name, pid in running.items()}

    def close(self) -> None:
        """See `Launcher.close`."""
        self._closed = True
        self._waiting.clear()
        for name in list(self._children):
            self.cancel(name, grace_s=self._close_grace_s)
        try:
            while self._children:
                _wait_for_any(self._children.values(), self._until_next_look())
                self._update()
        finally:  # a second Ctrl-C while waiting: no more patience
            for child in self._children.values():
                if child.process is not None:
                    self._end(child, child.process)
            self._children.clear()
            self._warm.close()
        self._orphans.close()
        self._ended.clear()

    def _fill_slots(self) -> None:
        while self._waiting and self._slots.free:
            task = self._waiting.popleft()
            self._orphans.start_guard()
            slot = self._slots.take()
            child = self._children[task.name] = _Child(slot, _gauge_of(task))
            if variables := self._slots.variables[slot]:
                task = replace(task, env={**task.env, **variables})
            try:
                child.start = self._warm.start(task)
                if child.start is None:
                    child.runs(spawn(task))
                else:
                    self._look_at_start(task.name, child, child.start)
            except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
                self._leave(task.name, child, Exit(task.name, NOT_STARTED, error=str(error)))

    def _update(self) -> None:
        """Handle starts and ends of tasks, send the signals that are due, refill the slots."""
        now = time.monotonic()
        self._measure(now)
        for name, child in list(self._children.items()):
            if child.start is not None:
                self._look_at_start(name, child, child.start)
            elif child.process is not None:
                self._signal(child, now)
                if _has_ended(child.process):
                    self._leave(name, child, self._exit(name, child, self._end(child, child.process)))
        self._warm.tidy()
        self._orphans.reap(child.process.pid for child in self._children.values() if child.process)
        if not self._closed:
            self._fill_slots()

    def _look_at_start(self, name: str, child: _Child, start: WarmStart) -> None:
        try:
            process = start.look()
            if process is not None:
                child.runs(process)
        except (OSError, ValueError) as error:
            self._leave(name, child, Exit(name, NOT_STARTED, error=str(error)))

    def _signal(self, child: _Child, now: float) -> None:
        if child.process is None:
            return
        if now >= child.end_at:
            _send(child.process, signal.SIGTERM)
            child.end_at = _NEVER
        if now >= child.kill_at:
            child.kill(now)

    def _measure(self, now: float) -> None:
        """Kill the tasks that exceed their memory limit. Costs nothing where there is no limit."""
        if now < self._measure_at:
            return
        limited = [(child, child.gauge, child.process.pid) for child in self._children.values() if child.gauge and child.process]
        if not limited:
            return
        members = sessions([pid for _, _, pid in limited])
        for child, gauge, pid in limited:
            over = gauge.over_gib(members[pid], now) if not child.killed else None
            if over is not None:
                child.over_memory_gib = over
                child.kill(now)
        took = time.monotonic() - now
        self._measure_at = now + max(_MEASURE_INTERVAL_S, took / _MEASURE_SHARE)

    def _exit(self, name: str, child: _Child, returncode: int) -> Exit:
        exit_ = exit_of(name, returncode)
        if returncode != 0 and not child.killed:  # also where a helper of its was killed and it noticed, so that the next one is not blamed
            oom_killed = self._oom_kills.lately(time.monotonic())
            return replace(exit_, oom_killed=oom_killed and returncode == -9)
        return replace(exit_, over_memory_gib=child.over_memory_gib) if returncode == -9 else exit_

    def _end(self, child: _Child, process: Process) -> int:
        """Kill a task and the child processes it left behind; return its exit code. Not reaped yet, so its id is not reused."""
        self._orphans.kill(process.pid)
        returncode = process.wait()
        if child.pidfd is not None:
            os.close(child.pidfd)
            child.pidfd = None
        return returncode

    def _leave(self, name: str, child: _Child, exit_: Exit) -> None:
        """Handle the end of a task."""
        del self._children[name]
        self._slots.give_back(child.slot)
        self._ended.append(exit_)

    def _until_next_look(self) -> float:
        """Return the seconds until a signal or a memory measurement is due; at most a minute, or a second while a task is starting."""
        now = time.monotonic()
        until = 60.0
        for child in self._children.values():
            if child.start is not None:
                until = min(until, 1.0)
            elif child.gauge is not None:
                until = min(until, self._measure_at - now)
            until = min(until, child.end_at - now, child.kill_at - now)
        return max(0.0, until)


class _Slots:
    """The slots, by number, and which of them are free."""

    def __init__(self, variables: Sequence[Mapping[str, str]]) -> None:
        self.variables = variables
        self.free = len(variables)
        self._kind = [frozenset(each.items()) for each in variables]
        self._free: dict[frozenset[tuple[str, str]], list[int]] = {}
        for number, kind in enumerate(self._kind):
            self._free.setdefault(kind, []).append(number)
        self._taken: Counter[frozenset[tuple[str, str]]] = Counter()

    def take(self) -> int:
        """Return a free slot whose variables the fewest running tasks have."""
        kind = min((kind for kind, numbers in self._free.items() if numbers), key=self._taken.__getitem__)
        self._taken[kind] += 1
        self.free -= 1
        return heapq.heappop(self._free[kind])

    def give_back(self, number: int) -> None:
        """Free a slot."""
        kind = self._kind[number]
        self._taken[kind] -= 1
        self.free += 1
        heapq.heappush(self._free[kind], number)


def _gauge_of(task: Task) -> Gauge | None:
    """Make the gauge of a task's memory; None where it has no limit."""
    limit_gib = task.resources.memory_gib
    return Gauge(limit_gib) if limit_gib is not None else None


def _send(process: Process, number: int) -> None:
    """Send a signal to a process that is not reaped yet. (`Popen.send_signal` would reap one that has ended.)"""
    if hasattr(os, "waitid"):
        os.kill(process.pid, number)
    else:
        process.send_signal(number)


def _has_ended(process: Process) -> bool:
    """Return whether the process has ended; it is left for `wait` to reap where the system can look without reaping."""
    if hasattr(os, "waitid"):
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return process.poll() is not None


def _wait_for_any(children: Iterable[_Child], timeout_s: float) -> None:
    """Wait until one of them has ended, at most `timeout_s`."""
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
