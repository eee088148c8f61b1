"""The pool of running tasks: it gives runs to the launcher, supervises their attempts and measures what they use."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from runner.launch.base import Exit, Launcher, MeasuresMemory, Task
from runner.store.run_dir import Status
from runner.sweep.clock import Clock
from runner.sweep.limits import EarlyEnd
from runner.sweep.plan import PlannedRun
from runner.sweep.queue import OpenTrial, TrialKey
from runner.sweep.running import RunningTask
from runner.sweep.setup import LoopOptions
from runner.sweep.trial_result import finite_number

SAVE_GRACE_S = 60.0
"""Seconds that a worker may take to save and end."""
_HANG_GRACE_S = 5.0
_MEASURE_INTERVAL_S = 2.0


class TaskPool:
    """The attempts that are active.

    Args:
        task_of: makes the command that works on a run.
    """

    def __init__(self, launcher: Launcher, task_of: Callable[[PlannedRun], Task], options: LoopOptions, clock: Clock) -> None:
        self.options = options
        self.in_process, self.slots = launcher.in_process, launcher.capacity().tasks
        self.running: dict[str, RunningTask] = {}
        """By the name of the task."""
        self._launcher, self._task_of = launcher, task_of
        self.clock = clock
        self._next_measure = 0.0

    def has_room(self) -> bool:
        """Return whether one more run may start."""
        limit = self.options.packing
        return self._launcher.free() > 0 and (limit is None or not self.running or limit.room(len(self.running)))

    def start(self, run: PlannedRun, attempts_before: int) -> None:
        """Dispatch an attempt of a run."""
        task = self._task_of(run)
        warm = task.warm if self.options.keep_warm else "no"
        self._launcher.submit(replace(task, warm=warm, resources=self.options.policy.resources))
        self.running[task.name] = RunningTask(run, attempts_before, self.clock.now())

    def wait(self, timeout_s: float) -> list[Exit]:
        """Wait up to `timeout_s` for the end of an attempt, if any is active; an in-process launcher runs one instead."""
        return self._launcher.poll(timeout_s)

    def take(self, exits: Sequence[Exit]) -> list[tuple[RunningTask, Exit]]:
        """Take the attempts that have ended out of the pool."""
        return [(self.running.pop(ended.name), ended) for ended in exits]

    # ------------------------------------------------------------------------------------------------------------ supervision
    def supervise(self, *, is_stopping: bool) -> None:
        """End the attempts that are overdue, and measure the memory of the others."""
        now = self.clock.now()
        for name, task in self.running.items():
            if not is_stopping and (early_end := task.overdue(self.options.policy, now)) is not None:
                task.early_end = early_end
                self._launcher.cancel(name, grace_s=_HANG_GRACE_S, trace=True)  # one that took too long may hang as well
            if now > task.end_by:
                task.end_by = math.inf
                self._launcher.cancel(name, grace_s=_HANG_GRACE_S, trace=True)
        self._measure(now)

    def _measure(self, now: float) -> None:
        limit = self.options.packing
        if limit is None or not isinstance(self._launcher, MeasuresMemory) or now < self._next_measure or not self.running:
            return
        held = self._launcher.held_gib()
        took_s = self.clock.now() - now
        self._next_measure = now + max(_MEASURE_INTERVAL_S, 20 * took_s)  # a twentieth of the time at most
        for name, task in self.running.items():
            is_settled = task.status.phase == "training" and task.status.step > 0
            limit.observe(name, held.get(name, 0.0), _gpu_memory(task.status), settled=is_settled)

    def observe_end(self, run: PlannedRun, status: Status) -> None:
        """Record the memory of an ended attempt: one that died before it was measured must not block others."""
        if self.options.packing is not None:
            self.options.packing.observe(str(run.run_dir.path), 0.0, _gpu_memory(status), settled=True)

    # ----------------------------------------------------------------------------------------------------------- early ends
    def prune(self, reason: str, is_meant: Callable[[PlannedRun], bool]) -> int:
        """Ask runs to save and end, as pruned; those that do not are ended by `supervise`. Returns how many."""
        meant = [(name, task) for name, task in self.running.items() if is_meant(task.run)]
        for name, task in meant:
            if task.early_end is not None:
                continue
            task.early_end = EarlyEnd("pruned", None, reason)
            task.end_by = self.clock.now() + SAVE_GRACE_S
            try:
                task.run.run_dir.request("prune", reason)
            except OSError:
                self._launcher.cancel(name, grace_s=SAVE_GRACE_S)
        return len(meant)

    def prune_trial(self, trial: OpenTrial) -> None:
        """End the active runs of a trial."""
        key: TrialKey = (trial.trial.number, trial.trial.seeds)
        self.prune(trial.pruned, lambda run: (run.trial.number, run.trial.seeds) == key)

    def save_all(self) -> None:
        """Ask all runs to save and end, to continue later."""
        for task in self.running.values():
            task.saving = True
        self.cancel_all(SAVE_GRACE_S)

    def cancel_all(self, grace_s: float) -> None:
        """Ask all runs to save and end; kill those that have not ended after `grace_s`."""
        for name, task in self.running.items():
            if self.in_process:  # a signal may not reach it
                with suppress(OSError):
                    task.run.run_dir.request("stop", "asked to stop")
            self._launcher.cancel(name, grace_s=grace_s)

    def close(self) -> None:
        """Stop everything and wait until all processes have ended."""
        self._launcher.close()


def _gpu_memory(status: Status) -> float:
    return finite_number(status.values.get("resource/gpu_memory_gib")) or 0.0
