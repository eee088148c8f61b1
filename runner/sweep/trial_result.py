"""What a search is told of a trial, from its runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from runner.core.errors import Cause
from runner.search.base import TrialResult
from runner.store.records import decode_number
from runner.store.run_dir import RunDir, State


def trial_result(
    states: Sequence[tuple[State, Cause | None, str]],
    values: Mapping[int, Mapping[str, float]],
    reports: Mapping[int, Sequence[tuple[int, Mapping[str, float]]]],
    given_up: str,
) -> TrialResult:
    """What runs come to.

    Args:
        states: (state, cause, reason) of each.
        values, reports: see `TrialResult`.
        given_up: why the whole trial was given up; empty if it was not.
    """
    if given_up or any(state == "pruned" for state, _, _ in states):
        reason = given_up or next(reason for state, _, reason in states if state == "pruned")
        return TrialResult("pruned", values, reports, reason)
    for state, cause, reason in states:
        if state == "failed":
            outcome: Literal["infeasible", "failed"] = "infeasible" if cause == "out_of_memory" else "failed"
            return TrialResult(outcome, values, reports, reason)
    return TrialResult("done", values, reports)


def run_values(run_dir: RunDir) -> dict[str, float]:
    """The metrics of a finished run's last checkpoint, and the memory it used; all finite."""
    found = dict((run_dir.results() or {}).get("metrics") or {})
    found |= {tag: value for tag, value in run_dir.status().values.items() if tag.startswith("resource/")}
    return {tag: number for tag, value in found.items() if (number := finite_number(value)) is not None}


def finite_number(value: Any) -> float | None:
    """A number as it stands in a run's files; None if it is none, or is not finite."""
    try:
        number = decode_number(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
