"""Run directories as the page's parts read them: each run and trial with an id that contains no path."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from runner.core.errors import InputError, RunnerError
from runner.monitor.progress import standing
from runner.results.collect import RunResult, collect, with_memory
from runner.results.several_sweeps import SweepPlace, TrialName, baseline_index, distinct_labels, place_of, sweep_names
from runner.store.run_dir import FORMER_METRIC, PrimaryMetric, Status
from runner.views.page.column_store import ColumnStore
from runner.views.page.memo import Memo
from runner.views.page.plan import PLAN_FILE, PagePlan, read_plan
from runner.views.renderers.base import Report


class ReadReport(Protocol):
    """Computes the report on the runs in some directories (`runner.sweep.session_results.read_report`)."""

    def __call__(
        self, paths: Sequence[Path], metric: str | None = None, *, against: int | None = None, runs: Sequence[RunResult] | None = None
    ) -> Report:
        """Compute it by the sweep's own metric against its baseline, or by another metric, or against the trial of another number; of the
        runs in `paths` as `collect` returns them, or as they are read then."""


@dataclass(frozen=True, slots=True)
class PageRun:
    """A run on the page.

    Args:
        id: ``r0``, ``r1``, …: the same as long as the server lives.
        trial: id of its trial.
        result: state and numbers, as the comparison has them; `LiveData` leaves out its config.
    """

    id: str
    trial: str
    result: RunResult


@dataclass(frozen=True, slots=True)
class PageTrial:
    """A trial on the page.

    Args:
        id: ``t0``, ``t1``, …
        number: in its sweep; −1 for runs that belong to no sweep.
        label: for people; the sweep's name is in it where several sweeps have a trial of the same number.
        sweep: name of its sweep (`runner.results.several_sweeps.sweep_names`); empty where it belongs to none.
        is_baseline: the others are compared with it.
        runs: ids of its runs; none of a trial that is planned and has not begun.
        imported: its run was made of another program's logs: it is compared with nothing.
        overrides: dotted key to value, against the sweep's config.
        waiting: planned runs of it that have no directory yet.
    """

    id: str
    number: int
    label: str
    is_baseline: bool
    runs: tuple[str, ...]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    waiting: int = 0
    imported: bool = False
    sweep: str = ""


class PageData(Protocol):
    """Runs below some folders, with their report. Safe to use from several threads."""

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders."""

    @property
    def title(self) -> str:
        """Names of the folders."""

    @property
    def revision(self) -> int:
        """Counts up whenever something has changed on the disk."""

    @property
    def is_private(self) -> bool:
        """True where only this machine can ask: then commands name absolute paths where nothing shorter works."""

    @property
    def columns(self) -> ColumnStore:
        """The numbers in the runs' records."""

    @property
    def memo(self) -> Memo:
        """Values that parts made of the runs for earlier answers."""

    @property
    def metric(self) -> PrimaryMetric:
        """The deciding metric and those beside it: as the plan has them, else as the first run states them."""

    def now(self) -> PageData:
        """Return what is known now: it does not change any more, so that all questions to it get answers that fit together."""

    def runs(self) -> Mapping[str, PageRun]:
        """Return the runs by id."""

    def trials(self) -> Mapping[str, PageTrial]:
        """Return the trials by id, the baseline first."""

    def report(self) -> Report | None:
        """Return the newest report; None while there is none: it is being computed, or `problem` says why it cannot be."""

    def other_report(self, metric: str | None, against: int | None) -> Report:
        """Return the report by another metric than the deciding one, against the trial of another number than the baseline, or both.

        Raises:
            InputError: there is no such report.
        """

    def problem(self) -> str:
        """Return why there is no report; empty if there is one, or will be."""


class OtherReports:
    """Reports by other metrics and against other trials than the sweep's own. Each is computed once, when it is asked for, one at a time.

    Args:
        roots: sweep or run directories.
        read_report: computes a report.
    """

    def __init__(self, roots: Sequence[Path], read_report: ReadReport) -> None:
        self._roots = tuple(roots)
        self._read_report = read_report
        self._found: dict[tuple[str | None, int | None], Report] = {}
        self._lock = threading.Lock()

    def read(self, metric: str | None, against: int | None) -> Report:
        """Return one (see `PageData.other_report`)."""
        with self._lock:
            if (found := self._found.get((metric, against))) is None:
                try:
                    found = self._read_report(self._roots, metric, against=against)
                except (RunnerError, OSError) as error:
                    raise InputError(str(error)) from error
                self._found[metric, against] = found
            return found


