"""Part `search`: what a sweep has explored. Its space, its trials there, and what the report knows of both."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from runner.core.errors import InputError
from runner.core.values import short_keys
from runner.results.compare import count_runs
from runner.results.comparison import Comparison
from runner.results.explored import CellMean, KeyAxis, best_so_far, cell_means, key_axis, value_means
from runner.results.search.importance import Importances
from runner.results.search.report import SearchReport
from runner.results.search.shapes import Bin, not_dominated
from runner.results.search.trials import SearchTrial, mean_curve, trial_state
from runner.stats.intervals import Summary, summarize
from runner.store.run_dir import Goal
from runner.views.page.data import PageData, PageTrial, own_trials
from runner.views.page.part import PartAnswer, Query, json_answer
from runner.views.page.parts.report import ReportPart
from runner.views.page.parts.trials import Trials, read_trials
from runner.views.page.plan import PlanSpec, read_spec
from runner.views.page.redaction import Redaction
from runner.views.renderers.base import Report

COSTS = ("time_s", "memory_gib")
_KINDS = ("one_at_a_time", "grid")
_MOST_STEPS = 40
"""Steps of the learning curves; of more, some are left out. The last value of a trial that is not done is among its other numbers."""


@dataclass(frozen=True, slots=True)
class SeedNumbers:
    """Mean and sample standard deviation over seeds, and the values; `std` is None for one of them."""

    n: int
    mean: float
    std: float | None
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ExploredTrial:
    """A trial in the space.

    Args:
        state: one of `runner.monitor.progress.STANDINGS`, of all its runs together.
        places: on the axis of each key: a number, or the index of a choice; None where the key does not apply or is not known.
        metrics: over its seeds, as the report has them; without a confirmation's new seeds.
        costs: means of `COSTS` over the runs that are done; None: unknown.
        violated: constraints that it breaks.
        newest: (step, value) of the deciding metric at its last evaluation, if it is not done.
    """

    id: str
    state: str
    places: tuple[float | None, ...]
    metrics: Mapping[str, SeedNumbers]
    costs: tuple[float | None, ...]
    violated: tuple[str, ...] = ()
    newest: tuple[int, float] | None = None


@dataclass(frozen=True, slots=True)
class SliceRange:
    """Trials with places from `low` to `high` on a key's axis: how many, and the mean or the median of their means."""

    low: float
    high: float
    trials: int
    value: float


@dataclass(frozen=True, slots=True)
class KeySlice:
    """A metric along a key, over all other keys. `statistic`: ``mean``, by value; of a search ``median``, in the bins of its report."""

    metric: str
    key: str
    statistic: str
    ranges: tuple[SliceRange, ...]


@dataclass(frozen=True, slots=True)
class GridCells:
    """Means by the values of two keys, over all other keys."""

    metric: str
    x: str
    y: str
    cells: tuple[CellMean, ...]


@dataclass(frozen=True, slots=True)
class CostFront:
    """Ids of the trials that no other beats in a metric and a cost, the best first. `cost`: one of `COSTS`, or another deciding metric."""

    metric: str
    cost: str
    goal: str
    front: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RungCurves:
    """Means over seeds of the deciding metric at evaluations. `values`: trial id to one per step; None where it has none."""

    metric: str
    steps: tuple[int, ...]
    values: Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True, slots=True)
class Explored:
    """Space of a sweep and what was tried in it.

    Args:
        kind: ``one_at_a_time``, ``grid``, ``search``, or ``list`` for everything else.
        metrics: the deciding ones and those beside them; `goal` is None where it is not known.
        states: number of trials per state.
        alone: of one_at_a_time: key to the ids of the trials that differ from the baseline in it alone, and the baseline's.
        history: metric to (trial number, value) of each trial better than all before it.
        importances: those of the report on a search, one per deciding metric, with `method` and, where there are none, `refused`.
        curves, rungs, notes: of a search that prunes: learning curves, the steps at which trials were pruned, and the audit's sentences.
    """

    kind: str
    metrics: tuple[Mapping[str, str | None], ...]
    keys: tuple[KeyAxis, ...]
    trials: tuple[ExploredTrial, ...]
    states: Mapping[str, int]
    alone: Mapping[str, tuple[str, ...]]
    slices: tuple[KeySlice, ...]
    cells: tuple[GridCells, ...]
    history: Mapping[str, list[tuple[int, float]]]
    fronts: tuple[CostFront, ...]
    importances: tuple[Mapping[str, Any], ...] = ()
    curves: RungCurves | None = None
    rungs: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[Mapping[str, Any], ...] = ()


