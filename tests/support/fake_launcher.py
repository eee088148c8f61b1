"""A launcher whose workers are scripted in this process, and a clock that only moves when the loop waits: a sweep takes milliseconds."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from runner.core.errors import Cause
from runner.launch.base import Capacity, Demand, Exit, Task, Warm, exit_of
from runner.store.records import Record, RecordWriter
from runner.store.run_dir import RunDir, State, Status

TICK_S = 0.05
"""Least seconds that a poll takes by the fake clock."""


class FakeClock:
    """Seconds that advance with each sleep."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.on_tick: Callable[[], None] = lambda: None

    def now(self) -> float:
        """Return the seconds slept so far."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds
        self.on_tick()


@dataclass
class Worker:
    """A task that is active: its act does a step at every poll."""

    run: RunDir
    act: str
    number: int
    asked: bool = False
    kill_at: float | None = None
    steps: Generator[None, None, int] = field(init=False)

    def __post_init__(self) -> None:
        self.steps = _perform(self)

    def say(self, state: State, reason: str | None = None, cause: Cause | None = None, *, step: int = 0, heartbeat: float = 1.0) -> None:
        """Write the status."""
        values = {"resource/memory_gib": 0.5}
        self.run.write_status(
            Status(state, reason, self.number, step, 10, heartbeat=heartbeat, cause=cause, phase="training", values=values)
        )


class FakeLauncher:
    """Runs scripted workers.

    Args:
        acts: name of a run directory to the act of each of its attempts, the last one repeated; "done" for the others. See `_perform`.
    """

    in_process: ClassVar[bool] = False
    shares_machine: ClassVar[bool] = False

    def __init__(self, slots: int, acts: Mapping[str, list[str]], clock: FakeClock) -> None:
        self._slots, self._acts, self._clock = slots, acts, clock
        self._waiting: deque[Task] = deque()
        self._active: dict[str, Worker] = {}
        self._answers: list[Exit] = []
        self.started: list[str] = []
        """``NAME ATTEMPT`` of each task that was started."""
        self.cancelled: list[tuple[str, float]] = []
        """(run, grace) of each call of `cancel`."""
        self.is_closed = False

    @classmethod
    def open(cls, demand: Demand) -> FakeLauncher:
        """Make one with a slot, whose workers are all done at once."""
        del demand
        return cls(1, {}, FakeClock())

    def capacity(self) -> Capacity:
        """Return its slots."""
        return Capacity(self._slots)

    def submit(self, task: Task) -> None:
        """Take a task on."""
        self._waiting.append(task)
        self._fill()

    def poll(self, timeout_s: float = 0.0) -> list[Exit]:
        """Let every active worker do a step."""
        if self._active:
            self._clock.sleep(max(timeout_s, TICK_S))
        for name, worker in list(self._active.items()):
            returncode = -9 if worker.kill_at is not None and self._clock.now() >= worker.kill_at else _advance(worker)
            if returncode is not None:
                del self._active[name]
                self._answers.append(exit_of(name, returncode))
        self._fill()
        answers, self._answers = self._answers, []
        return answers

    def cancel(self, name: str, *, grace_s: float = 10.0, trace: bool = False) -> None:
        """Ask a worker to end."""
        del trace
        if (worker := self._active.get(name)) is not None:
            self.cancelled.append((worker.run.name, grace_s))
            worker.asked = True
            kill_at = self._clock.now() + grace_s
            worker.kill_at = kill_at if worker.kill_at is None else min(kill_at, worker.kill_at)

    def free(self) -> int:
        """Return how many tasks would start at once."""
        return max(0, self._slots - len(self._active) - len(self._waiting))

    def close(self) -> None:
        """End everything."""
        self._active.clear()
        self.is_closed = True

    def _fill(self) -> None:
        while self._waiting and len(self._active) < self._slots:
            task = self._waiting.popleft()
            run = RunDir(task.name)
            number = run.status().attempt + 1
            acts = self._acts.get(run.name, ["done"])
            self._active[task.name] = Worker(run, acts[min(number, len(acts)) - 1], number)
            self.started.append(f"{run.name} {number}")


def fake_task(run_dir: RunDir, warm: Warm = "no") -> Task:
    """Return the task that stands for a run."""
    return Task(str(run_dir.path), ["fake"], Path.cwd(), run_dir.log, warm=warm)


def _advance(worker: Worker) -> int | None:
    try:
        next(worker.steps)
    except StopIteration as stop:
        return int(stop.value)
    return None


def _perform(worker: Worker) -> Generator[None, None, int]:
    """Act like a worker; returns the exit code.

    killed: by SIGKILL. crash, oom, nan, full: fails for this reason. hang: gives no sign of life and does not end when asked. slow: records
    200 evaluations, one per poll. deaf: the same, and is not pruned when asked. done, or a number: is done, at once or after so many polls.
    """
    run, act = worker.run, worker.act
    worker.say("running")
    if act == "killed":
        return -9
    failures: dict[str, tuple[State, str, Cause, int]] = {
        "crash": ("failed", "KeyError: 'x'", "crash", 1),
        "oom": ("failed", "out of memory in step 1", "out_of_memory", 1),
        "nan": ("failed", "the loss of step 4 is not finite", "not_finite", 1),
        "full": ("interrupted", "no room", "disk_full", 74),
    }
    if act in failures:
        state, reason, cause, code = failures[act]
        worker.say(state, reason, cause)
        return code
    while act == "hang":
        yield
    if act in ("slow", "deaf"):
        for step in range(1, 200):
            writer = RecordWriter(run.metrics)
            writer.write(Record(worker.number, step, step / 10, time.time(), {"bbox/AP": step / 1000}, kind="evaluation"))
            writer.close()
            worker.say("running", step=step, heartbeat=float(step))
            yield
            pruned = run.control.exists() and "prune" in run.control.read_text()
            if pruned and act == "slow":
                worker.say("pruned", "asked", step=step)
                return 130
            if pruned:
                break
            if worker.asked:
                worker.say("interrupted", "asked to stop (SIGTERM)", step=step)
                return 130
    for _ in range(int(act) if act.isdecimal() else 0):
        yield
    identity = run.identity()
    assert identity is not None
    run.evaluation.write_text(json.dumps({"step": 10, "metrics": {"bbox/AP": 0.25 + identity.trial / 10}}))
    worker.say("done", step=10)
    return 0
