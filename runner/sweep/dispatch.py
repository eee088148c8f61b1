"""Dispatching: the queue is refilled, directories are made, and runs are given to the pool while the limits allow it."""

from __future__ import annotations

from runner.core.errors import InputError
from runner.search.base import Finishes
from runner.store.events import BudgetSpent, RunStarted
from runner.store.lock import RunHeld
from runner.sweep.active import ActiveSweep
from runner.sweep.ending import finish
from runner.sweep.plan import PlannedRun
from runner.sweep.queue import CannotPlan


def check_limits(sweep: ActiveSweep) -> None:
    """End the search when a budget is used up, and check whether a full disk has room again.

    A run that would be retried then stays interrupted, for a driver with a larger budget.
    """
    sweep.limits.disk.check()
    if sweep.limits.is_stopping or not sweep.queue or not (reason := sweep.limits.budget.exhausted()):
        return
    if not sweep.limits.stopped:
        sweep.listeners.on_event(BudgetSpent(reason))
    if isinstance(sweep.queue.search, Finishes) and not sweep.queue.is_exhausted:
        with sweep.limits.ended_by_plugin():
            sweep.queue.search.finish()
        sweep.limits.budget.is_closing = True
    else:
        sweep.limits.stopped = reason
        sweep.queue.drop()


def start_runs(sweep: ActiveSweep) -> None:
    """Fill the free slots."""
    while not sweep.limits.is_stopping and not sweep.limits.why() and sweep.pool.has_room():
        if sweep.queue.ready:
            _dispatch(sweep, *sweep.queue.ready.popleft())
        elif sweep.queue.waiting:
            _prepare(sweep, sweep.queue.waiting.popleft())
        elif sweep.queue.is_exhausted or not _refill(sweep):
            return


def end_pruned(sweep: ActiveSweep) -> None:
    """End the runs that were pruned before they were dispatched, also while the sweep is paused; it ends when nothing else is left."""
    if sweep.limits.is_stopping or sweep.limits.disk.full:
        return
    for run in sweep.queue.take_pruned():
        _prepare(sweep, run)
    queue = sweep.queue
    if sweep.limits.is_paused and not (sweep.pool.running or queue.waiting or queue.ready or queue.blocked or queue.is_exhausted):
        if queue.only_stopped():
            _refill(sweep)


def prepare_ahead(sweep: ActiveSweep) -> bool:
    """Make the directory of one waiting run while nothing else is to be done; return whether there was one to make."""
    if sweep.limits.is_stopping or sweep.limits.why() or len(sweep.queue.ready) >= sweep.pool.slots:
        return False
    if not sweep.queue.waiting and not (sweep.queue.search.is_fixed and not sweep.queue.is_exhausted and _refill(sweep)):
        return False
    if sweep.queue.waiting:
        _prepare(sweep, sweep.queue.waiting.popleft())
    return True


def _refill(sweep: ActiveSweep) -> bool:
    try:
        with sweep.limits.ended_by_plugin():
            return sweep.queue.refill(idle=not sweep.pool.running)
    except CannotPlan as error:
        sweep.limits.error = error.cause
    return False


def _prepare(sweep: ActiveSweep, run: PlannedRun) -> None:
    """Make the directory of a run, which is ready then, unless it is finished."""
    try:
        outcome = sweep.directories.prepare(run, sweep.queue.pruned(run))
    except RunHeld as error:
        sweep.block(run, error)
    except InputError:
        if sweep.is_there(now=True):
            raise
    except OSError as error:
        sweep.limits.disk.report_full(error)
        sweep.queue.waiting.appendleft(run)
    else:
        if isinstance(outcome, int):
            sweep.queue.ready.append((run, outcome))
        else:
            finish(sweep, outcome)


def _dispatch(sweep: ActiveSweep, run: PlannedRun, attempts: int) -> None:
    if sweep.queue.pruned(run):  # since its directory was made
        _prepare(sweep, run)
        return
    sweep.listeners.on_event(RunStarted(run.identity.id, run.trial.number, run.seed, run.identity.key, attempts + 1))
    with sweep.limits.ended_by_plugin():
        sweep.pool.start(run, attempts)