class SearchPart:
    """The part."""

    keys: frozenset[str] = frozenset({"metric"})

    def answer(self, data: PageData, query: Query) -> PartAnswer:
        """Answer what was explored (`Explored`): by the deciding metric, or by another one."""
        report, metric = data.report(), query.get("metric")
        if report is not None and metric and metric != data.metric.name:
            try:
                report = data.other_report(metric, None)
            except InputError as error:
                raise InputError(Redaction(data.roots).text(str(error))) from error
        return json_answer(read_explored(data, report))

    def frozen(self, data: PageData, view: Query) -> Iterable[Query]:
        """Yield the query by the deciding metric, and those by the others of which the file has a report."""
        yield {}
        for query in ReportPart().frozen(data, view):
            if set(query) == {"metric"}:
                yield query


def read_explored(data: PageData, report: Report | None) -> Explored:
    """Collect what was explored, with the numbers of a report, or without one."""
    spec, hide = _spec(data), Redaction(data.roots)
    search = report if isinstance(report, SearchReport) else None
    goals = _goals(data, spec, report)
    table = read_trials(data)
    points = _points(data, table, spec, search)
    names = short_keys(dict.fromkeys(key for point in points.values() for key in point) if search is None else search.results.parameters)
    declared = {**spec.vary, **spec.space}
    axes = tuple(
        key_axis(key, short, [point[key] for point in points.values() if key in point], declared.get(key)) for key, short in names.items()
    )
    places = {id: tuple(axis.place(point[axis.key]) if axis.key in point else None for axis in axes) for id, point in points.items()}
    trials = tuple(_trials(data, table, search, places, tuple(goals)))
    kind = "search" if search is not None or spec.space else spec.design if spec.design in _KINDS else "list"
    found = Explored(
        kind=kind,
        metrics=tuple({"name": name, "goal": goal} for name, goal in goals.items()),
        keys=tuple(replace(axis, choices=tuple(map(hide.text, axis.choices))) for axis in axes),
        trials=trials,
        states=dict(Counter(trial.state for trial in trials)),
        alone=_alone(data, axes, places) if kind == "one_at_a_time" else {},
        slices=tuple(_slices(axes, trials, goals, search)) if kind != "one_at_a_time" else (),
        cells=tuple(_cells(axes, trials, goals)) if kind == "grid" else (),
        history=_history(data, trials, goals) if kind == "search" else {},
        fronts=tuple(_fronts(trials, goals)),
    )
    return found if search is None else _with_search(found, search, data, hide)


def _spec(data: PageData) -> PlanSpec:
    """Return what the sweep file says; nothing where the runs are not all of one sweep."""
    own = [run.result for run in data.runs().values() if not run.result.imported]
    sweeps = {folder.parent for folder in {result.path.parent for result in own}} | {
        root for root in data.roots if (root / "runs").is_dir()
    }
    return read_spec(sweeps.pop()) if len(sweeps) == 1 else PlanSpec()


def _goals(data: PageData, spec: PlanSpec, report: Report | None) -> dict[str, Goal | None]:
    """Return the tags that are shown, the deciding one first, with which way is better; None where nothing says it."""
    if isinstance(report, SearchReport):
        return {metric.name: metric.goal for metric in report.results.metrics}
    given = spec.metric if isinstance(spec.metric, tuple) else (spec.metric,) if spec.metric else ()
    known: dict[str, Goal | None] = {data.metric.name: data.metric.goal, **{metric.name: metric.goal for metric in given}}
    if not isinstance(report, Comparison):
        return {tag: known.get(tag) for tag in data.metric.shown}
    known[report.metric] = report.goal
    return {tag: known.get(tag) for tag in report.metrics}


