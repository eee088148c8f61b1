"""What `runner compare --view` looks at: one sweep, by its own plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from runner.results.search.trials import SearchResults


def load_search(path: Path, metric: str | None = None, goal: Literal["maximize", "minimize"] | None = None) -> SearchResults:
    """The results of the sweep in a directory.

    Args:
        metric, goal: what to rank by, instead of what the sweep file says.

    Raises:
        InputError: see `runner.results.collect.collect` and `runner.results.search.trials.search_results`.
    """
    from runner.results.collect import collect  # noqa: PLC0415
    from runner.results.compare import check_clear  # noqa: PLC0415
    from runner.results.search.trials import search_results  # noqa: PLC0415 - kept out of `runner --help`
    from runner.search.spec import Metric  # noqa: PLC0415
    from runner.sweep.sweep_dir import SweepDir  # noqa: PLC0415

    sweep = SweepDir(path)
    metrics = sweep.metrics() or (Metric(),)
    if metric is not None or goal is not None:
        same = next((other for other in metrics if other.name == metric), metrics[0])
        first = Metric(name=metric or same.name, goal=goal or same.goal)
        metrics = (first, *(other for other in metrics if other.name != first.name and len(metrics) > 1))
    spec = sweep.plan().get("spec")
    given = spec if isinstance(spec, dict) else {}
    runs = collect([path])
    check_clear(runs)
    counted = [run for run in runs if not run.copy_of]
    return search_results(counted, metrics, seeds=given.get("seeds", ()), constraints=given.get("constraints", ()))
