"""What `train` and `sweep` share: making the generated data set, and conducting runs while somebody watches."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from runner.backends.environments import interpreter
from runner.conduct import Outcome, conduct
from runner.data.prepare import ensure_synthetic
from runner.data.spec import data_root
from runner.launch.base import LAUNCHERS
from runner.plan import PlannedRun
from runner.search.base import Search
from runner.views.counting import count_progress
from runner.views.progress import Watcher

_MOVED = "RUNNER_MOVED"
"""Set for the process that `go_where_it_runs` starts, which does not go anywhere else."""


def go_where_it_runs(backend: str, backend_python: str | None) -> None:
    """Run this very command again by the interpreter whose environment has the backend, if that is another one. Does not return then.

    Raises:
        InputError: the backend has no environment.
    """
    place = interpreter(backend, backend_python)
    if place.origin == "this" or place.python == Path(sys.executable) or os.environ.get(_MOVED):
        return
    command, environment = [str(place.python), "-m", "runner", *sys.argv[1:]], {**os.environ, _MOVED: "1"}
    if os.name == "posix":
        os.execve(place.python, command, environment)
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)


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
            keep_warm=len(planned) > 1,
        )
