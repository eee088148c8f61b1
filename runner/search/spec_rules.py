"""Checks of a sweep file beyond the types and ranges of its keys, without its config."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from runner.config.node import Node, Source
from runner.config.overrides import apply_mapping
from runner.core.errors import InputError, Problem, nearest
from runner.core.expression import Expression
from runner.core.values import format_value, value_key
from runner.search.base import DESIGNS
from runner.search.points import BASE, edges, repeated
from runner.search.spec import Choice, Span, SweepSpec

DESIGN_KEYS: Final = ("vary", "trials", "space", "combine_best", "racing", "sampler", "pruner", "constraints", "confirm_seeds")
"""Keys that only some designs use."""
_DEFAULT: Final = SweepSpec(config="")


def check_spec(spec: SweepSpec) -> list[Problem]:
    """Find every problem, each with the key it concerns."""
    if spec.design not in DESIGNS:
        known = nearest(spec.design, DESIGNS.names()) or f"expected {', '.join(DESIGNS.names())}"
        return [Problem(f"unknown design {spec.design!r}; {known}", key="design")]
    parts: tuple[Callable[[SweepSpec], Iterable[Problem]], ...] = (
        _design,
        _factors,
        _trials,
        _keys,
        _derive,
        _space,
        _constraints,
        _metrics,
        _seeds,
        _resources,
    )
    return [problem for part in parts for problem in part(spec)] or list(_together(spec))


def _design(spec: SweepSpec) -> Iterator[Problem]:
    design = DESIGNS.get(spec.design)()
    here = f"`design: {spec.design}`"
    if design.required and not getattr(spec, design.required):
        yield Problem(f"is empty: {here} makes its trials from it", key=design.required)
    for key in DESIGN_KEYS:
        if key not in design.keys and getattr(spec, key) != getattr(_DEFAULT, key):
            users = [f"`{name}`" for name, other in DESIGNS.usable() if key in other.keys]
            yield Problem(f"is not used by {here}, only by {', '.join(users)}: leave it out, or choose such a design", key=key)
    yield from design.check(spec)


def _factors(spec: SweepSpec) -> Iterator[Problem]:
    factors = spec.factors()
    for key, factor in factors.items():
        if not factor.values:
            yield Problem("has no values", key=f"vary.{key}")
    labels = Counter(factor.label for factor in factors.values() if factor.label is not None)
    yield from (Problem(f"two keys have the label {label!r}", key="vary") for label, count in labels.items() if count > 1)


def _trials(spec: SweepSpec) -> Iterator[Problem]:
    seen = set()
    for index, trial in enumerate(spec.trials):
        if not trial:
            yield Problem("is empty: the baseline always runs as trial 0; leave it out", key=f"trials.{index}")
        elif value_key(trial) in seen:
            yield Problem("equals an earlier trial", key=f"trials.{index}")
        seen.add(value_key(trial))


def _keys(spec: SweepSpec) -> Iterator[Problem]:
    """Find keys that cannot be varied, and those that would be set twice, by themselves and with a key around them."""
    places: list[tuple[str, Iterable[str]]] = [("overrides", spec.overrides), ("vary", spec.vary), ("space", spec.space)]
    places += [(f"trials.{index}", trial) for index, trial in enumerate(spec.trials)]
    moved = {*spec.vary, *spec.space, *(key for trial in spec.trials for key in trial)}
    for place, keys in places:
        yield from _nested(place, keys, keys)
    yield from _nested("derive", spec.derive, {*moved, *spec.derive})
    for key in moved - spec.derive.keys():
        for inner in spec.derive:
            if key.startswith(f"{inner}."):
                yield Problem(f"lies around {key!r}, which is varied: keep one of them", key=f"derive.{inner}")


def _nested(place: str, keys: Iterable[str], others: Iterable[str]) -> Iterator[Problem]:
    outer = set(others)
    for key in keys:
        if key == "seed":
            yield Problem("cannot be varied: list the seeds under `seeds`", key=f"{place}.seed")
        parts = key.split(".")
        for length in range(1, len(parts)):
            if (around := ".".join(parts[:length])) in outer:
                yield Problem(f"lies inside {around!r}, which is set too: keep one of them", key=f"{place}.{key}")


def _derive(spec: SweepSpec) -> Generator[Problem, None, None]:
    moved = {*spec.vary, *spec.space, *(key for trial in spec.trials for key in trial)}
    follows: dict[str, frozenset[str]] = {}
    for key, text in spec.derive.items():
        expression = yield from _parsed(text, f"derive.{key}")
        if expression is None:
            continue
        names = expression.names - {BASE}
        follows[key] = names
        if key in names:
            yield Problem(f"refers to itself; its value in the baseline is `{BASE}`", key=f"derive.{key}")
        elif not names & (moved | spec.derive.keys()):
            hint = "; ".join(filter(None, (nearest(name, sorted(moved)) for name in sorted(names))))
            yield Problem(f"{text!r} names no varied key" + (f"; {hint}" if hint else ""), key=f"derive.{key}")
    for key in _circles(follows):
        if key not in follows[key]:
            yield Problem("depends on itself in a circle: " + ", ".join(sorted(follows[key] & follows.keys())), key=f"derive.{key}")


def _space(spec: SweepSpec) -> Generator[Problem, None, None]:
    names: dict[str, frozenset[str]] = {}
    for key, given in spec.space.items():
        here = f"space.{key}"
        if isinstance(given, Span):
            yield from _span(given, here)
        else:
            choices = given.choices if isinstance(given, Choice) else given
            if not choices:
                yield Problem("has no choices", key=here)
            for value in repeated(choices):
                yield Problem(f"{format_value(value)} is listed twice", key=here)
        if isinstance(given, Span | Choice) and given.when is not None:
            expression = yield from _condition(given.when, f"{here}.when")
            names[key] = expression.names if expression else frozenset()
            for name in sorted(names[key] - spec.space.keys()):
                hint = nearest(name, sorted(spec.space.keys() - {key}))
                text = f"{name!r} is no key of the space, and a condition is about those"
                yield Problem(text + (f"; {hint}" if hint else ""), key=f"{here}.when")
            if expression is not None and _never(expression, spec):
                yield Problem(f"{expression.text!r} is never true in this space, so this key is never varied", key=f"{here}.when")
    for key in _circles(names):
        what = (
            "depends on itself" if key in names[key] else "depends on itself in a circle: " + ", ".join(sorted(names[key] & names.keys()))
        )
        yield Problem(what, key=f"space.{key}.when")


def _never(condition: Expression, spec: SweepSpec) -> bool:
    """Return whether a condition on choices holds for none of them (at most 1,000 combinations are tried)."""
    names = sorted(condition.names)
    choices: list[tuple[Any, ...]] = []
    for name in names:
        given = spec.space.get(name, ())
        if isinstance(given, Span) or not given:
            return False
        choices.append(given.choices if isinstance(given, Choice) else tuple(given))
    for values in itertools.islice(itertools.product(*choices), 1000):
        try:
            if condition.evaluate(dict(zip(names, values, strict=True)).__getitem__):
                return False
        except ValueError:
            continue
    return math.prod(map(len, choices)) <= 1000


def _together(spec: SweepSpec) -> Iterator[Problem]:
    """Find keys that exclude each other and may be set together in a trial that is not known in advance (those that are, are resolved).

    The sweep file must be sound otherwise.
    """
    points = edges(spec)
    if spec.combine_best:
        points |= {key: [{key: value} for value in factor.values] for key, factor in spec.factors().items()}
    follows = {key: Expression.parse(text).names for key, text in spec.derive.items()}
    place = "space" if spec.space else "vary"
    found: dict[str, Problem] = {}
    for pair in itertools.combinations_with_replacement(points.values(), 2):
        for one, other in itertools.product(*pair):
            point = {**one, **other}
            if any(point[key] != value for key, value in one.items()):
                continue  # their conditions never hold together
            point |= {key: 1 for key, names in follows.items() if key not in point and names & point.keys()}
            try:
                apply_mapping(Node({}, Source("")), point, Source(""))
            except InputError as error:
                for problem in error.problems:
                    key = f"{'derive' if problem.key in spec.derive else place}.{problem.key}"
                    found.setdefault(key, replace(problem, key=key))
    yield from found.values()


def _span(span: Span, here: str) -> Iterator[Problem]:
    if span.low >= span.high:
        yield Problem(f"low {format_value(span.low)} is not less than high {format_value(span.high)}", key=here)
        return
    if span.log and span.low <= 0:
        yield Problem(f"must be above 0 with `log: true`, got {format_value(span.low)}", key=f"{here}.low")
    if span.log and span.step is not None:
        yield Problem("cannot be used with `log: true`: leave one of them out", key=f"{here}.step")
    elif span.step is not None:
        steps = (span.high - span.low) / span.step
        if not math.isclose(steps, round(steps), abs_tol=1e-6):
            last = span.low + math.floor(steps) * span.step
            yield Problem(f"{format_value(span.high)} is not reached in steps of {format_value(span.step)}: the last value is "
                          f"{format_value(last)}; say so", key=f"{here}.high")  # fmt: skip


def _constraints(spec: SweepSpec) -> Generator[Problem, None, None]:
    for index, text in enumerate(spec.constraints):
        expression = yield from _condition(text, f"constraints.{index}")
        if expression is not None and not expression.names:
            yield Problem(f"{text!r} names no metric", key=f"constraints.{index}")


def _metrics(spec: SweepSpec) -> Iterator[Problem]:
    if spec.metric == ():
        yield Problem("is empty: give at least one, {name: bbox/AP, goal: maximize}", key="metric")
    for name in repeated([metric.name for metric in spec.metrics]):
        yield Problem(f"{name} is listed twice", key="metric")


def _seeds(spec: SweepSpec) -> Iterator[Problem]:
    if not spec.seeds:
        yield Problem("is empty: give at least one, [0]", key="seeds")
    for seed in repeated(spec.seeds):
        yield Problem(f"{seed} is listed twice: the same run, not a repeat", key="seeds")
    if spec.racing is not None and len(spec.seeds) < 2:
        yield Problem("racing needs at least two seeds at the start: one shows no noise", key="seeds")
    if spec.racing is not None and spec.racing.max_seeds <= len(spec.seeds):
        text = f"is {spec.racing.max_seeds}, but every trial already has the {len(spec.seeds)} seeds under `seeds`: nothing can be added"
        yield Problem(text, key="racing.max_seeds")


def _resources(spec: SweepSpec) -> Iterator[Problem]:
    gpus = spec.resources.gpus
    if gpus is not None and gpus > 1 and not gpus.is_integer():
        yield Problem(f"is {format_value(gpus)}; expected a whole number, or a share of one GPU (0.5)", key="resources.gpus")


def _condition(text: str, key: str) -> Generator[Problem, None, Expression | None]:
    """Parse an expression that is true or false."""
    expression = yield from _parsed(text, key)
    if expression is not None and not expression.condition:
        yield Problem(f"{text!r} is not a condition: add a comparison, such as `{text} <= 8`", key=key)
        return None
    return expression


def _parsed(text: str, key: str) -> Generator[Problem, None, Expression | None]:
    """Parse an expression; None after a problem."""
    try:
        return Expression.parse(text)
    except ValueError as error:
        yield Problem(f"{text!r} is not an expression: {error}", key=key)
        return None


def _circles(names: Mapping[str, frozenset[str]]) -> list[str]:
    """Find the keys that depend on themselves, directly or through others."""

    def reached(key: str) -> set[str]:
        found: set[str] = set()
        todo = [key]
        while todo:
            fresh = names.get(todo.pop(), frozenset()) - found
            found |= fresh
            todo += fresh
        return found

    return [key for key in names if key in reached(key)]
