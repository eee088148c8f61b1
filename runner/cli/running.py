"""Steps shared by `train` and `sweep`: making the generated data set, and running with progress on the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from runner.core.importing import child_environment
from runner.core.text import say
from runner.data.prepare import ensure_synthetic
from runner.data.spec import data_root
from runner.environments.interpreters import interpreter
from runner.launch.base import LAUNCHERS
from runner.search.base import FixedDesign
from runner.store.lock import hold_run
from runner.sweep.loop import run_loop
from runner.sweep.plan import PlannedRun
from runner.sweep.setup import LoopOptions, RunOutcome, Workload
from runner.views.counting import count_progress
from runner.views.progress import Watcher
from runner.views.terminal import Terminal

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
    command, environment = [str(place.python), "-P", "-m", "runner", *sys.argv[1:]], child_environment({_MOVED: "1"})
    if os.name == "posix":
        os.execve(place.python, command, environment)
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)


def make_dataset(name: str) -> None:
    """Make the generated data set and say so."""
    say(f"making the data set {name} in {data_root() / name} (generated, not downloaded)", error=True)
    with count_progress() as progress:
        ensure_synthetic(data_root(), progress)


def run_one(run: PlannedRun, *, launcher: str = "local", retry_failed: bool = False) -> RunOutcome | None:
    """Run a run by itself with progress on the terminal; None if it was interrupted before it began.

    Raises:
        RunHeld: another process is working on it.
        InputError: its directory holds something else, or cannot be written.
    """
    if os.path.lexists(run.run_dir.lock):  # also False for a name that is too long
        with suppress(OSError), hold_run(run.run_dir):  # before another process's progress is shown
            pass
    with Watcher([run.run_dir], Terminal(stderr=True)) as watcher:
        outcomes = run_loop(
            Workload(FixedDesign([run.trial]), lambda trial: [run]),
            LAUNCHERS.get(launcher)(1),
            LoopOptions(retry_failed=retry_failed, stop_when_interrupted=launcher == "inline"),
            watch=lambda situation: watcher.update(),
        )
    return outcomes[0] if outcomes else None
