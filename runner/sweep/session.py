"""The Python API: `runner.open_sweep`, `runner.train` and `runner.compare`, for notebooks and scripts.

Runs are trained by worker processes, as from the command line; the same directories result. Everything works in any thread. In the main
thread, which is where a notebook runs its cells, an interrupt saves and ends the runs; elsewhere `Sweep.stop` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from runner.core.errors import InputError, Interrupted, TrainingFailed
from runner.core.lock import holder
from runner.core.text import say
from runner.launch.base import DEFAULT_LAUNCHER
from runner.monitor.overview import Overview, read_sweep
from runner.results.comparison import Comparison
from runner.store.commands import Command
from runner.store.control import send
from runner.sweep.session_arguments import AnyPath, Changes, check_flag, check_number, check_string, optional_path, to_path, to_settings
from runner.sweep.session_plan import PlannedSweep, SweepRequest, plan_sweep
from runner.sweep.session_results import compare_runs
from runner.sweep.session_run import SweepResult, run_sweep
from runner.sweep.session_train import make_dataset, plan_resumed, plan_training, run_one
from runner.views.terminal import progress_console

if TYPE_CHECKING:
    from runner.search.base import Trial

__all__ = ["Comparison", "Sweep", "SweepResult", "TrainedRun", "compare", "open_sweep", "train"]


def open_sweep(
    file: AnyPath,
    *,
    overrides: Changes = (),
    set: Changes = (),  # noqa: A002 - the command line's name
    dir: AnyPath | None = None,  # noqa: A002 - the command line's name
    launcher: str = DEFAULT_LAUNCHER,
) -> Sweep:
    """Read a sweep file and plan its trials; no run starts yet (``TrainReader.batch_size: auto`` is measured, which takes a minute or two).

    Args:
        file: a sweep file, as for ``runner sweep``.
        overrides: changes to the config (``-o``): ``{"TrainReader.batch_size": 4}``.
        set: changes to the sweep file (``--set``): ``{"seeds": [0, 1, 2]}``.
        dir: the sweep's directory; default: ``runs/NAME``.
        launcher: how runs are started.

    Raises:
        InputError: with everything that is wrong.
    """
    check_string("launcher", launcher)
    changes = to_settings("overrides", overrides), to_settings("set", set)
    return Sweep(SweepRequest(to_path("file", file), *changes, optional_path("dir", dir), launcher))


class Sweep:
    """A sweep that can run; made by `open_sweep`.

    Args:
        request: the arguments of `open_sweep`.

    Raises:
        InputError: with everything that is wrong.
    """

    def __init__(self, request: SweepRequest) -> None:
        self._request = request
        self._planned: PlannedSweep | None = plan_sweep(request, make_dataset=make_dataset)
        self._folder = self._planned.folder

    def __repr__(self) -> str:
        return f"Sweep({str(self._request.file)!r}, dir={str(self.path)!r})"

    @property
    def path(self) -> Path:
        """The sweep's directory."""
        return self._folder.path

    @property
    def trials(self) -> Sequence[Trial]:
        """The trials known in advance, the baseline first."""
        return self._plan().trials

    @property
    def warnings(self) -> Sequence[str]:
        """Reasons to doubt the results; `run` prints them."""
        return self._plan().warnings

    def run(self, *, retry_failed: bool = False, progress: bool = True) -> SweepResult:
        """Run everything that is not finished, and return how the sweep ended. Runs that failed are in the result.

        Args:
            retry_failed: start failed runs again.
            progress: show progress: on standard error in a terminal, as lines in a notebook.

        Raises:
            InputError: another process drives the sweep, its directory cannot be written, or a trial is wrong.
            Interrupted: by Ctrl-C, a notebook's interrupt or `stop`; every run has saved its state, and `run` continues.
            RunnerError: too many runs failed in a row, the config changed, or the directory was moved.
        """
        check_flag("retry_failed", retry_failed)
        check_flag("progress", progress)
        planned = self._plan()
        self._planned = None  # the next call reads what this driver has done
        for warning in planned.warnings if progress else ():
            say(f"warning: {warning}", error=True)
        result = run_sweep(planned, progress_console(quiet=not progress), retry_failed=retry_failed)
        if result.exit_code == 130:
            raise Interrupted(f"{self.path}: interrupted; every run has saved its state: run() continues")
        return result

    def status(self) -> Overview:
        """Return the state of the sweep's runs, as `runner status` shows it. Only files are read."""
        return read_sweep(self._folder, driven=holder(self._folder.lock) is not None)

    def compare(
        self,
        *,
        metric: str | None = None,
        goal: Literal["maximize", "minimize"] | None = None,
        images: bool | None = None,
        against: int | None = None,
    ) -> Comparison:
        """Compare its trials; see `compare`."""
        return compare(self.path, metric=metric, goal=goal, images=images, against=against)

    def pause(self, *, save: bool = False) -> None:
        """Start no further runs of a running sweep, whether it runs in another thread or another process.

        Args:
            save: also save and end the active runs; `resume` continues them.
        """
        check_flag("save", save)
        self._send(Command("pause", save=save))

    def resume(self) -> None:
        """Continue a sweep that was paused."""
        self._send(Command("resume"))

    def stop(self) -> None:
        """Ask the sweep's driver to save and end every run; its `run` then raises `Interrupted`."""
        self._send(Command("quit"))

    def _send(self, command: Command) -> None:
        if holder(self._folder.lock) is None:
            raise InputError(f"{self.path}: no driver is working on this sweep; run() starts one")
        send(self._folder.control, command)

    def _plan(self) -> PlannedSweep:
        if self._planned is None:
            self._planned = plan_sweep(self._request, make_dataset=make_dataset)
        return self._planned


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """A run that is done.

    Args:
        path: its directory.
        metrics: tag to value of its last checkpoint.
    """

    path: Path
    metrics: Mapping[str, float]


