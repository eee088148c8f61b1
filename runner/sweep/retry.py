"""The decision on a run whose attempt has ended: finished, or back into the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from runner.core.errors import Cause
from runner.store.run_dir import State

Decision = Literal["finish", "retry", "fail", "wait for space", "continue later"]
"""finish: the run has ended as its status says. retry: it is started again. fail: it has failed, and its retries are used up. wait for
space: the disk is full; it is started again when there is room. continue later: it was saved for a pause, and continues after it."""

_RETRIED: frozenset[Cause | None] = frozenset({"crash", "hung"})
"""Causes of failures after which another attempt may end differently."""


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """The end of an attempt.

    Args:
        state, cause: see `runner.store.run_dir.Status`.
        retries: how often the run was retried before.
        saved: it was asked to save and end for a pause.
    """

    state: State
    cause: Cause | None = None
    retries: int = 0
    saved: bool = False


@dataclass(frozen=True, slots=True)
class RetryRule:
    """The conditions under which runs are retried.

    Args:
        retries: how often a run may be retried.
        is_sweep: only sweeps retry: a run by itself ends with its attempt.
        is_stopping: the sweep was asked to stop.
        interruption_is_final: an interrupted run was interrupted by the user (an in-process launcher), and not by another process.
    """

    retries: int = 0
    is_sweep: bool = True
    is_stopping: bool = False
    interruption_is_final: bool = False


def decide(end: AttemptEnd, rule: RetryRule) -> Decision:
    """Decide about a run whose attempt has ended."""
    if not rule.is_sweep or rule.is_stopping:
        return "finish"
    if end.cause == "disk_full":
        return "wait for space"
    if end.saved and end.state == "interrupted":
        return "continue later"
    ended_from_outside = end.state == "interrupted" and not rule.interruption_is_final
    if not ended_from_outside and not (end.state == "failed" and end.cause in _RETRIED):
        return "finish"
    return "retry" if end.retries < rule.retries else "fail"
