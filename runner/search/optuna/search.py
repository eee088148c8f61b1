"""A search whose trials Optuna proposes and may prune. Importing this imports Optuna.

An in-memory study decides. What it needs to continue after a restart is in the run directories: each trial's proposal
(`runner.store.run_dir.Identity.proposal`) and its results, which go to `tell` again. Trial numbers here and in the study are the same.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from runner.core.errors import InputError, Problem
from runner.core.expression import Expression
from runner.search.base import WAIT, Baseline, IntermediateResult, Trial, TrialResult, Wait
from runner.search.optuna.design import STUDY_DB
from runner.search.optuna.parts import check_parts, contains_part, make_pruner, optuna, quiet
from runner.search.optuna.proposal import Proposal, proposal_of, read_proposal
from runner.search.optuna.sampler import MOST_POINTS, PointSampler
from runner.search.optuna.space import CategoricalDistribution, FloatDistribution, IntDistribution, Params, Space, size_of, violation
from runner.search.optuna.study import StudyMirror
from runner.search.points import BASELINE_LABEL, derive_overrides, trial_label
from runner.search.spec import SweepSpec

__all__ = ["OptunaSearch", "check_parts"]

FrozenTrial = optuna.trial.FrozenTrial
TrialState = optuna.trial.TrialState
_MEMORY: Final = "fits into the memory"


class _Storage(optuna.storages.InMemoryStorage):
    """A storage that can show the study as if it had one trial."""

    def __init__(self) -> None:
        super().__init__()
        self.alone: int | None = None

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        trials = super().get_all_trials(study_id, deepcopy, states)
        return trials if self.alone is None else [trial for trial in trials if trial.number == self.alone]


@dataclass
class _AskedTrial:
    """A trial that has been handed out, or was by an earlier driver."""

    trial: Trial
    told: bool = False
    given_up: str = ""
    curves: dict[int, dict[int, float]] = field(default_factory=dict)  # seed → step → first metric
    finals: dict[int, float] = field(default_factory=dict)  # seed → first metric at its last step


class OptunaSearch:
    """See `runner.search.base.Search`.

    The baseline is trial 0; the samplers learn from it where it lies in the space. A trial's value is the mean over its seeds; its
    intermediate value at a step the mean over those of its seeds that have come so far. When the budget is spent, the best trial and the
    baseline are asked again with `SweepSpec.confirm_seeds` fresh seeds, on top of the budget, so that the winner is judged by runs that
    did not choose it; if no trial beats the baseline there is nothing to confirm.

    Args:
        spec: a sweep with ``design: optuna`` that `runner.search.spec_rules` has nothing against.
        baseline: see `runner.search.base.Baseline`.
        folder: where study.db is kept; None: nowhere.

    Raises:
        InputError: see `check_parts`; or Optuna cannot draw from the space.
    """

    def __init__(self, spec: SweepSpec, baseline: Baseline, folder: Path | None) -> None:
        with quiet():
            if problems := check_parts(spec):
                raise InputError(problems)
            self._spec = spec
            self._baseline = baseline
            self._space = Space(spec)
            if spec.sampler.name in ("GridSampler", "BruteForceSampler") and self._space.size() > MOST_POINTS:
                raise InputError(_not_finite(spec, self._space))
            self._sampler = PointSampler(spec.sampler, self._space, self._fits)
            self._constraints = {text: violation(text) for text in spec.constraints}
            self._storage = _Storage()
            self._study = optuna.create_study(
                storage=self._storage,
                sampler=self._sampler,
                pruner=optuna.pruners.NopPruner(),
                study_name=folder.name if folder is not None and folder.name else "sweep",
                directions=[metric.goal for metric in spec.metrics],
            )
            self._study_id = self._storage.get_study_id_from_name(self._study.study_name)
            self._by_seed = spec.pruner is not None and contains_part(spec.pruner, "WilcoxonPruner")
            self._pruner_made = False
            self.is_fixed = False
            self.wants_reports = spec.pruner is not None and spec.pruner.name != "NopPruner"
            metrics = [metric.name for metric in spec.metrics]
            self._mirror = StudyMirror(folder / STUDY_DB, self._study, metrics) if folder is not None else None
            self._known: dict[int, _AskedTrial] = {}
            self._scores: dict[int, float] = {}  # first metric of the trials that are done and keep the constraints
            self._gaps: deque[int] = deque()
            self._confirmed: set[int] = set()
            self._finished = False
            self._started = False
            self._zero = self._add_baseline()

    def planned(self) -> Sequence[Trial]:
        """Return the baseline."""
        return [self._zero]

    def finish(self) -> None:
        """Propose nothing new (the time is up). What is left is to confirm the winner."""
        self._finished = True

    def ask(self) -> Trial | Wait | None:
        """Return the baseline, then what the sampler proposes, then the winner and the baseline with new seeds."""
        if not self._started:
            self._started = True
            self._show(*range(len(self._storage.get_all_trials(self._study_id, deepcopy=False))))
        if 0 not in self._known:
            self._known[0] = _AskedTrial(self._zero)
            return self._zero
        if not self._spent():
            with quiet():
                return self._propose()
        answer = self._confirm()
        if answer is None and self._mirror is not None:
            self._mirror.update((), whole=True)
        return answer

    def tell(self, trial: Trial, result: TrialResult) -> None:
        """Take a trial's result. Seeds that only confirm change nothing in the study."""
        if self._confirms(trial):
            self._note_confirmation(trial)
            return
        with quiet():
            known = self._adopt(trial)
            if known.told:
                return
            known.told = True
            self._replay(known, result)
            self._end(known, result)
        self._show(trial.number)

    def resume(self, trial: Trial) -> None:
        """Take a trial that is running again."""
        if self._confirms(trial):
            self._note_confirmation(trial)
        else:
            with quiet():
                self._adopt(trial)

    def report(self, trial: Trial, report: IntermediateResult) -> str | None:
        """Return the reason to prune the trial. The baseline is never pruned, nor is a trial with nothing left to save."""
        value = report.values.get(self._spec.metrics[0].name)
        if self._confirms(trial) or value is None or len(self._spec.metrics) > 1:
            return None
        with quiet():
            known = self._adopt(trial)
            if known.told or known.given_up:
                return known.given_up or None
            at = self._add_evaluation(known, report.seed, report.step, value, last=report.step >= report.steps)
            if at is None:
                return None
            self._make_pruner(report.step, report.steps)
            give_up = self._judge(trial.number, at)
        self._show(trial.number)
        if not give_up or trial.number == 0 or known.finals.keys() >= set(self._spec.seeds):
            return None
        shown = self._trial(trial.number).intermediate_values[at]
        seeds = known.finals if self._by_seed else [seed for seed, curve in known.curves.items() if at in curve]
        name = self._spec.pruner.name if self._spec.pruner else ""
        where = f"seed {report.seed}" if self._by_seed else f"step {at}"
        mean = f", the mean of {len(seeds)} seeds" if len(seeds) > 1 and not self._by_seed else ""
        known.given_up = f"{name}: {self._spec.metrics[0].name} {shown:.4g} at {where}{mean}"
        return known.given_up

    # trials

    def _add_baseline(self) -> Trial:
        """Add trial 0. The samplers cannot learn from one without all the keys, so it is then in the study as failed."""
        params, outside = self._space.params_of(self._baseline)
        self._outside = outside
        if outside:
            params = {}
        else:
            self._sampler.take(params)
        self._add(Proposal(params, self._space.distributions(params)))
        if not outside:
            self._sampler.join_population(self._study, copy.copy(self._trial(0)))
        return Trial(0, {}, BASELINE_LABEL, proposal=proposal_of(self._trial(0), {}))

    def _propose(self) -> Trial:
        before = self._storage.get_study_system_attrs(self._study_id)
        if self._gaps:
            handle = optuna.trial.Trial(self._study, self._trial_id(self._gaps.popleft()))
        else:
            handle = self._study.ask()
        _ = handle.relative_params  # draws the point
        params = dict(self._sampler.point)
        self._sampler.take(params)
        for key, distribution in self._space.distributions(params).items():
            _suggest(handle, key, distribution)
        values = self._space.values(params)
        overrides = derive_overrides(self._spec, values, self._baseline)
        label = trial_label(self._spec, {key: value for key, value in values.items() if key in overrides})
        handle.set_user_attr("label", label)
        after = self._storage.get_study_system_attrs(self._study_id)
        changed = {key: value for key, value in after.items() if before.get(key) != value}
        trial = Trial(handle.number, overrides, label, proposal=proposal_of(self._trial(handle.number), changed))
        self._known[handle.number] = _AskedTrial(trial)
        self._show(handle.number)
        return trial

    def _adopt(self, trial: Trial) -> _AskedTrial:
        """Return the trial in the study; add it if an earlier driver was handed it."""
        if trial.number in self._known:
            return self._known[trial.number]
        known = self._known[trial.number] = _AskedTrial(trial)
        if trial.number == 0:
            return known
        proposal = read_proposal(trial)
        while (number := self._count()) < trial.number:  # it was drawn, but nothing of it was written: it is drawn again
            self._add(Proposal())
            self._gaps.append(number)
        if trial.number in self._gaps:
            self._gaps.remove(trial.number)
        if trial.number == self._count():
            self._add(proposal, {"label": trial.label})
        else:
            self._fill(trial.number, proposal)
        for key, value in proposal.study_attributes.items():
            self._storage.set_study_system_attr(self._study_id, key, value)
        self._sampler.take(proposal.params)
        return known

    def _fits(self, params: Params) -> bool:
        """Return whether the derived keys have a value at the point."""
        try:
            derive_overrides(self._spec, self._space.values(params), self._baseline)
        except InputError:
            return False
        return True

    def _add(self, proposal: Proposal, users: Mapping[str, Any] | None = None) -> None:
        trial = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=proposal.params,
            distributions=proposal.distributions,
            system_attrs=proposal.attributes,
            user_attrs=dict(users or {}),
        )
        self._study.add_trial(trial)

    def _fill(self, number: int, proposal: Proposal) -> None:
        """Write a trial's proposal into the place reserved for it: results arrive nearly in the order of the numbers."""
        for key, value in proposal.params.items():
            distribution = proposal.distributions[key]
            self._storage.set_trial_param(self._trial_id(number), key, distribution.to_internal_repr(value), distribution)
        for key, value in proposal.attributes.items():
            self._storage.set_trial_system_attr(self._trial_id(number), key, value)

    def _end(self, known: _AskedTrial, result: TrialResult) -> None:
        number = known.trial.number
        handle = optuna.trial.Trial(self._study, self._trial_id(number))
        values, reason = self._values(result)
        if result.values:
            handle.set_user_attr("seeds", {str(seed): tags.get(self._spec.metrics[0].name) for seed, tags in result.values.items()})
        if number == 0 and self._outside:
            reason = reason or "the baseline lies outside of the space: " + ", ".join(self._outside)
        state = {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED}.get(result.state, TrialState.FAIL)
        if values is not None:
            violations = {text: max(map(amount, result.values.values())) for text, amount in self._constraints.items()}
            for text, amount in violations.items():
                handle.set_constraint(text, amount)
            if all(amount <= 0 for amount in violations.values()):
                self._scores[number] = values[0]
        elif result.state == "infeasible" and contains_part(self._spec.sampler, "TPESampler"):
            state = TrialState.PRUNED  # the one state in which TPE counts what is violated without a value
            handle.set_constraint(_MEMORY, 1.0)
        if (state == TrialState.COMPLETE and values is None) or not handle.params:
            state = TrialState.FAIL  # without all its keys a trial would keep the samplers from using them together
        if reason:
            handle.set_user_attr("reason", reason)
        self._study.tell(number, values if state == TrialState.COMPLETE else None, state=state)

    def _values(self, result: TrialResult) -> tuple[list[float] | None, str]:
        """Return the mean of each metric over the seeds, or None and the reason."""
        if result.state != "done":
            return None, result.reason
        needed = {metric.name for metric in self._spec.metrics}.union(*(Expression.parse(text).names for text in self._constraints))
        for seed, tags in result.values.items():
            for name in sorted(needed):
                if not math.isfinite(tags.get(name, math.nan)):
                    return None, f"seed {seed} has no finite {name}"
        if not result.values:
            return None, "it has no results"
        return [fmean(tags[metric.name] for tags in result.values.values()) for metric in self._spec.metrics], ""

    # pruning

    def _add_evaluation(self, known: _AskedTrial, seed: int, step: int, value: float, *, last: bool) -> int | None:
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
        self._storage.set_trial_intermediate_value(self._trial_id(known.trial.number), at, mean)
        return at

    def _make_pruner(self, first_step: int, steps: int) -> None:
        """Make the pruner at the first evaluation of all: only then the length of a run and its evaluations are known."""
        if not self._pruner_made and self._spec.pruner is not None:
            self._pruner_made = True
            self._study.pruner = make_pruner(self._spec.pruner, first_step=first_step, steps=steps)

    def _judge(self, number: int, at: int) -> bool:
        """Ask the pruner about a trial by its values up to step `at`: with several seeds an earlier one may have more."""
        view = copy.copy(self._trial(number))
        if not self._by_seed:
            view.intermediate_values = {step: value for step, value in view.intermediate_values.items() if step <= at}
        return self._study.pruner.prune(self._study, view)

    def _replay(self, known: _AskedTrial, result: TrialResult) -> None:
        """Keep the evaluations that were not reported to this driver, and let halving pruners record the rungs that were reached: as
        if there were no other trial, since a trial that continued was good enough then."""
        if len(self._spec.metrics) > 1:
            return
        metric = self._spec.metrics[0].name
        for seed, reports in result.reports.items():
            steps = max((step for step, _ in reports), default=0)
            for step, tags in reports:
                value = tags.get(metric)
                if value is None or step in known.curves.get(seed, {}):
                    continue
                at = self._add_evaluation(known, seed, step, value, last=seed in result.values and step == steps)
                if at is not None and self.wants_reports:
                    self._make_pruner(step, steps)
                    self._storage.alone = known.trial.number
                    try:
                        self._judge(known.trial.number, at)
                    finally:
                        self._storage.alone = None

    # the end

    def _spent(self) -> bool:
        """Return whether another trial would exceed the budget, or there is none."""
        if self._finished or (self._sampler.exhausted and not self._gaps):
            return True
        runs = self._spec.budget.runs
        return runs is not None and (len(self._known) + 1) * len(self._spec.seeds) > runs

    def _confirm(self) -> Trial | Wait | None:
        if not self._spec.confirm_seeds or len(self._spec.metrics) > 1:
            return None
        if not all(known.told for known in self._known.values()):
            return WAIT
        maximize = self._spec.metrics[0].goal == "maximize"
        best = max(self._scores, key=lambda number: (self._scores[number] * (1 if maximize else -1), -number), default=0)
        left = [number for number in (best, 0) if number not in self._confirmed]
        if best == 0 or not left:
            return None
        self._confirmed.add(left[0])
        trial = self._known[left[0]].trial
        return Trial(trial.number, trial.overrides, trial.label, self._spec.fresh_seeds(self._spec.confirm_seeds), trial.proposal)

    def _confirms(self, trial: Trial) -> bool:
        """Return whether it was handed out again for confirmation: no other trial has its own seeds."""
        return trial.seeds is not None

    def _note_confirmation(self, trial: Trial) -> None:
        if not set(trial.seeds or ()) <= set(self._spec.seeds):  # else none of its seeds is fresh any more: seeds were added since
            self._confirmed.add(trial.number)

    # the study

    def _count(self) -> int:
        return len(self._storage.get_all_trials(self._study_id, deepcopy=False))

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _trial(self, number: int) -> FrozenTrial:
        return self._storage.get_trial(self._trial_id(number))

    def _show(self, *numbers: int) -> None:
        """Write trials to study.db, from the first `ask` on: until then the past is replayed."""
        if self._mirror is not None and self._started:
            self._mirror.update(numbers)


def _not_finite(spec: SweepSpec, space: Space) -> Problem:
    endless = [key for key, parameter in space.parameters.items() if math.isinf(size_of(parameter.distribution))]
    if endless:
        return Problem(f"{spec.sampler.name} tries every point: give a step, or a list, for {', '.join(endless)}", key="space")
    return Problem(f"{spec.sampler.name} would try {space.size():.0f} points; at most {MOST_POINTS} can be listed", key="space")


def _suggest(handle: optuna.Trial, key: str, distribution: Any) -> None:
    if isinstance(distribution, CategoricalDistribution):
        handle.suggest_categorical(key, distribution.choices)
    elif isinstance(distribution, IntDistribution):
        handle.suggest_int(key, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
    elif isinstance(distribution, FloatDistribution):
        handle.suggest_float(key, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
