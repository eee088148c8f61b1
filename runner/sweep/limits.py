"""Why nothing new starts in a sweep: a wish, a full disk, a budget that is used up, too many failures in a row."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from runner.core.errors import RunnerError
from runner.core.files import NO_ROOM, disk_is_full
from runner.store.events import Event, SweepPaused, SweepResumed, SweepStopped
from runner.store.run_dir import Status
from runner.sweep.policy import Policy

_DISK_INTERVAL_S = 5.0
_OF_THE_POINT: frozenset[str | None] = frozenset({"not_finite", "out_of_memory", "timeout"})
"""Causes that speak of a trial's values and not of a sweep that cannot work."""


class Brakes:
    """All reasons for a pause or an end.

    Args:
        policy: the limits.
        folder: the sweep's directory, where there has to be room; None for a run by itself.
        note: writes an event to the journal.
    """

    def __init__(self, policy: Policy, folder: Path | None, note: Callable[[Event], None]) -> None:
        self._policy = policy
        self._folder = folder
        self._note = note
        self.by_hand = False
        """Somebody asked for a pause."""
        self.closing = False
        """A budget is used up, and what is started now belongs to the end: it does not count."""
        self.problem: RunnerError | None = None
        """Why the sweep ends once what runs has ended."""
        self.gpu_s = 0.0
        """Seconds that runs have used GPUs, by the number of GPUs, earlier drivers' runs included."""
        self._began, self._spent_before_s = time.monotonic(), 0.0
        self._full, self._next_look = "", 0.0
        self._failing: list[tuple[int, str]] = []

    def take_up(self, spent_s: float, gpu_s: float) -> None:
        """Count what earlier drivers have used."""
        self._spent_before_s, self.gpu_s = spent_s, gpu_s

    def why(self) -> str:
        """Why nothing new may start now; empty if it may."""
        if self._full:
            return self._full
        if self.problem is not None:
            return str(self.problem)
        return "paused by hand" if self.by_hand else self.out_of_budget()

    # ---------------------------------------------------------------------------------------------------------- budgets
    def spent_s(self) -> float:
        """Seconds that the sweep's drivers have worked."""
        return self._spent_before_s + time.monotonic() - self._began

    def out_of_budget(self) -> str:
        """Which budget is used up; empty if none is."""
        if self.closing:
            return ""
        hours, gpu_hours = self.spent_s() / 3600, self.gpu_s / 3600
        if self._policy.hours is not None and hours >= self._policy.hours:
            return f"budget.hours is used up ({hours:.2f} of {self._policy.hours:g})"
        if self._policy.gpu_hours is not None and gpu_hours >= self._policy.gpu_hours:
            return f"budget.gpu_hours is used up ({gpu_hours:.2f} of {self._policy.gpu_hours:g})"
        return ""

    # -------------------------------------------------------------------------------------------------------------- disk
    def no_room(self, error: OSError) -> None:
        """Something found the disk full: pause. Raises `error` if it says something else."""
        if isinstance(error.errno, int) and error.errno not in NO_ROOM:
            raise error
        if not self._full:
            self._note(SweepPaused(f"the disk is full: {error}"))
        self._full = f"the disk is full ({error}): goes on when there is room"
        self._next_look = time.monotonic() + _DISK_INTERVAL_S

    def look(self) -> None:
        """See now and then whether there is room again."""
        if self._full and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _DISK_INTERVAL_S
            if self._folder is None or not disk_is_full(self._folder):
                self._full = ""
                self._note(SweepResumed("there is room on the disk"))

    # ---------------------------------------------------------------------------------------------------------- failures
    def count(self, trial: int, status: Status) -> None:
        """A run of trial number `trial` has ended."""
        if status.state == "failed" and status.cause not in _OF_THE_POINT:
            self.count_failure(trial, status.reason or "")
        else:
            self._failing.clear()

    def count_failure(self, trial: int, reason: str) -> None:
        """A run of a trial has failed, or could not be planned. Too many in a row, of more than one trial, end the sweep."""
        self._failing.append((trial, reason))
        limit = self._policy.failures_in_a_row
        if not limit or len(self._failing) < limit or len({number for number, _ in self._failing}) < 2:
            return
        common, times = Counter(_alike(reason) for _, reason in self._failing).most_common(1)[0]
        reason = next(reason for _, reason in self._failing if _alike(reason) == common)
        text = f"{len(self._failing)} runs failed one after the other (budget.failures_in_a_row), {times} of them like this: {reason}"
        self.problem = RunnerError(text)
        self._note(SweepStopped(text))


def _alike(reason: str) -> str:
    """A reason without what differs from run to run: numbers, and where the log is."""
    reason = re.split(r"; log:| \(trace in", reason)[0]
    return re.sub(r"\d+", "N", reason)
