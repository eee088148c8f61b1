"""The values and the constraints by which a trial is judged. Importing this imports Optuna."""

from __future__ import annotations

import math
from statistics import fmean

from runner.core.expression import Expression
from runner.search.base import TrialResult
from runner.search.optuna.space import violation
from runner.search.spec import SweepSpec


class Objective:
    """The metrics of a sweep, means over the seeds, and its constraints."""

    def __init__(self, spec: SweepSpec) -> None:
        self._metrics = [metric.name for metric in spec.metrics]
        self._constraints = {text: violation(text) for text in spec.constraints}

    def values(self, result: TrialResult) -> tuple[list[float] | None, str]:
        """Return the mean of each metric over the seeds, or None and the reason."""
        if result.state != "done":
            return None, result.reason
        needed = {*self._metrics}.union(*(Expression.parse(text).names for text in self._constraints))
        for seed, tags in result.values.items():
            for name in sorted(needed):
                if not math.isfinite(tags.get(name, math.nan)):
                    return None, f"seed {seed} has no finite {name}"
        if not result.values:
            return None, "it has no results"
        return [fmean(tags[name] for tags in result.values.values()) for name in self._metrics], ""

    def violations(self, result: TrialResult) -> dict[str, float]:
        """Return for each constraint by how much the worst seed breaks it; above 0 it is broken."""
        return {text: max(map(amount, result.values.values())) for text, amount in self._constraints.items()}
