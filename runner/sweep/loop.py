"""The sweep loop. It holds no state that counts: all that is needed to continue after a kill is in the run directories."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from runner.core.errors import InputError, RunnerError
from runner.core.lock import last_holder
from runner.launch.base import Exit, Launcher
from runner.search.base import Finishes
from runner.store.commands import Command, Situation, Unreadable
from runner.store.control import Inbox
from runner.store.events import (
    BudgetSpent,
    CommandIgnored,
    CommandReceived,
    LateResultIgnored,
    RunEnded,
    RunRetried,
    RunSaved,
    RunStarted,
    TrialPruned,
)
from runner.store.lock import RunHeld, run_held
from runner.store.run_dir import Override, State, Status
from runner.sweep import runs
from runner.sweep.clock import Clock, SystemClock
from runner.sweep.directories import RunDirectories
from runner.sweep.limits import Limits
from runner.sweep.listeners import BestSoFar, JournalListener, Listener, Listeners, Watching
from runner.sweep.plan import PlannedRun
from runner.sweep.pool import SAVE_GRACE_S, TaskPool
from runner.sweep.queue import CannotPlan, OpenTrial, TrialQueue
from runner.sweep.requests import Interrupt, Requests, counted_signals
from runner.sweep.resume import resume
from runner.sweep.retry import AttemptEnd, RetryRule, decide
from runner.sweep.running import RunningTask
from runner.sweep.setup import DrivenSweep, LoopOptions, RunOutcome, Workload
from runner.sweep.trial_result import RunEnd, run_values
from runner.worker.ending import HELD

POLL_S = 0.2
_STOPPED_ON_REQUEST = "stopped on request"


def run_loop(
    work: Workload,
    launcher: Launcher,
    options: LoopOptions = LoopOptions(),  # noqa: B008 - frozen
    sweep: DrivenSweep | None = None,
    *,
    watch: Callable[[Situation], None] = lambda situation: None,
    listeners: Sequence[Listener] = (),
    commands: Callable[[], Sequence[Command]] = lambda: (),
    clock: Clock = SystemClock(),  # noqa: B008 - without state
) -> list[RunOutcome]:
    """Run the trials of a search until there are no more, or until SIGINT or SIGTERM.

    The first signal asks every worker to save and end; a second one kills them. Finished runs are not started again; interrupted
    runs are resumed from their last checkpoint.

    Args:
        sweep: the directory of the sweep; None for a run by itself.
        watch: called about five times per second, for a screen; `listeners` also hear of events and trials.
        commands: returns the requests made in this process since its last call; those of other terminals come from the sweep's directory.

    Returns:
        The end of each run, except those that had finished before according to the sweep's history.

    Raises:
        InputError: a run directory cannot be written, holds another run, or another process is working on it.
        RunnerError: too many runs failed in a row; the config changed; the sweep's directory was moved or deleted.
    """
    journal = [JournalListener(sweep.folder.journal)] if sweep else []
    best = BestSoFar(next(iter(work.metrics), None))
    all_listeners = Listeners([*journal, best, Watching(watch), *listeners], best)
    try:
        with counted_signals() as signals:
            requests = Requests(signals, commands, Inbox(sweep.folder.control) if sweep else None)
            loop = SweepLoop(work, launcher, options, sweep, requests, all_listeners, clock)
            try:
                if sweep is not None:
                    loop.limits.budget.add_earlier(sweep.history.spent_s, sweep.history.gpu_s)
                    resume(loop.queue, work, sweep, retry_failed=options.retry_failed)
                while loop.step():
                    all_listeners.on_step(loop.situation())
            finally:
                loop.pool.close()
        all_listeners.on_step(loop.situation())
    finally:
        all_listeners.close()
    return list(loop.outcomes)


class Outcomes(list[RunOutcome]):
    """The ends of runs, in order."""

    _seen = 0

    def unseen(self) -> Sequence[RunOutcome]:
        """Return those that were added since the last call."""
        new, self._seen = self[self._seen :], len(self)
        return new


class SweepLoop:
    """A search and a launcher, joined: what the queue holds goes to the pool as long as the limits allow it."""

    def __init__(
        self,
        work: Workload,
        launcher: Launcher,
        options: LoopOptions,
        sweep: DrivenSweep | None,
        requests: Requests,
        listeners: Listeners,
        clock: Clock,
    ) -> None:
        self.requests = requests
        self.listeners = listeners
        self.limits = Limits(options.policy, sweep.folder.path if sweep else None, clock, listeners.on_event)
        self.directories = RunDirectories(sweep, clock, listeners.on_event, retry_failed=options.retry_failed)
        self.queue = TrialQueue(work, self.limits, listeners, clock)
        self.pool = TaskPool(launcher, work.task_of, options, clock)
        self.outcomes = Outcomes()

    def step(self) -> bool:
        """Do what can be done now; False when nothing is left to do."""
        for request in self.requests.read():
            self._handle(request)
        self._check_directory()
        self.queue.retry_blocked(idle=not self.pool.running)
        self._check_limits()
        self._start_runs()
        was_busy = self._prepare_ahead()
        for task, ended in self.pool.poll(0.0 if was_busy else POLL_S):
            self._conclude(task, ended)
        self.pool.supervise(is_stopping=self.limits.is_stopping)
        self._prune_by_reports()
        if self.limits.error is not None and not self.pool.running:
            raise self.limits.error
        if not self.pool.running and (self.limits.why() or self.queue.blocked):
            self.pool.clock.sleep(POLL_S)  # a launcher does not wait where nothing runs
        return bool(self.pool.running) or bool(self.queue)

    def situation(self) -> Situation:
        """Return the state of the sweep for monitors."""
        running = [task.run.run_dir for task in self.pool.running.values()]
        blocked = self.queue.blocked.why() if self.queue.is_blocked() and not running else ""
        return Situation(
            slots=self.pool.options.slots,
            used=len(running),
            paused=self.limits.why() or blocked,
            best=self.listeners.best.text,
            running=running,
            ended=[outcome.run.run_dir for outcome in self.outcomes.unseen()],
            by_hand=self.limits.is_paused,
            stopped=self.limits.stopped,
        )

    # ---------------------------------------------------------------------------------------------------------- requests
    def _handle(self, request: Command | Unreadable | Interrupt) -> None:
        if isinstance(request, Interrupt):
            self._stop(SAVE_GRACE_S if request.is_first else 0.0)
        elif isinstance(request, Unreadable):
            self.listeners.on_event(CommandIgnored(request.text, "not a command"))
        elif ignored := self._obey(request):
            self.listeners.on_event(CommandIgnored(str(request), ignored))
        else:
            self.listeners.on_event(CommandReceived(request.action, request.run))

    def _obey(self, command: Command) -> str:
        """Carry out a command; returns why it cannot be, empty if it was."""
        match command.action:
            case "quit":
                self._stop(SAVE_GRACE_S)
            case "pause":
                self.limits.pause(paused=True)
                if command.save:
                    self.pool.save_all()
            case "resume":
                self.limits.pause(paused=False)
            case "stop":
                return self._stop_one(command.run or "")
            case "retry" if self.limits.is_stopping:
                return "the sweep is stopping"
            case "retry":
                try:
                    self.queue.reopen_failed()
                except OSError as error:
                    self.limits.disk.report_full(error)
        return ""

    def _stop_one(self, target: str) -> str:
        """End a run, or all runs of a trial, for good; returns why that is impossible, empty if it is not."""
        trials = self.queue.open_trials(target)
        for trial in trials:
            self._prune(trial, TrialPruned(trial.trial.number, _STOPPED_ON_REQUEST))
        pruned = 0 if trials else self.pool.prune(_STOPPED_ON_REQUEST, lambda run: run.identity.id == target)
        return "" if trials or pruned else "no active run or trial has this name"

    def _stop(self, grace_s: float) -> None:
        """Start nothing more, and end what is active."""
        if self.queue or self.pool.running:
            self.limits.stopped = "interrupted"
        self.limits.is_stopping = True
        self.queue.drop()
        self.pool.cancel_all(grace_s)

    # ------------------------------------------------------------------------------------------------------------ limits
    def _check_limits(self) -> None:
        """End the search when a budget is used up, and see whether a full disk has room again."""
        self.limits.disk.check()
        if self.limits.is_stopping or self.queue.is_exhausted or not (reason := self.limits.budget.exhausted()):
            return
        self.listeners.on_event(BudgetSpent(reason))
        if isinstance(self.queue.search, Finishes):
            self.queue.search.finish()
            self.limits.budget.is_closing = True
        else:
            self.limits.stopped = reason if self.queue else ""
            self.queue.drop()

    def _check_directory(self, *, now: bool = False) -> bool:
        """Return whether the sweep's directory is there. If not, workers are killed: nothing may be made anew where it was."""
        was_lost = self.directories.is_lost
        if not self.directories.is_there(now=now) and not was_lost:
            self.listeners.on_lost()
            self.limits.error = RunnerError(self.directories.lost())
            self.queue.drop()
            self.pool.cancel_all(0.0)
        return not self.directories.is_lost

    # ---------------------------------------------------------------------------------------------------------- dispatch
    def _start_runs(self) -> None:
        """Fill the free slots."""
        while not self.limits.is_stopping and not self.limits.why() and self.pool.has_room():
            if self.queue.ready:
                self._dispatch(*self.queue.ready.popleft())
            elif self.queue.waiting:
                self._prepare(self.queue.waiting.popleft())
            elif self.queue.is_exhausted or not self._refill():
                return

    def _prepare_ahead(self) -> bool:
        """Make one directory of a run that waits, while nothing else is to be done; returns whether there was one to make."""
        if self.limits.is_stopping or self.limits.why() or len(self.queue.ready) >= self.pool.options.slots:
            return False
        if not self.queue.waiting and not (self.queue.search.is_fixed and not self.queue.is_exhausted and self._refill()):
            return False
        if self.queue.waiting:
            self._prepare(self.queue.waiting.popleft())
        return True

    def _refill(self) -> bool:
        try:
            return self.queue.refill(idle=not self.pool.running)
        except CannotPlan as error:
            self.limits.error = error.cause
            return False

    def _prepare(self, run: PlannedRun) -> None:
        """Make the directory of a run, which is ready then, unless it is finished."""
        try:
            outcome = self.directories.prepare(run, self.queue.trial_of(run).pruned)
        except RunHeld as error:
            self._block(run, error)
        except InputError:
            if self._check_directory(now=True):
                raise
        except OSError as error:
            self.limits.disk.report_full(error)
            self.queue.waiting.appendleft(run)
        else:
            if isinstance(outcome, int):
                self.queue.ready.append((run, outcome))
            else:
                self._finish(outcome)

    def _dispatch(self, run: PlannedRun, attempts: int) -> None:
        if self.queue.trial_of(run).pruned:  # since its directory was made
            self._prepare(run)
            return
        self.listeners.on_event(RunStarted(run.identity.id, run.trial.number, run.seed, run.identity.key, attempts + 1))
        self.pool.start(run, attempts)

    def _block(self, run: PlannedRun, why: RunHeld) -> None:
        if not self.directories.is_sweep:
            raise why
        self.queue.block(run, why)

    # ----------------------------------------------------------------------------------------------------------- pruning
    def _prune_by_reports(self) -> None:
        """Let the search judge the trials by the evaluations of their active runs."""
        if self.queue.search.wants_reports:
            for task in self.pool.running.values():
                self._report(task)

    def _report(self, task: RunningTask) -> None:
        trial = self.queue.trial_of(task.run)
        for report in task.reports():
            if trial.pruned:
                return
            if reason := self.queue.search.report(trial.trial, report):
                self._prune(trial, TrialPruned(trial.trial.number, reason, report.seed, report.step))

    def _prune(self, trial: OpenTrial, event: TrialPruned) -> None:
        self.queue.prune(trial, event)
        self.pool.prune_trial(trial)

    # ------------------------------------------------------------------------------------------------------------ ending
    def _conclude(self, task: RunningTask, ended: Exit) -> None:
        """Decide what comes after an attempt that has ended: the end of the run, or another attempt."""
        run_dir = task.run.run_dir
        if task.early_end is not None and task.early_end.state == "pruned" and run_dir.status().state == "done":
            self.listeners.on_event(LateResultIgnored(task.run.identity.id, "done"))
        if not self._check_directory(now=True):
            return
        if ended.returncode == HELD:
            holder = last_holder(run_dir.lock)
            self._block(task.run, run_held(run_dir, str(holder or "another process"), holder.pid if holder else 0))
            return
        asked_to_stop = self.limits.is_stopping or task.saving
        status = runs.conclude(run_dir, ended, task.attempts_before, asked_to_stop=asked_to_stop, early_end=task.early_end)
        took_s = self.pool.clock.now() - task.started
        self.limits.budget.add_attempt(took_s)
        self.pool.observe_end(task.run, status)
        if (final := self._retry(task, status)) is None:
            return
        if self.queue.search.wants_reports and final.state == "done":
            self._report(task)
        exit_code = ended.returncode if ended.signal is None and run_dir.path.is_dir() else None  # else it is no more than an accident
        self._finish(RunOutcome(replace(task.run, resolved=None), final, exit_code=exit_code), took_s)

    def _retry(self, task: RunningTask, status: Status) -> Status | None:
        """Put a run back into the queue if it is to be continued or retried; else returns its final status."""
        run, options = task.run, self.pool.options
        retries = 0 if status.state == "done" else runs.retries_of(run.run_dir)
        rule = RetryRule(
            options.policy.retries,
            is_sweep=self.directories.is_sweep,
            is_stopping=self.limits.is_stopping,
            interruption_is_final=options.stop_when_interrupted,
        )
        match decide(AttemptEnd(status.state, status.cause, retries, task.saving), rule):
            case "finish":
                return status
            case "wait for space":
                self.limits.disk.report_full(OSError(f"{run.run_dir.name} found no room"))
            case "continue later":
                self.listeners.on_event(RunSaved(run.identity.id, run.trial.number))
            case "retry":
                text = f"{status.reason}; started again ({retries + 1} of {rule.retries})"
                self._override(run, status, "interrupted", text, retries + 1)
                self.listeners.on_event(RunRetried(run.identity.id, run.trial.number, status.reason))
            case "fail":
                attempts = f"{retries + 1} attempts that ended like this" if retries else "one attempt (resources.retries is 0)"
                text = f"{status.reason}; failed after {attempts}"
                self._override(run, status, "failed", text, retries)
                return replace(status, state="failed", reason=text)
        self.queue.waiting.appendleft(run)
        return None

    def _override(self, run: PlannedRun, status: Status, state: State, reason: str, retries: int) -> None:
        override = Override(state, reason, status.attempt, time.time(), status.cause, retries, final=True)
        self.directories.write_override(run.run_dir, override)

    def _finish(self, outcome: RunOutcome, took_s: float = 0.0) -> None:
        """Record the end of a run."""
        run, status = outcome.run, outcome.status
        self.outcomes.append(outcome)
        if self.pool.options.stop_when_interrupted and status.state == "interrupted":
            self._stop(grace_s=0.0)
        values = run_values(run.run_dir, status.values) if status.state == "done" else None
        if not outcome.reused or not self.directories.is_recorded(run):
            self.listeners.on_event(
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
                    spent_s=round(self.limits.budget.spent_s(), 3),
                    gpu_s=round(self.limits.budget.gpu_s, 3),
                )
            )
        if not outcome.reused:
            self.limits.count(run.trial.number, status)
        self.queue.finish(run, RunEnd(run.run_dir, status.state, status.cause, status.reason or "", values))
