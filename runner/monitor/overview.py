"""State of a sweep, or of runs by themselves, read once from their files, few of them where there are many.

The journal says which runs have ended for good; the state of the others is in their own files. Without a journal every run is read.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from runner.core.values import natural
from runner.monitor.live import LiveRun, live_run
from runner.monitor.progress import STANDINGS, Evaluations, final_value, run_status, standing
from runner.search.base import trial_number
from runner.search.spec import Metric
from runner.store.events import Event, RunEnded, RunRetried, RunStarted, SweepPaused, SweepResumed, TrialPruned, event_to_json
from runner.store.identities import Identities
from runner.store.journal import read_journal, stopped_on_request
from runner.store.run_dir import FORMER_METRIC, RunDir, Status
from runner.training.learning import flat_terms

_EVENTS = 8
_MOST_JUDGED = 500
_FAILED = ("failed", "infeasible", "interrupted")


class SweepFiles(Protocol):
    """The part of a sweep directory that is read (see `runner.sweep.sweep_dir.SweepDir`)."""

    path: Path
    runs: Path
    journal: Path

    def plan(self) -> dict[str, Any]:
        """Read plan.json; empty if it is missing or incomplete."""

    def metrics(self) -> tuple[Metric, ...]:
        """Return the metrics, the deciding one first."""

    def identities(self) -> Identities:
        """Identify which directory below `runs` counts as which run."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Runs that failed or were interrupted for the same reason.

    Args:
        standing: failed, infeasible or interrupted.
        cause: see `runner.core.errors.Cause`; empty if none was recorded.
        reason: of the first of them.
        runs: their names.
    """

    standing: str
    cause: str
    reason: str
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Best:
    """The best trial so far.

    Args:
        trial: its number and label, as in the names of its runs.
        metric: tag of the metric that decides.
        value: mean of its runs that are done; runs: how many that are.
    """

    trial: str
    metric: str
    value: float
    runs: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of one sweep, or of runs by themselves.

    Args:
        path: directory of the sweep; of the runs' folder, or of the run, where there is no sweep.
        is_sweep: it is the directory of a sweep.
        metric: tag of the metric that decides.
        counts: number of runs per standing (see `runner.monitor.progress.STANDINGS`).
        running: the active runs.
        waiting: names of planned runs that have not begun, in their order.
        failures: reasons why runs did not end well, the commonest first.
        best: the best trial; None while there is none.
        events: the journal's last events, oldest first.
        unlearned: (name, what is wrong) of the runs that run or are done in which a loss term hardly moved (`runner.training.learning`).
        unjudged: number of runs that were not checked for that, as there are so many.
        remarks: on directories whose name is not that of their run.
        paused: why the driver starts nothing at present; empty if it does, or if there is none.
        stopped: names of the runs that were pruned because a request stopped them, or their trial, for good.
    """

    path: Path
    is_sweep: bool
    metric: str
    counts: Mapping[str, int] = field(default_factory=dict)
    running: Sequence[LiveRun] = ()
    waiting: Sequence[str] = ()
    failures: Sequence[Failure] = ()
    best: Best | None = None
    events: Sequence[Event] = ()
    unlearned: Sequence[tuple[str, str]] = ()
    unjudged: int = 0
    remarks: Sequence[str] = ()
    paused: str = ""
    stopped: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the overview as mappings, lists and scalars, for other programs."""
        running = [
            {
                "run": run.name,
                "attempt": run.status.attempt,
                "step": run.status.step,
                "steps": run.status.steps,
                "phase": run.status.phase,
                "value": run.value if run.value is not None and math.isfinite(run.value) else None,
                "left_s": run.left_s,
                "silent_s": run.silent_s,
            }
            for run in self.running
        ]
        failures = [
            {"state": failure.standing, "cause": failure.cause or None, "reason": failure.reason, "runs": list(failure.runs)}
            for failure in self.failures
        ]
        best = None if self.best is None else {"trial": self.best.trial, "value": self.best.value, "runs": self.best.runs}
        return {
            "path": str(self.path),
            "is_sweep": self.is_sweep,
            "metric": self.metric,
            "paused": self.paused or None,
            "runs": dict(self.counts),
            "best": best,
            "running": running,
            "waiting": list(self.waiting),
            "stopped": list(self.stopped),
            "failures": failures,
            "hardly_learned": [{"run": name, "what": what} for name, what in self.unlearned],
            "journal": [event_to_json(event) for event in self.events],
            "remarks": list(self.remarks),
        }


@dataclass(slots=True)
class _RunState:
    """A run, read as far as needed."""

    name: str
    trial: str
    standing: str
    status: Status = Status()
    run_dir: RunDir | None = None
    value: float | None = None


def read_sweep(sweep: SweepFiles, *, driven: bool) -> Overview:
    """Read the state of a sweep. Never raises for the content of its files.

    Args:
        driven: a driver holds its lock.
    """
    events = list(read_journal(sweep.journal))
    identities = sweep.identities()
    metric = next(iter(sweep.metrics()), None) or _primary_metric(identities.run_dirs())
    known = _known(sweep, identities, events, metric.name, driven=driven)
    overview = _overview(sweep.path, known, metric, events[-_EVENTS:], is_sweep=True, remarks=identities.remarks())
    stopped = stopped_on_request(events)
    ended = [run.name for run in known if run.standing == "pruned" and not stopped.isdisjoint((run.name, trial_number(run.name)))]
    return replace(overview, paused=_paused(events) if driven else "", stopped=ended)


def count_standings(sweep: SweepFiles, *, driven: bool) -> dict[str, int]:
    """Return `Overview.counts` of a sweep, without reading the records of its runs."""
    return _counts(_known(sweep, sweep.identities(), list(read_journal(sweep.journal)), None, driven=driven))


def _known(sweep: SweepFiles, identities: Identities, events: Sequence[Event], metric: str | None, *, driven: bool) -> list[_RunState]:
    """Return the runs of a sweep, those that are planned too; without a metric without their values."""
    last: dict[str, Event] = {event.run: event for event in events if isinstance(event, RunStarted | RunEnded | RunRetried)}
    planned = dict.fromkeys(_planned(sweep.plan()))
    found = [name for name in identities.runs if name in planned or name in last or os.path.lexists(identities.run_dir(name).identity_file)]
    names = list(dict.fromkeys([*planned, *sorted([*found, *identities.unclear], key=natural)]))
    known = []
    stopped = stopped_on_request(events)
    pruned = {str(event.trial) for event in events if isinstance(event, TrialPruned)} | stopped
    for name in names:
        if name not in identities.runs:
            run = _RunState(name, _trial_of(name), "waiting")
        else:
            path = os.path.join(sweep.runs, identities.runs[name])
            run = _read_run(path, last.get(name), metric, driven, name=name)
        if run.standing in ("waiting", "interrupted") and not pruned.isdisjoint((name, trial_number(name))):
            run.standing = "pruned"
        known.append(run)
    return known


def _paused(events: Iterable[Event]) -> str:
    """Return why a sweep is paused; empty if it is not: it was resumed, or a driver has started a run since."""
    last: Event | None = None
    for event in events:
        if isinstance(event, SweepPaused | SweepResumed | RunStarted):
            last = event
    return last.reason if isinstance(last, SweepPaused) else ""


def read_runs(path: Path, runs: Iterable[RunDir]) -> Overview:
    """Read the state of runs by themselves; all of them lie in `path`, or are it."""
    given = list(runs)
    metric = _primary_metric(given)
    known = [_read_run(str(run.path), None, metric.name, driven=False) for run in given]
    return _overview(path, known, metric, (), is_sweep=False)


def _primary_metric(runs: Sequence[RunDir]) -> Metric:
    """Return the metric that decides as the first of `runs` states it."""
    primary = runs[0].primary_metric() if runs else FORMER_METRIC
    return Metric(name=primary.name, goal=primary.goal)


def _planned(plan: Mapping[str, Any]) -> list[str]:
    entries = plan.get("runs")
    return [entry["id"] for entry in entries if isinstance(entry, dict) and "id" in entry] if isinstance(entries, list) else []


def _read_run(path: str, event: Event | None, metric: str | None, driven: bool, *, name: str = "") -> _RunState:
    """Read a run that exists: from the journal where it says that the run has ended for good, else from its own files."""
    name = name or os.path.basename(path)
    if isinstance(event, RunEnded) and event.state in ("done", "pruned"):
        value = (event.values or {}).get(metric) if metric else None
        if value is not None or event.state == "pruned" or metric is None:
            return _RunState(name, _trial_of(name), event.state, run_dir=RunDir(path), value=value)
    run_dir = RunDir(path)
    status = run_status(run_dir)
    starting = driven and isinstance(event, RunStarted) and status.attempt < event.attempt  # its process has no lock yet
    now = standing(status, at_work=starting or None)
    value = final_value(run_dir.metrics, metric) if now == "done" and metric else None
    return _RunState(name, _trial_of(name), now, status, run_dir, value)


def _overview(
    path: Path,
    known: Sequence[_RunState],
    metric: Metric,
    events: Sequence[Event],
    *,
    is_sweep: bool,
    remarks: Sequence[str] = (),
) -> Overview:
    return Overview(
        path,
        is_sweep,
        metric.name,
        _counts(known),
        [_live(run, metric.name) for run in known if run.standing == "running"],
        [run.name for run in known if run.standing == "waiting"],
        _failures(known),
        _best(known, metric),
        events,
        *_unlearned(known),
        remarks=remarks,
    )


def _counts(known: Sequence[_RunState]) -> dict[str, int]:
    counts = Counter(run.standing for run in known)
    return {name: counts[name] for name in STANDINGS if counts[name]}


def _unlearned(known: Sequence[_RunState]) -> tuple[list[tuple[str, str]], int]:
    """Return the runs in which a loss term hardly moved, and how many were not judged: each costs a read, so only the first are."""
    judged = [run for run in known if run.standing in ("done", "running")]
    found = []
    for run in judged[:_MOST_JUDGED]:
        if run.run_dir is not None and (terms := flat_terms(run.run_dir.metrics, run.status.steps if run.standing == "running" else None)):
            found.append((run.name, ", ".join(map(str, terms))))
    return found, max(0, len(judged) - _MOST_JUDGED)


def _live(run: _RunState, metric: str) -> LiveRun:
    """Return the current state of a running run, by the times in its files."""
    run_dir, status = run.run_dir or RunDir(run.name), run.status
    evaluations = Evaluations(run_dir.metrics, metric)
    silence_s = time.time() - status.heartbeat
    return live_run(run_dir.name, status, value=evaluations.newest(), pace_s=evaluations.seconds_per_step(), silence_s=silence_s)


def _failures(known: Sequence[_RunState]) -> list[Failure]:
    """Group failed and interrupted runs by their reasons, without numbers and the path of the log."""
    groups: dict[tuple[str, str, str], list[_RunState]] = {}
    for run in known:
        if run.standing in _FAILED:
            alike = re.sub(r"\d+", "N", _reason(run.status).partition("; log: ")[0])
            groups.setdefault((run.standing, run.status.cause or "", alike), []).append(run)
    failures = [
        Failure(state, cause, _reason(runs[0].status), tuple(run.name for run in runs)) for (state, cause, _), runs in groups.items()
    ]
    return sorted(failures, key=lambda failure: (STANDINGS.index(failure.standing), -len(failure.runs)))


def _reason(status: Status) -> str:
    return status.reason or "no reason was recorded"


def _best(known: Sequence[_RunState], metric: Metric) -> Best | None:
    """Return the trial with the best mean among those whose runs are all done; while there is none, among those with a run that is."""
    trials: dict[str, list[_RunState]] = {}
    for run in known:
        trials.setdefault(run.trial, []).append(run)
    found: list[tuple[bool, float, str, int]] = []
    for trial, runs in trials.items():
        values = [run.value for run in runs if run.standing == "done" and run.value is not None and math.isfinite(run.value)]
        if values:
            mean = math.fsum(values) / len(values)
            found.append((len(values) == len(runs), mean if metric.goal == "maximize" else -mean, trial, len(values)))
    if not found:
        return None
    _, rank, trial, runs_done = max(found)
    return Best(trial, metric.name, rank if metric.goal == "maximize" else -rank, runs_done)


def _trial_of(name: str) -> str:
    """Return ``0003-batch_size=8`` for ``0003-batch_size=8-s1``."""
    return re.sub(r"-s\d+$", "", name)
