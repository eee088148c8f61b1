"""Points of a design, and the trials made of them. Trial 0 is the baseline."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from runner.core.errors import InputError, Problem
from runner.core.expression import Expression
from runner.core.values import ABSENT, LEAST_DIGITS, enough_digits, format_value, same_value, short_keys, value_key
from runner.search.base import Baseline, Trial
from runner.search.spec import Choice, Span, SweepSpec

BASELINE_LABEL: Final = "baseline"
BASE: Final = "base"
"""Name in an expression under `derive` of the baseline's value of the derived key."""


def baseline_values(plain: Mapping[str, Any]) -> Baseline:
    """Return the function from a dotted key (elements of lists by their index) to its value in the baseline's whole config."""

    def value(key: str) -> Any:
        node: Any = plain
        for part in key.split("."):
            if isinstance(node, Mapping) and part in node:
                node = node[part]
            elif isinstance(node, list | tuple) and part.isdecimal() and int(part) < len(node):
                node = node[int(part)]
            else:
                return ABSENT
        return node

    return value


def derive_overrides(spec: SweepSpec, point: Mapping[str, Any], baseline: Baseline) -> dict[str, Any]:
    """Return a trial's overrides: the values of `point` that differ from the baseline, and the derived ones.

    A derived key follows where a key that its expression names differs from the baseline, unless `point` sets it itself. Where the
    baseline's value is an integer and the result is whole, it is an integer.

    Args:
        point: dotted key to value, of everything that the trial varies.

    Raises:
        InputError: an expression names what nothing has, or has no value.
    """
    overrides = {key: value for key, value in point.items() if not same_value(value, baseline(key))}
    expressions = {key: Expression.parse(text) for key, text in spec.derive.items() if key not in point}
    while expressions:  # a key that follows may be followed by another one
        ready = [key for key, expression in expressions.items() if not expression.names & expressions.keys()]
        if not ready:
            raise InputError([Problem("depends on itself in a circle", key=f"derive.{key}") for key in expressions])
        for key in ready:
            expression = expressions.pop(key)
            if expression.names & overrides.keys():
                value = _follow(key, expression, overrides, baseline)
                if not same_value(value, baseline(key)):
                    overrides[key] = value
    return overrides


def _follow(key: str, expression: Expression, overrides: Mapping[str, Any], baseline: Baseline) -> Any:
    base = baseline(key)

    def lookup(name: str) -> Any:
        value = base if name == BASE else overrides[name] if name in overrides else baseline(name)
        if value is ABSENT:
            raise ValueError(f"the baseline has no {key if name == BASE else name}")
        return value

    try:
        value = expression.evaluate(lookup)
    except ValueError as error:
        given = ", ".join(f"{name}={format_value(overrides[name])}" for name in sorted(expression.names & overrides.keys()))
        raise InputError(Problem(f"{expression.text!r} has no value for {given}: {error}", key=f"derive.{key}")) from None
    whole = isinstance(base, int) and isinstance(value, float) and math.isclose(value, round(value), rel_tol=1e-12)
    return round(value) if whole else value


def edges(spec: SweepSpec) -> dict[str, list[dict[str, Any]]]:
    """Return for each key of the space points at its ends (of a range) or choices (eight at most), with the keys its condition needs.

    A key whose condition no such point satisfies is left out. Since these are not all points, an error in one of them is an error of
    the space only where all have one.
    """
    dimensions = spec.dimensions()
    values = {key: [each.low, each.high] if isinstance(each, Span) else list(each.choices[:8]) for key, each in dimensions.items()}
    result: dict[str, list[dict[str, Any]]] = {}
    for key in dimensions:
        needed = [key]
        for name in needed:  # grows meanwhile
            when = dimensions[name].when
            needed += [other for other in sorted(Expression.parse(when).names) if other not in needed] if when is not None else []
        ways = itertools.islice(itertools.product(*(values[name] for name in needed[1:])), 1000)
        around = [dict(zip(needed[1:], way, strict=True)) for way in ways]
        kept = next((way for way in around if all(_holds(dimensions[name].when, way) for name in needed)), None)
        if kept is not None:
            result[key] = [{**kept, key: value} for value in values[key]]
    return result


def _holds(when: str | None, values: Mapping[str, Any]) -> bool:
    try:
        return when is None or bool(Expression.parse(when).evaluate(values.__getitem__))
    except ValueError:
        return False


def trial_label(spec: SweepSpec, point: Mapping[str, Any]) -> str:
    """Return a trial's label: ``batch_size=8, schedule=800``, by the keys that it varies, not the derived ones."""
    return _label(point, _labels(spec), _digits(spec))


def _label(point: Mapping[str, Any], names: Mapping[str, str], digits: Mapping[str, int]) -> str:
    return ", ".join(f"{names[key]}={format_value(value, digits.get(key, LEAST_DIGITS))}" for key, value in point.items())


def _digits(spec: SweepSpec) -> dict[str, int]:
    """Return the digits that distinguish the values of each varied key."""
    values: dict[str, list[Any]] = {key: list(factor.values) for key, factor in spec.factors().items()}
    for key, given in spec.space.items():
        values[key] = [] if isinstance(given, Span) else list(given.choices if isinstance(given, Choice) else given)
    for trial in spec.trials:
        for key, value in trial.items():
            values.setdefault(key, []).append(value)
    return {key: enough_digits(found) for key, found in values.items()}


def number_trials(spec: SweepSpec, points: Iterable[Mapping[str, Any]], baseline: Baseline) -> list[Trial]:
    """Make trials of points, the baseline first: values that the baseline has are left out, and so is a point that came before."""
    trials = [Trial(0, {}, BASELINE_LABEL)]
    seen = {value_key({})}
    names, digits = _labels(spec), _digits(spec)
    problems: list[Problem] = []
    for point in points:
        try:
            overrides = derive_overrides(spec, point, baseline)
        except InputError as error:
            problems += error.problems
            continue
        if value_key(overrides) not in seen:
            named = {key: value for key, value in overrides.items() if key in point}
            trials.append(Trial(len(trials), overrides, _label(named, names, digits)))
            seen.add(value_key(overrides))
    if problems:
        raise InputError(dict.fromkeys(problems))
    return trials


def _labels(spec: SweepSpec) -> dict[str, str]:
    """Return the label of each key that a trial may set."""
    factors = spec.factors()
    names = short_keys([*factors, *spec.space, *(key for trial in spec.trials for key in trial)])
    return names | {key: factor.label for key, factor in factors.items() if factor.label}


def repeated(values: Sequence[Any]) -> list[Any]:
    """Return the values that equal an earlier one."""
    seen: set[Any] = set()
    found = []
    for value in values:
        if value_key(value) in seen:
            found.append(value)
        seen.add(value_key(value))
    return found
