"""A sweep before it starts: its request, its trials and their runs, checked as a whole."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from runner.backends.base import BatchSizeChoice
from runner.config.load import find_file
from runner.core.errors import InputError, Problem
from runner.core.values import counted, shell_path
from runner.launch.base import DEFAULT_LAUNCHER, LAUNCHERS, TaskResources
from runner.resolve import resolve
from runner.search.base import DESIGNS, Design, Trial
from runner.search.confounded import confounded
from runner.search.load import load_sweep, meant_for_sweep
from runner.search.spec import SweepSpec
from runner.store.events import RunEnded, RunStarted
from runner.store.journal import read_journal
from runner.sweep.batch_size import measure_batch_size, read_recorded, recorded
from runner.sweep.history import History, read_history
from runner.sweep.plan import (
    ConfigChanged,
    PlannedRun,
    SweepPlan,
    differing_keys,
    folder_name,
    refuse_file,
    refuse_long,
    refuse_parent,
    renumber,
)
from runner.sweep.session_warnings import space_warnings, trial_warnings
from runner.sweep.sweep_dir import SweepDir, plan_entry


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """The arguments of `runner sweep`.

    Args:
        file: the sweep file; one that ships with the package is found by its name.
        overrides: ``KEY=VALUE`` for the config (``-o``).
        settings: ``KEY=VALUE`` for the sweep file (``--set``).
        folder: the sweep's directory; None: ``runs/NAME``.
        launcher: name of the launcher.
    """

    file: Path
    overrides: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    folder: Path | None = None
    launcher: str = DEFAULT_LAUNCHER

    @classmethod
    def of_command(cls, words: Sequence[str]) -> Self:
        """Return the request whose `command` is `words`. Raises ValueError where they are none."""
        values: dict[str, list[str]] = {"sweep": [], "-o": [], "--set": [], "--launcher": [], "--dir": []}
        option = ""
        for word in words:
            name, equals, value = word.partition("=")
            if word in values or (equals and name == "--dir"):
                option, word = name, value
            if not option or option not in values:
                raise ValueError(f"not a command of a sweep: {shlex.join(words)}")
            values[option] += [word] if word else []
        if len(values["sweep"]) != 1 or max(len(values["--launcher"]), len(values["--dir"])) > 1:
            raise ValueError(f"not a command of a sweep: {shlex.join(words)}")
        folder = Path(values["--dir"][0]) if values["--dir"] else None
        launcher = values["--launcher"][0] if values["--launcher"] else DEFAULT_LAUNCHER
        return cls(Path(values["sweep"][0]), tuple(values["-o"]), tuple(values["--set"]), folder, launcher)

    def command(self) -> list[str]:
        """Return the command line of this request, which plan.json records for `runner resume`."""
        words = ["sweep", str(self.file) if not str(self.file).startswith("-") else f"./{self.file}"]
        for option, values in (("-o", self.overrides), ("--set", self.settings)):
            words += [option, *values] if values else []
        words += ["--launcher", self.launcher] if self.launcher != DEFAULT_LAUNCHER else []
        return words + ([f"--dir={self.folder}"] if self.folder is not None else [])


@dataclass
class PlannedSweep:
    """A sweep that was checked and can be run.

    Args:
        file: the sweep file that was found.
        folder: its directory.
        trials: the trials known in advance, the baseline first, with their numbers in `folder`.
        history: what earlier drivers did in `folder`.
        warnings: reasons to doubt the results.
        measured: the values of keys that are ``auto`` in the config, as plan.json has them.
        seen: size and modification time of the journal when `history` was read; None without a journal.
    """

    request: SweepRequest
    spec: SweepSpec
    file: Path
    folder: SweepDir
    plan: SweepPlan
    trials: Sequence[Trial]
    history: History
    warnings: Sequence[str]
    measured: Mapping[str, Any] = field(default_factory=dict)
    seen: tuple[int, int] | None = None
    _entries: list[dict[str, Any]] | None = field(default=None, repr=False)

    @property
    def design(self) -> Design:
        """The design that the sweep file names."""
        return DESIGNS.get(self.spec.design)()

    def task_resources(self) -> TaskResources:
        """Return what one run needs."""
        return _task_resources(self.spec, self.plan)

    def entries(self) -> list[dict[str, Any]]:
        """Return the runs known in advance, as in plan.json. All of them are checked, unless they were before and nothing has changed.

        Raises:
            InputError: with everything that is wrong in any of them; or `folder` holds runs of another config.
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
        """Return whether entries of plan.json are complete and agree with the runs that were started; otherwise the file was damaged."""
        known = {run.name: (run.trial, run.seed, run.key) for run in self.history.runs}
        numbers = {trial.number for trial in self.trials}
        found = [(entry.get("trial"), entry.get("seed"), entry.get("key")) for entry in entries]
        return all(
            None not in facts and facts[0] in numbers and known.get(entry["id"], facts) == facts
            for entry, facts in zip(entries, found, strict=True)
        )

    def _refuse_others(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Refuse a directory whose runs have another config: their names would not distinguish them from the new ones."""
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
            f"holds {counted(len(others), 'run')} of another config ({differing or 'data or versions'} differ in {name}): "
            "restore the sweep, or give the other one a directory of its own: runner sweep --dir DIR"
        )
        raise InputError(Problem(text, where=str(self.folder.path)))

    def _refuse_in_the_way(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Refuse directories that have one run's name and contain another run."""
        known = self.folder.identities()
        past = [event.run for event in read_journal(self.folder.journal) if isinstance(event, RunStarted | RunEnded)]
        found = known.in_the_way(dict.fromkeys([*(entry["id"] for entry in entries), *past]))
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
        """Describe the trials beyond those known in advance."""
        return list(self.design.outlook(self.spec))


def plan_sweep(request: SweepRequest, *, make_dataset: Callable[[str], None] | None = None, to_run: bool = True) -> PlannedSweep:
    """Read a sweep file, and plan the trials that are known before the sweep starts.

    Args:
        make_dataset, to_run: see `runner.resolve.resolve`.

    Raises:
        InputError: with everything that is wrong.
    """
    LAUNCHERS.get(request.launcher)  # raises where there is none of that name
    file = find_file(request.file)
    spec = load_sweep(file, request.settings)
    folder = request.folder if request.folder is not None else Path("runs") / folder_name(file, "--dir")
    refuse_parent(folder, "--dir")
    refuse_long(folder, "--dir DIR")
    refuse_file(folder, "--dir")
    sweep = SweepDir(folder)
    known = read_recorded(sweep.plan().get("measured"))

    def make_plan(batch_size: BatchSizeChoice | None) -> SweepPlan:
        return SweepPlan(spec, file, folder, request.overrides, make_dataset=make_dataset, to_run=to_run, batch_size=batch_size)

    try:
        plan = make_plan(known)
        if plan.first.unmeasured and to_run:
            known = measure_batch_size(plan.first, request.launcher, _task_resources(spec, plan), near=folder.parent)
            plan = make_plan(known)
    except InputError as error:
        raise InputError(map(meant_for_sweep, error.problems)) from None
    spec = plan.spec
    seen = journal_stamp(sweep)
    identities = sweep.identities()
    if identities.unclear:
        raise InputError([Problem(line) for line in identities.problems()])
    history = read_history(sweep)
    plan.names.update({run.key: (run.name, run.folder) for run in history.runs})
    try:
        design = DESIGNS.get(spec.design)()
        planned = design.trials(spec, plan.baseline)
        design.build(spec, planned, plan.baseline, None)
    except InputError as error:
        raise InputError([replace(problem, where=problem.where or str(file)) for problem in error.problems]) from None
    trials = renumber(planned, {past.trial.number: past.trial.overrides for past in history.trials})
    count = len(trials) + spec.combine_best  # the last one may not come, but there has to be room for it
    runs = count * len(spec.seeds)
    if spec.budget.runs is not None and runs > spec.budget.runs:
        needed = f"{counted(count, 'trial')} with {counted(len(spec.seeds), 'seed')} need {counted(runs, 'run')}"
        text = f"is {spec.budget.runs}, but {needed}: list fewer trials or raise it"
        raise InputError(Problem(text, where=str(file), key="budget.runs"))
    warnings = [*confounded(spec, plan.baseline), *trial_warnings(spec, plan, trials), *space_warnings(spec, plan)]
    measured = recorded(known) if known is not None else {}
    return PlannedSweep(request, spec, file, sweep, plan, trials, history, warnings, measured, seen)


def _task_resources(spec: SweepSpec, plan: SweepPlan) -> TaskResources:
    gpus = (spec.resources.gpus or 1.0) if plan.first.config.use_gpu else 0.0
    return TaskResources(spec.resources.cpus, gpus, spec.resources.memory_gib)


def checked_runs(sweep: PlannedSweep, entries: Sequence[Mapping[str, Any]]) -> Callable[[Trial], list[PlannedRun]]:
    """Return the function from a trial to its runs; it raises once the files they were planned from have changed."""
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
            raise ConfigChanged("data, weights or packages changed while the sweep ran; run the same command again to see what differs")
        return runs

    return runs_of


def journal_stamp(sweep: SweepDir) -> tuple[int, int] | None:
    """Return the journal's size and modification time, to detect changes; None without a journal."""
    try:
        found = sweep.journal.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
