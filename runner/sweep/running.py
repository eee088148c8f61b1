"""A run that is being worked on: how long it may go on, and what it has measured so far."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from runner.core.errors import Cause
from runner.core.tail import Tail
from runner.search.base import IntermediateResult
from runner.store.records import Record, evaluations_in
from runner.store.run_dir import State, Status
from runner.sweep.plan import PlannedRun
from runner.sweep.policy import Policy

_LOOK_INTERVAL_S = 1.0
"""How often a run's status is read while it is not needed for anything else."""


@dataclass(slots=True)
class Watched:
    """An attempt that goes on.

    Args:
        run: the run; attempts_before: how many there were.
        started: when it began, in monotonic seconds, so that a clock that is set changes nothing.
        over: (state, cause, reason) that was decided before it was asked to end; None while it may go on.
        end_by: monotonic seconds by which it should have ended, where it was only asked to.
    """

    run: PlannedRun
    attempts_before: int
    started: float = field(default_factory=time.monotonic)
    over: tuple[State, Cause | None, str] | None = None
    end_by: float = math.inf
    status: Status = field(default_factory=Status)
    _changed: float = 0.0
    _next_look: float = 0.0
    _tail: Tail | None = None

    def look(self, policy: Policy) -> tuple[State, Cause, str] | None:
        """Read the status, at most once a second; why it must end now, if it must."""
        now = time.monotonic()
        if now < self._next_look or self.over is not None:
            return None
        self._next_look = now + _LOOK_INTERVAL_S
        status = self.run.run_dir.status()
        if status.heartbeat != self.status.heartbeat or not self._changed:
            self._changed = now
        self.status = status
        if policy.timeout_s is not None and now - self.started > policy.timeout_s:
            return "failed", "timeout", f"took longer than resources.timeout ({policy.timeout_s:g} s); it was at step {status.step}"
        if policy.stall_s is not None and now - self._changed > policy.stall_s:
            log = self.run.run_dir.log
            text = f"no sign of life for {policy.stall_s:g} s (resources.stall) at step {status.step}; where it hung stands in {log}"
            return "interrupted", "hung", text
        return None

    def reports(self) -> list[IntermediateResult]:
        """The evaluations that it has recorded since the last call."""
        if self._tail is None:
            self._tail = Tail(self.run.run_dir.metrics, 0)
        found = list(evaluations_in(self._tail.read()))
        steps = self.run.run_dir.status().steps if found else 0
        return [IntermediateResult(self.run.seed, record.step, steps, finite(record)) for record in found]


def finite(record: Record) -> dict[str, float]:
    """The record's numbers, without NaN and infinities."""
    return {tag: value for tag, value in record.values.items() if math.isfinite(value)}


def evaluations(records: Sequence[Record]) -> list[tuple[int, dict[str, float]]]:
    """(step, tag → number) of every evaluation, in order."""
    return [(record.step, finite(record)) for record in records if record.is_evaluation]
