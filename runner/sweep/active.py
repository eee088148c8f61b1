"""A sweep that is being driven: its parts, and the operations on them that the loop's parts share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from runner.core.errors import RunnerError
from runner.store.commands import Situation
from runner.store.events import TrialPruned
from runner.store.lock import RunHeld
from runner.sweep.directories import RunDirectories
from runner.sweep.limits import Limits
from runner.sweep.listeners import Listeners
from runner.sweep.plan import PlannedRun
from runner.sweep.pool import TaskPool
from runner.sweep.queue import OpenTrial, TrialQueue
from runner.sweep.running import RunningTask
from runner.sweep.setup import RunOutcome


class Outcomes(list[RunOutcome]):
    """Finished runs, in order."""

    _seen = 0

    def unseen(self) -> Sequence[RunOutcome]:
        """Return those that were added since the last call."""
        new, self._seen = self[self._seen :], len(self)
        return new


@dataclass(slots=True)
class ActiveSweep:
    """A search connected to a launcher: queued runs go to the pool as long as the limits allow it."""

    queue: TrialQueue
    pool: TaskPool
    limits: Limits
    directories: RunDirectories
    listeners: Listeners
    outcomes: Outcomes = field(default_factory=Outcomes)

    def situation(self) -> Situation:
        """Return the state of the sweep for monitors."""
        running = [task.run.run_dir for task in self.pool.running.values()]
        ended = self.outcomes.unseen()
        blocked = self.queue.blocked.why() if self.queue.is_blocked() and not running else ""
        return Situation(
            slots=self.pool.slots,
            used=len(running),
            paused=self.limits.why() or blocked,
            best=self.listeners.best.text,
            running=running,
            ended=[outcome.run.run_dir for outcome in ended],
            not_started=[each.run.run_dir for each in ended if each.status.state == "pruned" and not each.run.run_dir.exists()],
            by_hand=self.limits.is_paused,
            stopped=self.limits.stopped,
        )

    def stop(self, grace_s: float) -> None:
        """Start no further runs and end the active ones: workers that have not ended after `grace_s` are killed."""
        if self.queue or self.pool.running:
            self.limits.stopped = "interrupted"
        self.limits.is_stopping = True
        self.queue.drop()
        self.pool.cancel_all(grace_s)

    def is_there(self, *, now: bool = False) -> bool:
        """Return whether the sweep's directory is still in place. If not, workers are killed: nothing may be created at the old path."""
        was_lost = self.directories.is_lost
        if not self.directories.is_there(now=now) and not was_lost:
            self.listeners.on_lost()
            self.limits.error = RunnerError(self.directories.lost())
            self.queue.drop()
            self.pool.cancel_all(0.0)
        return not self.directories.is_lost

    def block(self, run: PlannedRun, why: RunHeld) -> None:
        """Set a run aside that another process is working on. Raises `why` for a run by itself."""
        if not self.directories.is_sweep:
            raise why
        self.queue.block(run, why)

    def prune(self, trial: OpenTrial, event: TrialPruned) -> None:
        """End the active runs of a trial, and start no more of them."""
        self.queue.prune(trial, event)
        self.pool.prune_trial(trial)

    def judge(self, task: RunningTask) -> None:
        """Let the search judge a trial by the new evaluations of one of its runs."""
        trial = self.queue.trial_of(task.run)
        with self.limits.ended_by_plugin():
            for report in task.reports():
                if trial.pruned:
                    return
                if reason := self.queue.search.report(trial.trial, report):
                    self.prune(trial, TrialPruned(trial.trial.number, reason, report.seed, report.step))
