"""The queue of a sweep: the runs that wait for a slot, refilled from the search, which is given the results of its trials."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from runner.core.errors import InputError, RunnerError
from runner.search.base import Trial, TrialResult, Wait, run_name
from runner.store.commands import STOPPED_ON_REQUEST
from runner.store.events import RunBlocked, TrialPruned, TrialQueued, TrialRefused
from runner.store.lock import RunHeld
from runner.store.run_dir import FINISHED
from runner.sweep.clock import Clock
from runner.sweep.limits import Limits
from runner.sweep.listeners import Listeners
from runner.sweep.plan import PlannedRun
from runner.sweep.runs import reopen
from runner.sweep.setup import Workload
from runner.sweep.trial_result import RunEnd, trial_result

_BLOCKED_INTERVAL_S = 1.0
_BLOCKED_PATIENCE_S = 10.0
"""Seconds to wait for a run that another process is working on, when no other work is left."""

TrialKey = tuple[int, tuple[int, ...] | None]
"""Number of a trial and the seeds it was queued with: it may be queued again before all of its runs have ended."""


@dataclass(slots=True)
class OpenTrial:
    """A trial that was queued.

    Args:
        left: how many of its runs have not ended.
        ended: seed to the end of its run.
        pruned: why it was pruned; empty if it was not.
    """

    trial: Trial
    left: int
    ended: dict[int, RunEnd] = field(default_factory=dict)
    pruned: str = ""


class CannotPlan(Exception):
    """No further trial can be planned.

    Args:
        cause: why; the sweep ends with it once the active runs have ended.
    """

    def __init__(self, cause: RunnerError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class BlockedRuns:
    """Runs that other processes are working on. They are tried again every second, while everything else continues."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._runs: dict[str, tuple[PlannedRun, RunHeld]] = {}
        self._since: dict[str, float] = {}
        self._next_try = 0.0

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: PlannedRun, why: RunHeld) -> bool:
        """Add a run; False if it was blocked before."""
        name = run.identity.id
        self._runs[name] = run, why
        self._next_try = self._clock.now() + _BLOCKED_INTERVAL_S
        is_new = name not in self._since
        self._since.setdefault(name, self._clock.now())
        return is_new

    def why(self) -> str:
        """Return what blocks the first of them; empty if there is none."""
        return next((str(why) for _, why in self._runs.values()), "")

    def due(self, *, is_last_work: bool) -> list[PlannedRun]:
        """Return the runs to try again now, which are no longer blocked.

        Raises:
            RunHeld: no other work has been left for a while.
        """
        now = self._clock.now()
        if not self._runs or now < self._next_try:
            return []
        if is_last_work and now - min(self._since[name] for name in self._runs) > _BLOCKED_PATIENCE_S:
            raise next(why for _, why in self._runs.values())
        runs = [run for run, _ in self._runs.values()]
        self._runs.clear()
        return runs

    def clear(self) -> None:
        """Forget all of them."""
        self._runs.clear()