def _points(data: PageData, table: Trials, spec: PlanSpec, search: SearchReport | None) -> dict[str, Mapping[str, Any]]:
    """Return trial id to the values of its varied keys, without those that were derived from them. Imported trials have none."""
    if search is not None:
        tried = {trial.number: trial.parameters for trial in search.results.trials}
        return {id: tried.get(trial.number, {}) for id, trial in own_trials(data).items()}
    derived = set(spec.derive) - {*spec.vary, *spec.space}
    keys = [key for key in table.keys if key not in derived]
    return {row.id: {key: row.parameters[key] for key in keys if key in row.parameters} for row in table.trials if not row.imported}


def _trials(
    data: PageData, table: Trials, search: SearchReport | None, places: Mapping[str, tuple[float | None, ...]], tags: Sequence[str]
) -> Iterable[ExploredTrial]:
    """Yield the trials in the order of the page's."""
    reported = {} if search is None else {trial.number: trial for trial in search.results.trials}
    own = own_trials(data)
    for row in table.trials:
        if row.imported:
            continue
        trial, costs = own[row.id], (row.time_s, row.memory_gib)
        known = reported.get(trial.number)
        if known is None:
            yield _trial(data, trial, places[row.id], tags, costs)
        else:
            metrics = {tag: _numbers(known.values[tag]) for tag in tags if known.value(tag) is not None}
            newest = known.curve[-1] if known.curve and known.state != "done" else None
            yield ExploredTrial(row.id, _standing(known), places[row.id], metrics, costs, known.violated, newest)


def _trial(
    data: PageData, trial: PageTrial, places: tuple[float | None, ...], tags: Sequence[str], costs: tuple[float | None, ...]
) -> ExploredTrial:
    """Return a trial by its runs."""
    own = [run for run in (data.runs()[id].result for id in trial.runs) if not run.copy_of and not run.unclear]
    done = count_runs(own, tags[0], [])
    metrics = {tag: _numbers(summarize(values)) for tag in tags if (values := [run.metrics[tag] for run in done if tag in run.metrics])}
    state = trial_state(own, (), tags[:1])[0]
    waits = state == "pending" or (state == "done" and trial.waiting > 0)
    curve = mean_curve(own, tags[0]) if state != "done" else ()
    return ExploredTrial(trial.id, "waiting" if waits else state, places, metrics, costs, (), curve[-1] if curve else None)


def _standing(trial: SearchTrial) -> str:
    return "waiting" if trial.state == "pending" else trial.state


def _numbers(summary: Summary) -> SeedNumbers:
    return SeedNumbers(summary.n, summary.mean, summary.std, summary.values)


def _alone(data: PageData, axes: Sequence[KeyAxis], places: Mapping[str, tuple[float | None, ...]]) -> dict[str, tuple[str, ...]]:
    """Return key to the ids of the baseline and the trials that differ from it in that key alone, in the order of its values."""
    baseline = next((trial.id for trial in own_trials(data).values() if trial.is_baseline), "")
    found: dict[str, list[tuple[float, str]]] = {axis.key: [] for axis in axes}
    for id, point in places.items():
        differing = [at for at, place in enumerate(point) if place is not None and place != places[baseline][at]]
        for at in differing if len(differing) == 1 else range(len(axes)) if id == baseline else ():
            if (place := point[at]) is not None:
                found[axes[at].key].append((place, id))
    return {key: tuple(id for _, id in sorted(trials)) for key, trials in found.items()}


