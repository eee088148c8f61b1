"""Limits of a sweep: why no further runs are started, why it ends early, and how long an attempt may take."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import Cause, PluginError, RunnerError
from runner.core.files import NO_ROOM, disk_is_full
from runner.core.values import counted
from runner.store.events import Event, SweepPaused, SweepResumed, SweepStopped
from runner.store.run_dir import State, Status
from runner.sweep.clock import Clock
from runner.sweep.policy import Policy

PAUSED = "paused on request"
_DISK_INTERVAL_S = 5.0
_OF_THE_TRIAL: frozenset[Cause | None] = frozenset({"not_finite", "out_of_memory", "timeout"})
"""Causes that are due to a trial's values, not to a broken sweep."""


@dataclass(frozen=True, slots=True)
class EarlyEnd:
    """The driver's reason to end an attempt. It outranks what the worker reports afterwards."""

    state: State
    cause: Cause | None
    reason: str


def overdue(policy: Policy, *, elapsed_s: float, silent_s: float, step: int, log: Path) -> EarlyEnd | None:
    """Return why an attempt has to end now, if it has to.

    Args:
        elapsed_s: since it was dispatched; silent_s: since its last sign of life.
        step: its last step.
    """
    if policy.timeout_s is not None and elapsed_s > policy.timeout_s:
        return EarlyEnd("failed", "timeout", f"took longer than resources.timeout ({policy.timeout_s:g} s); it was at step {step}")
    if policy.stall_s is not None and silent_s > policy.stall_s:
        text = f"no sign of life for {policy.stall_s:g} s (resources.stall) at step {step}; a stack trace is in {log}"
        return EarlyEnd("interrupted", "hung", text)
    return None


class UsedBudget:
    """The hours and GPU hours that a sweep has used, by all of its drivers."""

    def __init__(self, policy: Policy, clock: Clock) -> None:
        self._policy, self._clock = policy, clock
        self._began, self._before_s = clock.now(), 0.0
        self.gpu_s = 0.0
        """Seconds that runs have used GPUs, times the number of GPUs."""
        self.is_closing = False
        """It is used up, and what is started now confirms what was found: it does not count."""

    def add_earlier(self, spent_s: float, gpu_s: float) -> None:
        """Count what earlier drivers have used."""
        self._before_s, self.gpu_s = spent_s, gpu_s

    def add_attempt(self, took_s: float) -> None:
        """Count an attempt that has ended."""
        self.gpu_s += took_s * self._policy.resources.gpus

    def spent_s(self) -> float:
        """Return the seconds that the sweep's drivers have worked."""
        return self._before_s + self._clock.now() - self._began

    def exhausted(self) -> str:
        """Return which budget is used up; empty if none is."""
        if self.is_closing:
            return ""
        hours, gpu_hours = self.spent_s() / 3600, self.gpu_s / 3600
        if self._policy.hours is not None and hours >= self._policy.hours:
            return f"budget.hours is used up ({hours:.2f} of {self._policy.hours:g})"
        if self._policy.gpu_hours is not None and gpu_hours >= self._policy.gpu_hours:
            return f"budget.gpu_hours is used up ({gpu_hours:.2f} of {self._policy.gpu_hours:g})"
        return ""


class DiskSpace:
    """A full disk, which pauses a sweep until there is room again.

    Args:
        folder: the sweep's directory, which needs room; None for a run by itself.
        notify: receives the events.
    """

    def __init__(self, folder: Path | None, clock: Clock, notify: Callable[[Event], None]) -> None:
        self._folder, self._clock, self._notify = folder, clock, notify
        self._next_check = 0.0
        self.full = ""
        """Why nothing can be written; empty if it can."""

    def report_full(self, error: OSError) -> None:
        """Pause because a write found the disk full. Raises `error` if it is another error."""
        if isinstance(error.errno, int) and error.errno not in NO_ROOM:
            raise error
        if not self.full:
            self._notify(SweepPaused(f"the disk is full: {error}"))
        self.full = f"the disk is full ({error}): continues when there is room"
        self._next_check = self._clock.now() + _DISK_INTERVAL_S

    def check(self) -> None:
        """Check every few seconds whether there is room again."""
        if self.full and self._clock.now() >= self._next_check:
            self._next_check = self._clock.now() + _DISK_INTERVAL_S
            if self._folder is None or not disk_is_full(self._folder):
                self.full = ""
                self._notify(SweepResumed("there is room on the disk"))


