"""Evaluations of running trials, and the pruner that judges them. Importing this imports Optuna."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from statistics import fmean

from runner.search.base import IntermediateResult, Trial, TrialResult
from runner.search.optuna.live_study import LiveStudy
from runner.search.optuna.parts import contains_part, make_pruner
from runner.search.spec import SweepSpec


@dataclass
class AskedTrial:
    """A trial that has been handed out, or was by an earlier driver.

    Args:
        told: its result is known.
        given_up: why it was pruned; empty if it was not.
        curves: seed to the first metric by step; finals: seed to its value at the last step.
    """

    trial: Trial
    told: bool = False
    given_up: str = ""
    curves: dict[int, dict[int, float]] = field(default_factory=dict)
    finals: dict[int, float] = field(default_factory=dict)


class Pruning:
    """The pruner of a sweep, and the values that it judges by."""

    def __init__(self, spec: SweepSpec, live: LiveStudy) -> None:
        self._spec, self._live = spec, live
        self._by_seed = spec.pruner is not None and contains_part(spec.pruner, "WilcoxonPruner")
        self._is_made = False
        self.wants_reports = spec.pruner is not None and spec.pruner.name != "NopPruner"

    def add_evaluation(self, known: AskedTrial, seed: int, step: int, value: float, *, last: bool) -> int | None:
        """Keep an evaluation; return the step at which the trial's value changes by it, or None."""
        known.curves.setdefault(seed, {})[step] = value
        if last:
            known.finals[seed] = value
        if self._by_seed:
            if not last or seed not in self._spec.seeds:
                return None
            at, mean = self._spec.seeds.index(seed), value
        else:
            at, mean = step, fmean(curve[step] for curve in known.curves.values() if step in curve)
        self._live.set_intermediate(known.trial.number, at, mean)
        return at

    def judge(self, number: int, at: int, *, step: int, steps: int) -> bool:
        """Ask the pruner about a trial by its values up to `at`: with several seeds an earlier one may have more.

        The pruner is made at the first evaluation of all: only then the length of a run and its evaluations are known.
        """
        study = self._live.study
        if not self._is_made and self._spec.pruner is not None:
            self._is_made = True
            study.pruner = make_pruner(self._spec.pruner, first_step=step, steps=steps)
        view = copy.copy(self._live.trial(number))
        if not self._by_seed:
            view.intermediate_values = {step: value for step, value in view.intermediate_values.items() if step <= at}
        return study.pruner.prune(study, view)

    def replay(self, known: AskedTrial, result: TrialResult) -> None:
        """Keep the evaluations that were not reported to this driver, and let halving pruners record the rungs that were reached: as
        if there were no other trial, since a trial that continued was good enough then."""
        if len(self._spec.metrics) > 1:
            return
        metric = self._spec.metrics[0].name
        for seed, reports in result.reports.items():
            steps = max((step for step, _ in reports), default=0)
            for step, tags in reports:
                value, last = tags.get(metric), seed in result.values and step == steps
                is_reported = step in known.curves.get(seed, {})
                if value is None or (is_reported and not (last and seed not in known.finals)):  # a run that stopped early
                    continue
                at = self.add_evaluation(known, seed, step, value, last=last)
                if at is not None and self.wants_reports:
                    with self._live.alone(known.trial.number):
                        self.judge(known.trial.number, at, step=step, steps=steps)

    def reason(self, known: AskedTrial, report: IntermediateResult, at: int) -> str:
        """Describe why a trial is pruned."""
        shown = self._live.trial(known.trial.number).intermediate_values[at]
        seeds = known.finals if self._by_seed else [seed for seed, curve in known.curves.items() if at in curve]
        name = self._spec.pruner.name if self._spec.pruner else ""
        where = f"seed {report.seed}" if self._by_seed else f"step {at}"
        mean = f", the mean of {len(seeds)} seeds" if len(seeds) > 1 and not self._by_seed else ""
        return f"{name}: {self._spec.metrics[0].name} {shown:.4g} at {where}{mean}"