def _slices(
    axes: Sequence[KeyAxis], trials: Sequence[ExploredTrial], goals: Mapping[str, Goal | None], search: SearchReport | None
) -> Iterable[KeySlice]:
    if search is not None:
        by_key = {axis.key: axis for axis in axes}
        for each in search.slices:
            values = {number: value for number, value, _ in each.points}
            yield KeySlice(each.metric, each.key, "median", tuple(_range(by_key[each.key], found, values) for found in each.bins))
        return
    for tag, (at, axis) in itertools.product(goals, enumerate(axes)):
        means = value_means(axis, [(trial.places[at], trial.metrics[tag].mean) for trial in trials if tag in trial.metrics])
        yield KeySlice(tag, axis.key, "mean", tuple(SliceRange(mean.place, mean.place, mean.trials, mean.mean) for mean in means))


def _range(axis: KeyAxis, found: Bin, values: Mapping[int, Any]) -> SliceRange:
    places = [place for number in found.trials if (place := axis.place(values[number])) is not None]
    return SliceRange(min(places), max(places), len(found.trials), found.median)


def _cells(axes: Sequence[KeyAxis], trials: Sequence[ExploredTrial], goals: Mapping[str, Goal | None]) -> Iterable[GridCells]:
    listed = [(at, axis) for at, axis in enumerate(axes) if axis.count > 1]
    for tag, ((i, x), (j, y)) in itertools.product(goals, itertools.combinations(listed, 2)):
        points = [(trial.places[i], trial.places[j], trial.metrics[tag].mean) for trial in trials if tag in trial.metrics]
        yield GridCells(tag, x.key, y.key, tuple(cell_means(x, y, points)))


def _history(data: PageData, trials: Sequence[ExploredTrial], goals: Mapping[str, Goal | None]) -> dict[str, list[tuple[int, float]]]:
    found = {}
    for tag, goal in goals.items():
        values = [
            (data.trials()[trial.id].number, trial.metrics[tag].mean) for trial in trials if tag in trial.metrics and not trial.violated
        ]
        if goal is not None:
            found[tag] = best_so_far(sorted(values), goal)
    return found


def _fronts(trials: Sequence[ExploredTrial], goals: Mapping[str, Goal | None]) -> Iterable[CostFront]:
    """Yield the front of each metric against each cost, and against each other metric."""
    known = {tag: goal for tag, goal in goals.items() if goal is not None}
    counted = [trial for trial in trials if not trial.violated]
    for tag, goal in known.items():
        for at, cost in enumerate(COSTS):
            points = {
                trial.id: (trial.metrics[tag].mean, spent)
                for trial in counted
                if tag in trial.metrics and (spent := trial.costs[at]) is not None
            }
            yield CostFront(tag, cost, "minimize", tuple(not_dominated(points, (goal, "minimize"))))
        for other, other_goal in known.items():
            if other != tag:
                pairs = {
                    trial.id: (trial.metrics[tag].mean, trial.metrics[other].mean)
                    for trial in counted
                    if {tag, other} <= trial.metrics.keys()
                }
                yield CostFront(tag, other, other_goal, tuple(not_dominated(pairs, (goal, other_goal))))


def _with_search(found: Explored, search: SearchReport, data: PageData, hide: Redaction) -> Explored:
    """Add what only the report on a search has."""
    return replace(
        found,
        importances=tuple(hide.value(_importances(each)) for each in search.importances),
        curves=_curves(search, data) if search.audit is not None else None,
        rungs=() if search.audit is None else tuple(map(asdict, search.audit.rungs)),
        notes=tuple(hide.value(note.data()) for note in search.audit_notes),
    )


def _importances(found: Importances) -> dict[str, Any]:
    return {**asdict(replace(found, refused=None)), "refused": None if found.refused is None else found.refused.data()}


def _curves(search: SearchReport, data: PageData) -> RungCurves:
    """Return the curves at no more than `_MOST_STEPS` steps, the last one among them."""
    curves = {trial.number: dict(trial.curve) for trial in search.results.trials}
    steps = sorted({step for curve in curves.values() for step in curve})
    stride = -(-len(steps) // _MOST_STEPS) or 1
    kept = tuple(steps[::-1][::stride][::-1])
    values = {trial.id: tuple(map(curves[trial.number].get, kept)) for trial in own_trials(data).values() if curves.get(trial.number)}
    return RungCurves(search.results.metrics[0].name, kept, values)
