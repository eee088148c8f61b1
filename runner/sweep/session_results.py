"""Reports on sweeps and runs: the kind that a directory's plan requires, and its computation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.core.errors import InputError
from runner.results.collect import MEMORY_TAGS, RunResult, collect, own_runs, with_memory
from runner.results.compare import check_clear, compare
from runner.results.comparison import Comparison
from runner.results.notes import missing_design
from runner.results.search.report import SearchReport, search_report
from runner.results.search.trials import search_results
from runner.search.base import DESIGNS, design_name, find_design
from runner.search.spec import Metric
from runner.stats.sequential import looks
from runner.store.run_dir import Goal
from runner.sweep.fresh_seeds import joined_warnings, sweep_facts
from runner.sweep.sweep_dir import SweepDir, metric_of


def read_report(
    paths: Sequence[Path],
    metric: str | None = None,
    goal: Goal | None = None,
    *,
    images: bool | None = None,
    against: int | None = None,
    runs: Sequence[RunResult] | None = None,
) -> Comparison | SearchReport:
    """Compute the report on the runs in some directories: of a search on one sweep whose trials were proposed, else a comparison.

    The best of a search was selected among many trials, which a table of differences would hide.

    Args:
        paths: sweep or run directories.
        metric, goal: the deciding ones, instead of those of the sweep file.
        images: bootstrap the images of two checkpoints of one seed; None: where a trial has a single seed.
        against: number of the trial that the others are compared with; None: the baseline.
        runs: the runs in `paths`, as `collect` returns them; None: they are read.

    Raises:
        InputError: no run, `against` is no trial of a comparison, an unknown metric, or a directory that is missing.
    """
    plans = [SweepDir(path).plan() for path in paths]
    design = find_design(plans[0]) if len(plans) == 1 else None
    if design is not None and design.report == SearchReport.subject:
        if against is not None:
            raise InputError(f"--against {against}: the trials of a search are ranked, not compared with one of them; leave it out")
        return read_search(paths[0], metric, goal, runs=runs)
    found = compare_runs(paths, metric, goal, images=images, against=against, runs=runs)
    if design is None and len(plans) == 1 and (name := design_name(plans[0])):
        found = replace(found, notes=(*found.notes, missing_design(name, installed=name in DESIGNS)))
    return found


def compare_runs(
    paths: Sequence[Path],
    metric: str | None = None,
    goal: Goal | None = None,
    *,
    images: bool | None = None,
    against: int | None = None,
    runs: Sequence[RunResult] | None = None,
) -> Comparison:
    """Compare the trials in some directories with their baseline (see `read_report`)."""
    plans = [SweepDir(path).plan() for path in paths]
    default = metric_of(paths)
    named = [other for path in paths for other in SweepDir(path).metrics()]
    runs = collect(paths) if runs is None else runs
    return compare(
        runs,
        metric or (default.name if default else None),
        goal or _goal(metric, [*([default] if default else []), *named]),
        [other.name for other in named],
        looks=_looks(plans),
        warnings=[*joined_warnings(paths), *(text for plan in plans for text in _warnings(plan))],
        images=images,
        against=against,
        sweep=sweep_facts(SweepDir(paths[0]), runs) if len(paths) == 1 else None,
    )


def read_search(
    path: Path, metric: str | None = None, goal: Goal | None = None, *, runs: Sequence[RunResult] | None = None
) -> SearchReport:
    """Compute the report on a sweep whose trials were proposed (see `read_report`)."""
    sweep = SweepDir(path)
    runs = own_runs(collect([path]) if runs is None else runs)
    metrics = sweep.metrics() or (Metric(name=runs[0].metric.name, goal=runs[0].metric.goal),)
    if metric is not None or goal is not None:
        first = Metric(name=metric or metrics[0].name, goal=goal or _goal(metric, metrics) or metrics[0].goal)
        metrics = (first, *(other for other in metrics if other.name != first.name and len(metrics) > 1))
    plan = sweep.plan()
    spec = plan.get("spec") or {}
    check_clear(runs)
    runs = with_memory(runs, [each.name for each in metrics])
    facts = {"seeds": spec.get("seeds", ()), "constraints": spec.get("constraints", ())}
    results = search_results([run for run in runs if not run.copy_of], metrics, **facts, warnings=_warnings(plan))
    return search_report(results, runs, sweep_facts(sweep, runs))


def _goal(metric: str | None, named: Sequence[Metric]) -> Goal | None:
    """Return the better direction of the metric that a user chose: as a sweep file has it, less of memory, else that of the first one
    named; None where none is named."""
    if metric in MEMORY_TAGS:
        return next((other.goal for other in named if other.name == metric), "minimize")
    return next((other.goal for other in named if other.name == metric), named[0].goal if named else None)


def _looks(plans: Sequence[dict[str, Any]]) -> tuple[int, ...]:
    """Return the seeds per trial at each interim analysis, if one of the sweeps raced its seeds."""
    found = [(len(spec["seeds"]), int(spec["racing"]["max_seeds"])) for plan in plans if (spec := plan.get("spec") or {}).get("racing")]
    return looks(min(first for first, _ in found), max(most for _, most in found)) if found else ()


def _warnings(plan: dict[str, Any]) -> list[str]:
    return [str(text) for text in plan.get("warnings") or []]
