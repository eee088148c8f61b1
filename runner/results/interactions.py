"""Interactions: the effect of a trial that joins several changes against the sum of their single effects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from runner.core.values import same_value
from runner.results.comparison import ComparedTrial, Comparison
from runner.stats.effects import t_quantile
from runner.stats.intervals import CONFIDENCE, Difference, Summary


@dataclass(frozen=True, slots=True)
class Interaction:
    """A trial that joins changes which other trials make one by one.

    Args:
        trial: which one.
        together, alone: its difference to the baseline, and the sum of theirs.
        beyond: the first minus the second, with its interval (Satterthwaite 1946).
    """

    trial: ComparedTrial
    together: float
    alone: float
    beyond: Difference


def interactions(comparison: Comparison) -> list[Interaction]:
    """Find the interactions of trials that change several keys, each of which another trial changes alone, with two seeds or more."""
    keys = comparison.parameters[: comparison.varied]
    baseline = comparison.baseline

    def changes(trial: ComparedTrial) -> dict[str, object]:
        return {key: trial.parameters[key] for key in keys if not same_value(trial.parameters[key], baseline.parameters[key])}

    singles = [(found, trial) for trial in comparison.trials if len(found := changes(trial)) == 1 and trial.verdict is not None]
    result = []
    for trial in comparison.trials:
        if trial.verdict is None or len(made := changes(trial)) < 2:
            continue
        parts = [other for key, value in made.items() for found, other in singles if key in found and same_value(found[key], value)]
        if len(parts) == len(made):
            means = [one.metrics[comparison.metric] for one in (trial, *parts, baseline)]
            beyond = contrast(means, [1, *[-1] * len(parts), len(parts) - 1])
            together = means[0].mean - means[-1].mean
            result.append(Interaction(trial, together, together - beyond.delta, beyond))
    return result


def contrast(groups: Sequence[Summary], coefficients: Sequence[float], confidence: float = CONFIDENCE) -> Difference:
    """Return the sum of the groups' means times their coefficients; groups have two values or more, each with its own spread."""
    value = math.fsum(coefficient * group.mean for coefficient, group in zip(coefficients, groups, strict=True))
    parts = [(c * c * (group.std or 0.0) ** 2 / group.n, group.n - 1) for c, group in zip(coefficients, groups, strict=True)]
    total = math.fsum(part for part, _ in parts)
    if total == 0:
        return Difference(value, None, None)
    freedom = 1 / math.fsum((part / total) ** 2 / below for part, below in parts)
    half = t_quantile(freedom, confidence) * math.sqrt(total)
    return Difference(value, value - half, value + half)
