"""Runs of a search with given numbers, in memory, and the page's data of them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.core.errors import Cause
from runner.results.collect import RunResult
from runner.results.search.report import search_report
from runner.results.search.trials import SearchResults, search_results
from runner.search.spec import Metric
from runner.store.run_dir import PrimaryMetric, State
from runner.views.page.data import Ids, PageView

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


def page_of(*runs: RunResult, **options: Any) -> PageView:
    """The page's data of these runs with the report on their search; options as in `found`."""
    results = found(*runs, **options)
    by_id, trials = Ids().assign(runs)
    first = results.metrics[0]
    metric = PrimaryMetric(first.name, first.goal, tuple(metric.name for metric in results.metrics[1:]))
    return PageView((Path("sweeps/one"),), "one", 1, metric, by_id, trials, search_report(results, runs))


def many_trials(trials: int, keys: int, *, seeds: int = 1) -> PageView:
    """A search with many trials: a third pruned, a few failed, `keys` parameters of which one has choices and one is logarithmic."""
    dice = random.Random(7)
    runs = []
    for number in range(trials):
        point: dict[str, Any] = {f"model.key_{key}": round(dice.random(), 4) for key in range(keys - 2)}
        point = {"train.rate": 10 ** (-4 * dice.random()), "train.optimizer": dice.choice(["sgd", "adam", "lion"]), **point}
        value = 0.5 - 0.05 * (math.log10(point["train.rate"]) + 2) ** 2 - 0.1 * (point["train.optimizer"] == "sgd") + 0.02 * dice.random()
        state: State = "failed" if number % 50 == 49 else "pruned" if number % 3 == 2 else "done"
        curve = [(step, value * (1 - math.exp(-step / 30))) for step in range(10, 41 if state == "pruned" else STEPS, 10)]
        for seed in range(seeds):
            ap = value + 0.005 * dice.random()
            made = run(number, ap, seed=seed, state=state, point=point, curve=[] if state == "failed" else curve)
            runs.append(replace(made, time_s=60.0 + number % 7 + seed))
    return page_of(*runs)
