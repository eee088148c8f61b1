"""Comparison of runs, grouped to trials, with the baseline."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from runner.config.geometry import geometry_warnings, readers_of
from runner.core.errors import InputError, Problem
from runner.core.values import ABSENT, enough_digits, listed, shell_path, short_keys
from runner.results.answer import SweepFacts, answer
from runner.results.collect import RunResult, check_metrics, own_runs, with_memory
from runner.results.comparison import ComparedTrial, Comparison, Verdict
from runner.results.explain import explain
from runner.results.images import ImageComparison, compare_on_images
from runner.results.notes import ReportNote, given, note
from runner.results.params import CONTENT, data_warnings, differing_keys, evaluated_on, parameters, standing_for, without_followers
from runner.results.several_sweeps import TrialName, baseline_index, distinct_labels, needed_names, place_of
from runner.results.unlearned import describe_unlearned, unlearned
from runner.stats.effects import Effect, effects
from runner.stats.intervals import CONFIDENCE, summarize
from runner.stats.permutation import LEAST_SEEDS, permutation_p
from runner.stats.power import noise, seeds_to_tell
from runner.stats.sequential import look_confidence, raced_effects
from runner.store.run_dir import Goal
from runner.weights.names import short_pin

_MOST_LISTED: Final = 12
_MOST_NAMED: Final = 5


@dataclass(slots=True)
class _Group:
    """Runs of one trial while they are grouped."""

    parameters: dict[str, Any]
    runs: list[RunResult] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Question:
    """Arguments of `compare`, completed from the runs."""

    metric: str
    goal: Goal
    metrics: Sequence[str]
    looks: tuple[int, ...]
    images: bool | None
    against: int | None


def compare(
    runs: Sequence[RunResult],
    metric: str | None = None,
    goal: Goal | None = None,
    metrics: Sequence[str] = (),
    *,
    looks: Sequence[int] = (),
    warnings: Sequence[str] = (),
    images: bool | None = None,
    against: int | None = None,
    sweep: SweepFacts | None = None,
) -> Comparison:
    """Group `runs` by what they share apart from the seed, and compare the groups with the baseline. Imported runs are left out.

    The baseline is trial 0 of the first sweep given, else the first trial given.

    Args:
        metric, goal: deciding metric and its direction; None: as the first run states (see `runner.store.run_dir.PrimaryMetric`).
        metrics: tags to show besides those that the runs state, except those that no run has. Like `metric` they may be of
            `runner.results.collect.MEMORY_TAGS`.
        looks: seeds per trial at each look, where the sweep raced its seeds (see `runner.stats.sequential.looks`).
        warnings: what is known beforehand to weaken the comparison, such as confounded factors.
        against: number of the trial that the others are compared with; None: the baseline.
        sweep: the sweep that all runs are of, from which the answer's commands are made.
        images: bootstrap the images of each trial's and the baseline's first common seed; None: where one of them has a single seed.

    Raises:
        InputError: no runs but imported ones, no run that is done has the metric although some have others, or no trial has the number
            `against`.
    """
    if not runs:
        raise InputError("no runs to compare")
    imported = [run.label for run in runs if run.imported]
    every = own_runs(runs)
    check_clear(every)
    if not (runs := [run for run in every if not run.unidentified]):
        raise InputError("no runs to compare: run.json of each of them is damaged; `runner dashboard` shows their curves")
    unidentified = [run for run in every if run.unidentified]
    asked = _Question(metric or runs[0].metric.name, goal or runs[0].metric.goal, metrics, tuple(looks), images, against)
    runs = with_memory(runs, (asked.metric, *metrics))
    check_metrics(runs, [asked.metric])
    found = _compare_groups(runs, asked, warnings)
    flat = frozenset(run.path for trial in found.trials for run in unlearned(trial))
    if flat:
        without = _compare_groups(runs, replace(asked, images=False), (), leave_out=flat)
        found = replace(found, warnings=(*found.warnings, *describe_unlearned(found, without)))
    named = imported[:_MOST_NAMED]
    left_out = [note("imported", runs=len(imported), names=named, more=len(imported) - len(named))] if imported else []
    found = replace(
        found,
        uncounted=(*found.uncounted, *((run, note("uncounted-unidentified")) for run in unidentified)),
        warnings=(*found.warnings, *read_problems([*runs, *unidentified])),
    )
    return replace(found, answer=tuple(answer(found, sweep)), notes=(*explain(found), *left_out))


def _compare_groups(
    runs: Sequence[RunResult], asked: _Question, warnings: Sequence[str], leave_out: frozenset[Path] = frozenset()
) -> Comparison:
    """Group the runs and compare the groups, without an answer and notes.

    Args:
        leave_out: run directories whose runs are grouped and not counted.
    """
    metric = asked.metric
    groups = _baseline_first(_group(runs))
    if asked.against is not None:
        groups = _reference_first(groups, asked.against)
    varied = list(dict.fromkeys(key for run in runs for key in run.overrides if key != "seed"))
    keys, shown_values = _differing_values(groups, varied)
    uncounted: list[tuple[RunResult, ReportNote]] = []
    counted = [count_runs(group.runs, metric, uncounted, leave_out) for group in groups]
    shown = _shown_metrics(runs, metric, asked.metrics)
    tags = tuple(dict.fromkeys([*shown, *(tag for group in counted for run in group for tag in run.metrics)]))
    judged = _judge(counted, tags, metric, asked.looks)
    trials = _told_apart(
        [_trial(group, counted, index, shown_values[index], tags, judged[index], asked) for index, group in enumerate(groups)]
    )
    deciding = [effects[metric] for effects in judged if metric in effects]
    confidence = look_confidence(asked.looks, max(1, len(deciding))) if asked.looks else CONFIDENCE
    return Comparison(
        metric=metric,
        goal=asked.goal,
        metrics=shown,
        parameters=tuple(keys),
        varied=sum(key in varied for key in keys) or len(keys),
        short=short_keys(keys),
        trials=trials,
        noise=noise(trials[0].metrics[metric], deciding, confidence),
        looks=asked.looks,
        against=asked.against,
        uncounted=tuple(uncounted),
        digits={key: enough_digits(trial.parameters[key] for trial in trials) for key in keys if not key.endswith(CONTENT)},
        warnings=(*map(given, dict.fromkeys([*warnings, *_geometry(groups, varied)])), *data_warnings(runs)),
    )


def _told_apart(trials: Sequence[ComparedTrial]) -> tuple[ComparedTrial, ...]:
    """Give each trial a label of its own, and the name of its sweep where trials of several have the same number."""
    places = [found.pop() if len(found := {place_of(run) for run in trial.runs}) == 1 else None for trial in trials]
    names = [TrialName(place, each.number, each.label, each.runs[0].path) for each, place in zip(trials, places, strict=True)]
    sweeps = needed_names(names)
    labelled = zip(trials, distinct_labels(names), places, strict=True)
    return tuple(replace(trial, label=label, sweep=sweeps.get(place, "") if place else "") for trial, label, place in labelled)


def _differing_values(groups: Sequence[_Group], varied: Sequence[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the keys that differ between the groups, and each group's values of them."""
    values = [found | standing_for(varied, group.runs[0]) for found, group in zip(_shown_parameters(groups), groups, strict=True)]
    keys = without_followers(differing_keys(values, varied), varied)
    return keys, [{key: found.get(key, ABSENT) for key in keys} for found in values]


