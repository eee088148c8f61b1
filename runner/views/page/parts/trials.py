"""Part `trials`: the table of trials and their runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from runner.core.values import ABSENT, short_keys
from runner.results.collect import RunResult
from runner.results.compare import count_runs
from runner.results.comparison import Comparison
from runner.results.search.report import SearchReport
from runner.stats.intervals import summarize
from runner.views.page.data import PageData, PageRun, PageTrial, standing_of
from runner.views.page.part import PartAnswer, Query, json_answer
from runner.views.page.redaction import Redaction

SWEEP: Final = "sweep"
"""Key of the page for the name of a trial's sweep, where runs of several are shown; no config has it."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in the table.

    Args:
        state: one of `runner.monitor.progress.STANDINGS`.
        values: of each metric, of the last checkpoint, or of the newest evaluation while it runs.
    """

    id: str
    name: str
    trial: str
    seed: int
    state: str
    reason: str
    problem: str
    step: int
    steps: int
    heartbeat: float
    time_s: float | None
    memory_gib: float | None
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Mean and sample standard deviation over the runs that count; `std` is None for one of them."""

    n: int
    mean: float | None
    std: float | None


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A trial in the table.

    Args:
        parameters: value by dotted key: what was overridden, and once there is a report every key of `Trials.keys` and `Trials.more`.
        states: number of runs per standing, planned ones included, copies not.
        metrics: over the runs that count.
        time_s, memory_gib: means over these.
        imported: its run was made of another program's logs: it is compared with nothing.
    """

    id: str
    number: int
    label: str
    baseline: bool
    parameters: Mapping[str, Any]
    runs: tuple[str, ...]
    states: Mapping[str, int]
    metrics: Mapping[str, Numbers]
    time_s: float | None
    memory_gib: float | None
    imported: bool


@dataclass(frozen=True, slots=True)
class Trials:
    """The table.

    Args:
        metrics: tags, the deciding one first.
        keys: dotted keys that were varied, to their short names.
        more: keys that differ too; with runs of several sweeps also `SWEEP`, whose value is the sweep's name.
    """

    metric: str
    goal: str
    metrics: tuple[str, ...]
    keys: Mapping[str, str]
    more: Mapping[str, str]
    trials: list[TrialRow]
    runs: list[RunRow]


class TrialsPart:
    """The part."""

    keys: frozenset[str] = frozenset()

    def answer(self, data: PageData, query: Query) -> PartAnswer:
        """Answer the table (`Trials`)."""
        return json_answer(read_trials(data))

    def frozen(self, data: PageData, view: Query) -> Iterable[Query]:
        """Yield the only query there is."""
        yield {}


def read_trials(data: PageData) -> Trials:
    """Make the table."""
    runs, trials, metric = data.runs(), data.trials(), data.metric
    tags = tuple(dict.fromkeys([*metric.shown, *(tag for run in runs.values() for tag in (*run.result.metric.also, *run.result.metrics))]))
    keys, more, parameters = read_parameters(data)
    hide = Redaction(data.roots)
    rows = data.memo.recall("run", {id: (run, tags) for id, run in runs.items()}, lambda run, tags: _run(run, tags, hide))
    wanted = {id: (trial, parameters[id], tuple(runs[run].result for run in trial.runs), tags, metric.name) for id, trial in trials.items()}
    table = data.memo.recall("trial", wanted, lambda trial, values, *others: _trial(_hidden(trial, values, hide), *others))
    short = short_keys([*keys, *more])
    varied, others = ({key: short[key] for key in each} for each in (keys, more))
    return Trials(metric.name, metric.goal, tags, varied, others, table, rows)


def _hidden(trial: PageTrial, parameters: Mapping[str, Any], hide: Redaction) -> PageTrial:
    """Return a trial with its parameters as overrides, and without what the page does not tell."""
    return replace(trial, label=hide.text(trial.label), overrides={key: hide.value(value) for key, value in parameters.items()})


def read_parameters(data: PageData) -> tuple[list[str], list[str], dict[str, dict[str, Any]]]:
    """Return the keys that were varied, those that differ too, and id of each trial to its parameters (see `Trials` and `TrialRow`)."""
    runs, trials, report = data.runs(), data.trials(), data.report()
    more: list[str] = []
    keys = list(dict.fromkeys(key for trial in trials.values() for key in trial.overrides if key != "seed"))
    values: dict[Path, Mapping[str, Any]] = {}
    if isinstance(report, Comparison):
        keys = list(report.parameters[: report.varied]) if report.varied else keys
        more = [key for key in report.parameters if key not in keys]
        values = {run.path: trial.parameters for trial in report.trials for run in trial.runs}
    elif isinstance(report, SearchReport):
        keys = list(dict.fromkeys([*report.results.parameters, *keys]))
        tried = {trial.number: {**trial.derived, **trial.parameters} for trial in report.results.trials}
        values = {run.path: tried[run.trial] for run in report.runs if run.trial in tried}
    parameters = {}
    for trial in trials.values():
        known = next((values[path] for run in trial.runs if (path := runs[run].result.path) in values), {})
        shown = {key: known[key] for key in (*keys, *more) if known.get(key, ABSENT) is not ABSENT}
        parameters[trial.id] = {**trial.overrides, **shown}
    sweeps = {trial.id: trial.sweep for trial in trials.values() if trial.sweep}
    if len(set(sweeps.values())) > 1:
        more.append(SWEEP)
        for id, sweep in sweeps.items():
            parameters[id][SWEEP] = sweep
    return keys, more, parameters


def _run(run: PageRun, tags: Sequence[str], hide: Redaction) -> RunRow:
    result = run.result
    latest = {tag: value for tag in tags if (value := result.latest(tag)) is not None}
    return RunRow(
        run.id, result.path.name, run.trial, result.seed, standing_of(result), hide.text(result.reason or ""), hide.text(result.problem),
        result.step, result.steps, result.heartbeat, result.time_s, result.memory_gib, latest,
    )  # fmt: skip


def _trial(trial: PageTrial, results: Sequence[RunResult], tags: Sequence[str], metric: str) -> TrialRow:
    done = count_runs([result for result in results if not result.unclear], metric, [])
    states = Counter(standing_of(result) for result in results if not result.copy_of)
    states["waiting"] += trial.waiting
    return TrialRow(
        trial.id, trial.number, trial.label, trial.is_baseline, trial.overrides, trial.runs, {name: n for name, n in states.items() if n},
        {tag: _numbers([result.metrics[tag] for result in done if tag in result.metrics]) for tag in tags},
        _numbers([result.time_s for result in done if result.time_s is not None]).mean,
        _numbers([result.memory_gib for result in done if result.memory_gib is not None]).mean,
        trial.imported,
    )  # fmt: skip


def _numbers(values: Sequence[float]) -> Numbers:
    summary = summarize(values)
    return Numbers(summary.n, summary.mean if summary.n else None, summary.std)
