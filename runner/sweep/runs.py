"""One run, as the driver sees it: its directory, the command that works on it, and its state after an attempt."""

from __future__ import annotations

import os
import platform
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from runner.backends.base import LoadsModels
from runner.core.errors import Cause, InputError, Problem
from runner.core.files import NO_ROOM, atomic_write_text, move_aside, read_text
from runner.environments.interpreters import versions
from runner.launch.base import Exit, Task, Warm
from runner.monitor.progress import shows_life
from runner.resolve import Resolved, resolve
from runner.store.events import RunReopened
from runner.store.lock import hold_run, run_held
from runner.store.run_dir import Override, RunDir, Status
from runner.sweep.limits import EarlyEnd
from runner.sweep.plan import PlannedRun, run_key
from runner.worker.ending import DISK_FULL

_ANOTHER = "holds another run (its config, data or versions differ); train another in a directory of its own: runner train --run-dir DIR"
_ANOTHER_IN_SWEEP = "holds another run, {id} (or its config, data or versions differ); move it away and repeat the same `runner sweep`"
_STOPPED_BY = {signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGHUP}


def prepare_run_dir(run: PlannedRun, *, in_sweep: bool = False) -> int:
    """Create the run's directory with config.yml and run.json, unless it already is this run's. Holds the run's lock meanwhile.

    Args:
        in_sweep: the directory belongs to a sweep, so its contents can be rewritten. They are not synced to disk, which would take
            10 to 50 ms; a directory that a power loss damaged is moved aside. The parent folder exists; if not, it was moved or deleted,
            and is not recreated.

    Returns:
        Number of earlier attempts.

    Raises:
        RunHeld: another process is working on the run.
        InputError: the directory holds something else, or cannot be written.
        OSError: the disk is full.
    """
    run_dir, path = run.run_dir, run.run_dir.path
    if run.resolved is None:
        raise ValueError(f"{path} has no config to write")
    config = config_text(run.resolved)
    try:
        is_new = in_sweep and _make_new(path)
        if not is_new and run_dir.identity() is None:
            _make_room(run_dir, config, in_sweep)
            path.mkdir(parents=not in_sweep, exist_ok=True)
        with hold_run(run_dir, wait=not in_sweep):
            is_new = is_new and not run_dir.exists()
            identity = None if is_new else run_dir.identity()
            if identity is None:
                atomic_write_text(run_dir.config, config, durable=False)  # rewritten below if a power loss damages it
                run_dir.write_identity(run.identity, durable=not in_sweep)
            elif identity.key != run.identity.key:
                raise InputError(Problem(_ANOTHER_IN_SWEEP.format(id=identity.id) if in_sweep else _ANOTHER, where=str(path)))
            elif _text(run_dir.config) != config and (run_dir.status().attempt == 0 or not _is_of(run_dir, run)):
                atomic_write_text(run_dir.config, config)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise
        raise InputError(Problem(f"the run directory cannot be written: {error.strerror}", where=str(path))) from error
    if is_new:  # a new directory is empty: thousands of runs are prepared without checking
        return 0
    status = run_dir.status()
    if status.state == "running" and shows_life(status):  # by an older version, or where there are no locks
        here = status.host in ("", platform.node())
        raise run_held(run_dir, f"process {status.pid}" + ("" if here else f" on {status.host}"), status.pid if here else 0)
    return status.attempt


def _make_new(path: Path) -> bool:
    """Make a directory; False if something is there."""
    try:
        os.mkdir(path)
    except FileExistsError:
        return False
    return True


def _make_room(run_dir: RunDir, config: str, in_sweep: bool) -> None:
    """Check that nothing occupies the path of a run directory to be created. Raises InputError."""
    path = run_dir.path
    if not path.exists() or _only_beginnings(path) or _text(run_dir.config) == config:
        return
    if not in_sweep or not (run_dir.identity_file.exists() or run_dir.status_file.exists()):
        raise InputError(Problem("exists and is not empty; give another --run-dir or move it away", where=str(path)))
    move_aside(path)


def config_text(resolved: Resolved) -> str:
    """Return the content of config.yml."""
    return f"# resolved by runner; `runner train -c` of this file repeats the run\n{resolved.yaml}"


def task_of(run: PlannedRun) -> Task:
    """Return the task of a run: the worker's command in its backend's environment, and how that may be kept warm."""
    run_dir, resolved = run.run_dir, run.resolved
    if resolved is None:
        raise ValueError(f"{run_dir.path} is not resolved")
    backend, python = resolved.backend, resolved.python or Path(sys.executable)
    argv = [str(python), "-P", "-m", "runner.worker", str(run_dir.path.absolute())]  # a relative one may begin like an option
    warm: Warm = "standby" if versions(python, backend.open_gpu_on_import) else "fork"
    if backend.ranks(resolved.config) is not None:
        warm = "no"
    networks = backend.model_modules(resolved.config) if isinstance(backend, LoadsModels) else ()
    preload = (backend.preload, *networks, "runner.worker.main")
    return Task(str(run_dir.path), argv, Path.cwd(), run_dir.log, thread_limits(), preload, warm)