class FailureStreak:
    """The failures since the last run that did not fail."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._failures: list[tuple[int, str]] = []

    def count(self, trial: int, status: Status) -> str:
        """Count a run of trial number `trial` that has ended. Returns why the sweep has to end; empty if it has not."""
        if status.state == "failed" and status.cause not in _OF_THE_TRIAL:
            return self.count_failure(trial, status.reason or "")
        self._failures.clear()
        return ""

    def count_failure(self, trial: int, reason: str) -> str:
        """Count a run that has failed, or could not be planned. Too many in a row, of more than one trial, end the sweep."""
        self._failures.append((trial, reason))
        if not self._limit or len(self._failures) < self._limit or len({number for number, _ in self._failures}) < 2:
            return ""
        common, times = Counter(_without_details(reason) for _, reason in self._failures).most_common(1)[0]
        example = next(reason for _, reason in self._failures if _without_details(reason) == common)
        return (
            f"{counted(len(self._failures), 'run')} failed in a row (budget.failures_in_a_row), {times} of them for this reason: {example}"
        )


class Limits:
    """All reasons why no further runs are started, or why the sweep ends.

    Args:
        folder: see `DiskSpace`.
        notify: receives the events.
    """

    def __init__(self, policy: Policy, folder: Path | None, clock: Clock, notify: Callable[[Event], None]) -> None:
        self.policy = policy
        self.budget = UsedBudget(policy, clock)
        self.disk = DiskSpace(folder, clock, notify)
        self.is_paused = False
        """A command asked for a pause."""
        self.is_stopping = False
        """SIGINT, SIGTERM or a command asked for the end."""
        self.error: RunnerError | None = None
        """Why the sweep ends once the active runs have ended."""
        self.stopped = ""
        """Why the sweep ends before all of its work is done: "interrupted", or the budget."""
        self._failures = FailureStreak(policy.failures_in_a_row)
        self._notify = notify

    def why(self) -> str:
        """Return why no further runs may start now; empty if they may."""
        if self.disk.full:
            return self.disk.full
        if self.error is not None:
            return str(self.error)
        return PAUSED if self.is_paused else self.budget.exhausted()

    def pause(self, *, paused: bool) -> None:
        """Pause or resume on request."""
        if paused != self.is_paused:
            self.is_paused = paused
            self._notify(SweepPaused("on request") if paused else SweepResumed("on request"))

    def count(self, trial: int, status: Status) -> None:
        """Count a run that has ended."""
        self._end(self._failures.count(trial, status))

    def count_refused(self, trial: int, reason: str) -> None:
        """Count a trial whose runs could not be planned."""
        self._end(self._failures.count_failure(trial, reason))

    @contextmanager
    def ended_by_plugin(self) -> Iterator[None]:
        """Let a plug-in that fails in this block end the sweep, once the active runs have ended."""
        try:
            yield
        except PluginError as error:
            if self.error is None:
                self.error = error
                self._notify(SweepStopped(str(error)))

    def _end(self, reason: str) -> None:
        if reason:
            self.error = RunnerError(reason)
            self._notify(SweepStopped(reason))


def _without_details(reason: str) -> str:
    """Return a reason without what differs from run to run: numbers, and the path of the log."""
    reason = re.split(r"; log:| \(trace in", reason)[0]
    return re.sub(r"\d+", "N", reason)
