"""From a sweep file to a sweep that runs: what `runner sweep` puts together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.cli.sweep_warnings import trial_warnings
from runner.core.errors import InputError, Problem
from runner.core.text import say
from runner.core.values import format_value, shell_path
from runner.launch.base import LAUNCHERS
from runner.launch.machine import plan_slots, read_machine
from runner.launch.packing import Packing
from runner.resolve import resolve
from runner.search.base import Search, Trial
from runner.search.build import build_search, check_search, planned_trials
from runner.search.confounded import confounded
from runner.search.designs import coupled, edges, trial_label
from runner.search.spec import SweepSpec
from runner.store.commands import Situation
from runner.store.journal import read_journal
from runner.store.lock import hold
from runner.store.run_dir import Status
from runner.sweep.history import History, read_history
from runner.sweep.loop import run_loop
from runner.sweep.plan import ConfigChanged, PlannedRun, SweepPlan, differing_keys, renumber
from runner.sweep.policy import Policy
from runner.sweep.setup import DrivenSweep, LoopOptions, RunOutcome, Workload
from runner.sweep.sweep_dir import SweepDir, plan_entry, write_plan
from runner.views.progress import Watcher
from runner.views.terminal import Terminal


@dataclass
class Sweep:
    """A sweep that can run.

    Args:
        folder: its directory.
        trials: those known in advance, the baseline first, with the numbers they have in `folder`.
        history: what earlier drivers did in `folder`.
        warnings: why its answers may mean less than they seem to.
        seen: the journal's size and time when `history` was read, None without one.
    """

    spec: SweepSpec
    file: Path
    folder: SweepDir
    overrides: tuple[str, ...]
    plan: SweepPlan
    trials: Sequence[Trial]
    history: History
    warnings: Sequence[str]
    seen: tuple[int, int] | None = None
    _entries: list[dict[str, Any]] | None = field(default=None, repr=False)

    def entries(self) -> list[dict[str, Any]]:
        """The runs known in advance, each as in plan.json; all of them are checked, unless that was done before and nothing changed.

        Raises:
            InputError: with everything that is wrong in any of them; or they are others than those in `folder`.
        """
        if self._entries is None:
            kept = self.folder.plan()
            entries = kept.get("runs", [])
            if kept.get("digest") == self.plan.digest() and entries and self._agree(entries):
                self._entries = entries
            else:
                self._entries = [plan_entry(run) for run in self.plan.all_runs(self.trials)]
            self._refuse_others(self._entries)
            self._refuse_in_the_way(self._entries)
        return self._entries

    def _agree(self, entries: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether entries of plan.json are complete and say the same as the runs that were started; else the file was damaged."""
        known = {run.name: (run.trial, run.seed, run.key) for run in self.history.runs}
        numbers = {trial.number for trial in self.trials}
        found = [(entry.get("trial"), entry.get("seed"), entry.get("key")) for entry in entries]
        return all(
            None not in facts and facts[0] in numbers and known.get(entry["id"], facts) == facts
            for entry, facts in zip(entries, found, strict=True)
        )

    def _refuse_others(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """A directory keeps to one config: where that was changed since, its runs cannot be told from the new ones by their names."""
        keys = {run.name: run.key for run in self.history.runs}
        others = [entry for entry in entries if keys.get(entry["id"], entry["key"]) != entry["key"]]
        if not others:
            return
        name, trial = others[0]["id"], next(trial for trial in self.trials if trial.number == others[0]["trial"])
        try:
            before = resolve(self.folder.identities().run_dir(name).config, to_run=False)
            now = self.plan.runs(replace(trial, seeds=(others[0]["seed"],)))[0].resolved
            differing = ", ".join(differing_keys(before, now)) if now is not None else ""
        except InputError:  # that config cannot be read any more
            differing = ""
        text = (
            f"holds {len(others)} runs of another config ({differing or 'data or versions'} differ in {name}): "
            "give another --dir, or the sweep as it was"
        )
        raise InputError(Problem(text, where=str(self.folder.path)))

    def _refuse_in_the_way(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """A directory in which another run lies cannot be that of the run it is called like."""
        known = self.folder.identities()
        started = [str(event.get("run")) for event in read_journal(self.folder.journal, "start", "end")]
        found = known.in_the_way(dict.fromkeys([*(entry["id"] for entry in entries), *started]))
        problems = [
            Problem(
                f"holds the run {run} in the place of the run {name}, which is gone; move it away, or let "
                f"`runner verify {shell_path(self.folder.path)} --repair` do so; the same `runner sweep` then makes that run again",
                where=str(self.folder.runs / name),
            )
            for name, run in found.items()
        ]
        if problems:
            raise InputError(problems)

    def still_to_come(self) -> list[str]:
        """What will be tried besides, in words."""
        spec = self.spec
        if spec.design != "optuna":
            joined = ["a last trial joins the best levels, where two or more factors helped"] if spec.join_best else []
            raced = f"further seeds, up to {spec.racing.max_seeds} a trial, where the decision is open" if spec.racing else ""
            return [*joined, *filter(None, [raced])]
        most = f", up to {spec.budget.runs} runs in all," if spec.budget.runs is not None else ""
        lines = [f"{spec.sampler.name} proposes the other trials{most} from:"]
        return lines + [f"  {key}: {format_value(_plain(span))}" for key, span in spec.space.items()]


@dataclass(frozen=True, slots=True)
class Result:
    """How a sweep stands.

    Args:
        runs: known runs; done: those of them that are done; pruned: those that were given up early.
        unfinished: run name to status of those that this driver could not bring to a good end.
        refused: trial number to why none of its runs could start.
        missing: names of planned runs that have not ended, and were not started by this driver.
        failed_before: names of runs that failed under an earlier driver and were not started again.
        stopped: see `runner.store.commands.Situation`; empty where nothing is left to do all the same.
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
        """0: every planned run is done or was given up early; 130: interrupted before that; 1: otherwise."""
        if any(status.state == "interrupted" for status in self.unfinished.values()) or self.stopped == "interrupted":
            return 130
        return 1 if self.unfinished or self.refused or self.missing or self.failed_before else 0


def open_sweep(
    spec: SweepSpec,
    file: Path,
    folder: Path,
    overrides: Sequence[str] = (),
    *,
    make_dataset: Callable[[str], None] | None = None,
    to_run: bool = True,
) -> Sweep:
    """Everything about a sweep that is known before it starts.

    Raises:
        InputError: with everything that is wrong.
    """
    sweep = SweepDir(folder)
    plan = SweepPlan(spec, file, folder, overrides, make_dataset=make_dataset, to_run=to_run)
    seen = _seen(sweep)
    identities = sweep.identities()
    if identities.unclear:
        raise InputError([Problem(line) for line in identities.problems()])
    history = read_history(sweep)
    plan.names.update({run.key: (run.name, run.folder) for run in history.runs})
    try:
        planned = planned_trials(spec, plan.baseline)
        check_search(spec, plan.baseline)
    except InputError as error:
        raise InputError([replace(problem, where=problem.where or str(file)) for problem in error.problems]) from None
    trials = renumber(planned, {past.trial.number: past.trial.overrides for past in history.trials})
    count = len(trials) + spec.join_best  # the last one may not come, but there has to be room for it
    runs = count * len(spec.seeds)
    if spec.budget.runs is not None and runs > spec.budget.runs:
        text = f"is {spec.budget.runs}, and {count} trials with {len(spec.seeds)} seeds are {runs} runs: list fewer, or allow more"
        raise InputError(Problem(text, where=str(file), key="budget.runs"))
    warnings = [*confounded(spec, plan.baseline), *trial_warnings(spec, plan, trials), *_check_space(spec, plan)]
    return Sweep(spec, file, sweep, tuple(overrides), plan, trials, history, warnings, seen)


def run_sweep(sweep: Sweep, *, launcher: str = "local", retry_failed: bool = False) -> Result:
    """Run what is not finished, showing what happens on the terminal.

    Raises:
        InputError: somebody else is working on it; it cannot be written; something in a trial is wrong.
        RunnerError: too many runs failed in a row.
    """
    spec, folder = sweep.spec, sweep.folder
    entries = sweep.entries()
    try:
        folder.runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(Problem(f"the sweep directory cannot be written: {error.strerror}", where=str(folder.path))) from error
    situation = Situation()

    def watch(now: Situation) -> None:
        nonlocal situation
        situation = now
        watcher.update(now)

    refused_before = sum(1 for _ in read_journal(folder.journal, "refused"))
    identities = folder.identities()
    for remark in identities.remarks():
        say(f"note: {remark}", error=True)
    with hold(folder.lock) as lock:
        if _seen(folder) != sweep.seen:
            raise InputError(Problem("somebody else has worked on it just now; give the command again", where=str(folder.path)))
        write_plan(folder, sweep.file, spec, entries, digest=sweep.plan.digest(), command=sys.argv[1:], warnings=sweep.warnings)
        search: Search = build_search(spec, sweep.trials, sweep.plan.baseline, folder.path)
        slots, packing = _slots(sweep) if launcher == "local" else ((), None)
        with Watcher(
            [identities.run_dir(entry["id"]) for entry in entries],
            Terminal(stderr=True),
            title=folder.path.name,
            known={run.folder: run.state for run in sweep.history.runs},
            metric=spec.metrics[0].name,
            expected=(spec.budget.runs or 0) if spec.design == "optuna" else 0,
        ) as watcher:
            keys = {(entry["trial"], entry["seed"]): entry["key"] for entry in entries}
            outcomes = run_loop(
                Workload(search, _checked(sweep, entries), spec.seeds, keys, spec.metrics),
                LAUNCHERS.get(launcher)(slots or 1),
                LoopOptions(
                    policy=_policy(sweep),
                    slots=len(slots) or 1,
                    packing=packing,
                    retry_failed=retry_failed,
                    stop_when_interrupted=launcher == "inline",
                    keep_warm=len(entries) > 1 or spec.design == "optuna",
                ),
                DrivenSweep(folder, lock, sweep.history),
                watch=watch,
                commands=watcher.commands,
            )
    return _result(sweep, entries, outcomes, situation.stopped, refused_before)


def _result(
    sweep: Sweep, entries: Sequence[Mapping[str, Any]], outcomes: Sequence[RunOutcome], stopped: str, refused_before: int
) -> Result:
    """Collect the state of the sweep after its driver has ended.

    Args:
        outcomes, stopped: what the driver says.
        refused_before: how many refusals the journal had before.
    """
    spec, folder = sweep.spec, sweep.folder
    ended = {outcome.run.identity.id: outcome.status for outcome in outcomes}
    before = {run.name: run for run in sweep.history.runs if run.finished and run.name not in ended}
    states = {name: run.state for name, run in before.items()} | {name: status.state for name, status in ended.items()}
    numbers = {trial.number for trial in sweep.trials}
    adaptive = spec.design == "optuna" or spec.join_best  # has trials that are not among those
    failed_before = [name for name, run in before.items() if run.state == "failed" and (adaptive or run.trial in numbers)]
    given_up = {event["trial"] for event in read_journal(folder.journal, "prune")}
    states |= {entry["id"]: "pruned" for entry in entries if entry["id"] not in states and entry["trial"] in given_up}
    missing = [entry["id"] for entry in entries if entry["id"] not in states]
    unfinished = {name: status for name, status in ended.items() if status.state in ("failed", "interrupted")}
    is_over = not missing and not unfinished and not adaptive and spec.racing is None
    refusals = list(read_journal(folder.journal, "refused"))
    refused = {event["trial"]: event["reason"] for event in (refusals if spec.design == "optuna" else refusals[refused_before:])}
    done, pruned = (sum(state == which for state in states.values()) for which in ("done", "pruned"))
    runs = len({entry["id"] for entry in entries} | set(states))
    return Result(runs, done, pruned, unfinished, refused, missing, failed_before, "" if is_over else stopped)


def _checked(sweep: Sweep, entries: Sequence[Mapping[str, Any]]) -> Callable[[Trial], list[PlannedRun]]:
    """The runs of a trial, as long as what they were planned from stays as it is."""
    keys = {(entry["trial"], entry["seed"]): entry["key"] for entry in entries}

    def runs_of(trial: Trial) -> list[PlannedRun]:
        try:
            runs = sweep.plan.runs(trial)
        except InputError:
            sweep.plan.check_unchanged()
            raise
        planned = [keys.get((trial.number, run.seed)) for run in runs]
        if [run.identity.key for run in runs] != planned:
            sweep.plan.check_unchanged()
        if any(key not in (None, run.identity.key) for run, key in zip(runs, planned, strict=True)):
            raise ConfigChanged("data, weights or packages were changed while the sweep ran; the same command says what differs")
        return runs

    return runs_of


def _check_space(spec: SweepSpec, plan: SweepPlan) -> list[str]:
    """What the config refuses of the space's ends, as far as that is known before anything is proposed.

    Raises:
        InputError: it refuses all that was tried of a key.
    """
    problems: list[Problem] = []
    warnings: list[str] = []
    for key, points in (edges(spec) if spec.design == "optuna" else {}).items():
        refused: list[InputError] = []
        for point in points:
            try:
                overrides = coupled(spec, point, plan.baseline)
                plan.runs(Trial(1, overrides, trial_label(spec, {key: point[key]}), spec.seeds[:1]))
            except InputError as error:
                refused.append(error)
        if len(refused) == len(points):
            problems += refused[0].problems
        else:
            warnings += [f"not every value of space.{key} can be: {problem}" for error in refused for problem in error.problems[:1]]
    if problems:
        raise InputError(dict.fromkeys(problems))
    return warnings


def _seen(sweep: SweepDir) -> tuple[int, int] | None:
    try:
        found = sweep.journal.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _slots(sweep: Sweep) -> tuple[Sequence[Mapping[str, str]], Packing | None]:
    """Where runs go, and how many go at a time. Says what a user should know of it."""
    resources, first = sweep.spec.resources, sweep.plan.first
    machine = read_machine()
    plan = plan_slots(
        machine,
        gpus_wanted=first.config.use_gpu,
        gpus=resources.gpus,
        cpus=resources.cpus,
        memory_gb=resources.memory_gb,
        concurrency=resources.concurrency,
        probed_gpus=len(first.probe.gpus) if first.probe else 0,
    )
    if plan.problems:
        raise InputError([replace(problem, where=str(sweep.file)) for problem in plan.problems])
    for note in plan.notes:
        say(f"note: {note}", error=True)
    return plan.slots, Packing.of(plan, machine, resources.memory_gb) if resources.concurrency == "auto" else None


def _policy(sweep: Sweep) -> Policy:
    resources, budget = sweep.spec.resources, sweep.spec.budget
    return Policy(
        timeout_s=resources.timeout_s,
        stall_s=resources.stall_s,
        retries=resources.retries,
        memory_gb=resources.memory_gb,
        gpus=(resources.gpus or 1.0) if sweep.plan.first.config.use_gpu else 0.0,
        hours=budget.hours,
        gpu_hours=budget.gpu_hours,
        failures_in_a_row=budget.failures_in_a_row,
    )


def _plain(span: Any) -> Any:
    if isinstance(span, list | tuple):
        return list(span)
    return {name: value for name in span.__slots__ if (value := getattr(span, name)) not in (None, False)}
