"""Confirmation of the best trial by seeds that did not choose it."""

from __future__ import annotations

from collections.abc import Mapping

from runner.search.base import WAIT, Trial, Wait
from runner.search.optuna.pruning import AskedTrial
from runner.search.spec import SweepSpec


class Confirmation:
    """The reruns of the winner and of the baseline with fresh seeds."""

    def __init__(self, spec: SweepSpec) -> None:
        self._spec = spec
        self._confirmed: set[int] = set()
        self.scores: dict[int, float] = {}
        """First metric of the trials that are done and keep the constraints."""

    def note(self, trial: Trial) -> None:
        """Take note of a trial that is handed out for confirmation, or was by an earlier driver."""
        if not set(trial.seeds or ()) <= set(self._spec.seeds):  # else none of its seeds is fresh any more: seeds were added since
            self._confirmed.add(trial.number)

    def next(self, known: Mapping[int, AskedTrial]) -> Trial | Wait | None:
        """Return the winner, then the baseline, with fresh seeds; None if there is nothing to confirm."""
        if not self._spec.confirm_seeds or len(self._spec.metrics) > 1:
            return None
        if not all(each.told for each in known.values()):
            return WAIT
        maximize = self._spec.metrics[0].goal == "maximize"
        best = max(self.scores, key=lambda number: (self.scores[number] * (1 if maximize else -1), -number), default=0)
        left = [number for number in (best, 0) if number not in self._confirmed]
        if best == 0 or not left:
            return None
        self._confirmed.add(left[0])
        trial = known[left[0]].trial
        return Trial(trial.number, trial.overrides, trial.label, self._spec.fresh_seeds(self._spec.confirm_seeds), trial.proposal)
