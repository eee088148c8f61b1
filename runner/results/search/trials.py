"""Trials of a search, grouped from its runs: parameters, state, learning curve and values."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from runner.config.geometry import geometry_warnings, readers_of
from runner.core.errors import InputError
from runner.core.expression import Expression
from runner.core.values import short_keys
from runner.results.collect import RunResult, check_metrics, with_memory
from runner.results.compare import read_problems
from runner.results.notes import ReportNote, given, note
from runner.results.texts import missing_metric
from runner.search.spec import Metric
from runner.stats.effects import Effect, effects
from runner.stats.intervals import Difference, Summary, summarize
from runner.store.run_dir import Goal

TrialState = Literal["done", "running", "interrupted", "pending", "failed", "infeasible", "pruned"]
Curve = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class SearchTrial:
    """A point that was tried.

    Args:
        number: in its sweep; 0 is the baseline.
        label: for people.
        parameters: dotted key to value, of the searched keys that applied to this trial (one with an unmet `when` does not).
        derived: the same of the derived keys; in a trial that none of them follows, its config's values.
        state: of its runs with the search's seeds together.
        reason: why it failed or was pruned; empty otherwise.
        values: tag to summary over the search's seeds, finished runs only.
        fresh: the same over other seeds: the trial's confirmation.
        violated: the constraints that it violates.
        curve: (step, mean of the deciding metric) of the evaluations that all its runs with the search's seeds have; runs without any
            are left out.
        step, steps: optimiser steps of the run that has done most, and of a whole run as planned (0: unknown).
        steps_done, steps_full: optimiser steps over all of the search's seeds: done, and planned without those that early stopping saved.
    """

    number: int
    label: str
    parameters: Mapping[str, Any]
    derived: Mapping[str, Any]
    state: TrialState
    reason: str
    values: Mapping[str, Summary]
    fresh: Mapping[str, Summary]
    violated: tuple[str, ...]
    curve: Curve
    step: int
    steps: int
    steps_done: int
    steps_full: int

    @property
    def is_baseline(self) -> bool:
        """True if it is the sweep's baseline."""
        return self.number == 0

    def value(self, tag: str) -> float | None:
        """Mean of a metric over the search's seeds; None before all of them are done."""
        return self.values[tag].mean if self.state == "done" and tag in self.values else None


@dataclass(frozen=True, slots=True)
class SearchResults:
    """State of a search.

    Args:
        metrics: deciding metrics; the first one ranks.
        constraints: as the sweep file has them.
        parameters: the searched keys in order of first use; short: a short name for each.
        derived: the keys that were computed from them.
        trials: in the order of their numbers.
        ranked: numbers of the finished trials that keep the constraints, the best first by the first metric.
        gain: the winner on fresh seeds minus the baseline on all of its seeds; None without both.
        warnings: what weakens the answers.
    """

    metrics: tuple[Metric, ...]
    constraints: tuple[str, ...]
    parameters: tuple[str, ...]
    short: Mapping[str, str]
    derived: tuple[str, ...]
    trials: tuple[SearchTrial, ...]
    ranked: tuple[int, ...]
    gain: Difference | None
    warnings: tuple[ReportNote, ...]

    @property
    def winner(self) -> SearchTrial | None:
        """Best of the ranked trials."""
        return self.trial(self.ranked[0]) if self.ranked else None

    def trial(self, number: int) -> SearchTrial:
        """Return the trial with this number."""
        return next(trial for trial in self.trials if trial.number == number)

    def states(self) -> dict[TrialState, int]:
        """Count the trials by state."""
        return dict(Counter(trial.state for trial in self.trials))


