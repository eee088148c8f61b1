"""A sweep while it runs: the loop over its trials, with progress on the terminal, and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from runner.core.errors import InputError, Problem
from runner.core.text import say
from runner.launch.base import LAUNCHERS, Demand, Launcher
from runner.launch.packing import Packing
from runner.search.base import Search
from runner.store.commands import Situation
from runner.store.events import TrialPruned, TrialRefused
from runner.store.journal import read_journal
from runner.store.lock import hold
from runner.store.run_dir import State, Status
from runner.sweep.loop import run_loop
from runner.sweep.policy import Policy
from runner.sweep.session_plan import PlannedSweep, checked_runs, journal_stamp
from runner.sweep.setup import DrivenSweep, LoopOptions, RunOutcome, Workload
from runner.sweep.sweep_dir import write_plan
from runner.views.progress import ProgressDisplay

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The state of a sweep after its driver has ended.

    Args:
        runs: number of known runs; done, pruned: how many of them are.
        unfinished: run name to status of the runs that failed or were interrupted under this driver.
        refused: trial number to why none of its runs could start.
        missing: names of planned runs that have not ended and were not started by this driver.
        failed_before: names of runs that failed under an earlier driver and were not started again.
        stopped: see `runner.store.commands.Situation`; empty where nothing is left to do.
    """

    runs: int
    done: int
    pruned: int
    unfinished: Mapping[str, Status]
    refused: Mapping[int, str]
    missing: Sequence[str] = ()
    failed_before: Sequence[str] = ()
    stopped: str = ""

    @property
    def exit_code(self) -> int:
        """0: every planned run is done or pruned; 130: interrupted before that; 1: otherwise."""
        if any(status.state == "interrupted" for status in self.unfinished.values()) or self.stopped == "interrupted":
            return 130
        return 1 if self.unfinished or self.refused or self.missing or self.failed_before else 0


def run_sweep(sweep: PlannedSweep, console: Console, *, retry_failed: bool = False) -> SweepResult:
    """Drive a sweep until nothing is left to do, with progress on `console`.

    Raises:
        InputError: another process drives it, its directory cannot be written, or a trial is wrong.
        RunnerError: too many runs failed in a row.
    """
    spec, folder = sweep.spec, sweep.folder
    entries = sweep.entries()
    try:
        folder.runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(Problem(f"the sweep directory cannot be written: {error.strerror}", where=str(folder.path))) from error
    situation = Situation()
    known: dict[str, State] = {entry["id"]: "pruned" for entry in entries if entry["trial"] in sweep.history.pruned}
    known |= {run.folder: run.state for run in sweep.history.runs}

    def watch(now: Situation) -> None:
        nonlocal situation
        situation = now
        display.update(now)

    refused_before = sum(1 for _ in read_journal(folder.journal, TrialRefused))
    identities = folder.identities()
    for remark in identities.remarks():
        say(f"note: {remark}", error=True)
    with hold(folder.lock) as lock:
        if journal_stamp(folder) != sweep.seen:
            raise InputError(Problem("another driver has just worked on this sweep; run the command again", where=str(folder.path)))
        known_facts: dict[str, Any] = {"digest": sweep.plan.digest(), "warnings": sweep.warnings, "measured": sweep.measured}
        write_plan(folder, sweep.file, spec, entries, command=sweep.request.command(), **known_facts)
        search: Search = sweep.design.build(spec, sweep.trials, sweep.plan.baseline, folder.path)
        launcher = _open_launcher(sweep)
        capacity = launcher.capacity()
        with (
            closing(launcher),
            ProgressDisplay(
                [identities.run_dir(entry["id"]) for entry in entries],
                console,
                title=folder.path.name,
                known=known,
                metric=spec.metrics[0].name,
                expected=(spec.budget.runs or 0) if sweep.design.adaptive else 0,
            ) as display,
        ):
            keys = {(entry["trial"], entry["seed"]): entry["key"] for entry in entries}
            outcomes = run_loop(
                Workload(search, checked_runs(sweep, entries), spec.seeds, keys, spec.metrics),
                launcher,
                LoopOptions(
                    policy=_policy(sweep),
                    packing=Packing.of(capacity) if capacity.is_measured and launcher.shares_machine else None,
                    retry_failed=retry_failed,
                    keep_warm=len(entries) > 1 or sweep.design.adaptive,
                ),
                DrivenSweep(folder, lock, sweep.history),
                watch=watch,
            )
    return _result(sweep, entries, outcomes, situation.stopped, refused_before)


def _result(
    sweep: PlannedSweep, entries: Sequence[Mapping[str, Any]], outcomes: Sequence[RunOutcome], stopped: str, refused_before: int
) -> SweepResult:
    """Collect the state of the sweep after its driver has ended.

    Args:
        outcomes, stopped: the driver's results.
        refused_before: how many refusals the journal had before.
    """
    spec, folder = sweep.spec, sweep.folder
    ended = {outcome.run.identity.id: outcome.status for outcome in outcomes}
    before = {run.name: run for run in sweep.history.runs if run.finished and run.name not in ended}
    states = {name: run.state for name, run in before.items()} | {name: status.state for name, status in ended.items()}
    numbers = {trial.number for trial in sweep.trials}
    adaptive = sweep.design.adaptive or spec.combine_best  # has trials that are not known in advance
    failed_before = [name for name, run in before.items() if run.state == "failed" and (adaptive or run.trial in numbers)]
    pruned_trials = {event.trial for event in read_journal(folder.journal, TrialPruned)}
    states |= {entry["id"]: "pruned" for entry in entries if entry["id"] not in states and entry["trial"] in pruned_trials}
    missing = [entry["id"] for entry in entries if entry["id"] not in states]
    unfinished = {name: status for name, status in ended.items() if status.state in ("failed", "interrupted")}
    is_over = not missing and not unfinished and not adaptive and spec.racing is None
    refusals = list(read_journal(folder.journal, TrialRefused))
    refused = {event.trial: event.reason for event in (refusals if sweep.design.adaptive else refusals[refused_before:])}
    done, pruned = (sum(state == which for state in states.values()) for which in ("done", "pruned"))
    runs = len({entry["id"] for entry in entries} | set(states))
    return SweepResult(runs, done, pruned, unfinished, refused, missing, failed_before, "" if is_over else stopped)


def _open_launcher(sweep: PlannedSweep) -> Launcher:
    """Open the launcher of a sweep, and print its remarks. Raises InputError where it has no room for a run."""
    first, resources = sweep.plan.first, sweep.spec.resources
    demand = Demand(sweep.task_resources(), resources.concurrency, len(first.probe.gpus) if first.probe else 0)
    try:
        launcher = LAUNCHERS.get(sweep.request.launcher).open(demand)
    except InputError as error:
        raise InputError([replace(problem, where=str(sweep.file)) for problem in error.problems]) from None
    for note in launcher.capacity().notes:
        say(f"note: {note}", error=True)
    return launcher


def _policy(sweep: PlannedSweep) -> Policy:
    resources, budget = sweep.spec.resources, sweep.spec.budget
    return Policy(
        timeout_s=resources.timeout_s,
        stall_s=resources.stall_s,
        retries=resources.retries,
        resources=sweep.task_resources(),
        hours=budget.hours,
        gpu_hours=budget.gpu_hours,
        failures_in_a_row=budget.failures_in_a_row,
    )
