"""An active run: when its attempt has to end, and its evaluations so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from runner.core.tail import Tail
from runner.search.base import IntermediateResult
from runner.store.records import Record, evaluations_in
from runner.store.run_dir import Status
from runner.sweep.limits import EarlyEnd, overdue
from runner.sweep.plan import PlannedRun
from runner.sweep.policy import Policy

_STATUS_INTERVAL_S = 1.0
"""Interval at which a run's status is read when nothing else needs it."""


@dataclass(slots=True)
class RunningTask:
    """An attempt that is active. Times are those of the loop's clock.

    Args:
        run: the run; attempts_before: how many attempts it had before this one.
        started: when the attempt was dispatched.
        early_end: why the driver has asked it to end; None while it may continue.
        saving: it was asked to save and end because the sweep is paused.
        end_by: when it is killed, where it was only asked to end.
        status: as last read.
    """

    run: PlannedRun
    attempts_before: int
    started: float
    early_end: EarlyEnd | None = None
    saving: bool = False
    end_by: float = math.inf
    status: Status = field(default_factory=Status)
    _alive_at: float = 0.0
    _next_read: float = 0.0
    _tail: Tail | None = None

    def __post_init__(self) -> None:
        self._alive_at, self._next_read = self.started, self.started + _STATUS_INTERVAL_S

    def overdue(self, policy: Policy, now: float) -> EarlyEnd | None:
        """Read the status, at most once per second; returns why the attempt has to end now, if it has to."""
        if now < self._next_read or self.early_end is not None or self.saving:
            return None
        self._next_read = now + _STATUS_INTERVAL_S
        status = self.run.run_dir.status()
        if status.heartbeat != self.status.heartbeat:
            self._alive_at = now
        self.status = status
        elapsed_s, silent_s = now - self.started, now - self._alive_at
        return overdue(policy, elapsed_s=elapsed_s, silent_s=silent_s, step=status.step, log=self.run.run_dir.log)

    def reports(self) -> list[IntermediateResult]:
        """Return the evaluations that it has recorded since the last call."""
        if self._tail is None:
            self._tail = Tail(self.run.run_dir.metrics, 0)
        found = list(evaluations_in(self._tail.read()))
        steps = self.run.run_dir.status().steps if found else 0
        return [IntermediateResult(self.run.seed, record.step, steps, finite(record)) for record in found]


def finite(record: Record) -> dict[str, float]:
    """Return the record's numbers, without NaN and infinities."""
    return {tag: value for tag, value in record.values.items() if math.isfinite(value)}


def evaluations(records: Sequence[Record]) -> list[tuple[int, dict[str, float]]]:
    """Return (step, tag → number) of every evaluation, in order."""
    return [(record.step, finite(record)) for record in records if record.is_evaluation]
