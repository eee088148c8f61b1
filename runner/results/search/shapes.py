"""A search's trials as pictures need them: the Pareto front, slices along each parameter, and parallel coordinates."""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from runner.core.values import enough_digits, format_value, is_number
from runner.results.search.importance import short_number
from runner.results.search.trials import SearchResults, SearchTrial, better
from runner.store.run_dir import Goal

K = TypeVar("K", bound=Hashable)
_MOST_BINS = 8
_FEW_VALUES = 5
LOG_RATIO = 50.0
"""Numbers over more than this ratio are spread by their logarithm."""


@dataclass(frozen=True, slots=True)
class ParetoFront:
    """Trials that no other one beats in every metric.

    Args:
        metrics: tags, the sweep's order.
        front: numbers of the trials that are not dominated, the best by the first metric first.
        dominated: numbers of the others.
        excluded: numbers of finished trials that break a constraint.
    """

    metrics: tuple[str, ...]
    front: tuple[int, ...]
    dominated: tuple[int, ...]
    excluded: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bin:
    """Finished trials with neighbouring values of a parameter.

    Args:
        label: the value, or the range of values.
        trials: numbers of the trials; values: their metric, in the same order.
        median: of the metric; best: of the metric.
    """

    label: str
    trials: tuple[int, ...]
    values: tuple[float, ...]
    median: float
    best: float


@dataclass(frozen=True, slots=True)
class Slice:
    """A parameter against a metric.

    Args:
        key: dotted key of the parameter; metric: tag.
        points: (trial, parameter's value, metric) of each finished trial that it applied to.
        bins: the same, by at most 8 values or ranges of values that hold about equally many trials.
    """

    key: str
    metric: str
    points: tuple[tuple[int, Any, float], ...]
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of parallel coordinates.

    Args:
        key: dotted.
        low, high: its ends, of numbers; None of choices.
        log: whether places are those of the logarithm.
        choices: texts, evenly spread from 0 to 1; empty of numbers.
    """

    key: str
    low: float | None
    high: float | None
    log: bool
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A trial as a line over the axes.

    Args:
        trial: its number.
        places: 0–1 on each axis; None where the parameter did not apply.
        value: the metric; of a pruned trial its last evaluation, with `state` "pruned".
    """

    trial: int
    places: tuple[float | None, ...]
    value: float
    state: str


@dataclass(frozen=True, slots=True)
class Parallel:
    """Parallel coordinates: one axis per parameter; the finished trials first, the best on top, then the pruned ones."""

    metric: str
    axes: tuple[Axis, ...]
    lines: tuple[Line, ...]


def pareto_front(results: SearchResults) -> ParetoFront:
    """Find the trials that no other one dominates, that is, is at least as good in every metric and better in one.

    Only finished trials that keep the constraints count; equal ones do not dominate each other.
    """
    points = {trial.number: [trial.values[metric.name].mean for metric in results.metrics] for trial in map(results.trial, results.ranked)}
    found = set(not_dominated(points, [metric.goal for metric in results.metrics]))
    return ParetoFront(
        metrics=tuple(metric.name for metric in results.metrics),
        front=tuple(number for number in points if number in found),
        dominated=tuple(number for number in points if number not in found),
        excluded=tuple(trial.number for trial in results.trials if trial.violated),
    )


def not_dominated(points: Mapping[K, Sequence[float]], goals: Sequence[Goal]) -> list[K]:
    """Find the points that no other one dominates, the best in the first number first.

    Args:
        points: name to one number per goal.
    """
    signs = [-1 if goal == "maximize" else 1 for goal in goals]
    found: list[K] = []
    for name in sorted(points, key=lambda name: [sign * value for sign, value in zip(signs, points[name], strict=True)]):
        # whatever dominates a point comes before it in this order, and so does a point of the front that dominates it
        if not any(_dominates(points[other], points[name], goals) for other in found):
            found.append(name)
    return found