def _shown_metrics(runs: Sequence[RunResult], metric: str, metrics: Sequence[str]) -> tuple[str, ...]:
    """Return the deciding metric, then those that were requested or that the runs state, except those that no run has."""
    also = dict.fromkeys([*metrics, *(tag for run in runs for tag in run.metric.shown)])
    return tuple(dict.fromkeys([metric, *(tag for tag in also if any(tag in run.metrics for run in runs))]))


def _judge(counted: Sequence[Sequence[RunResult]], tags: Sequence[str], metric: str, looks: tuple[int, ...]) -> list[dict[str, Effect]]:
    """Compute effects by tag, a mapping per trial. Trials evaluated on other data than the baseline are not judged."""
    data = [evaluated_on(done) for done in counted]
    result: list[dict[str, Effect]] = [{} for _ in counted]
    for tag in tags:
        values = [{run.seed: run.metrics[tag] for run in done if tag in run.metrics} for done in counted]
        if not values[0]:
            continue
        family = [index for index in range(1, len(counted)) if values[index] and data[index] == data[0]]
        if tag == metric and looks:
            raced = raced_effects({index: values[index] for index in (0, *family)}, looks)
            found = [raced[index] for index in family]
        else:
            base, *others = (summarize(list(values[index].values())) for index in (0, *family))
            found = effects(base, others, joint=tag == metric)
        for index, effect in zip(family, found, strict=True):
            result[index][tag] = effect
        for index in set(range(1, len(counted))) - set(family):
            if values[index]:
                base, one = summarize(list(values[0].values())), summarize(list(values[index].values()))
                result[index][tag] = effects(base, [one], joint=False)[0].without_interval()
    return result


