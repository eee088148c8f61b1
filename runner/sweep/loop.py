"""The sweep loop. It holds no state that counts: all that is needed to continue after a kill is in the run directories."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runner.launch.base import Launcher
from runner.store.commands import Situation
from runner.store.control import Inbox
from runner.sweep.active import ActiveSweep
from runner.sweep.clock import Clock, SystemClock
from runner.sweep.directories import RunDirectories
from runner.sweep.dispatch import check_limits, end_pruned, prepare_ahead, start_runs
from runner.sweep.ending import conclude
from runner.sweep.limits import Limits
from runner.sweep.listeners import BestSoFar, JournalListener, Listener, Listeners, Watching
from runner.sweep.obey import handle, heeding
from runner.sweep.pool import TaskPool
from runner.sweep.queue import TrialQueue
from runner.sweep.requests import Requests, counted_signals
from runner.sweep.resume import resume
from runner.sweep.setup import DrivenSweep, LoopOptions, RunOutcome, Workload

POLL_S = 0.2


def run_loop(
    work: Workload,
    launcher: Launcher,
    options: LoopOptions = LoopOptions(),  # noqa: B008 - frozen
    sweep: DrivenSweep | None = None,
    *,
    watch: Callable[[Situation], None] = lambda situation: None,
    listeners: Sequence[Listener] = (),
    clock: Clock = SystemClock(),  # noqa: B008 - without state
) -> list[RunOutcome]:
    """Run the trials of a search until there are no more, or until SIGINT or SIGTERM.

    The first signal asks every worker to save and end; a second one kills them. Finished runs are not started again; interrupted
    runs are resumed from their last checkpoint.

    Args:
        sweep: the directory of the sweep; None for a run by itself.
        watch: called about five times per second, for a screen; `listeners` also hear of events and trials.

    Returns:
        The end of each run, except those that had finished before according to the sweep's history.

    Raises:
        InputError: a run directory cannot be written, holds another run, or another process is working on it.
        RunnerError: too many runs failed in a row; the config changed; the sweep's directory was moved or deleted.
    """
    journal = [JournalListener(sweep.folder.journal)] if sweep else []
    best = BestSoFar(next(iter(work.metrics), None))
    all_listeners = Listeners([*journal, best, Watching(watch), *listeners], best)
    active = _assemble(work, launcher, options, sweep, all_listeners, clock)
    try:
        with counted_signals() as signals:
            requests = Requests(signals, Inbox(sweep.folder.control) if sweep else None)
            try:
                if sweep is not None:
                    active.limits.budget.add_earlier(sweep.history.spent_s, sweep.history.gpu_s)
                    resume(active.queue, work, sweep, retry_failed=options.retry_failed)
                while step(active, requests):
                    all_listeners.on_step(active.situation())
            finally:
                active.pool.close()
        all_listeners.on_step(active.situation())
    finally:
        all_listeners.close()
    return list(active.outcomes)


def step(sweep: ActiveSweep, requests: Requests) -> bool:
    """Do everything that can be done now; return False when nothing is left to do."""
    for request in requests.read():
        handle(sweep, request)
    sweep.is_there()
    sweep.queue.retry_blocked(idle=not sweep.pool.running)
    check_limits(sweep)
    end_pruned(sweep)
    start_runs(sweep)
    was_busy = prepare_ahead(sweep)
    with heeding(sweep, requests):
        exits = sweep.pool.wait(0.0 if was_busy else POLL_S)
    for task, ended in sweep.pool.take(exits):
        conclude(sweep, task, ended)
    sweep.pool.supervise(is_stopping=sweep.limits.is_stopping)
    if sweep.queue.search.wants_reports:
        for task in sweep.pool.running.values():
            sweep.judge(task)
    if sweep.limits.error is not None and not sweep.pool.running:
        raise sweep.limits.error
    if not sweep.pool.running and (sweep.limits.why() or sweep.queue.blocked):
        sweep.pool.clock.sleep(POLL_S)  # a launcher does not wait where nothing runs
    return bool(sweep.pool.running) or bool(sweep.queue)


def _assemble(
    work: Workload, launcher: Launcher, options: LoopOptions, sweep: DrivenSweep | None, listeners: Listeners, clock: Clock
) -> ActiveSweep:
    limits = Limits(options.policy, sweep.folder.path if sweep else None, clock, listeners.on_event)
    return ActiveSweep(
        queue=TrialQueue(work, limits, listeners, clock),
        pool=TaskPool(launcher, work.task_of, options, clock),
        limits=limits,
        directories=RunDirectories(sweep, clock, listeners.on_event, retry_failed=options.retry_failed),
        listeners=listeners,
    )