def conclude(
    run_dir: RunDir, exit_: Exit, attempts_before: int, *, asked_to_stop: bool = False, early_end: EarlyEnd | None = None
) -> Status:
    """Return a run's status after its worker has exited; an override is written if the worker could not record its end.

    Args:
        early_end: why the driver ended it: this outranks what the worker reports.
    """
    status = run_dir.status()
    said = status.attempt > attempts_before and status.state not in ("pending", "running")
    if said and early_end is None and exit_.over_memory_gib is None:
        return replace(status, cause="disk_full") if exit_.returncode == DISK_FULL else status
    retries = retries_of(run_dir)
    attempt = status.attempt if said else max(status.attempt, attempts_before + 1)
    if early_end is None and exit_.over_memory_gib is not None:
        reason = f"its processes held {exit_.over_memory_gib:.2f} GiB, more than resources.memory_gib allows: a smaller batch needs less"
        early_end = EarlyEnd("failed", "out_of_memory", reason)
    if early_end is not None:
        state, cause, reason = early_end.state, early_end.cause, early_end.reason
        if said and status.state == state:
            return status
        return _judge(run_dir, status, Override(state, reason, attempt, time.time(), cause, retries, final=state != "interrupted"))
    if exit_.oom_killed:
        reason = f"the worker was {exit_} after step {status.step}: a smaller batch needs less"
        return _judge(run_dir, status, Override("failed", reason, attempt, time.time(), "out_of_memory", retries))
    if not run_dir.path.is_dir():
        return replace(status, state="failed", reason="its directory was moved or deleted while it ran", attempt=attempt, cause="input")
    by_signal = exit_.signal in _STOPPED_BY
    full = exit_.returncode == DISK_FULL
    after = f" after step {status.step}" if status.attempt > attempts_before and status.step else ""
    reason = f"the worker {'was ' if exit_.signal else ''}{exit_}{after}; log: {run_dir.log}"
    if full:
        reason = f"the disk is full{after}; log: {run_dir.log}"
    if exit_.signal == signal.SIGKILL:
        reason += " (it did not stop when asked)" if asked_to_stop else " (out of memory? check `dmesg`)"
    what: Cause | None = "disk_full" if full else None if by_signal and asked_to_stop else "crash"
    return _judge(run_dir, status, Override("interrupted" if by_signal or full else "failed", reason, attempt, time.time(), what, retries))


def retries_of(run_dir: RunDir) -> int:
    """Return how often a run has been retried."""
    override = run_dir.override()
    return override.retries if override else 0


def reopen(run_dir: RunDir) -> RunReopened:
    """Let a run that has ended be started again, with all its retries. Returns the event for the journal.

    Raises:
        OSError: it cannot be written.
    """
    status = run_dir.status()
    reason = f"to be started again after ending as {status.state}" + (f": {status.reason}" if status.reason else "")
    run_dir.write_override(Override("interrupted", reason, status.attempt, time.time(), final=True))
    identity = run_dir.identity()
    return RunReopened(identity.id if identity else run_dir.name)


def _judge(run_dir: RunDir, status: Status, override: Override) -> Status:
    reason = override.reason
    try:
        run_dir.write_override(override)
    except OSError as error:  # the worker probably ended because the disk is full; the other runs continue
        reason += f" (and this cannot be recorded: {error.strerror})"
    return replace(status, state=override.state, reason=reason, attempt=override.attempt, cause=override.cause)


def thread_limits() -> dict[str, str]:
    """One thread for libraries that start one per core on import; the backend raises it to the config's cpu_threads."""
    return {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _text(path: Path) -> str:
    """Return the content of a file; empty if it cannot be read."""
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError):
        return ""


def has_config_of(run_dir: RunDir, run: PlannedRun) -> bool:
    """Return whether the config.yml of a directory equals that of `run`, literally or once bound."""
    return run.resolved is not None and (_text(run_dir.config) == config_text(run.resolved) or _is_of(run_dir, run))


def _is_of(run_dir: RunDir, run: PlannedRun) -> bool:
    """Return whether the directory's config.yml resolves to `run`, though its text may differ (other trackers, an older version)."""
    try:
        return run_key(resolve(run_dir.config)) == run.identity.key
    except InputError:
        return False


def _only_beginnings(path: Path) -> bool:
    """Return whether a driver may have been killed between creating the directory and writing run.json."""
    return all(entry.name in ("config.yml", "run.lock") or entry.name.endswith(".tmp") for entry in path.iterdir())
