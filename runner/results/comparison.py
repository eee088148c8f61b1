"""What a comparison is: trials with their numbers, differences to the baseline and verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from runner.core.values import LEAST_DIGITS, format_value, same_value
from runner.results.collect import Goal, RunResult
from runner.results.images import ImageComparison
from runner.results.params import ABSENT, CONTENT, SHOWN_DIGITS
from runner.stats.intervals import Difference, Summary
from runner.stats.power import Noise

Verdict = Literal["better", "worse", "cannot tell"]
DEFAULT_METRIC = "bbox/AP"


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
        effects: tag to difference to the baseline; empty for the baseline and where either side has no values. That of
            `Comparison.metric` has the interval the verdict is taken from: simultaneous, and wider where seeds were raced.
        verdict: on `Comparison.metric`; None without an interval (a single seed gets no verdict), and where the trial was
            evaluated on other data than the baseline.
        alone: the effect on the metric with the interval it would have were this the only trial; None without a verdict.
        seeds_to_tell: where the verdict is "cannot tell": seeds a trial that would tell, if the difference and the spread are what
            they look like; None: more than `MOST_SEEDS`, or not known.
        permutation_p: p of the permutation test, from 8 seeds on each side.
        images: what the images say about this checkpoint and the baseline's.
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
    alone: Difference | None
    seeds_to_tell: int | None
    permutation_p: float | None
    images: ImageComparison | None
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
        noise: how far seeds alone move the metric, and what that hides; None with fewer than two seeds of the baseline.
        looks: seeds a trial at each look where seeds were raced; empty where they were not.
        uncounted: (run, why) of every run the numbers do not contain.
        warnings: why the comparison may mean nothing.
        notes: how to read it.
        digits: dotted key to how many digits of its values are shown.
    """

    metric: str
    goal: Goal
    metrics: tuple[str, ...]
    parameters: tuple[str, ...]
    varied: int
    short: Mapping[str, str]
    trials: tuple[TrialResult, ...]
    noise: Noise | None = None
    looks: tuple[int, ...] = ()
    uncounted: tuple[tuple[RunResult, str], ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    digits: Mapping[str, int] = field(default_factory=dict)

    def shown(self, key: str, trial: TrialResult) -> str:
        """A parameter's value in a trial, with as many digits as tell the trials apart."""
        return show_parameter(key, trial.parameters[key], self.digits.get(key, LEAST_DIGITS))

    @property
    def baseline(self) -> TrialResult:
        """The trial the others are compared with."""
        return self.trials[0]


def parameter_text(comparison: Comparison, trial: TrialResult) -> str:
    """What a trial was made to differ in from the baseline: ``batch_size 8 → 16``; empty for the baseline."""
    parts = []
    for key in comparison.parameters[: comparison.varied]:
        one, other = comparison.baseline.parameters[key], trial.parameters[key]
        if not same_value(one, other):
            parts.append(f"{comparison.short[key]} {comparison.shown(key, comparison.baseline)} → {comparison.shown(key, trial)}")
    return ", ".join(parts)


def by_factor(comparison: Comparison) -> list[list[TrialResult]]:
    """The trials in groups: the baseline, then a group for each key that alone makes a trial differ, then what differs in several keys."""
    keys = comparison.parameters[: comparison.varied]
    groups: dict[str, list[TrialResult]] = {"": [comparison.baseline], **{key: [] for key in keys}, "several": []}
    for trial in comparison.trials[1:]:
        differing = [key for key in keys if not same_value(trial.parameters[key], comparison.baseline.parameters[key])]
        groups[differing[0] if len(differing) == 1 else "several"].append(trial)
    return [group for group in groups.values() if group]


def followers(comparison: Comparison) -> list[str]:
    """A sentence for each key that differs although nobody varied it, with its values by trial."""
    result = []
    for key in comparison.parameters[comparison.varied :]:
        values = [comparison.shown(key, trial) for trial in comparison.trials]
        result.append(f"{key} differs too: {' / '.join(values)}")
    return result


def uncounted_lines(comparison: Comparison) -> list[tuple[str, str]]:
    """(run, why) of each run that is not counted; a copy, which has the name of another one, by its folder."""
    ids = Counter(run.id for trial in comparison.trials for run in trial.runs)
    return [(run.id if ids[run.id] <= 1 and run.path.name == run.id else str(run.path), why) for run, why in comparison.uncounted]


def show_parameter(key: str, value: Any, digits: int = LEAST_DIGITS) -> str:
    """A parameter's value in a table; a dash where the config has no such key. Of a content hash only the beginning."""
    if value is ABSENT:
        return "–"
    return str(value)[:SHOWN_DIGITS] if key.endswith(CONTENT) else format_value(value, digits)
