"""The conductor's loop. It holds no state that counts: all that it needs to go on after a kill is in the run directories."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from runner.core.errors import InputError, RunnerError
from runner.core.lock import Lock, last_holder
from runner.core.values import shell_path
from runner.launch.base import Launcher, MeasuresMemory
from runner.search.base import Finishes, FixedSearch, Search, Trial, TrialResult, Wait
from runner.search.spec import Metric
from runner.store.commands import Command, Situation, Unreadable
from runner.store.control import Inbox
from runner.store.events import (
    BudgetSpent,
    CommandIgnored,
    CommandReceived,
    Event,
    LateResultIgnored,
    OverrideNotWritten,
    RunBlocked,
    RunEnded,
    RunRetried,
    RunStarted,
    TrialPruned,
    TrialQueued,
    TrialRefused,
)
from runner.store.journal import Journal
from runner.store.lock import RunHeld, run_held
from runner.store.run_dir import FINISHED, Override, RunDir, Status
from runner.sweep import runs as one_run
from runner.sweep.history import History, PastRun, merged
from runner.sweep.limits import Brakes
from runner.sweep.plan import PlannedRun
from runner.sweep.policy import Policy
from runner.sweep.reuse import Elsewhere
from runner.sweep.running import Watched, evaluations
from runner.sweep.setup import ConcurrencyLimit, DrivenSweep, LoopOptions, RunOutcome, Workload
from runner.sweep.sweep_dir import SweepDir
from runner.sweep.trial_result import finite_number, run_values, trial_result
from runner.worker.ending import HELD

POLL_S = 0.2
SAVE_GRACE_S = 60.0
_HANG_GRACE_S = 5.0
_MEASURE_INTERVAL_S = 2.0
_FOLDER_INTERVAL_S = 1.0
_ASIDE_INTERVAL_S = 1.0
_ASIDE_PATIENCE_S = 10.0
"""Seconds that the driver waits for a run that another process is working on, when nothing else is left to do."""
_RETRIED: frozenset[str | None] = frozenset({"crash", "hung"})


@dataclass
class _Interrupts:
    count: int = 0
    handled: int = field(default=0)

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


@dataclass(slots=True)
class _Trial:
    """A trial that was handed out: what is left of it, and how its runs ended."""

    trial: Trial
    left: int
    ended: dict[int, tuple[PlannedRun, Status]] = field(default_factory=dict)
    given_up: str = ""


def run_loop(
    work: Workload,
    launcher: Launcher,
    options: LoopOptions = LoopOptions(),  # noqa: B008 - frozen
    sweep: DrivenSweep | None = None,
    *,
    watch: Callable[[Situation], None] = lambda situation: None,
    commands: Callable[[], Sequence[Command]] = lambda: (),
) -> list[RunOutcome]:
    """Run the trials of a search until there are no more, or until SIGINT or SIGTERM.

    The first signal asks every worker to save and end; a second one kills them. Finished runs are not started again; interrupted
    runs are resumed from their last checkpoint.

    Args:
        sweep: the directory of the sweep; None for a run by itself.
        watch: called about five times per second.
        commands: returns the requests made in this process since its last call; those of other terminals come from the sweep's directory.

    Returns:
        The end of each run, except those that had finished before according to the sweep's history.

    Raises:
        InputError: a run directory cannot be written, holds another run, or another process is working on it.
        RunnerError: too many runs failed in a row; the config changed; the sweep's directory was moved or deleted.
    """
    conductor = _Conductor(
        search=work.search,
        runs_of=work.runs_of,
        launcher=launcher,
        commands=commands,
        sweep=sweep.folder if sweep else None,
        lock=sweep.lock if sweep else None,
        metrics=tuple(work.metrics),
        policy=options.policy,
        packing=options.packing,
        slots=options.slots,
        seeds=tuple(work.seeds),
        keys=work.keys,
        retry_failed=options.retry_failed,
        stop_when_interrupted=options.stop_when_interrupted,
        keep_warm=options.keep_warm,
    )
    with _interrupts() as interrupts:
        try:
            conductor.take_up(sweep.history if sweep else History())
            while conductor.step(interrupts):
                watch(conductor.situation())
        finally:
            launcher.close()
            conductor.close()
    watch(conductor.situation())
    return conductor.outcomes


class _Conductor:
    def __init__(
        self,
        *,
        search: Search,
        runs_of: Callable[[Trial], Sequence[PlannedRun]],
        launcher: Launcher,
        commands: Callable[[], Sequence[Command]],
        sweep: SweepDir | None,
        lock: Lock | None,
        metrics: tuple[Metric, ...],
        policy: Policy,
        packing: ConcurrencyLimit | None,
        slots: int,
        seeds: tuple[int, ...],
        keys: Mapping[tuple[int, int], str],
        retry_failed: bool,
        stop_when_interrupted: bool,
        keep_warm: bool,
    ) -> None:
        self._search = search
        self._runs_of = runs_of
        self._launcher = launcher
        self._commands = commands
        self._sweep = sweep
        self._inbox = Inbox(sweep.control) if sweep else None
        self._journal = Journal(sweep.journal) if sweep else None
        self._elsewhere = Elsewhere(sweep, self._note) if sweep else None
        self._metrics = metrics
        self._policy = policy
        self._packing = packing
        self._slots = slots
        self._seeds = seeds
        self._keys = keys
        self._retry_failed = retry_failed
        self._stop_when_interrupted = stop_when_interrupted
        self._keep_warm = keep_warm
        self._waiting: deque[PlannedRun] = deque()
        self._ready: deque[PlannedRun] = deque()
        """Those of them whose directory is there: they can start at once."""
        self._aside: dict[str, tuple[PlannedRun, RunHeld]] = {}
        """Those that another process is working on, by the name of their directory."""
        self._aside_since: dict[str, float] = {}
        self._look_aside_at = 0.0
        self._running: dict[str, Watched] = {}
        self._trials: dict[tuple[int, tuple[int, ...] | None], _Trial] = {}
        """By number and the seeds they were handed out with: one may be handed out again before all of it has ended."""
        self._exhausted = False
        self._asked_to_stop = False
        self._brakes = Brakes(policy, sweep.path if sweep else None, self._note)
        self._best: tuple[float, str] | None = None
        self._next_measure = 0.0
        self._noted: frozenset[str] = frozenset()
        self._failed_before: list[Trial] = []
        self._told_of = 0
        self._stopped = ""
        self._lock = lock
        self._is_gone = False
        self._look_for_folder_at = 0.0
        self.outcomes: list[RunOutcome] = []

    # ------------------------------------------------------------------------------------------------------ beginning
    def take_up(self, history: History) -> None:
        """Tell the search what earlier drivers did, and go on with what they did not finish."""
        self._noted = history.noted
        self._brakes.take_up(history.spent_s, history.gpu_s)
        planned = {trial.number: trial for trial in self._search.planned()}
        is_fixed = isinstance(self._search, FixedSearch)
        handed_out: set[tuple[int, int]] = set()
        for past in merged(history.trials) if is_fixed else history.trials:
            if is_fixed and past.trial.number not in planned:
                continue  # the design has lost it
            trial = planned[past.trial.number] if is_fixed else past.trial
            if not is_fixed and trial.seeds is None and (now := planned.get(trial.number)) is not None and now.seeds is not None:
                trial = replace(trial, seeds=now.seeds)  # an earlier driver's design did not say which
            if past.refused and past.trial.number not in planned:
                self._search.tell(trial, TrialResult("failed", reason=past.refused))
                continue
            seeds = self._seeds if trial.seeds is None else trial.seeds
            started = {seed: run for seed, run in past.runs.items() if seed in seeds}  # others came later, to confirm it
            ended = {seed: run for seed, run in started.items() if run.finished and not (self._retry_failed and run.state == "failed")}
            kept = [seed for seed in seeds if seed in ended and ended[seed].key == self._keys.get((trial.number, seed), ended[seed].key)]
            if len(kept) == len(seeds) or (past.pruned and len(ended) == len(started)):
                self._tell_past(trial, ended, past.pruned)
                continue
            self._search.resume(trial)
            if left := tuple(seed for seed in seeds if (trial.number, seed) not in handed_out):  # seeds may have been added since
                trial = trial if len(left) == len(seeds) else replace(trial, seeds=left)
                handed_out.update((trial.number, seed) for seed in left)
                self._hand_out(trial, list(self._runs_of(trial)), past.pruned, known=True)

    def _tell_past(self, trial: Trial, ended: Mapping[int, PastRun], given_up: str) -> None:
        assert self._sweep is not None  # it has a past
        folder, wants_reports = self._sweep.runs, self._search.wants_reports
        values = {seed: run.values or run_values(RunDir(folder / run.folder)) for seed, run in ended.items() if run.state == "done"}
        reports = {seed: evaluations(RunDir(folder / run.folder).records()) for seed, run in ended.items()} if wants_reports else {}
        states = [(run.state, run.cause, run.reason) for run in ended.values()]
        if failed := tuple(seed for seed, run in ended.items() if run.state == "failed"):
            self._failed_before.append(replace(trial, seeds=failed))
        self._tell(trial, trial_result(states, values, reports, given_up))

    # ----------------------------------------------------------------------------------------------------------- steps
    def step(self, interrupts: _Interrupts) -> bool:
        """Start what can start, take note of what has ended; False when there is nothing left to do."""
        if interrupts.count > interrupts.handled:
            interrupts.handled = interrupts.count
            self._stop(grace_s=SAVE_GRACE_S if interrupts.count == 1 else 0.0)
        for command in [*self._commands(), *(self._inbox.read() if self._inbox else ())]:
            if isinstance(command, Unreadable):
                self._note(CommandIgnored(command.text, "not a command"))
            elif ignored := self._obey(command):
                self._note(CommandIgnored(str(command), ignored))
            else:
                self._note(CommandReceived(command.action, command.run))
        if time.monotonic() >= self._look_for_folder_at:
            self._look_for_folder_at = time.monotonic() + _FOLDER_INTERVAL_S
            self._look_for_folder()
        self._look_aside()
        self._start_what_can()
        busy = self._prepare_ahead() if not self._exhausted or self._waiting else False
        for exit_ in self._launcher.poll(0.0 if busy else POLL_S):
            watched = self._running.pop(exit_.name)
            if watched.over is not None and watched.over[0] == "pruned" and watched.run.run_dir.status().state == "done":
                self._note(LateResultIgnored(watched.run.identity.id, "done"))
            if not self._look_for_folder():
                continue
            if exit_.returncode == HELD:
                holder = last_holder(watched.run.run_dir.lock)
                self._set_aside(watched.run, run_held(watched.run.run_dir, str(holder or "another process"), holder.pid if holder else 0))
                continue
            status = one_run.conclude(
                watched.run.run_dir, exit_, watched.attempts_before, asked_to_stop=self._asked_to_stop, over=watched.over
            )
            self._take_note(watched, status, exit_.returncode if exit_.signal is None else None)
        self._supervise()
        if not self._running and (self._brakes.why() or self._aside):
            time.sleep(POLL_S)  # the launcher does not wait where nothing runs
        if self._brakes.problem is not None and not self._running:
            raise self._brakes.problem
        return bool(self._running) or not self._exhausted or bool(self._waiting or self._ready or self._aside)

    def situation(self) -> Situation:
        """For whoever watches."""
        running = [watched.run.run_dir for watched in self._running.values()]
        ended = [outcome.run.run_dir for outcome in self.outcomes[self._told_of :]]
        self._told_of = len(self.outcomes)
        return Situation(
            self._slots,
            len(running),
            self._brakes.why() or self._waits_for_others(),
            self._best[1] if self._best else "",
            running,
            ended,
            self._brakes.by_hand,
            self._stopped,
        )

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    # --------------------------------------------------------------------------------------------------------- starting
    def _start_what_can(self) -> None:
        if not self._asked_to_stop and not self._exhausted and (over := self._brakes.out_of_budget()):
            self._note(BudgetSpent(over))
            if isinstance(self._search, Finishes):
                self._search.finish()
                self._brakes.closing = True
            else:
                self._stopped = over if self._is_left() else ""
                self._drop_rest()
        self._brakes.look()
        while not self._asked_to_stop and not self._brakes.why() and self._launcher.free() > 0:
            if self._packing is not None and self._running and not self._packing.room(len(self._running)):
                return
            if self._ready:
                self._start(self._ready.popleft())
            elif self._waiting:
                self._prepare(self._waiting.popleft())
            elif self._exhausted or not self._ask():
                return

    def _prepare_ahead(self) -> bool:
        """Make the directory of a run that waits, while nothing else is to be done; whether there was one to make."""
        if self._asked_to_stop or self._brakes.why() or len(self._ready) >= self._slots:
            return False
        if not self._waiting and not (isinstance(self._search, FixedSearch) and not self._exhausted and self._ask()):
            return False
        if self._waiting:
            self._prepare(self._waiting.popleft())
        return True

    def _ask(self) -> bool:
        """Take the next trial from the search; False if there is none now."""
        trial = self._search.ask()
        if trial is None:
            self._exhausted = True
        if isinstance(trial, Wait) and not self._running and not self._aside:
            raise RunnerError("the search waits for results that nobody is working on: please report this, with the sweep's directory")
        if trial is None or isinstance(trial, Wait):
            return False
        try:
            runs = list(self._runs_of(trial))
        except InputError as error:  # a point that was proposed and cannot be: what is fixed in advance was checked before
            self._note_trial(trial)
            self._note(TrialRefused(trial.number, str(error)))
            self._tell(trial, TrialResult("failed", reason=str(error)))
            self._brakes.count_failure(trial.number, str(error))
            return True
        except RunnerError as error:  # no trial's fault: what runs ends, and then the sweep does
            self._brakes.problem = error
            return False
        self._hand_out(trial, runs)
        return True

    def _hand_out(self, trial: Trial, runs: Sequence[PlannedRun], given_up: str = "", *, known: bool = False) -> None:
        self._trials[trial.number, trial.seeds] = _Trial(trial, len(runs), given_up=given_up)
        if not known:
            self._note_trial(trial)
        self._waiting.extend(runs)

    def _prepare(self, run: PlannedRun) -> None:
        """Make the run's directory; it can start then, unless it is finished."""
        trial = self._trials[run.trial.number, run.trial.seeds]
        status = run.run_dir.status() if run.run_dir.exists() else Status()
        finished = status.state in ("done", "pruned") or (status.state == "failed" and not self._retry_failed)
        try:
            if not finished and not trial.given_up and self._elsewhere is not None and not run.run_dir.path.exists():
                finished = self._elsewhere.take_over(run)
            if finished or not trial.given_up:
                one_run.prepare_run_dir(run, in_sweep=self._sweep is not None)
        except RunHeld as error:
            self._set_aside(run, error)
            return
        except InputError:
            if self._look_for_folder():
                raise
            return
        except OSError as error:
            self._brakes.no_room(error)
            self._waiting.appendleft(run)
            return
        light = replace(run, resolved=None)
        if finished:
            self._finish(RunOutcome(light, run.run_dir.status(), reused=True))
        elif trial.given_up:
            if run.run_dir.exists():
                self._judge(run.run_dir, Override("pruned", trial.given_up, status.attempt, time.time(), final=True))
            self._finish(RunOutcome(light, replace(status, state="pruned", reason=trial.given_up), reused=True))
        else:
            self._ready.append(run)

    def _start(self, run: PlannedRun) -> None:
        if self._trials[run.trial.number, run.trial.seeds].given_up:
            self._prepare(run)
            return
        task = one_run.task_of(run)
        status = run.run_dir.status()
        self._note(RunStarted(run.identity.id, run.trial.number, run.seed, run.identity.key, status.attempt + 1))
        self._running[task.name] = Watched(run, status.attempt)
        warm = task.warm if self._keep_warm else "no"
        self._launcher.submit(replace(task, warm=warm, resources=self._policy.resources))

    # ---------------------------------------------------------------------------------------- what others are working on
    def _set_aside(self, run: PlannedRun, why: RunHeld) -> None:
        """Another process is working on the run: it is tried again later, while everything else goes on. Raises `why` where there is
        nothing else."""
        if self._sweep is None:
            raise why
        name = run.identity.id
        self._aside[name] = run, why
        self._look_aside_at = time.monotonic() + _ASIDE_INTERVAL_S
        if name not in self._aside_since:
            self._aside_since[name] = time.monotonic()
            self._note(RunBlocked(name, run.trial.number, str(why)))

    def _waits_for_others(self) -> str:
        """Why nothing goes on, where it is for others that are working on what is left."""
        if self._running or self._waiting or self._ready or not self._exhausted:
            return ""
        return next((str(why) for _, why in self._aside.values()), "")

    def _look_aside(self) -> None:
        """Try those again, now and then. Raises RunHeld where nothing else has been left for a while."""
        if not self._aside or time.monotonic() < self._look_aside_at:
            return
        waited_s = time.monotonic() - min(self._aside_since[name] for name in self._aside)
        if self._exhausted and not (self._running or self._waiting or self._ready) and waited_s > _ASIDE_PATIENCE_S:
            raise next(why for _, why in self._aside.values())
        self._waiting.extend(run for run, _ in self._aside.values())
        self._aside.clear()

    # -------------------------------------------------------------------------------------------------------- watching
    def _supervise(self) -> None:
        for name, watched in list(self._running.items()):
            if not self._asked_to_stop and (over := watched.look(self._policy)) is not None:
                watched.over = over
                self._launcher.cancel(name, grace_s=_HANG_GRACE_S, trace=True)  # one that took too long may hang as well
            if time.monotonic() > watched.end_by:
                watched.end_by = math.inf
                self._launcher.cancel(name, grace_s=_HANG_GRACE_S, trace=True)
            if self._search.wants_reports:
                self._report(watched)
        self._measure()

    def _measure(self) -> None:
        """Tell the packing how much memory the runs hold."""
        now = time.monotonic()
        if self._packing is None or not isinstance(self._launcher, MeasuresMemory) or now < self._next_measure or not self._running:
            return
        held = self._launcher.held_gib()
        took = time.monotonic() - now
        self._next_measure = now + max(_MEASURE_INTERVAL_S, 20 * took)  # a twentieth of the time at most
        for name, watched in self._running.items():
            status = watched.status
            gpu = finite_number(status.values.get("resource/gpu_memory_gib")) or 0.0
            self._packing.observe(name, held.get(name, 0.0), gpu, settled=status.phase == "training" and status.step > 0)

    def _report(self, watched: Watched) -> None:
        trial = self._trials[watched.run.trial.number, watched.run.trial.seeds]
        for report in watched.reports():
            if trial.given_up:
                return
            reason = self._search.report(trial.trial, report)
            if reason:
                self._note(TrialPruned(trial.trial.number, reason, report.seed, report.step))
                self._give_up(trial, reason)

    def _give_up(self, trial: _Trial, reason: str) -> None:
        """End the runs of a trial that go on; those that wait do not start."""
        trial.given_up = reason
        for name, watched in self._running.items():
            mine = (watched.run.trial.number, watched.run.trial.seeds) == (trial.trial.number, trial.trial.seeds)
            if mine and watched.over is None:
                self._prune(name, watched, reason)

    def _prune(self, name: str, watched: Watched, reason: str) -> None:
        """Ask a run to save and end. One that does not is ended by `_supervise`."""
        watched.over = ("pruned", None, reason)
        watched.end_by = time.monotonic() + SAVE_GRACE_S
        try:
            watched.run.run_dir.request("prune", reason)
        except OSError:
            self._launcher.cancel(name, grace_s=SAVE_GRACE_S)

    def _obey(self, command: Command) -> str:
        """Carry out a command; returns why it cannot be, empty if it was."""
        if command.action == "quit":
            self._stop(grace_s=SAVE_GRACE_S)
        elif command.action in ("pause", "resume"):
            self._brakes.by_hand = command.action == "pause"
        elif command.action == "stop":
            found = False
            for trial in self._trials.values():
                names = {watched.run.identity.id for watched in self._running.values() if watched.run.trial.number == trial.trial.number}
                if command.run == str(trial.trial.number) and trial.left:
                    found = True
                    self._note(TrialPruned(trial.trial.number, "stopped by hand"))
                    self._give_up(trial, "stopped by hand")
                elif command.run in names:
                    found = True
                    for name, watched in self._running.items():
                        if watched.run.identity.id == command.run and watched.over is None:
                            self._prune(name, watched, "stopped by hand")
            return "" if found else "no active run or trial has this name"
        elif command.action == "retry":
            if self._asked_to_stop:
                return "the sweep is stopping"
            self._retry_failures()
        return ""

    def _retry_failures(self) -> None:
        """Start all runs again that have failed, in this driver's time or before. What an adaptive search was told of them stands."""
        try:
            for trial in self._trials.values():
                failed = tuple(seed for seed, (_, status) in trial.ended.items() if status.state == "failed")
                trial.given_up = "" if failed else trial.given_up
                for run in self._runs_of(replace(trial.trial, seeds=failed)) if failed else ():
                    one_run.allow_again(run.run_dir, self._journal)
                    trial.left += 1
                    del trial.ended[run.seed]
                    self._waiting.append(replace(run, trial=trial.trial))
            while self._failed_before:
                runs = list(self._runs_of(self._failed_before[-1]))
                for run in runs:
                    one_run.allow_again(run.run_dir, self._journal)
                self._hand_out(self._failed_before.pop(), runs, known=True)
        except OSError as error:
            self._brakes.no_room(error)

    # ---------------------------------------------------------------------------------------------------------- ending
    def _take_note(self, watched: Watched, status: Status, exit_code: int | None) -> None:
        """An attempt has ended: the run starts again, or that was it."""
        run = watched.run
        took_s = time.monotonic() - watched.started
        self._brakes.gpu_s += took_s * self._policy.resources.gpus
        if self._packing is not None:  # a run that died before it was measured keeps nobody waiting
            self._packing.observe(
                str(run.run_dir.path), 0.0, finite_number(status.values.get("resource/gpu_memory_gib")) or 0.0, settled=True
            )
        if self._sweep is not None and not self._asked_to_stop and status.cause == "disk_full":
            self._brakes.no_room(OSError(f"{run.run_dir.name} found no room"))
            self._waiting.appendleft(run)
            return
        ended_by_others = status.state == "interrupted" and not self._stop_when_interrupted
        if (
            self._sweep is not None
            and not self._asked_to_stop
            and (ended_by_others or (status.state == "failed" and status.cause in _RETRIED))
        ):
            override = run.run_dir.override()
            retries = override.retries if override else 0
            if retries < self._policy.retries:
                text = f"{status.reason}; started again ({retries + 1} of {self._policy.retries})"
                self._judge(run.run_dir, Override("interrupted", text, status.attempt, time.time(), status.cause, retries + 1, final=True))
                self._note(RunRetried(run.identity.id, run.trial.number, status.reason))
                self._waiting.appendleft(run)
                return
            attempts = f"{retries + 1} attempts that ended like this" if retries else "one attempt (resources.retries is 0)"
            text = f"{status.reason}; given up after {attempts}"
            status = replace(status, state="failed", reason=text)
            self._judge(run.run_dir, Override("failed", text, status.attempt, time.time(), status.cause, retries, final=True))
        if self._search.wants_reports and status.state == "done":
            self._report(watched)
        self._finish(RunOutcome(replace(run, resolved=None), status, exit_code=exit_code), took_s)

    def _judge(self, run_dir: RunDir, override: Override) -> None:
        try:
            run_dir.write_override(override)
        except OSError as error:
            self._note(OverrideNotWritten(run_dir.name, override.state, str(error)))

    def _finish(self, outcome: RunOutcome, took_s: float = 0.0) -> None:
        run, status = outcome.run, outcome.status
        self.outcomes.append(outcome)
        if self._stop_when_interrupted and status.state == "interrupted":
            self._stop(grace_s=0.0)
        if not outcome.reused or run.identity.id not in self._noted:
            self._note(
                RunEnded(
                    run.identity.id,
                    run.trial.number,
                    run.seed,
                    run.identity.key,
                    status.state,
                    status.cause,
                    status.reason,
                    values=(run_values(run.run_dir) if self._sweep else {}) if status.state == "done" else None,
                    time_s=round(took_s, 3),
                    spent_s=round(self._brakes.spent_s(), 3),
                    gpu_s=round(self._brakes.gpu_s, 3),
                )
            )
        if not outcome.reused:
            self._brakes.count(run.trial.number, status)
        trial = self._trials[run.trial.number, run.trial.seeds]
        trial.left -= 1
        trial.ended[run.seed] = (run, status)
        if trial.left == 0 and all(status.state in FINISHED for _, status in trial.ended.values()):
            done = {seed: run.run_dir for seed, (run, status) in trial.ended.items() if status.state == "done"}
            values = {seed: run_values(run_dir) for seed, run_dir in done.items()}
            wanted = self._search.wants_reports
            reports = {seed: evaluations(run.run_dir.records()) for seed, (run, _) in trial.ended.items()} if wanted else {}
            states = [(status.state, status.cause, status.reason or "") for _, status in trial.ended.values()]
            self._tell(trial.trial, trial_result(states, values, reports, trial.given_up))

    def _tell(self, trial: Trial, result: TrialResult) -> None:
        self._search.tell(trial, result)
        if self._metrics and result.values:
            metric = self._metrics[0]
            found = [values[metric.name] for values in result.values.values() if metric.name in values]
            if found and result.state == "done":
                mean = math.fsum(found) / len(found)
                rank = mean if metric.goal == "maximize" else -mean
                if self._best is None or rank > self._best[0]:
                    self._best = rank, f"{trial.number:04d} {trial.label}: {metric.name} {mean:.4g}"

    # --------------------------------------------------------------------------------------------------------- journal
    def _note_trial(self, trial: Trial) -> None:
        self._note(TrialQueued(trial.number, trial.label, trial.overrides, trial.seeds, trial.proposal))

    def _note(self, event: Event) -> None:
        if self._journal is not None:
            self._journal.append(event)

    def _is_left(self) -> bool:
        """True while there is something that has not been started."""
        return not self._exhausted or bool(self._waiting or self._ready or self._aside)

    def _drop_rest(self) -> None:
        """Start nothing any more."""
        self._exhausted = True
        for rest in (self._waiting, self._ready, self._aside):
            rest.clear()

    def _look_for_folder(self) -> bool:
        """False once the sweep's directory was moved or deleted. Its workers are killed then: nothing may be made anew where it was."""
        if self._sweep is None or self._lock is None or self._is_gone:
            return not self._is_gone
        if self._lock.is_there() and os.path.isdir(self._sweep.runs):
            return True
        self._is_gone, self._journal = True, None
        self._brakes.problem = RunnerError(_gone(self._sweep, self._lock))
        self._drop_rest()
        for name in self._running:
            self._launcher.cancel(name, grace_s=0.0)
        return False

    def _stop(self, grace_s: float) -> None:
        self._stopped = "interrupted" if self._is_left() or self._running else self._stopped
        self._asked_to_stop = True
        self._drop_rest()
        for name in self._running:
            self._launcher.cancel(name, grace_s=grace_s)


def _gone(sweep: SweepDir, lock: Lock) -> str:
    """Make the message for a sweep whose directory is not at its place any more."""
    now = lock.moved_to()
    if now and Path(now) != sweep.path.absolute():
        what, advice = f"was moved to {now}", f"go on with it by the same command and --dir {shell_path(now)}"
    else:
        what, advice = "was deleted, or replaced by another", "the same command runs it anew"
    return f"the sweep's directory {sweep.path} {what} while the sweep ran: its workers were ended and nothing is written there; {advice}"


@contextmanager
def _interrupts() -> Iterator[_Interrupts]:
    """Count SIGINT and SIGTERM in place of dying of them; a terminal that is closed (SIGHUP) ends nothing, as under nohup."""
    interrupts = _Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts  # Python delivers signals to the main thread alone
        return
    before = {number: signal.signal(number, interrupts) for number in (signal.SIGINT, signal.SIGTERM)}
    if hasattr(signal, "SIGHUP"):
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda number, frame: None)
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
