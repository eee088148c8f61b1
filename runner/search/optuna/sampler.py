"""Points drawn by one of Optuna's samplers, each from (seed, trial number) alone and none twice. Importing this imports Optuna."""

from __future__ import annotations

import copy
import hashlib
import random
from collections.abc import Callable
from typing import Any, Final

from runner.search.optuna.parts import contains_part, make_sampler, optuna
from runner.search.optuna.space import BaseDistribution, Params, Space, point_name
from runner.search.spec import Component

FrozenTrial = optuna.trial.FrozenTrial
BaseGASampler = optuna.samplers.BaseGASampler

_TRIES: Final = 10
MOST_POINTS: Final = 100_000
"""A larger space is not enumerated: a point is unlikely to be proposed twice there by chance."""


class PointSampler(optuna.samplers.BaseSampler):
    """The sampler of our study: it draws whole points with the one that the sweep names.

    That sampler is made anew for every trial, from (its seed, the trial's number, the try). Its only memory is then the study, so that a
    later driver draws what this one would have drawn. A point of an earlier trial is drawn again, at last at random; a
    finite space ends when every point has been proposed.

    Args:
        component: the sampler; its seed is 0 unless given.
        space: the whole space.
        fits: whether a trial can be made of a point; one that cannot is not proposed.
    """

    def __init__(self, component: Component, space: Space, fits: Callable[[Params], bool] = lambda params: True) -> None:
        self._fits = fits
        self._space = space
        self._seed = int(component.arguments.get("seed", 0))
        self._component = component
        self._grid = component.name == "GridSampler"
        # a low-discrepancy sequence needs one seed and all keys at once; the position in it is kept in the study
        self._whole = contains_part(component, "QMCSampler")
        # which keys are drawn together is worked out trial by trial: this one remembers how far it has come
        self._finder = None if self._grid or component.arguments.get("group") else make_sampler(component, self._seed)
        self._taken: set[str] = set()
        self._left: dict[str, Params] | None = None
        if space.size() <= MOST_POINTS:
            points = [params for params in space.points() if fits(params)]
            random.Random(self._seed).shuffle(points)
            self._left = {point_name(params): params for params in points}
        self.point: Params = {}

    @property
    def exhausted(self) -> bool:
        """True if every point of the space has been proposed."""
        return self._left is not None and not self._left

    def take(self, params: Params) -> None:
        """Mark the parameters of a trial, which are not drawn any more."""
        name = point_name(params)
        self._taken.add(name)
        if self._left is not None:
            self._left.pop(name, None)

    def join_population(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Count `trial`, which was not drawn, among the first generation of a genetic algorithm."""
        if not self._grid and isinstance(sampler := make_sampler(self._component, self._seed), BaseGASampler):
            sampler.get_trial_generation(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Draw the point: everything in it counts as drawn together."""
        self.point = self._draw(study, trial)
        return self._space.distributions(self.point)

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Return the point."""
        return dict(self.point)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:  # a single value
        """Return one key of the point."""
        return self.point[param_name]

    def _draw(self, study: optuna.Study, trial: FrozenTrial) -> Params:
        if self._grid and self._left:
            return next(iter(self._left.values()))
        for attempt in range(_TRIES):
            seed = self._seed if self._whole else _derived(self._seed, trial.number, attempt)
            params = self._sample(make_sampler(self._component, seed), study, trial)
            if point_name(params) not in self._taken and self._fits(params):
                return params
        seed = _derived(self._seed, trial.number, _TRIES)
        if self._left:
            return random.Random(seed).choice(list(self._left.values()))
        return self._sample(optuna.samplers.RandomSampler(seed=seed), study, trial)  # a point of so large a space twice: by chance alone

    def _sample(self, sampler: optuna.samplers.BaseSampler, study: optuna.Study, trial: FrozenTrial) -> Params:
        """Draw a point, its keys in the order in which their conditions can be decided."""
        shown = copy.copy(trial)  # some samplers look at what has been drawn so far
        shown.params, shown.distributions = {}, {}
        relative = self._varied() if self._whole else (self._finder or sampler).infer_relative_search_space(study, shown)
        together = sampler.sample_relative(study, shown, relative)
        params: Params = {}
        for key, parameter in self._space.parameters.items():
            if not self._space.active(parameter, params):
                continue
            distribution = parameter.distribution
            if distribution.single():
                params[key] = distribution.to_external_repr(_only(distribution))
            elif key in together and relative.get(key) == distribution:
                params[key] = together[key]
            else:
                params[key] = sampler.sample_independent(study, shown, key, distribution)
            shown.params, shown.distributions = dict(params), self._space.distributions(params)
        return params

    def _varied(self) -> dict[str, BaseDistribution]:
        return {key: distribution for key, distribution in self._space.distributions().items() if not distribution.single()}


def _only(distribution: BaseDistribution) -> float:
    return 0.0 if isinstance(distribution, optuna.distributions.CategoricalDistribution) else distribution.low  # type: ignore[attr-defined]


def _derived(*numbers: int) -> int:
    """Derive a seed of 32 bits from `numbers`."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:4], "big")