class TrialQueue:
    """The runs that wait for a slot, and the trials they belong to.

    Args:
        limits: counts the trials that are refused.
    """

    def __init__(self, work: Workload, limits: Limits, listeners: Listeners, clock: Clock) -> None:
        self.search = work.search
        self.waiting: deque[PlannedRun] = deque()
        self.ready: deque[tuple[PlannedRun, int]] = deque()
        """Runs whose directory is made, so that they can be dispatched at once, and the number of their attempts so far."""
        self.blocked = BlockedRuns(clock)
        self.is_exhausted = False
        """The search has no more trials, or is not asked for any."""
        self.stopped: set[str] = set()
        """Numbers of trials, as text, and names of runs that were stopped for good on request."""
        self._work, self._limits, self._listeners = work, limits, listeners
        self._trials: dict[TrialKey, OpenTrial] = {}
        self._known: set[int] = set()
        self._failed_before: list[Trial] = []

    # ------------------------------------------------------------------------------------------------------------- the runs
    def __bool__(self) -> bool:
        """Return whether a run has not been dispatched yet."""
        return not self.is_exhausted or bool(self.waiting or self.ready or self.blocked)

    def is_blocked(self) -> bool:
        """Return whether other processes are working on everything that is left."""
        return bool(self.blocked) and self.is_exhausted and not (self.waiting or self.ready)

    def trial_of(self, run: PlannedRun) -> OpenTrial:
        """Return the trial of a run."""
        return self._trials[run.trial.number, run.trial.seeds]

    def pruned(self, run: PlannedRun) -> str:
        """Return why a run, or its trial, was pruned; empty if it was not."""
        return self.trial_of(run).pruned or (STOPPED_ON_REQUEST if run.identity.id in self.stopped else "")

    def take_pruned(self) -> list[PlannedRun]:
        """Take the runs that were pruned before they were dispatched."""
        found = [run for run in (*self.waiting, *(run for run, _ in self.ready)) if self.pruned(run)]
        if found:
            self.waiting = deque(run for run in self.waiting if not self.pruned(run))
            self.ready = deque((run, attempts) for run, attempts in self.ready if not self.pruned(run))
        return found

    def block(self, run: PlannedRun, why: RunHeld) -> None:
        """Set a run aside that another process is working on."""
        if self.blocked.add(run, why):
            self._listeners.on_event(RunBlocked(run.identity.id, run.trial.number, str(why)))

    def retry_blocked(self, *, idle: bool) -> None:
        """Put blocked runs back into the queue now and then. Raises RunHeld if no other work has been left for a while."""
        self.waiting.extend(self.blocked.due(is_last_work=idle and self.is_blocked()))

    def drop(self) -> None:
        """Start nothing any more."""
        self.is_exhausted = True
        self.waiting.clear()
        self.ready.clear()
        self.blocked.clear()

    # ----------------------------------------------------------------------------------------------------------- the search
    def add(self, trial: Trial, runs: Sequence[PlannedRun], pruned: str = "") -> None:
        """Queue the runs of a trial."""
        self._known.add(trial.number)
        stopped = STOPPED_ON_REQUEST if str(trial.number) in self.stopped else ""
        self._trials[trial.number, trial.seeds] = OpenTrial(trial, len(runs), pruned=pruned or stopped)
        self.waiting.extend(runs)

    def add_known(self, trial: Trial, pruned: str = "") -> None:
        """Queue the runs of a trial that an earlier driver queued and did not finish."""
        self.add(trial, list(self._work.runs_of(trial)), pruned)

    def refill(self, *, idle: bool) -> bool:
        """Queue the next trial of the search; False if there is none now.

        Args:
            idle: no run is active.

        Raises:
            CannotPlan: no trial can be planned any more.
            RunnerError: the search waits for results although no run is active.
        """
        trial = self.search.ask()
        if trial is None:
            self.is_exhausted = True
            return False
        if isinstance(trial, Wait):
            if idle and not self.blocked:
                raise RunnerError("the search waits for results, but no run is active; please report this, with the sweep's directory")
            return False
        try:
            runs = list(self._work.runs_of(trial))
        except InputError as error:  # only a proposed trial can be invalid: trials of a fixed design were checked before
            self._announce(trial)
            self._listeners.on_event(TrialRefused(trial.number, str(error)))
            self.tell(trial, TrialResult("failed", reason=str(error)))
            self._limits.count_refused(trial.number, str(error))
            return True
        except RunnerError as error:  # not due to the trial
            raise CannotPlan(error) from error
        self.add(trial, runs)
        self._announce(trial)
        return True

    def tell(self, trial: Trial, result: TrialResult) -> None:
        """Give the search the result of a trial."""
        self._known.add(trial.number)
        with self._limits.ended_by_plugin():
            self.search.tell(trial, result)
        self._listeners.on_trial(trial, result)

    def tell_past(self, trial: Trial, ends: dict[int, RunEnd], pruned: str) -> None:
        """Give the search the result of a trial that an earlier driver finished."""
        if failed := tuple(seed for seed, end in ends.items() if end.state == "failed"):
            self._failed_before.append(replace(trial, seeds=failed))
        self.tell(trial, trial_result(ends, pruned, with_reports=self.search.wants_reports))

    def finish(self, run: PlannedRun, end: RunEnd) -> None:
        """Record the end of a run; the last one of a trial gives the search its result."""
        trial = self.trial_of(run)
        trial.left -= 1
        trial.ended[run.seed] = end
        if trial.left == 0 and all(each.state in FINISHED for each in trial.ended.values()):
            self.tell(trial.trial, trial_result(trial.ended, trial.pruned, with_reports=self.search.wants_reports))

    def prune(self, trial: OpenTrial, event: TrialPruned) -> None:
        """Start no more runs of a trial."""
        trial.pruned = event.reason
        self._listeners.on_event(event)

    def open_trials(self, number: str) -> list[OpenTrial]:
        """Return the trials with a number, as text, that have runs left."""
        return [trial for trial in self._trials.values() if number == str(trial.trial.number) and trial.left]

    def stop(self, target: str) -> bool:
        """Let a run, or a trial that the search has not handed out yet, end as pruned in its turn.

        Args:
            target: name of the run, or number of the trial.

        Returns:
            False if there is none of that name.
        """
        planned = [trial for trial in self.search.planned() if trial.number not in self._known]
        if trial := next((trial for trial in planned if target == str(trial.number)), None):
            self._listeners.on_event(TrialPruned(trial.number, STOPPED_ON_REQUEST))
        elif target not in (run.identity.id for run in (*self.waiting, *(run for run, _ in self.ready))):
            seeds = ((trial, seed) for trial in planned for seed in (self._work.seeds if trial.seeds is None else trial.seeds))
            if all(target != run_name(trial, seed) for trial, seed in seeds):
                return False
        self.stopped.add(target)
        return True

    def only_stopped(self) -> bool:
        """Return whether all planned trials that the search has not handed out yet were stopped: then none of them will be dispatched."""
        return all(trial.number in self._known or str(trial.number) in self.stopped for trial in self.search.planned())

    def reopen_failed(self) -> None:
        """Start all failed runs again, of this driver or of earlier ones. An adaptive search keeps their earlier results.

        Raises:
            OSError: it cannot be written.
        """
        for trial in self._trials.values():
            failed = tuple(seed for seed, end in trial.ended.items() if end.state == "failed")
            trial.pruned = "" if failed else trial.pruned
            for run in self._reopened(replace(trial.trial, seeds=failed)) if failed else ():
                trial.left += 1
                del trial.ended[run.seed]
                self.waiting.append(replace(run, trial=trial.trial))
        while self._failed_before:
            runs = list(self._reopened(self._failed_before[-1]))
            self.add(self._failed_before.pop(), runs)

    def _reopened(self, trial: Trial) -> Iterator[PlannedRun]:
        for run in self._work.runs_of(trial):
            self._listeners.on_event(reopen(run.run_dir))
            yield run

    def _announce(self, trial: Trial) -> None:
        self._listeners.on_event(TrialQueued(trial.number, trial.label, trial.overrides, trial.seeds, trial.proposal))
