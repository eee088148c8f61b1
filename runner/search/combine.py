"""Search that combines the best values: a last trial after a design of one factor at a time."""

from __future__ import annotations

import math
import operator
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

from runner.core.values import value_key
from runner.search.base import WAIT, Baseline, FixedSearch, IntermediateResult, Trial, TrialResult, Wait
from runner.search.points import derive_overrides, trial_label
from runner.search.spec import SweepSpec


class CombineBest:
    """One factor at a time; then a last trial with the best value of each key that improved the metric.

    A value counts as better if its mean over the seeds beats the baseline's by the first metric: this chooses the next trial, it is
    no verdict. There is no last trial if fewer than two keys have one, or if the baseline has no result.

    Args:
        trials: the trials of the design, the baseline first.
    """

    def __init__(self, spec: SweepSpec, trials: Sequence[Trial], baseline: Baseline) -> None:
        self._spec, self._baseline = spec, baseline
        self._fixed = FixedSearch(trials)
        self._open = {trial.number for trial in trials}
        self._means: dict[int, float] = {}
        self._beyond: dict[Hashable, tuple[Trial, set[int]]] = {}
        """The trials beyond the fixed ones, this driver's and earlier ones', by their overrides, with the seeds that were handed out."""
        self.is_fixed = self.wants_reports = False

    def planned(self) -> Sequence[Trial]:
        """Return the trials without the last one."""
        return self._fixed.planned()

    def ask(self) -> Trial | Wait | None:
        """Return the next trial in order. Waits for all results before the last one."""
        trial = self._fixed.ask()
        if trial is not None:
            return trial
        return WAIT if self._open else self._join()

    def tell(self, trial: Trial, result: TrialResult) -> None:
        """Keep the result for the last trial."""
        self.resume(trial)
        self._open.discard(trial.number)
        values = [tags[self._metric] for tags in result.values.values() if self._metric in tags]
        if result.state == "done" and values:
            self._means[trial.number] = math.fsum(values) / len(values)

    def resume(self, trial: Trial) -> None:
        """Do not hand it out again."""
        self._fixed.resume(trial)
        if all(trial.number != other.number for other in self.planned()):
            _, seeds = self._beyond.setdefault(value_key(trial.overrides), (trial, set()))
            seeds.update(self._spec.seeds if trial.seeds is None else trial.seeds)

    def report(self, trial: Trial, report: IntermediateResult) -> str | None:
        """Prune nothing."""
        del trial, report
        return None

    @property
    def _metric(self) -> str:
        return self._spec.metrics[0].name

    def _join(self) -> Trial | None:
        """Return the last trial, with the seeds that it has not run with yet."""
        point = self._best_point()
        if len(point) < 2:
            return None
        overrides = derive_overrides(self._spec, point, self._baseline)
        numbers = [trial.number for trial in (*self.planned(), *(trial for trial, _ in self._beyond.values()))]
        trial, seeds = self._beyond.get(value_key(overrides), (Trial(max(numbers) + 1, overrides, trial_label(self._spec, point)), set()))
        missing = tuple(seed for seed in self._spec.seeds if seed not in seeds)
        if not missing:
            return None
        trial = replace(trial, seeds=missing if seeds else None)
        self.resume(trial)
        return trial

    def _best_point(self) -> dict[str, Any]:
        """Return the varied keys that have a better value than the baseline's, each with its best one."""
        better = operator.gt if self._spec.metrics[0].goal == "maximize" else operator.lt
        numbers = {value_key(trial.overrides): trial.number for trial in self.planned()}
        point: dict[str, Any] = {}
        for key, factor in self._spec.factors().items():
            best = self._means.get(0)
            for value in factor.values:
                number = numbers.get(value_key(derive_overrides(self._spec, {key: value}, self._baseline)), 0)
                mean = self._means.get(number)
                if best is not None and mean is not None and better(mean, best):
                    best, point[key] = mean, value
        return point
