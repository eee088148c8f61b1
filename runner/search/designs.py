"""Fixed designs: from a sweep file to its trials. Trial 0 is the baseline in each of them."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from runner.core.errors import InputError, Problem
from runner.core.expression import Expression
from runner.core.values import LEAST_DIGITS, enough_digits, format_value, same_value, short_keys, value_key
from runner.search.base import WAIT, FixedDesign, Report, Trial, TrialResult, Wait
from runner.search.spec import Choice, Span, SweepSpec

Baseline = Callable[[str], Any]
"""The baseline's resolved value of a dotted key; `ABSENT` if it has none."""


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
BASELINE_LABEL: Final = "baseline"
BASE: Final = "base"
"""In an expression under `derive`: the baseline's value of the key that follows."""


def baseline_values(plain: Mapping[str, Any]) -> Baseline:
    """The baseline's value of any dotted key, elements of lists by their index, from its whole config."""

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


def design_trials(spec: SweepSpec, baseline: Baseline) -> list[Trial]:
    """The trials of `spec.design` that are known in advance, the baseline first; with Optuna there are no others.

    Raises:
        InputError: two listed trials come to the same, or one comes to the baseline; a derived key has no value.
    """
    points: dict[str, Callable[[SweepSpec], Iterable[Mapping[str, Any]]]] = {
        "one_at_a_time": one_at_a_time,
        "grid": grid,
        "zip": zipped,
        "list": lambda spec: spec.trials,
        "optuna": lambda _: (),
    }
    trials = _number(spec, points[spec.design](spec), baseline)
    if spec.design == "list" and len(trials) <= len(spec.trials):
        raise InputError(_same_as_another(spec, baseline))
    return trials


def one_at_a_time(spec: SweepSpec) -> Iterable[Mapping[str, Any]]:
    """Each value of each varied key alone."""
    return ({key: value} for key, factor in spec.factors().items() for value in factor.values)


def grid(spec: SweepSpec) -> Iterable[Mapping[str, Any]]:
    """Every combination of the values, the last key changing fastest."""
    factors = spec.factors()
    return (dict(zip(factors, values, strict=True)) for values in itertools.product(*(factor.values for factor in factors.values())))


def zipped(spec: SweepSpec) -> Iterable[Mapping[str, Any]]:
    """The first value of every key, then the second of every key, …"""
    factors = spec.factors()
    return (dict(zip(factors, values, strict=True)) for values in zip(*(factor.values for factor in factors.values()), strict=True))


def derive_overrides(spec: SweepSpec, point: Mapping[str, Any], baseline: Baseline) -> dict[str, Any]:
    """A trial's overrides: what of `point` differs from the baseline, and what follows it under `derive`.

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
            raise InputError([Problem("follows itself in a circle", key=f"derive.{key}") for key in expressions])
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
    """For each key of the space, points at its ends (of a span) or choices (eight at most): itself and what its condition needs.

    A key whose condition no such point keeps is left out. Since these are not all points, what is wrong with one of them says something of
    the space only where all are wrong.
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
    """What a trial is called: ``batch_size=8, schedule=800``, by the keys that it varies, not by what follows them."""
    return _label(point, _labels(spec), _digits(spec))


def _label(point: Mapping[str, Any], names: Mapping[str, str], digits: Mapping[str, int]) -> str:
    return ", ".join(f"{names[key]}={format_value(value, digits.get(key, LEAST_DIGITS))}" for key, value in point.items())


def _digits(spec: SweepSpec) -> dict[str, int]:
    """Digits by which the values of each varied key can be told apart."""
    values: dict[str, list[Any]] = {key: list(factor.values) for key, factor in spec.factors().items()}
    for key, given in spec.space.items():
        values[key] = [] if isinstance(given, Span) else list(given.choices if isinstance(given, Choice) else given)
    for trial in spec.trials:
        for key, value in trial.items():
            values.setdefault(key, []).append(value)
    return {key: enough_digits(found) for key, found in values.items()}


def _same_as_another(spec: SweepSpec, baseline: Baseline) -> list[Problem]:
    """Which of the listed trials are another one once the baseline's values are known."""
    problems: list[Problem] = []
    seen = {value_key({})}
    for index, listed in enumerate(spec.trials):
        point = derive_overrides(spec, listed, baseline)
        if value_key(point) in seen:
            what = "is the same as a trial before it" if point else "is the baseline, which is always run as trial 0: leave it out"
            problems.append(Problem(what, key=f"trials.{index}"))
        seen.add(value_key(point))
    return problems


def _number(spec: SweepSpec, points: Iterable[Mapping[str, Any]], baseline: Baseline) -> list[Trial]:
    """Points to trials: values the baseline has anyway are left out, a point that was there before is dropped."""
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
    """What each key that a trial may set is called."""
    factors = spec.factors()
    names = short_keys([*factors, *spec.space, *(key for trial in spec.trials for key in trial)])
    return names | {key: factor.label for key, factor in factors.items() if factor.label}


class CombineBest:
    """One factor at a time; then, in a last trial, the best value of each key that made it better, all together: whether they add up.

    A value counts as better if its mean over the seeds beats the baseline's by the first metric: this chooses what is tried next, it is
    no verdict. There is no last trial if fewer than two keys have one, or if the baseline has no result.

    Args:
        trials: the trials of the design, the baseline first.
    """

    def __init__(self, spec: SweepSpec, trials: Sequence[Trial], baseline: Baseline) -> None:
        self._spec, self._baseline = spec, baseline
        self._fixed = FixedDesign(trials)
        self._open = {trial.number for trial in trials}
        self._means: dict[int, float] = {}
        self._beyond: dict[Hashable, tuple[Trial, set[int]]] = {}
        """The trials beyond the fixed ones, this driver's and earlier ones', by their overrides, with the seeds that were handed out."""
        self.wants_reports = False

    def planned(self) -> Sequence[Trial]:
        """The trials but the last one."""
        return self._fixed.planned()

    def ask(self) -> Trial | Wait | None:
        """The next trial in order. Waits for all results before the last one."""
        trial = self._fixed.ask()
        if trial is not None:
            return trial
        return WAIT if self._open else self._join()

    def tell(self, trial: Trial, result: TrialResult) -> None:
        """Results are kept for the last trial."""
        self.resume(trial)
        self._open.discard(trial.number)
        values = [tags[self._metric] for tags in result.values.values() if self._metric in tags]
        if result.state == "done" and values:
            self._means[trial.number] = math.fsum(values) / len(values)

    def resume(self, trial: Trial) -> None:
        """It is not handed out again."""
        self._fixed.resume(trial)
        if all(trial.number != other.number for other in self.planned()):
            _, seeds = self._beyond.setdefault(value_key(trial.overrides), (trial, set()))
            seeds.update(self._spec.seeds if trial.seeds is None else trial.seeds)

    def report(self, trial: Trial, report: Report) -> str | None:
        """Nothing is given up."""
        del trial, report
        return None

    @property
    def _metric(self) -> str:
        return self._spec.metrics[0].name

    def _join(self) -> Trial | None:
        """The last trial, with the seeds it was not run with yet."""
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
        """The varied keys that have a better value than the baseline's, each with its best one."""
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