def _dominates(one: Sequence[float], other: Sequence[float], goals: Sequence[Goal]) -> bool:
    pairs = list(zip(one, other, goals, strict=True))
    return any(better(a, b, goal) for a, b, goal in pairs) and not any(better(b, a, goal) for a, b, goal in pairs)


def slices(results: SearchResults, metric: int = 0) -> tuple[Slice, ...]:
    """Bin each searched parameter against `results.metrics[metric]`."""
    chosen = results.metrics[metric]
    found = []
    for key in results.parameters:
        points = [
            (trial.number, trial.parameters[key], value)
            for trial in results.trials
            if key in trial.parameters and (value := trial.value(chosen.name)) is not None
        ]
        best = max if chosen.goal == "maximize" else min
        bins = []
        for label, group in _binned(points):
            values = tuple(value for _, _, value in group)
            bins.append(Bin(label, tuple(number for number, _, _ in group), values, statistics.median(values), best(values)))
        found.append(Slice(key, chosen.name, tuple(points), tuple(bins)))
    return tuple(found)


_Points = list[tuple[int, Any, float]]


def _binned(points: _Points) -> list[tuple[str, _Points]]:
    """Return (label, points) of each bin, in the order of the values."""
    numbers = all(is_number(value) for _, value, _ in points)
    groups: dict[str, _Points] = {}
    digits = enough_digits(value for _, value, _ in points)
    for point in sorted(points, key=lambda point: point[1]) if numbers else points:
        groups.setdefault(format_value(point[1], digits), []).append(point)
    count = min(_MOST_BINS, max(2, len(points) // 3))
    if not numbers or len(groups) <= max(_FEW_VALUES, count):
        return list(groups.items())
    ordered, result, start = sorted(points, key=lambda point: point[1]), [], 0
    for index in range(count):
        end = max(start, round((index + 1) * len(ordered) / count))
        while 0 < end < len(ordered) and ordered[end][1] == ordered[end - 1][1]:
            end += 1  # equal values stay together
        if group := ordered[start:end]:
            low, high = short_number(group[0][1]), short_number(group[-1][1])
            result.append((low if low == high else f"{low} to {high}", group))
        start = end
    return result


def parallel(results: SearchResults, metric: int = 0) -> Parallel:
    """Compute the parallel coordinates of `results.metrics[metric]`."""
    chosen = results.metrics[metric]
    sign = -1 if chosen.goal == "maximize" else 1
    shown: list[tuple[SearchTrial, float]] = []
    for wanted in ("done", "pruned"):
        found = [(trial, value) for trial in results.trials if trial.state == wanted and (value := _newest(trial, chosen.name)) is not None]
        shown += sorted(found, key=lambda item: (sign * item[1], item[0].number))
    axes = tuple(_axis(key, [trial.parameters[key] for trial, _ in shown if key in trial.parameters]) for key in results.parameters)
    lines = tuple(Line(trial.number, tuple(_position(axis, trial) for axis in axes), value, trial.state) for trial, value in shown)
    return Parallel(chosen.name, axes, lines)


def _newest(trial: SearchTrial, metric: str) -> float | None:
    """Return the final value; of a pruned trial the last one of its curve (only the first metric has one, and a sweep with several metrics
    prunes nothing)."""
    if trial.state == "done":
        return trial.value(metric)
    return trial.curve[-1][1] if trial.curve else None


def _axis(key: str, values: Sequence[Any]) -> Axis:
    if values and all(map(is_number, values)):
        low, high = min(values), max(values)
        return Axis(key, low, high, low > 0 and high / low > LOG_RATIO, ())
    return Axis(key, None, None, False, tuple(sorted(set(map(format_value, values)))))


def _position(axis: Axis, trial: SearchTrial) -> float | None:
    if axis.key not in trial.parameters:
        return None
    value = trial.parameters[axis.key]
    if axis.low is None or axis.high is None:
        return axis.choices.index(format_value(value)) / max(1, len(axis.choices) - 1)
    if axis.low == axis.high:
        return 0.5
    scale = math.log if axis.log else float
    return (scale(value) - scale(axis.low)) / (scale(axis.high) - scale(axis.low))
