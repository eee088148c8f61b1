"""The trials that a sampler proposes, in this driver or an earlier one. Importing this imports Optuna."""

from __future__ import annotations

import copy
import math
from collections import deque
from pathlib import Path
from typing import Any

from runner.core.errors import InputError, Problem
from runner.search.base import Baseline, Trial
from runner.search.optuna.live_study import LiveStudy
from runner.search.optuna.parts import optuna
from runner.search.optuna.proposal import Proposal, proposal_of, read_proposal
from runner.search.optuna.sampler import MOST_POINTS, PointSampler
from runner.search.optuna.space import CategoricalDistribution, FloatDistribution, IntDistribution, Params, Space, size_of
from runner.search.points import BASELINE_LABEL, derive_overrides, trial_label
from runner.search.spec import SweepSpec


class Proposals:
    """The points of a space, drawn one by one, and the study that they are in.

    Args:
        folder: see `LiveStudy`.

    Raises:
        InputError: the space has too many points to try each.
    """

    def __init__(self, spec: SweepSpec, baseline: Baseline, folder: Path | None) -> None:
        self._spec = spec
        self._baseline = baseline
        self._space = Space(spec)
        if spec.sampler.name in ("GridSampler", "BruteForceSampler") and self._space.size() > MOST_POINTS:
            raise InputError(_not_finite(spec, self._space))
        self._sampler = PointSampler(spec.sampler, self._space, self._fits)
        self.live = LiveStudy(spec, self._sampler, folder)
        self._gaps: deque[int] = deque()
        self.outside: list[str] = []
        """Keys in which the baseline lies outside of the space."""

    @property
    def are_exhausted(self) -> bool:
        """True if every point has been proposed."""
        return self._sampler.exhausted and not self._gaps

    def add_baseline(self) -> Trial:
        """Add trial 0. The samplers cannot learn from one without all the keys, so it is then in the study as failed."""
        params, self.outside = self._space.params_of(self._baseline)
        if self.outside:
            params = {}
        else:
            self._sampler.take(params)
        self.live.add(Proposal(params, self._space.distributions(params)))
        if not self.outside:
            self._sampler.join_population(self.live.study, copy.copy(self.live.trial(0)))
        return Trial(0, {}, BASELINE_LABEL, proposal=proposal_of(self.live.trial(0), {}))

    def propose(self) -> Trial:
        """Draw the next trial."""
        before = self.live.attributes()
        handle = self.live.handle(self._gaps.popleft()) if self._gaps else self.live.study.ask()
        _ = handle.relative_params  # draws the point
        params = dict(self._sampler.point)
        self._sampler.take(params)
        for key, distribution in self._space.distributions(params).items():
            _suggest(handle, key, distribution)
        values = self._space.values(params)
        overrides = derive_overrides(self._spec, values, self._baseline)
        label = trial_label(self._spec, {key: value for key, value in values.items() if key in overrides})
        handle.set_user_attr("label", label)
        changed = {key: value for key, value in self.live.attributes().items() if before.get(key) != value}
        return Trial(handle.number, overrides, label, proposal=proposal_of(self.live.trial(handle.number), changed))

    def adopt(self, trial: Trial) -> None:
        """Add a trial that an earlier driver was handed to the study."""
        proposal = read_proposal(trial)
        while (number := self.live.count()) < trial.number:  # it was drawn, but nothing of it was written: it is drawn again
            self.live.add(Proposal())
            self._gaps.append(number)
        if trial.number in self._gaps:
            self._gaps.remove(trial.number)
        if trial.number == self.live.count():
            self.live.add(proposal, {"label": trial.label})
        else:
            self.live.fill(trial.number, proposal)
        self.live.set_attributes(proposal.study_attributes)
        self._sampler.take(proposal.params)

    def _fits(self, params: Params) -> bool:
        """Return whether the derived keys have a value at the point."""
        try:
            derive_overrides(self._spec, self._space.values(params), self._baseline)
        except InputError:
            return False
        return True


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