def train(
    config: AnyPath | None = None,
    overrides: Changes = (),
    *,
    resume: AnyPath | None = None,
    run_dir: AnyPath | None = None,
    launcher: str = DEFAULT_LAUNCHER,
    progress: bool = True,
) -> TrainedRun:
    """Train and evaluate one run.

    Args:
        config: a config, as for ``runner train -c``.
        overrides: changes to it (``-o``): ``{"max_iters": 50}``.
        resume: the directory of a run to continue instead; a config given beside it must be that run's.
        run_dir: directory of the new run; default: the next one in ``SAVE_DIR/CONFIG/``.
        launcher: how the run is started.
        progress: show progress: on standard error in a terminal, as lines in a notebook.

    Raises:
        InputError: something given cannot be used.
        Interrupted: the run was interrupted, or its worker killed; ``train(resume=RUN)`` continues it.
        TrainingFailed: the run failed; the message has its reason and its log.
    """
    settings = to_settings("overrides", overrides)
    file, old, new = optional_path("config", config), optional_path("resume", resume), optional_path("run_dir", run_dir)
    check_string("launcher", launcher)
    check_flag("progress", progress)
    if old is not None and new is not None:
        raise InputError("run_dir and resume exclude each other: a resumed run stays in its directory")
    if old is not None:
        run = plan_resumed(old, file, settings)
    elif file is None:
        raise InputError('no config: expected train("configs/fcos_tiny.yml"), or train(resume="RUN") to continue a run')
    else:
        run = plan_training(file, settings, run_dir=new, launcher=launcher)
    outcome = run_one(run, progress_console(quiet=not progress), launcher=launcher, retry_failed=resume is not None)
    path = run.run_dir.path
    if outcome is None:
        raise Interrupted(f"{path}: interrupted before it began")
    status = outcome.status
    if status.state == "interrupted":
        raise Interrupted(f"{path}: interrupted: {status.reason}; train(resume={str(path)!r}) continues it")
    if status.state != "done":
        raise TrainingFailed(f"{path}: {status.state}: {status.reason}; log: {run.run_dir.log}")
    return TrainedRun(path, dict((run.run_dir.results() or {}).get("metrics") or {}))


def compare(
    *paths: AnyPath,
    metric: str | None = None,
    goal: Literal["maximize", "minimize"] | None = None,
    images: bool | None = None,
    against: int | None = None,
) -> Comparison:
    """Compare trials with their baseline: means, intervals and verdicts, as `runner compare` prints them.

    Args:
        paths: sweep or run directories.
        metric: tag that decides, for example ``bbox/AP50``; default: the sweep file's.
        goal: which way is better; default: the sweep file's.
        images: bootstrap the images of two checkpoints of one seed; default: where a trial has a single seed.
        against: number of the trial that the others are compared with; default: the baseline.

    Raises:
        InputError: a directory is missing, there is nothing to compare, no trial has that number, or an unknown goal.
    """
    if goal not in (None, "maximize", "minimize"):
        raise InputError(f"unknown goal {goal!r}: expected 'maximize' or 'minimize'")
    check_string("metric", metric, optional=True)
    check_flag("images", images, optional=True)
    check_number("against", against)
    if not paths:
        raise InputError('no paths: expected compare("runs/NAME")')
    return compare_runs([to_path("paths", path) for path in paths], metric=metric, goal=goal, images=images, against=against)
