"""Runs grouped to trials, trials compared with the baseline: which change helped, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from runner.core.errors import InputError, nearest
from runner.core.values import format_value, same_value, short_keys
from runner.results.collect import Goal, RunResult
from runner.results.intervals import Difference, Summary, difference, summarize
from runner.results.params import ABSENT, CONTENT, SHOWN_DIGITS, data_warnings, differing_keys, evaluated_on, parameters

Verdict = Literal["better", "worse", "cannot tell"]
DEFAULT_METRIC = "bbox/AP"
SHOWN_METRICS = ("bbox/AP", "bbox/AP50", "bbox/AP75")


@dataclass(frozen=True, slots=True)
class TrialResult:
    """A trial: its runs and what they come to.

    Args:
        number: in its sweep; −1 where runs of several sweeps were joined or there is none.
        label: for people.
        is_baseline: the other trials are compared with this one.
        parameters: value of each of `Comparison.parameters`; `ABSENT` where its config has no such key.
        runs: all of them, whatever their state.
        counted: those the numbers come from: done, one a seed.
        metrics: tag to summary over `counted`.
        effects: tag to difference to the baseline; empty for the baseline and where either side has no values.
        verdict: on `Comparison.metric`; None without an interval (a single seed gets no verdict), and where the trial was
            evaluated on other data than the baseline.
        best: summary of each run's best evaluation of the metric: optimistic.
        time_s, images_per_s, memory_gb: summaries over `counted`.
    """

    number: int
    label: str
    is_baseline: bool
    parameters: Mapping[str, Any]
    runs: tuple[RunResult, ...]
    counted: tuple[RunResult, ...]
    metrics: Mapping[str, Summary]
    effects: Mapping[str, Difference]
    verdict: Verdict | None
    best: Summary
    time_s: Summary
    images_per_s: Summary
    memory_gb: Summary


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` found.

    Args:
        metric, goal: what decides, and which way is better.
        metrics: tags to show, the deciding one first.
        parameters: dotted keys that differ between trials; those that were varied on purpose come first.
        varied: how many of these were (all, if no run has overrides); the others followed, or came with another config.
        short: dotted key to short name.
        trials: the baseline first.
        uncounted: (run, why) of every run the numbers do not contain.
        warnings: why the comparison may mean nothing.
        notes: how to read it.
    """

    metric: str
    goal: Goal
    metrics: tuple[str, ...]
    parameters: tuple[str, ...]
    varied: int
    short: Mapping[str, str]
    trials: tuple[TrialResult, ...]
    uncounted: tuple[tuple[RunResult, str], ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def baseline(self) -> TrialResult:
        """The trial the others are compared with."""
        return self.trials[0]


@dataclass(slots=True)
class _Group:
    """Runs of one trial while they are sorted out."""

    parameters: dict[str, Any]
    runs: list[RunResult] = field(default_factory=list)


def compare(
    runs: Sequence[RunResult],
    metric: str = DEFAULT_METRIC,
    goal: Goal = "maximize",
    metrics: Sequence[str] = SHOWN_METRICS,
) -> Comparison:
    """Group `runs` by what they share apart from the seed, and compare the groups with the baseline.

    The baseline is trial 0 of a sweep, else the first trial given.

    Args:
        metric, goal: what decides; metrics: further tags to show, those that no run has left out.

    Raises:
        InputError: no runs, or no run that is done has the metric although some have others.
    """
    if not runs:
        raise InputError("there are no runs to compare")
    _check_metric(runs, metric)
    groups = _baseline_first(_group(runs))
    varied = list(dict.fromkeys(key for run in runs for key in run.overrides if key != "seed"))
    keys = differing_keys([group.parameters for group in groups], varied)
    uncounted: list[tuple[RunResult, str]] = []
    counted = [_count(group, metric, uncounted) for group in groups]
    shown = tuple(dict.fromkeys([metric, *(tag for tag in metrics if any(tag in run.metrics for run in runs))]))
    tags = tuple(dict.fromkeys([*shown, *(tag for group in counted for run in group for tag in run.metrics)]))
    base = {tag: summarize(_values(counted[0], tag)) for tag in tags}
    data = [evaluated_on(done) for done in counted]
    trials = tuple(
        _trial(group, done, index, keys, tags, base, metric, goal, same_data=data[index] == data[0])
        for index, (group, done) in enumerate(zip(groups, counted, strict=True))
    )
    return Comparison(
        metric=metric,
        goal=goal,
        metrics=shown,
        parameters=tuple(keys),
        varied=sum(key in varied for key in keys) if any(key in varied for key in keys) else len(keys),
        short=short_keys(keys),
        trials=trials,
        uncounted=tuple(uncounted),
        warnings=tuple([*data_warnings(runs), *_read_problems(runs)]),
        notes=tuple(_notes(trials, metric)),
    )


def _check_metric(runs: Sequence[RunResult], metric: str) -> None:
    known = sorted({tag for run in runs for tag in (*run.metrics, *run.undefined)})
    if known and metric not in known:
        hint = nearest(metric, known) or "there are " + ", ".join(known[:12]) + (" …" if len(known) > 12 else "")
        raise InputError(f"no finished run has the metric {metric!r}; {hint}")


def _group(runs: Iterable[RunResult]) -> list[_Group]:
    """Runs with the same parameters belong together; one whose config cannot be read, with its trial of the same
    sweep."""
    groups: dict[Any, _Group] = {}
    for run in runs:
        found = parameters(run)
        key = repr(sorted((name, _canonical(value)) for name, value in found.items()))
        if not run.config:
            same = [key for key, group in groups.items() if any(_same_trial(run, other) for other in group.runs)]
            key = same[0] if same else f"{run.path.parent} {run.trial}"
        groups.setdefault(key, _Group(found)).runs.append(run)
    return list(groups.values())


def _canonical(value: Any) -> Any:
    """So that equal values (1 and 1.0) have equal texts."""
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _same_trial(one: RunResult, other: RunResult) -> bool:
    return one.path.parent == other.path.parent and one.trial == other.trial >= 0


def _baseline_first(groups: list[_Group]) -> list[_Group]:
    for group in groups:
        if any(run.sweep is not None and run.trial == 0 for run in group.runs):
            return [group, *(other for other in groups if other is not group)]
    return groups


def _count(group: _Group, metric: str, uncounted: list[tuple[RunResult, str]]) -> list[RunResult]:
    """The runs of a trial that its numbers come from; the others, each with the reason, go to `uncounted`."""
    kept: list[RunResult] = []
    for run in group.runs:
        if run.state != "done":
            uncounted.append((run, f"{run.state}{f': {run.reason}' if run.reason else ''}"))
        elif metric not in run.metrics:
            what = "is not a finite number" if metric in run.undefined else "is missing"
            uncounted.append((run, f"done, but {metric} {what} in its evaluation"))
        elif twin := [other for other in kept if other.seed == run.seed]:
            uncounted.append((run, f"the same trial and seed as {twin[0].path}: a repeat of it and no further seed"))
        else:
            kept.append(run)
    return kept


def _values(runs: Iterable[RunResult], tag: str) -> list[float]:
    return [run.metrics[tag] for run in runs if tag in run.metrics]


def _trial(
    group: _Group,
    counted: Sequence[RunResult],
    index: int,
    keys: Sequence[str],
    tags: Sequence[str],
    base: Mapping[str, Summary],
    metric: str,
    goal: Goal,
    same_data: bool,
) -> TrialResult:
    metrics = {tag: summarize(_values(counted, tag)) for tag in tags}
    effects = {} if index == 0 else {tag: difference(metrics[tag], base[tag]) for tag in tags if metrics[tag].n and base[tag].n}
    best = [found[1] for run in counted if (found := run.best(metric, goal))]
    numbers = {run.trial for run in group.runs}
    return TrialResult(
        number=numbers.pop() if len(numbers) == 1 and group.runs[0].sweep is not None else -1,
        label=group.runs[0].label,
        is_baseline=index == 0,
        parameters={key: group.parameters.get(key, ABSENT) for key in keys},
        runs=tuple(group.runs),
        counted=tuple(counted),
        metrics=metrics,
        effects=effects,
        verdict=_verdict(effects.get(metric), goal, metrics[metric], base[metric]) if same_data else None,
        best=summarize(best),
        time_s=summarize([run.time_s for run in counted if run.time_s is not None]),
        images_per_s=summarize([run.images_per_s for run in counted if run.images_per_s is not None]),
        memory_gb=summarize([run.memory_gb for run in counted if run.memory_gb is not None]),
    )


def _verdict(effect: Difference | None, goal: Goal, one: Summary, base: Summary) -> Verdict | None:
    """The interval in one word. None where the noise is not known: fewer than two seeds on a side."""
    if effect is None or one.n < 2 or base.n < 2:
        return None
    if effect.low is None or effect.high is None or effect.low <= 0 <= effect.high:
        return "cannot tell"
    return "better" if (effect.low > 0) == (goal == "maximize") else "worse"


def _read_problems(runs: Iterable[RunResult]) -> list[str]:
    return [f"{run.path}: {run.problem}" for run in runs if run.problem]


def _notes(trials: Sequence[TrialResult], metric: str) -> list[str]:
    """What a reader has to know about these numbers."""
    notes = []
    if not trials[0].counted:
        notes.append("the baseline has no finished run yet: there is nothing to compare with")
    others = [trial for trial in trials if not trial.is_baseline]
    if others and any(trial.effects for trial in others):
        judged = [trial for trial in others if trial.verdict is not None]
        if judged:
            text = "Δ is the difference to the baseline; in brackets its 95 % interval (t, pooled variance)"
            if len(judged) > 1:
                text += f"; the chance that one or more of these {len(judged)} miss is up to {min(100, 5 * len(judged))} %"
            notes.append(text)
        if any(trial.effects and min(len(trial.counted), len(trials[0].counted)) < 2 for trial in others):
            notes.append("no verdict where a trial or the baseline has fewer than two seeds: the noise is not known")
        if any(trial.effects and evaluated_on(trial.counted) != evaluated_on(trials[0].counted) for trial in others):
            notes.append("no verdict where a trial was evaluated on other data than the baseline: the difference may be the data's")
    if any(trial.verdict is not None and trial.effects[metric].low is None for trial in others):
        notes.append("seeds that agree to the last digit show no noise to judge by")
    if any(trial.best.n and trial.best.mean != trial.metrics[metric].mean for trial in trials):
        notes.append("numbers are of the last checkpoint; the best evaluation of a run is optimistic and only listed")
    return notes


def parameter_text(comparison: Comparison, trial: TrialResult) -> str:
    """What a trial was made to differ in from the baseline: ``batch_size 8 → 16``; empty for the baseline."""
    parts = []
    for key in comparison.parameters[: comparison.varied]:
        one, other = comparison.baseline.parameters[key], trial.parameters[key]
        if not same_value(one, other):
            parts.append(f"{comparison.short[key]} {show_parameter(key, one)} → {show_parameter(key, other)}")
    return ", ".join(parts)


def followers(comparison: Comparison) -> list[str]:
    """A sentence for each key that differs although nobody varied it, with its values by trial."""
    result = []
    for key in comparison.parameters[comparison.varied :]:
        values = [show_parameter(key, trial.parameters[key]) for trial in comparison.trials]
        result.append(f"{key} differs too: {' / '.join(values)}")
    return result


def show_parameter(key: str, value: Any) -> str:
    """A parameter's value in a table; a dash where the config has no such key. Of a content hash only the beginning."""
    if value is ABSENT:
        return "–"
    return str(value)[:SHOWN_DIGITS] if key.endswith(CONTENT) else format_value(value)