@dataclass(frozen=True, slots=True)
class PageView:
    """Data as of one moment (see `PageData`)."""

    roots: tuple[Path, ...]
    title: str
    revision: int
    metric: PrimaryMetric
    by_id: Mapping[str, PageRun]
    trials_by_id: Mapping[str, PageTrial]
    newest: Report | None = None
    why_none: str = ""
    others: OtherReports | None = None
    is_private: bool = False
    columns: ColumnStore = field(default_factory=ColumnStore, compare=False)
    memo: Memo = field(default_factory=Memo, compare=False)

    def now(self) -> PageData:
        """Return itself."""
        return self

    def runs(self) -> Mapping[str, PageRun]:
        """Return the runs by id."""
        return self.by_id

    def trials(self) -> Mapping[str, PageTrial]:
        """Return the trials by id, the baseline first."""
        return self.trials_by_id

    def report(self) -> Report | None:
        """Return the newest report; None while there is none."""
        return self.newest

    def other_report(self, metric: str | None, against: int | None) -> Report:
        """Return the report by another metric, or against another trial."""
        if self.others is None:
            raise InputError("there is no report yet")
        return self.others.read(metric, against)

    def problem(self) -> str:
        """Return why there is no report."""
        return self.why_none


def own_trials(data: PageData) -> dict[str, PageTrial]:
    """Return the trials by id without imported ones, which are compared with nothing; the baseline first."""
    return {id: trial for id, trial in data.trials().items() if not trial.imported}


def standing_of(result: RunResult) -> str:
    """Return which of `runner.monitor.progress.STANDINGS` a run counts as."""
    return standing(Status(state=result.state, cause=result.cause))


def unfinished(runs: Sequence[RunResult]) -> int:
    """Return how many runs of a trial may still bring a number: they run, wait or were interrupted."""
    return sum(standing_of(run) in ("running", "waiting", "interrupted") for run in runs if not run.copy_of)


def title_of(roots: Sequence[Path]) -> str:
    """Return the names of folders."""
    return ", ".join(path.resolve().name for path in roots)


def deciding(plans: Mapping[Path, PagePlan], results: Sequence[RunResult]) -> PrimaryMetric:
    """Return the deciding metric: the plans' where they agree, else that of the first run, of one that was not imported if there is one."""
    found = [plan.metric for plan in plans.values() if plan.metric is not None]
    if found and all((other.name, other.goal) == (found[0].name, found[0].goal) for other in found):
        return found[0]
    own = [result for result in results if not result.imported]
    return next((result.metric for result in (*own, *results)), FORMER_METRIC)


class _Key(NamedTuple):
    """Properties that the runs of a trial share.

    Args:
        sweep: None for runs that belong to none.
        imported: directory of an imported run, which is a trial of its own.
    """

    sweep: SweepPlace | None
    number: int
    label: str
    imported: Path | None = None


def _key(result: RunResult) -> _Key:
    return _Key(None, -1, result.label, result.path) if result.imported else _Key(place_of(result), result.trial, result.label)


class Ids:
    """Ids of runs and trials: given once, and kept when other runs appear or go."""

    def __init__(self) -> None:
        self._runs: dict[Path, str] = {}
        self._trials: dict[Path, str] = {}
        self._planned: dict[_Key, str] = {}
        self._given = 0

    def assign(
        self, results: Sequence[RunResult], plans: Mapping[Path, PagePlan] | None = None
    ) -> tuple[dict[str, PageRun], dict[str, PageTrial]]:
        """Group runs to trials, and give ids to both.

        Args:
            results: the runs. Those of one sweep with one trial number are a trial, and runs by themselves that share a label. Imported
                ones are last, each by itself.
            plans: directory of a sweep to its plan, whose trials are listed too before they begin.
        """
        groups: dict[_Key, list[RunResult]] = {}
        for result in results:
            groups.setdefault(_key(result), []).append(result)
        waiting, overrides = _waiting(groups, plans or {})
        baseline, order = _in_order(groups)
        names = [TrialName(key.sweep, key.number, key.label, groups[key][0].path if groups[key] else None) for key in order]
        sweeps = sweep_names(key.sweep for key in order if key.sweep is not None)
        runs: dict[str, PageRun] = {}
        trials: dict[str, PageTrial] = {}
        for key, label in zip(order, distinct_labels(names), strict=True):
            trial, members = self._trial_id(key, groups[key], trials), []
            for result in groups[key]:
                run = self._runs.setdefault(result.path, f"r{len(self._runs)}")
                self._trials[result.path] = trial
                runs[run] = PageRun(run, trial, result)
                members.append(run)
            trials[trial] = PageTrial(
                id=trial,
                number=key.number,
                label=label,
                is_baseline=key == baseline,
                runs=tuple(members),
                overrides=dict(groups[key][0].overrides if groups[key] else overrides.get(key, {})),
                waiting=waiting.get(key, 0),
                imported=key.imported is not None,
                sweep=sweeps[key.sweep] if key.sweep is not None else "",
            )
        return runs, trials

    def _trial_id(self, key: _Key, members: Sequence[RunResult], taken: Mapping[str, PageTrial]) -> str:
        known = [self._trials.get(member.path) for member in members] + [self._planned.get(key)]
        found = next((trial for trial in known if trial is not None and trial not in taken), None)
        if found is None:
            found, self._given = f"t{self._given}", self._given + 1
        self._planned[key] = found
        return found


