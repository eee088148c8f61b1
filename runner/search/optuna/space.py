"""The space of a sweep as Optuna's distributions, and its points. Importing this imports Optuna."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runner.core.errors import InputError, Problem
from runner.core.expression import Expression
from runner.core.values import is_number, same_value
from runner.search.optuna.parts import optuna
from runner.search.spec import Choice, Span, SweepSpec

BaseDistribution = optuna.distributions.BaseDistribution
CategoricalDistribution = optuna.distributions.CategoricalDistribution
FloatDistribution = optuna.distributions.FloatDistribution
IntDistribution = optuna.distributions.IntDistribution

_COMPARISON: Final = re.compile(r"(<=|>=|<|>)")
_WORDS: Final = re.compile(r"\b(and|or|not)\b")
_LEAST: Final = 1e-12

Params = dict[str, Any]
"""A point in Optuna's words: key to value, a choice that is a list or a mapping as JSON text. Keys whose condition does not hold are left
out."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One key of the space.

    Args:
        key: dotted key.
        distribution: of Optuna.
        values: the config values of Optuna's choices, in their order; empty for numbers.
        when: its condition; None: always varied.
    """

    key: str
    distribution: BaseDistribution
    values: tuple[Any, ...]
    when: Expression | None


class Space:
    """Space of possible proposals.

    Raises:
        InputError: Optuna cannot make a distribution of a key.
    """

    def __init__(self, spec: SweepSpec) -> None:
        self.parameters: dict[str, Parameter] = {}
        problems = []
        for key, dimension in spec.dimensions().items():
            when = Expression.parse(dimension.when) if dimension.when is not None else None
            values = tuple(dimension.choices) if isinstance(dimension, Choice) else ()
            try:
                self.parameters[key] = Parameter(key, _distribution(dimension), values, when)
            except ValueError as error:
                problems.append(Problem(f"Optuna cannot draw from it: {error}", key=f"space.{key}"))
        if problems:
            raise InputError(problems)

    def distributions(self, params: Mapping[str, Any] | None = None) -> dict[str, BaseDistribution]:
        """Return the distributions of the keys of `params`; of all keys without it."""
        return {key: p.distribution for key, p in self.parameters.items() if params is None or key in params}

    def active(self, parameter: Parameter, params: Mapping[str, Any]) -> bool:
        """Return whether `parameter` is varied where the keys before it are as in `params`."""
        if parameter.when is None:
            return True
        if not parameter.when.names <= params.keys():
            return False  # it hangs on a key that is not varied here
        try:
            return bool(parameter.when.evaluate(lambda name: self.value(name, params[name])))
        except ValueError as error:
            text = f"{parameter.when.text!r} cannot be decided: {error}"
            raise InputError(Problem(text, key=f"space.{parameter.key}.when")) from error

    def value(self, key: str, param: Any) -> Any:
        """Return the config's value for a value of Optuna's."""
        parameter = self.parameters[key]
        if isinstance(parameter.distribution, CategoricalDistribution):
            return parameter.values[parameter.distribution.choices.index(param)]
        return param

    def values(self, params: Params) -> dict[str, Any]:
        """Return a point as values of the config."""
        return {key: self.value(key, param) for key, param in params.items()}

    def params_of(self, values: Callable[[str], Any]) -> tuple[Params, list[str]]:
        """Return the point of `values`, and its keys that are outside the space (or whose conditions are)."""
        params: Params = {}
        outside = []
        for key, parameter in self.parameters.items():
            if parameter.when is not None and any(name in outside for name in parameter.when.names):
                continue
            if self.active(parameter, params):
                param = _inside(parameter, values(key))
                if param is None:
                    outside.append(key)
                else:
                    params[key] = param[0]
        return params, outside

    def size(self) -> float:
        """Return the maximum number of points; infinite if a key is continuous."""
        return math.prod(size_of(parameter.distribution) for parameter in self.parameters.values())

    def points(self) -> Iterator[Params]:
        """Yield every point of a finite space once: points that differ only in keys whose conditions do not hold are one."""
        seen = set()
        for combination in itertools.product(*(_all(parameter.distribution) for parameter in self.parameters.values())):
            params: Params = {}
            for parameter, param in zip(self.parameters.values(), combination, strict=True):
                if self.active(parameter, params):
                    params[parameter.key] = param
            if (name := point_name(params)) not in seen:
                seen.add(name)
                yield params


def point_name(params: Mapping[str, Any]) -> str:
    """Return a text that is the same for equal points only."""
    return json.dumps({key: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
                       for key, value in params.items()}, sort_keys=True)  # fmt: skip


def violation(text: str) -> Callable[[Mapping[str, float]], float]:
    """By how much a constraint is violated, from the values by tag: at most 0 where it holds, as Optuna wants it. One that is more than
    a comparison is violated by 1."""
    expression = Expression.parse(text)
    parts = _COMPARISON.split(text)
    if len(parts) == 3 and not _WORDS.search(text):
        try:
            left, right = Expression.parse(parts[0]), Expression.parse(parts[2])
        except ValueError:
            pass  # the sign is inside of something
        else:
            sign = 1.0 if "<" in parts[1] else -1.0
            limit = 0.0 if "=" in parts[1] else _LEAST

            def difference(tags: Mapping[str, float]) -> float:
                amount: float = sign * (left.evaluate(tags.__getitem__) - right.evaluate(tags.__getitem__))
                return amount or limit

            return difference
    return lambda tags: 0.0 if expression.evaluate(tags.__getitem__) else 1.0


def _distribution(dimension: Span | Choice) -> BaseDistribution:
    if isinstance(dimension, Choice):
        return CategoricalDistribution([_plain(value) for value in dimension.choices])
    if dimension.integer:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log, step=int(dimension.step or 1))
    return FloatDistribution(float(dimension.low), float(dimension.high), log=dimension.log, step=dimension.step)


def _plain(value: Any) -> Any:
    """Optuna's choices are texts and numbers."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def _inside(parameter: Parameter, value: Any) -> tuple[Any] | None:
    """Return `value` as Optuna has it, in a tuple since it may be None; None if it is outside."""
    distribution = parameter.distribution
    if isinstance(distribution, CategoricalDistribution):
        return next(((_plain(choice),) for choice in parameter.values if same_value(choice, value)), None)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if not is_number(value) or not distribution.low <= value <= distribution.high:
        return None
    if distribution.step is not None:
        steps = (value - distribution.low) / distribution.step
        if not math.isclose(steps, round(steps), abs_tol=1e-6):
            return None
    if isinstance(distribution, IntDistribution):
        return (int(value),)
    return (float(value),)


def size_of(distribution: BaseDistribution) -> float:
    """Return the number of values; infinite without a step."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return math.inf if distribution.step is None else round((distribution.high - distribution.low) / distribution.step) + 1


def _all(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution) and distribution.step is not None
    steps = range(int(size_of(distribution)))
    if isinstance(distribution, IntDistribution):
        return [distribution.low + step * distribution.step for step in steps]
    return [min(distribution.low + step * distribution.step, distribution.high) for step in steps]