def _geometry(groups: Sequence[_Group], varied: Collection[str]) -> list[str]:
    """Find trials that were evaluated otherwise than they were trained: a verdict on them is also one on the evaluation."""
    configs = [(group.runs[0].label, readers_of(group.runs[0].config)) for group in groups if group.runs[0].config]
    return geometry_warnings(configs, varied)


def check_clear(runs: Iterable[RunResult]) -> None:
    """Raise InputError where several directories are the same run of a sweep and none has its name: none of them is guessed."""
    same: dict[tuple[Path, str], list[Path]] = {}
    for run in runs:
        if run.unclear:
            same.setdefault((run.path.parent, run.id), []).append(run.path)
    if same:
        raise InputError(
            [
                Problem(
                    f"all of them are copies of the run {run}; keep one, named {run}, and move the others away", ", ".join(map(str, paths))
                )
                for (_, run), paths in same.items()
            ]
        )


def _group(runs: Iterable[RunResult]) -> list[_Group]:
    """Group runs by their parameters; one whose config cannot be read joins its trial of the same sweep."""
    groups: dict[Any, _Group] = {}
    for run in runs:
        found = parameters(run)
        key = repr(sorted((name, _canonical(value)) for name, value in found.items()))
        if not run.config:
            same = [key for key, group in groups.items() if any(_same_trial(run, other) for other in group.runs)]
            key = same[0] if same else f"{run.path.parent} {run.trial}"
        groups.setdefault(key, _Group(found)).runs.append(run)
    return list(groups.values())


def _shown_parameters(groups: Sequence[_Group]) -> list[dict[str, Any]]:
    """Return each group's value of every key that identifies any of them. A key may identify one trial and not another (at the default of
    a key that was added later): of the latter it is the config's."""
    keys = dict.fromkeys(key for group in groups for key in group.parameters)
    result = []
    for group in groups:
        config = {key: value for run in reversed(group.runs) for key, value in run.config.items()}
        found = {key: value for key in keys if (value := group.parameters.get(key, config.get(key, ABSENT))) is not ABSENT}
        result.append({key: short_pin(value) if isinstance(value, str) else value for key, value in found.items()})
    return result


def _canonical(value: Any) -> Any:
    """Make equal values (1 and 1.0) have equal texts."""
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _same_trial(one: RunResult, other: RunResult) -> bool:
    return one.path.parent == other.path.parent and one.trial == other.trial >= 0


def _baseline_first(groups: list[_Group]) -> list[_Group]:
    at = baseline_index(group.runs for group in groups) or 0
    return [groups[at], *groups[:at], *groups[at + 1 :]]


def _reference_first(groups: list[_Group], number: int) -> list[_Group]:
    """Put the trial of that number first."""
    found = [group for group in groups if _number(group) == number]
    if len(found) != 1:
        known = sorted((_number(group), group.runs[0].label) for group in groups if _number(group) >= 0)
        expected = (
            f"expected one of {listed([f'{each} ({label})' for each, label in known], _MOST_LISTED)}" if known else "none has a number"
        )
        what = "several trials have" if found else "no trial has"
        raise InputError(f"--against {number}: {what} this number; {expected}")
    return [*found, *(group for group in groups if group is not found[0])]


def _number(group: _Group) -> int:
    """Return the number of a trial in its sweep; −1 where runs of several trials were joined, or there is no sweep."""
    numbers = {run.trial for run in group.runs}
    return numbers.pop() if len(numbers) == 1 and group.runs[0].sweep is not None else -1


