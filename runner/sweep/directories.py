"""Run directories of a sweep that is being driven: created before a run starts, or copied from a finished run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from runner.core.values import shell_path
from runner.store.events import Event, OverrideNotWritten
from runner.store.run_dir import Override, RunDir, Status
from runner.sweep import runs
from runner.sweep.clock import Clock
from runner.sweep.plan import PlannedRun
from runner.sweep.reuse import FinishedRuns
from runner.sweep.setup import DrivenSweep, RunOutcome

_CHECK_INTERVAL_S = 1.0


class RunDirectories:
    """Makes run directories, and notices that the sweep's directory was moved or deleted.

    Args:
        sweep: None for a run by itself.
        retry_failed: a failed run is not finished.
        notify: receives the events.
    """

    def __init__(self, sweep: DrivenSweep | None, clock: Clock, notify: Callable[[Event], None], *, retry_failed: bool) -> None:
        self._sweep, self._clock, self._notify = sweep, clock, notify
        self._reusable = FinishedRuns(sweep.folder, notify) if sweep else None
        self._retry_failed = retry_failed
        self._next_check = 0.0
        self.is_lost = False
        """Handle that the sweep's directory was moved or deleted: nothing may be written at its old path."""

    @property
    def is_sweep(self) -> bool:
        """Return whether there is a sweep."""
        return self._sweep is not None

    # ------------------------------------------------------------------------------------------------- the sweep's directory
    def is_there(self, *, now: bool = False) -> bool:
        """Return whether the sweep's directory is still in place, checked once per second, or `now`."""
        if self._sweep is None or self._sweep.lock is None or self.is_lost:
            return not self.is_lost
        if now or self._clock.now() >= self._next_check:
            self._next_check = self._clock.now() + _CHECK_INTERVAL_S
            self.is_lost = not (self._sweep.lock.is_there() and os.path.isdir(self._sweep.folder.runs))
        return not self.is_lost

    def lost(self) -> str:
        """Return the message for a sweep whose directory is lost."""
        assert self._sweep is not None and self._sweep.lock is not None
        path, now = self._sweep.folder.path, self._sweep.lock.moved_to()
        if now and Path(now) != path.absolute():
            what, advice = f"was moved to {now}", f"continue it: runner resume {shell_path(now)}"
        else:
            what, advice = "was deleted, or replaced by another", "`runner sweep` starts it over"
        return f"the sweep's directory {path} {what} while the sweep ran: its workers were killed and nothing is written there; {advice}"

    def is_recorded(self, run: PlannedRun) -> bool:
        """Return whether an earlier driver has recorded the end of a run."""
        return self._sweep is not None and run.identity.id in self._sweep.history.noted

    # ------------------------------------------------------------------------------------------------------ the runs' own
    def prepare(self, run: PlannedRun, pruned: str) -> RunOutcome | int:
        """Make the directory of a run; return its end if nothing has to be started, otherwise the number of earlier attempts.

        Args:
            pruned: why its trial was pruned; empty if it was not.

        Raises:
            RunHeld: another process is working on the run.
            InputError: the directory holds something else, or cannot be written.
            OSError: the disk is full.
        """
        status = run.run_dir.status() if run.run_dir.exists() else Status()
        finished = status.state in ("done", "pruned") or (status.state == "failed" and not self._retry_failed)
        if not finished and not pruned and self._reusable is not None and not run.run_dir.path.exists():
            finished = self._reusable.reuse(run)
        attempts = runs.prepare_run_dir(run, in_sweep=self.is_sweep) if finished or not pruned else status.attempt
        if finished:
            return RunOutcome(replace(run, resolved=None), run.run_dir.status(), reused=True)
        if not pruned:
            return attempts
        if run.run_dir.exists():
            self.write_override(run.run_dir, Override("pruned", pruned, status.attempt, time.time(), final=True))
        return RunOutcome(replace(run, resolved=None), replace(status, state="pruned", reason=pruned), reused=True)

    def write_override(self, run_dir: RunDir, override: Override) -> None:
        """Record the driver's conclusion about a run; a full disk loses only that."""
        try:
            run_dir.write_override(override)
        except OSError as error:
            self._notify(OverrideNotWritten(run_dir.name, override.state, str(error)))
