"""Fixed designs: from a sweep file to its trials. Trial 0 is the baseline in each of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from runner.core.errors import InputError, Problem
from runner.core.values import format_value, same_value, short_keys
from runner.search.base import Trial
from runner.search.spec import SweepSpec

Baseline = Callable[[str], Any]
"""The baseline's resolved value of a dotted key; `ABSENT` if it has none."""


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
BASELINE_LABEL = "baseline"


def design_trials(spec: SweepSpec, baseline: Baseline) -> list[Trial]:
    """The trials of `spec.design`, the baseline first.

    Raises:
        InputError: two listed trials come to the same, or one comes to the baseline.
    """
    return {"one_at_a_time": one_at_a_time, "grid": grid, "list": listed}[spec.design](spec, baseline)


def one_at_a_time(spec: SweepSpec, baseline: Baseline) -> list[Trial]:
    """The baseline, then each value of each varied key alone. A value equal to the baseline's is the baseline, not a
    new trial."""
    return _number(spec, ({key: value} for key, factor in spec.factors().items() for value in factor.values), baseline)


def grid(spec: SweepSpec, baseline: Baseline) -> list[Trial]:
    """The baseline, then every combination of the values, the last key changing fastest. The combination that is the
    baseline is not repeated."""
    factors = spec.factors()
    combinations = itertools.product(*(factor.values for factor in factors.values()))
    return _number(spec, (dict(zip(factors, values, strict=True)) for values in combinations), baseline)


def listed(spec: SweepSpec, baseline: Baseline) -> list[Trial]:
    """The baseline, then the trials as listed. Raises InputError if two of these are the same once the baseline's
    values are known."""
    trials = _number(spec, spec.trials, baseline)
    if len(trials) == len(spec.trials) + 1:
        return trials
    problems: list[Problem] = []
    seen: list[dict[str, Any]] = [{}]
    for index, overrides in enumerate(spec.trials):
        point = _differing(overrides, baseline)
        if any(same_value(point, other) for other in seen):
            what = "is the same as a trial before it" if point else "is the baseline, which is always run as trial 0: leave it out"
            problems.append(Problem(what, key=f"trials.{index}"))
        seen.append(point)
    raise InputError(problems)


def _number(spec: SweepSpec, points: Iterable[Mapping[str, Any]], baseline: Baseline) -> list[Trial]:
    """Points to trials: values the baseline has anyway are left out, a point that was there before is dropped."""
    names = _labels(spec)
    trials = [Trial(0, {}, BASELINE_LABEL)]
    for point in points:
        overrides = _differing(point, baseline)
        if not any(same_value(overrides, trial.overrides) for trial in trials):
            label = ", ".join(f"{names[key]}={format_value(value)}" for key, value in overrides.items())
            trials.append(Trial(len(trials), overrides, label))
    return trials


def _differing(point: Mapping[str, Any], baseline: Baseline) -> dict[str, Any]:
    return {key: value for key, value in point.items() if not same_value(value, baseline(key))}


def _labels(spec: SweepSpec) -> dict[str, str]:
    """What each key that a trial may set is called."""
    factors = spec.factors()
    names = short_keys([*factors, *(key for trial in spec.trials for key in trial)])
    return names | {key: factor.label for key, factor in factors.items() if factor.label}
