"""The end of an attempt: the run has ended, or it goes back into the queue."""

from __future__ import annotations

import time
from dataclasses import replace

from runner.core.lock import last_holder
from runner.launch.base import Exit
from runner.store.events import LateResultIgnored, RunEnded, RunRetried, RunSaved
from runner.store.lock import run_held
from runner.store.run_dir import Override, State, Status
from runner.sweep import runs
from runner.sweep.active import ActiveSweep
from runner.sweep.plan import PlannedRun
from runner.sweep.retry import AttemptEnd, RetryRule, decide
from runner.sweep.running import RunningTask
from runner.sweep.setup import RunOutcome
from runner.sweep.trial_result import RunEnd, run_values
from runner.worker.ending import HELD


def conclude(sweep: ActiveSweep, task: RunningTask, ended: Exit) -> None:
    """Decide what follows an attempt that has ended: the end of the run, or another attempt."""
    run_dir = task.run.run_dir
    if task.early_end is not None and task.early_end.state == "pruned" and run_dir.status().state == "done":
        sweep.listeners.on_event(LateResultIgnored(task.run.identity.id, "done"))
    if not sweep.is_there(now=True):
        return
    if ended.returncode == HELD:
        holder = last_holder(run_dir.lock)
        sweep.block(task.run, run_held(run_dir, str(holder or "another process"), holder.pid if holder else 0))
        return
    asked_to_stop = sweep.limits.is_stopping or task.saving
    status = runs.conclude(run_dir, ended, task.attempts_before, asked_to_stop=asked_to_stop, early_end=task.early_end)
    took_s = sweep.pool.clock.now() - task.started
    sweep.limits.budget.add_attempt(took_s)
    sweep.pool.observe_end(task.run, status)
    if (final := _retry(sweep, task, status)) is None:
        return
    if sweep.queue.search.wants_reports and final.state == "done":
        sweep.judge(task)
    exit_code = ended.returncode if ended.signal is None and run_dir.path.is_dir() else None  # else it is no more than an accident
    finish(sweep, RunOutcome(replace(task.run, resolved=None), final, exit_code=exit_code), took_s)


def _retry(sweep: ActiveSweep, task: RunningTask, status: Status) -> Status | None:
    """Put a run back into the queue if it is to be continued or retried; otherwise return its final status."""
    run = task.run
    retries = 0 if status.state == "done" else runs.retries_of(run.run_dir)
    rule = RetryRule(
        sweep.limits.policy.retries,
        is_sweep=sweep.directories.is_sweep,
        is_stopping=sweep.limits.is_stopping,
        interruption_is_final=sweep.pool.in_process,
    )
    match decide(AttemptEnd(status.state, status.cause, retries, task.saving), rule):
        case "finish":
            return status
        case "wait for space":
            sweep.limits.disk.report_full(OSError(f"{run.run_dir.name} found no room"))
        case "continue later":
            sweep.listeners.on_event(RunSaved(run.identity.id, run.trial.number))
        case "retry":
            text = f"{status.reason}; started again ({retries + 1} of {rule.retries})"
            _override(sweep, run, status, "interrupted", text, retries + 1)
            sweep.listeners.on_event(RunRetried(run.identity.id, run.trial.number, status.reason))
        case "fail":
            attempts = f"{retries + 1} attempts that ended like this" if retries else "one attempt (resources.retries is 0)"
            text = f"{status.reason}; failed after {attempts}"
            _override(sweep, run, status, "failed", text, retries)
            return replace(status, state="failed", reason=text)
    sweep.queue.waiting.appendleft(run)
    return None


def _override(sweep: ActiveSweep, run: PlannedRun, status: Status, state: State, reason: str, retries: int) -> None:
    override = Override(state, reason, status.attempt, time.time(), status.cause, retries, final=True)
    sweep.directories.write_override(run.run_dir, override)


def finish(sweep: ActiveSweep, outcome: RunOutcome, took_s: float = 0.0) -> None:
    """Record the end of a run."""
    run, status = outcome.run, outcome.status
    sweep.outcomes.append(outcome)
    if sweep.pool.in_process and status.state == "interrupted":  # by the signal that this process received
        sweep.stop(grace_s=0.0)
    values = run_values(run.run_dir, status.values) if status.state == "done" else None
    if not outcome.reused or not sweep.directories.is_recorded(run):
        sweep.listeners.on_event(
            RunEnded(
                run.identity.id,
                run.trial.number,
                run.seed,
                run.identity.key,
                status.state,
                status.cause,
                status.reason,
                values,
                time_s=round(took_s, 3),
                spent_s=round(sweep.limits.budget.spent_s(), 3),
                gpu_s=round(sweep.limits.budget.gpu_s, 3),
            )
        )
    if not outcome.reused:
        sweep.limits.count(run.trial.number, status)
    sweep.queue.finish(run, RunEnd(run.run_dir, status.state, status.cause, status.reason or "", values))