def search_results(
    runs: Sequence[RunResult],
    metrics: Sequence[Metric],
    *,
    seeds: Collection[int] = (),
    constraints: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> SearchResults:
    """Group the runs of one sweep to trials, and rank them.

    Args:
        metrics: deciding metrics, also of `runner.results.collect.MEMORY_TAGS`; the first one ranks.
        seeds: the search's; runs with another seed are confirmations, and a trial is not done before each of these is. Empty: all seeds are
            the search's.
        constraints: expressions over metrics and ``resource/memory_gib``; a trial keeps them if they hold for each of its seeds.
        warnings: what is known beforehand to weaken the answers, such as confounded factors.

    Raises:
        InputError: no runs, runs of several sweeps, no finished run has a metric, or a constraint that cannot be read.
    """
    names = [metric.name for metric in metrics]
    runs = with_memory(runs, names)
    grouped = _group(runs)
    check_metrics(runs, names)
    rules = _parse(constraints)
    keys = tuple(dict.fromkeys(key for members in grouped.values() for key in _searched(members[0])))
    chosen = ("seed.", *(f"{key}." for key in keys))
    derived = tuple(dict.fromkeys(key for run in runs for key in run.overrides if not f"{key}.".startswith(chosen)))
    trials = tuple(_trial(number, members, (keys, derived), metrics, seeds, rules) for number, members in sorted(grouped.items()))
    first = metrics[0]
    ranked = [(value, trial.number) for trial in trials if not trial.violated and (value := trial.value(first.name)) is not None]
    ranked.sort(key=lambda item: (-item[0] if first.goal == "maximize" else item[0], item[1]))
    order = tuple(number for _, number in ranked)
    return SearchResults(
        metrics=tuple(metrics),
        constraints=tuple(constraints),
        parameters=keys,
        short=short_keys(keys),
        derived=derived,
        trials=trials,
        ranked=order,
        gain=None if (effect := confirmed_effect(trials, order, first.name)) is None else effect.together,
        warnings=tuple(_warnings(trials, grouped, keys, runs, warnings)),
    )


def better(one: float, other: float, goal: Goal) -> bool:
    """Return whether `one` is better than `other`."""
    return one > other if goal == "maximize" else one < other


def _group(runs: Sequence[RunResult]) -> dict[int, list[RunResult]]:
    if not runs:
        raise InputError("no runs to compare")
    folders = dict.fromkeys(run.path.parent for run in runs)
    if len(folders) > 1:
        raise InputError(f"expected runs of one sweep, got runs of {len(folders)}: {', '.join(map(_sweep_name, folders))}")
    grouped: dict[int, list[RunResult]] = {}
    for run in runs:
        if run.trial >= 0:
            grouped.setdefault(run.trial, []).append(run)
    return grouped


def _sweep_name(runs_folder: Path) -> str:
    return str(runs_folder.parent if runs_folder.name == "runs" else runs_folder)


def _parse(constraints: Sequence[str]) -> list[tuple[str, Expression]]:
    found = []
    for text in constraints:
        try:
            found.append((text, Expression.parse(text)))
        except ValueError as error:
            raise InputError(f"Invalid constraint {text!r}: {error}") from error
    return found


def _searched(run: RunResult) -> list[str]:
    """Return the keys that the search chose for this run, without derived ones."""
    proposed = run.proposal.get("params")
    if isinstance(proposed, Mapping) and proposed:
        return [str(key) for key in proposed]
    return [key for key in run.overrides if key != "seed"]


def _trial(
    number: int,
    runs: Sequence[RunResult],
    keys: tuple[Sequence[str], Sequence[str]],
    metrics: Sequence[Metric],
    seeds: Collection[int],
    rules: Sequence[tuple[str, Expression]],
) -> SearchTrial:
    search = [run for run in runs if not seeds or run.seed in seeds]
    fresh = [run for run in runs if seeds and run.seed not in seeds]
    names = [metric.name for metric in metrics]
    state, reason = trial_state(search, seeds, names)
    searched, derived = keys
    steps = max((run.planned_steps for run in search), default=0)
    values = _summaries(search, names)
    return SearchTrial(
        number=number,
        label=runs[0].label,
        parameters=_parameters(runs[0], searched),
        derived={key: found[key] for key in derived for found in (runs[0].config, runs[0].overrides) if key in found},
        state=state,
        reason=reason,
        values=values,
        fresh=_summaries(fresh, names),
        violated=tuple(text for text, rule in rules if state == "done" and not _holds(rule, search)),
        curve=mean_curve(search, names[0]),
        step=max((run.step for run in search), default=0),
        steps=steps,
        steps_done=sum(run.step for run in search),
        steps_full=steps * max(len(seeds), len(search)) - sum(run.planned_steps - run.steps for run in search),
    )


def trial_state(runs: Sequence[RunResult], seeds: Collection[int], metrics: Sequence[str]) -> tuple[TrialState, str]:
    """Return (a trial's state, reason): the worst of its runs decides.

    Args:
        seeds: those it needs; empty: those it has.
        metrics: tags without which it failed.
    """
    for run in runs:
        if run.state == "failed":
            return ("infeasible" if run.cause == "out_of_memory" else "failed"), run.reason or ""
    for run in runs:
        if run.state == "pruned":
            return "pruned", run.reason or ""
    for run in runs:
        if run.state == "done" and (missing := [name for name in metrics if name not in run.metrics]):
            return "failed", missing_metric(missing[0], missing[0] in run.undefined)
    if any(run.state == "running" for run in runs):
        return "running", ""
    if any(run.state == "interrupted" for run in runs):
        return "interrupted", next(run.reason or "" for run in runs if run.state == "interrupted")
    done = {run.seed for run in runs if run.state == "done"}
    if not done or set(seeds) - done or any(run.state != "done" for run in runs):
        return "pending", ""
    return "done", ""


def _parameters(run: RunResult, keys: Sequence[str]) -> dict[str, Any]:
    """Return the values of the searched keys. A key that the search did not choose did not apply; but a baseline outside the space was
    not chosen at all, and has the values of its config."""
    chosen, proposed = _searched(run) or keys, run.proposal.get("params") or {}
    # a choice that is a mapping is split into keys in the config, and is text in the proposal
    places = (run.overrides, run.config, proposed)
    return {key: next(place[key] for place in places if key in place) for key in keys if key in chosen and any(key in p for p in places)}


def _summaries(runs: Sequence[RunResult], metrics: Sequence[str]) -> dict[str, Summary]:
    by_seed = {run.seed: run for run in runs if run.state == "done"}
    found = {name: [run.metrics[name] for run in by_seed.values() if name in run.metrics] for name in metrics}
    return {name: summarize(values) for name, values in found.items() if values}


def mean_curve(runs: Sequence[RunResult], metric: str) -> Curve:
    """Return (step, mean over those of `runs` that have any finite value of `metric`) for each step at which all of these have one."""
    every = [{step: values[metric] for step, values in run.evaluations if math.isfinite(values.get(metric, math.nan))} for run in runs]
    curves = [curve for curve in every if curve]
    shared = [step for step in curves[0] if all(step in curve for curve in curves)] if curves else []
    return tuple((step, statistics.fmean(curve[step] for curve in curves)) for step in sorted(shared))


def _holds(rule: Expression, runs: Sequence[RunResult]) -> bool:
    """Return whether a constraint holds for each of `runs`; one whose numbers are missing does not."""

    for run in runs:
        known = {**run.metrics, **run.memory()}
        try:
            if not rule.evaluate(known.__getitem__):
                return False
        except (KeyError, ValueError):
            return False
    return True


def confirmed_effect(trials: Sequence[SearchTrial], ranked: Sequence[int], metric: str) -> Effect | None:
    """Compute the winner on its fresh seeds against the baseline on all of its seeds; None without both."""
    baseline = next((trial for trial in trials if trial.is_baseline and trial.state == "done"), None)
    winner = next((trial for trial in trials if ranked and trial.number == ranked[0]), None)
    if baseline is None or winner is None or winner is baseline or metric not in winner.fresh:
        return None
    # the baseline was not selected by its numbers, so all of them are unbiased
    both = [*baseline.values[metric].values, *(baseline.fresh[metric].values if metric in baseline.fresh else ())]
    return effects(summarize(both), [winner.fresh[metric]])[0]


def _warnings(
    trials: Sequence[SearchTrial],
    grouped: Mapping[int, Sequence[RunResult]],
    keys: Sequence[str],
    runs: Sequence[RunResult],
    known: Sequence[str],
) -> list[ReportNote]:
    configs = [(members[0].label, readers_of(members[0].config)) for _, members in sorted(grouped.items()) if members[0].config]
    found = [*map(given, dict.fromkeys([*known, *geometry_warnings(configs, keys)])), *read_problems(runs)]
    if flat := {run.id: list(map(str, run.flat)) for run in runs if run.flat}:
        found.append(note("unlearned-runs", runs=flat))
    lengths = sorted({trial.steps for trial in trials if trial.steps})
    if len(lengths) > 1:
        found.append(note("trials-differ-in-length", shortest=lengths[0], longest=lengths[-1]))
    return found
