"""What `train` and `sweep` share: making the generated data set, and conducting runs while somebody watches."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich.console import Console

from runner.conduct import Outcome, conduct
from runner.data.prepare import ensure_synthetic
from runner.data.spec import data_root
from runner.launch.base import LAUNCHERS
from runner.plan import PlannedRun
from runner.search.base import Search
from runner.views.counting import count_progress
from runner.views.progress import Watcher


def make_dataset(name: str) -> None:
    """Make the generated data set and say so."""
    print(f"making the data set {name} in {data_root() / name} (generated, not downloaded)", file=sys.stderr)
    with count_progress() as progress:
        ensure_synthetic(data_root(), progress)


def run_all(
    search: Search,
    runs: Mapping[int, Sequence[PlannedRun]],
    *,
    title: str = "",
    launcher: str = "local",
    slots: int = 1,
    retry_failed: bool = False,
) -> list[Outcome]:
    """Conduct a search whose runs are planned, showing what happens on the terminal."""
    planned = [run.run_dir for group in runs.values() for run in group]
    with Watcher(planned, Console(stderr=True), title=title) as watcher:
        return conduct(
            search,
            lambda trial: runs[trial.number],
            LAUNCHERS.get(launcher)(slots),
            watch=watcher.update,
            retry_failed=retry_failed,
            stop_when_interrupted=launcher == "inline",
        )