def count_runs(
    runs: Iterable[RunResult], metric: str, uncounted: list[tuple[RunResult, ReportNote]], leave_out: Collection[Path] = frozenset()
) -> list[RunResult]:
    """Return the runs of a trial that its numbers are computed from: done, no copy, with the metric, one per seed.

    Args:
        runs: all runs of the trial.
        metric: tag of the deciding metric.
        uncounted: takes the others, each with the reason.
        leave_out: directories of runs that are not counted.
    """
    kept: list[RunResult] = []
    for run in runs:
        if run.copy_of:
            uncounted.append((run, note("uncounted-copy", original=str(run.path.with_name(run.copy_of)))))
        elif run.state != "done":
            state = "infeasible" if run.cause == "out_of_memory" else run.state
            uncounted.append((run, note("uncounted-state", state=state, reason=run.reason or "")))
        elif run.path in leave_out:
            uncounted.append((run, note("uncounted-left-out")))
        elif metric not in run.metrics:
            uncounted.append((run, note("uncounted-metric", metric=metric, undefined=metric in run.undefined)))
        elif twin := [other for other in kept if other.seed == run.seed]:
            uncounted.append((run, note("uncounted-repeat", other=str(twin[0].path))))
        else:
            kept.append(run)
    return kept


def _values(runs: Iterable[RunResult], tag: str) -> list[float]:
    return [run.metrics[tag] for run in runs if tag in run.metrics]


def _trial(
    group: _Group,
    counted: Sequence[Sequence[RunResult]],
    index: int,
    parameters: Mapping[str, Any],
    tags: Sequence[str],
    effects: Mapping[str, Effect],
    asked: _Question,
) -> ComparedTrial:
    metric, goal = asked.metric, asked.goal
    mine, baseline = counted[index], counted[0]
    metrics = {tag: summarize(_values(mine, tag)) for tag in tags}
    base = summarize(_values(baseline, metric))
    effect = effects.get(metric)
    verdict = _verdict(effect, goal)
    enough = min(metrics[metric].n, base.n) >= LEAST_SEEDS and verdict is not None
    return ComparedTrial(
        number=_number(group),
        label=group.runs[0].label,
        is_baseline=index == 0,
        parameters=parameters,
        runs=tuple(group.runs),
        counted=tuple(mine),
        metrics=metrics,
        effects={tag: found.together for tag, found in effects.items()},
        verdict=verdict,
        alone=effect.alone if effect is not None and verdict is not None else None,
        seeds_to_tell=seeds_to_tell(effect) if effect is not None and verdict == "cannot tell" else None,
        permutation_p=permutation_p(metrics[metric].values, base.values) if enough else None,
        images=_on_images(mine, baseline, metric, asked.images) if index and evaluated_on(mine) == evaluated_on(baseline) else None,
        best=summarize([found[1] for run in mine if (found := run.best(metric, goal))]),
        time_s=summarize([run.time_s for run in mine if run.time_s is not None]),
        images_per_s=summarize([run.images_per_s for run in mine if run.images_per_s is not None]),
        memory_gib=summarize([run.memory_gib for run in mine if run.memory_gib is not None]),
    )


def _verdict(effect: Effect | None, goal: Goal) -> Verdict | None:
    """Turn an interval into a verdict. None where the noise is unknown: fewer than two seeds on a side, or other evaluation data."""
    if effect is None or not effect.judged:
        return None
    if effect.together.is_open:
        return "cannot tell"
    return "better" if (effect.together.delta > 0) == (goal == "maximize") else "worse"


def _on_images(mine: Sequence[RunResult], baseline: Sequence[RunResult], metric: str, wanted: bool | None) -> ImageComparison | None:
    """Compare the checkpoints of the first seed that both have; None where it was neither requested nor possible."""
    pairs = [(run, other) for run in mine for other in baseline if run.seed == other.seed]
    if not pairs or wanted is False or (wanted is None and min(len(mine), len(baseline)) > 1):
        return None
    found = compare_on_images(*pairs[0], metric)
    return found if wanted or found.difference is not None else None


def read_problems(runs: Iterable[RunResult]) -> list[ReportNote]:
    """List the runs of which something could not be read, and the command that says more about those of sweeps."""
    wrong = [run for run in runs if run.problem]
    found = [note("read-problem", path=str(run.path), run=run.path.name, problem=run.problem) for run in wrong]
    sweeps = dict.fromkeys(run.path.parent.parent for run in wrong if run.path.parent.name == "runs")
    return [*found, *(note("read-problem-verify", sweep=shell_path(sweep)) for sweep in sweeps)]
