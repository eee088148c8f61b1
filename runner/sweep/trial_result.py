"""The result of a trial, made of the ends of its runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runner.core.errors import Cause
from runner.search.base import TrialResult
from runner.store.records import decode_number
from runner.store.run_dir import RunDir, State
from runner.sweep.running import evaluations


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The end of a run of a trial.

    Args:
        values: the metrics of its last checkpoint if it is done; None: they are read from `run_dir`.
    """

    run_dir: RunDir
    state: State
    cause: Cause | None = None
    reason: str = ""
    values: Mapping[str, float] | None = None


def trial_result(ends: Mapping[int, RunEnd], pruned: str, *, with_reports: bool) -> TrialResult:
    """Return the result of a trial.

    Args:
        ends: seed to the end of its run.
        pruned: why the whole trial was pruned; empty if it was not.
        with_reports: read the evaluations during training too.
    """
    values = {seed: end.values or run_values(end.run_dir) for seed, end in ends.items() if end.state == "done"}
    reports = {seed: evaluations(end.run_dir.records()) for seed, end in ends.items()} if with_reports else {}
    if pruned or any(end.state == "pruned" for end in ends.values()):
        reason = pruned or next(end.reason for end in ends.values() if end.state == "pruned")
        return TrialResult("pruned", values, reports, reason)
    for end in ends.values():
        if end.state == "failed":
            state: Literal["infeasible", "failed"] = "infeasible" if end.cause == "out_of_memory" else "failed"
            return TrialResult(state, values, reports, end.reason)
    return TrialResult("done", values, reports)


def run_values(run_dir: RunDir, resources: Mapping[str, Any] | None = None) -> dict[str, float]:
    """Return the metrics of a finished run's last checkpoint, and the memory it used; all finite.

    Args:
        resources: the values of its status, where that has been read already.
    """
    found = dict((run_dir.results() or {}).get("metrics") or {})
    values = run_dir.status().values if resources is None else resources
    found |= {tag: value for tag, value in values.items() if tag.startswith("resource/")}
    return {tag: number for tag, value in found.items() if (number := finite_number(value)) is not None}


def finite_number(value: Any) -> float | None:
    """Return a number from a run's files; None if it is none, or is not finite."""
    try:
        number = decode_number(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
