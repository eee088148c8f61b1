"""Runs by their metric, for a list: no statistics, so one lucky seed can be first. `compare` says what a difference is worth."""

from __future__ import annotations

import math
from collections.abc import Iterable

from runner.core.errors import InputError
from runner.results.collect import RunResult
from runner.store.run_dir import Goal


def best_runs(runs: Iterable[RunResult], count: int, metric: str | None = None, goal: Goal | None = None) -> list[RunResult]:
    """Return the `count` runs with the best values of a metric (`RunResult.latest`), the best first; copies of runs do not count.

    Args:
        metric, goal: None: those that the runs name as their primary metric.

    Raises:
        InputError: the runs have several primary metrics and `metric` is None, or no run has a value.
    """
    own = [run for run in runs if not run.copy_of]
    primary = sorted({run.metric.name for run in own})
    if metric is None and len(primary) > 1:
        raise InputError(f"the runs have several primary metrics ({', '.join(primary)}); give --metric TAG")
    tag = metric or primary[0]
    values = [(run, value) for run in own if (value := run.latest(tag)) is not None and math.isfinite(value)]
    if not values:
        raise InputError(f"no run has a value of {tag} yet")
    sign = -1 if (goal or own[0].metric.goal) == "maximize" else 1
    return [run for run, _ in sorted(values, key=lambda item: sign * item[1])[:count]]
