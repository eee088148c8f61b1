"""A search whose trials Optuna proposes and may prune. Importing this imports Optuna.

An in-memory study decides. What it needs to continue after a restart is in the run directories: each trial's proposal
(`runner.store.run_dir.Identity.proposal`) and its results, which go to `tell` again. Trial numbers here and in the study are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from runner.core.errors import InputError
from runner.search.base import Baseline, IntermediateResult, Trial, TrialResult, Wait
from runner.search.optuna.confirmation import Confirmation
from runner.search.optuna.objective import Objective
from runner.search.optuna.parts import check_parts, contains_part, optuna, quiet
from runner.search.optuna.proposals import Proposals
from runner.search.optuna.pruning import AskedTrial, Pruning
from runner.search.spec import SweepSpec

__all__ = ["OptunaSearch", "check_parts"]

TrialState = optuna.trial.TrialState
_MEMORY: Final = "fits into the memory"


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
            self._proposals = Proposals(spec, baseline, folder)
            self._live = self._proposals.live
            self._objective = Objective(spec)
            self._pruning = Pruning(spec, self._live)
            self._confirmation = Confirmation(spec)
            self._known: dict[int, AskedTrial] = {}
            self._finished = False
            self.is_fixed = False
            self.wants_reports = self._pruning.wants_reports
            self._zero = self._proposals.add_baseline()

    def planned(self) -> Sequence[Trial]:
        """Return the baseline."""
        return [self._zero]

    def finish(self) -> None:
        """Propose nothing new (the time is up). What is left is to confirm the winner."""
        self._finished = True

    def ask(self) -> Trial | Wait | None:
        """Return the baseline, then what the sampler proposes, then the winner and the baseline with new seeds."""
        self._live.begin_to_show()
        if 0 not in self._known:
            self._known[0] = AskedTrial(self._zero)
            return self._zero
        if not self._spent():
            with quiet():
                trial = self._proposals.propose()
                self._known[trial.number] = AskedTrial(trial)
                self._live.show(trial.number)
                return trial
        answer = self._confirmation.next(self._known)
        if answer is None:
            self._live.show_whole()
        return answer

    def tell(self, trial: Trial, result: TrialResult) -> None:
        """Take a trial's result. Seeds that only confirm change nothing in the study."""
        if _confirms(trial):
            self._confirmation.note(trial)
            return
        with quiet():
            known = self._adopt(trial)
            if known.told:
                return
            known.told = True
            self._pruning.replay(known, result)
            self._end(trial.number, result)
        self._live.show(trial.number)

    def resume(self, trial: Trial) -> None:
        """Take a trial that is running again."""
        if _confirms(trial):
            self._confirmation.note(trial)
        else:
            with quiet():
                self._adopt(trial)

    def report(self, trial: Trial, report: IntermediateResult) -> str | None:
        """Return the reason to prune the trial. The baseline is never pruned, nor is a trial with nothing left to save."""
        value = report.values.get(self._spec.metrics[0].name)
        if _confirms(trial) or value is None or len(self._spec.metrics) > 1:
            return None
        with quiet():
            known = self._adopt(trial)
            if known.told or known.given_up:
                return known.given_up or None
            at = self._pruning.add_evaluation(known, report.seed, report.step, value, last=report.step >= report.steps)
            if at is None:
                return None
            is_bad = self._pruning.judge(trial.number, at, step=report.step, steps=report.steps)
        self._live.show(trial.number)
        if not is_bad or trial.number == 0 or known.finals.keys() >= set(self._spec.seeds):
            return None
        known.given_up = self._pruning.reason(known, report, at)
        return known.given_up

    def _adopt(self, trial: Trial) -> AskedTrial:
        """Return the trial; add it to the study if an earlier driver was handed it."""
        if trial.number not in self._known:
            self._known[trial.number] = AskedTrial(trial)
            if trial.number != 0:
                self._proposals.adopt(trial)
        return self._known[trial.number]

    def _end(self, number: int, result: TrialResult) -> None:
        """Write a trial's result into the study."""
        handle = self._live.handle(number)
        values, reason = self._objective.values(result)
        if result.values:
            handle.set_user_attr("seeds", {str(seed): tags.get(self._spec.metrics[0].name) for seed, tags in result.values.items()})
        if number == 0 and self._proposals.outside:
            reason = reason or "the baseline lies outside of the space: " + ", ".join(self._proposals.outside)
        state = {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED}.get(result.state, TrialState.FAIL)
        if values is not None:
            violations = self._objective.violations(result)
            for text, amount in violations.items():
                handle.set_constraint(text, amount)
            if all(amount <= 0 for amount in violations.values()):
                self._confirmation.scores[number] = values[0]
        elif result.state == "infeasible" and contains_part(self._spec.sampler, "TPESampler"):
            state = TrialState.PRUNED  # the one state in which TPE counts what is violated without a value
            handle.set_constraint(_MEMORY, 1.0)
        if (state == TrialState.COMPLETE and values is None) or not handle.params:
            state = TrialState.FAIL  # without all its keys a trial would keep the samplers from using them together
        if reason:
            handle.set_user_attr("reason", reason)
        self._live.study.tell(number, values if state == TrialState.COMPLETE else None, state=state)

    def _spent(self) -> bool:
        """Return whether another trial would exceed the budget, or there is none."""
        if self._finished or self._proposals.are_exhausted:
            return True
        runs = self._spec.budget.runs
        return runs is not None and (len(self._known) + 1) * len(self._spec.seeds) > runs


def _confirms(trial: Trial) -> bool:
    """Return whether it was handed out again for confirmation: no other trial has its own seeds."""
    return trial.seeds is not None
