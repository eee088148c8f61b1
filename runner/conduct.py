"""The loop that joins a search and a launcher: it starts runs, watches them end, and writes down what they could not say themselves.

It holds no state that counts: everything it needs to go on after a kill is in the run directories.
"""

from __future__ import annotations

import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

import psutil

from runner.backends.environments import versions
from runner.core.errors import InputError, Problem
from runner.core.files import atomic_write_text
from runner.core.rundir import RunDir, State, Status, Verdict
from runner.launch.base import Exit, Launcher, Task, Warm
from runner.plan import PlannedRun
from runner.search.base import Search, Trial, TrialResult

POLL_S = 0.2
_CLOCK_TOLERANCE_S = 1.0
SAVE_GRACE_S = 60.0
_STOPPED_BY = {signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGHUP}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run stands after conducting.

    Args:
        run: the run.
        status: its status, the conductor's verdict counted in.
        reused: it was finished before; nothing was started.
        exit_code: of its worker (see `runner.worker.main.main`); None if it was reused or died of a signal.
    """

    run: PlannedRun
    status: Status
    reused: bool = False
    exit_code: int | None = None


@dataclass
class _Interrupts:
    count: int = 0
    handled: int = field(default=0)

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


def conduct(
    search: Search,
    runs_of: Callable[[Trial], Sequence[PlannedRun]],
    launcher: Launcher,
    *,
    watch: Callable[[], None] = lambda: None,
    retry_failed: bool = False,
    stop_when_interrupted: bool = False,
    keep_warm: bool = False,
) -> list[Outcome]:
    """Work through a search until it has no more trials, or until somebody presses Ctrl-C.

    The first SIGINT or SIGTERM asks every worker to save and end; a second one kills them. Runs that are finished are not started again;
    those
    that were interrupted go on from their last checkpoint.

    Args:
        runs_of: the runs of a trial, one a seed.
        watch: called about five times a second.
        retry_failed: start failed runs again.
        stop_when_interrupted: a run that was interrupted ends the sweep (the inline launcher's worker takes the signals of this process).
        keep_warm: processes that have imported the framework are kept, which pays from the second run on.

    Raises:
        InputError: a run directory cannot be written, holds another run, or is being worked on by another process.
    """
    conductor = _Conductor(search, runs_of, launcher, retry_failed, stop_when_interrupted, keep_warm)
    with _interrupts() as interrupts:
        try:
            while conductor.step(interrupts):
                watch()
        finally:
            launcher.close()
    watch()
    return conductor.outcomes


def prepare_run_dir(run: PlannedRun) -> None:
    """Make the run's directory and write config.yml and run.json, unless it already is this very run.

    Raises:
        InputError: the directory holds something else, or cannot be written.
    """
    run_dir, path = run.run_dir, run.run_dir.path
    try:
        identity = run_dir.identity()
        if identity is None:
            if path.exists() and any(path.iterdir()) and not _only_config(path):
                raise InputError(Problem("exists and is not empty; give another --run-dir, or move it away", where=str(path)))
            path.mkdir(parents=True, exist_ok=True)
            atomic_write_text(run_dir.config, f"# resolved by runner; `runner train -c` of this file repeats the run\n{run.resolved.yaml}")
            run_dir.write_identity(run.identity)
        elif identity.key != run.identity.key:
            text = "holds another run (its config, data or versions differ); give another --run-dir, or go on with it by `runner train -r`"
            raise InputError(Problem(text, where=str(path)))
    except OSError as error:
        raise InputError(Problem(f"the run directory cannot be written: {error.strerror}", where=str(path))) from error
    status = run_dir.status()
    if status.state == "running" and _is_working(status):
        text = f"process {status.pid} is working on this run right now; wait for it, or stop it (kill {status.pid})"
        raise InputError(Problem(text, where=str(path)))


def task_of(run: PlannedRun) -> Task:
    """The command that works on a run, in the environment of its backend, and how that may be kept warm."""
    run_dir, resolved = run.run_dir, run.resolved
    backend, python = resolved.backend, resolved.python or Path(sys.executable)
    argv = [str(python), "-m", "runner.worker", str(run_dir.path)]
    warm: Warm = "standby" if versions(python, backend.open_gpu_on_import) else "fork"
    if backend.ranks(resolved.config) is not None:
        warm = "no"
    preload = (backend.preload, "runner.worker.main")
    return Task(str(run_dir.path), argv, Path.cwd(), run_dir.log, _thread_limits(), preload, warm)


def conclude(run_dir: RunDir, exit_: Exit, attempts_before: int, *, asked_to_stop: bool = False) -> Status:
    """A run's status after its worker has gone; a verdict is written where the worker could not say how it ended."""
    status = run_dir.status()
    if status.attempt > attempts_before and status.state not in ("pending", "running"):
        return status
    by_signal = exit_.signal in _STOPPED_BY
    state: State = "interrupted" if by_signal else "failed"
    after = f" after step {status.step}" if status.attempt > attempts_before and status.step else ""
    reason = f"the worker {'was ' if exit_.signal else ''}{exit_}{after}; log: {run_dir.log}"
    if exit_.signal == signal.SIGKILL:
        reason += " (asked to stop, it had not ended)" if asked_to_stop else " (out of memory? `dmesg` knows)"
    attempt = max(status.attempt, attempts_before + 1)
    try:
        run_dir.write_verdict(Verdict(state, reason, attempt, time.time()))
    except OSError as error:  # a full disk is likely what ended the worker; the other runs go on
        reason += f" (and this cannot be recorded: {error.strerror})"
    return replace(status, state=state, reason=reason, attempt=attempt)


class _Conductor:
    def __init__(
        self,
        search: Search,
        runs_of: Callable[[Trial], Sequence[PlannedRun]],
        launcher: Launcher,
        retry_failed: bool,
        stop_when_interrupted: bool,
        keep_warm: bool,
    ) -> None:
        self._search = search
        self._runs_of = runs_of
        self._launcher = launcher
        self._retry_failed = retry_failed
        self._stop_when_interrupted = stop_when_interrupted
        self._keep_warm = keep_warm
        self._waiting: deque[PlannedRun] = deque()
        self._running: dict[str, tuple[PlannedRun, int]] = {}
        self._left: dict[int, int] = {}  # trial number → runs still to end
        self._exhausted = False
        self._asked_to_stop = False
        self.outcomes: list[Outcome] = []

    def step(self, interrupts: _Interrupts) -> bool:
        """Start what can start, take note of what has ended; False when there is nothing left to do."""
        if interrupts.count > interrupts.handled:
            interrupts.handled = interrupts.count
            self._stop(grace_s=SAVE_GRACE_S if interrupts.count == 1 else 0.0)
        while not self._exhausted and self._launcher.free() > 0:
            if self._waiting:
                self._start(self._waiting.popleft())
            elif not self._ask():
                break
        for exit_ in self._launcher.poll(POLL_S):
            run, attempts = self._running.pop(exit_.name)
            exit_code = exit_.returncode if exit_.signal is None else None
            self._finish(Outcome(run, conclude(run.run_dir, exit_, attempts, asked_to_stop=self._asked_to_stop), exit_code=exit_code))
        return bool(self._running) or not self._exhausted

    def _ask(self) -> bool:
        """Take the next trial from the search; False if there is none now."""
        trial = self._search.ask()
        if trial is None:
            self._exhausted = True
        if not isinstance(trial, Trial):
            return False
        runs = self._runs_of(trial)
        self._left[trial.number] = len(runs)
        self._waiting.extend(runs)
        return True

    def _start(self, run: PlannedRun) -> None:
        prepare_run_dir(run)
        status = run.run_dir.status()
        if status.state in ("done", "pruned") or (status.state == "failed" and not self._retry_failed):
            self._finish(Outcome(run, status, reused=True))
            return
        self._running[str(run.run_dir.path)] = (run, status.attempt)
        task = task_of(run)
        self._launcher.submit(task if self._keep_warm else replace(task, warm="no"))

    def _finish(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        if self._stop_when_interrupted and outcome.status.state == "interrupted":
            self._stop(grace_s=0.0)
        trial = outcome.run.trial
        self._left[trial.number] -= 1
        if self._left[trial.number] == 0:
            mine = [other for other in self.outcomes if other.run.trial.number == trial.number]
            failed = [other for other in mine if other.status.state != "done"]
            self._search.tell(trial, TrialResult("failed" if failed else "done", reason=failed[0].status.reason or "" if failed else ""))

    def _stop(self, grace_s: float) -> None:
        self._exhausted = self._asked_to_stop = True
        self._waiting.clear()
        for name in self._running:
            self._launcher.cancel(name, grace_s=grace_s)


@contextmanager
def _interrupts() -> Iterator[_Interrupts]:
    """Count SIGINT and SIGTERM in place of dying of them."""
    interrupts = _Interrupts()
    before = {number: signal.signal(number, interrupts) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _thread_limits() -> dict[str, str]:
    """Libraries that start a thread a core on import are kept to one; the backend raises it to the config's cpu_threads."""
    return {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _only_config(path: Path) -> bool:
    """Whether a conductor was killed between making the directory and writing run.json."""
    return all(entry.name == "config.yml" or entry.name.endswith(".tmp") for entry in path.iterdir())


def _is_working(status: Status) -> bool:
    """Whether the process that wrote `status` is still there. One that was given its number later is younger than its last heartbeat."""
    try:
        process = psutil.Process(status.pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= status.heartbeat + _CLOCK_TOLERANCE_S
    except (psutil.Error, ValueError):
        return False
