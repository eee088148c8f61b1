"""Runs of a search with given numbers, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.core.errors import Cause
from runner.results.collect import RunResult
from runner.results.search.trials import SearchResults, search_results
from runner.search.spec import Metric
from runner.store.run_dir import State

AP = Metric(name="bbox/AP")
MEMORY = Metric(name="resource/gib", goal="minimize")
STEPS = 100


def run(
    trial: int,
    value: float | Mapping[str, float] | None = None,
    *,
    seed: int = 0,
    state: State = "done",
    cause: Cause | None = None,
    point: Mapping[str, Any] | None = None,
    curve: Sequence[tuple[int, float]] = (),
    config: Mapping[str, Any] | None = None,
    step: int | None = None,
) -> RunResult:
    """A run of trial `trial`. `value` is its ``bbox/AP``, or all its metrics; `point` the searched parameters (the baseline has none)."""
    metrics = {AP.name: value} if isinstance(value, float) else dict(value or {})
    evaluations = [(at, {AP.name: number}) for at, number in curve]
    if state == "done" and AP.name in metrics and (not curve or curve[-1][0] != STEPS):
        evaluations.append((STEPS, {AP.name: metrics[AP.name]}))
    given = dict(point or {})
    return RunResult(
        path=Path(f"sweeps/one/runs/{trial:04d}-s{seed}"),
        id=f"{trial:04d}-s{seed}",
        sweep="one",
        trial=trial,
        seed=seed,
        overrides=given,
        label=", ".join(f"{key}={item}" for key, item in given.items()) or "baseline",
        state=state,
        reason=None if state == "done" else f"it is {state}",
        metrics=metrics if state == "done" else {},
        evaluations=evaluations,
        step=step if step is not None else (evaluations[-1][0] if evaluations else 0),
        steps=STEPS,
        memory_gib=metrics.get("memory"),
        config=config or {},
        proposal={"params": given} if given else {},
        cause=cause,
    )


def found(*runs: RunResult, **options: Any) -> SearchResults:
    """The results of these runs, by `AP` unless `metrics` says otherwise."""
    return search_results(runs, options.pop("metrics", (AP,)), **options)