def _in_order(groups: Mapping[_Key, list[RunResult]]) -> tuple[_Key | None, list[_Key]]:
    """Return the baseline, as the comparison has it, or one that is planned; and all trials in the order in which they are listed."""
    compared = [key for key in groups if key.imported is None and not any(run.unidentified for run in groups[key])]
    begun = [key for key in compared if groups[key]]
    at = baseline_index(groups[key] for key in begun)
    planned = next((key for key in compared if not groups[key] and key.number == 0), None)
    baseline = begun[at] if at is not None else planned or next(iter(begun), None)
    sweeps = {sweep: index for index, sweep in enumerate(dict.fromkeys(key.sweep for key in groups))}
    first: dict[_Key | None, int] = {**dict.fromkeys(compared, 1), baseline: 0}

    def place(key: _Key) -> tuple[bool, int, int, int]:
        return (key.imported is not None, first.get(key, 2), sweeps[key.sweep], key.number)

    return baseline, sorted(groups, key=place)


def _waiting(groups: dict[_Key, list[RunResult]], plans: Mapping[Path, PagePlan]) -> tuple[dict[_Key, int], dict[_Key, Mapping[str, Any]]]:
    """Add the planned trials without runs to `groups`; return how many planned runs each trial waits for, and the overrides of those."""
    waiting: dict[_Key, int] = {}
    overrides: dict[_Key, Mapping[str, Any]] = {}
    for sweep, plan in plans.items():
        keys: dict[int, _Key] = {}
        place = SweepPlace(sweep / "runs", sweep.name)
        seeds: dict[_Key, set[int]] = {}
        names = set()
        for key, members in groups.items():
            for result in members:
                if result.path.parent == place.folder:
                    place = key.sweep or place
                    keys.setdefault(result.trial, key)
                    seeds.setdefault(key, set()).add(result.seed)
                    names.add(result.id)
        planned = set()
        for run in plan.runs:
            planned.add(run.trial)
            if run.id not in names:
                key = keys.setdefault(run.trial, _Key(place, run.trial, run.label))
                waiting[key] = waiting.get(key, 0) + 1
                overrides.setdefault(key, run.overrides)
                groups.setdefault(key, [])
        for key, found in seeds.items():  # trials that a search proposed
            if key.number >= 0 and key.number not in planned:
                waiting[key] = waiting.get(key, 0) + len(set(plan.spec.seeds) - found)
    return waiting, overrides


class SnapshotData(PageView):
    """Data read once: for a frozen file, and for tests.

    Args:
        roots: sweep or run directories.
        read_report: computes the report.
        results: the runs, as `collect` returns them; None: they are read.
        columns: of their records, as far as they were read already.

    Raises:
        InputError: no runs there, or a folder that does not exist.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        read_report: ReadReport,
        results: Sequence[RunResult] | None = None,
        columns: ColumnStore | None = None,
    ) -> None:
        results = collect(roots) if results is None else results
        sweeps = sorted({run.path.parent.parent for run in results})
        plans = {path: read_plan(path) for path in sweeps if (path / PLAN_FILE).is_file()}
        metric = deciding(plans, results)
        runs, trials = Ids().assign(with_memory(results, metric.shown), plans)
        report: Report | None = None
        problem = ""
        try:
            report = read_report(roots)
        except InputError as error:
            problem = str(error)
        others = OtherReports(roots, read_report)
        super().__init__(tuple(roots), title_of(roots), 1, metric, runs, trials, report, problem, others, columns=columns or ColumnStore())
