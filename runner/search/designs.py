"""Fixed designs: every trial is known in advance."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from runner.core.errors import InputError, Problem
from runner.core.values import format_value, value_key
from runner.search.base import Baseline, Design, FixedSearch, Search, Trial
from runner.search.combine import CombineBest
from runner.search.points import derive_overrides, number_trials, repeated
from runner.search.racing import RacingSearch, significance_rule
from runner.search.spec import SweepSpec


class _FixedDesign(Design):
    """A design whose trials are points made from the sweep file alone. Their seeds may be raced."""

    keys: ClassVar[tuple[str, ...]] = ("vary", "racing")
    required: ClassVar[str] = "vary"
    adaptive: ClassVar[bool] = False
    report: ClassVar[Literal["comparison", "search"]] = "comparison"
    database: ClassVar[str] = ""

    def check(self, spec: SweepSpec) -> Iterable[Problem]:
        """Find values that are listed twice."""
        for key, factor in spec.factors().items():
            for value in repeated(factor.values):
                yield Problem(f"{format_value(value)} is listed twice", key=f"vary.{key}")

    def points(self, spec: SweepSpec) -> Iterable[Mapping[str, Any]]:
        """Return the points (dotted key to value) in their order."""
        raise NotImplementedError

    def trials(self, spec: SweepSpec, baseline: Baseline) -> Sequence[Trial]:
        """Make the trials."""
        return number_trials(spec, self.points(spec), baseline)

    def build(self, spec: SweepSpec, trials: Sequence[Trial], baseline: Baseline, folder: Path | None) -> Search:
        """Make the search that hands out the trials, racing their seeds if the sweep file says so."""
        del baseline, folder
        if spec.racing is None:
            return FixedSearch(trials)
        most = spec.racing.max_seeds
        return RacingSearch(trials, spec.seeds, most, significance_rule(spec.metrics[0].name, len(spec.seeds), most), spec.budget.runs)

    def outlook(self, spec: SweepSpec) -> Sequence[str]:
        """Announce further seeds."""
        return [f"up to {spec.racing.max_seeds} seeds per trial without a clear verdict"] if spec.racing else []


class OneAtATimeDesign(_FixedDesign):
    """Each value of each varied key alone; then, with `combine_best`, the best values together."""

    keys: ClassVar[tuple[str, ...]] = ("vary", "racing", "combine_best")

    def check(self, spec: SweepSpec) -> Iterable[Problem]:
        """Find values that are listed twice, and what keeps the best values from being combined."""
        yield from super().check(spec)
        if spec.combine_best and len(spec.vary) < 2:
            yield Problem("needs at least two keys under `vary` to combine", key="combine_best")
        if spec.combine_best and spec.racing is not None:
            yield Problem("cannot be used with `racing`: the last trial would be chosen before all seeds are done", key="combine_best")

    def points(self, spec: SweepSpec) -> Iterable[Mapping[str, Any]]:
        """Return each value of each key alone."""
        return ({key: value} for key, factor in spec.factors().items() for value in factor.values)

    def build(self, spec: SweepSpec, trials: Sequence[Trial], baseline: Baseline, folder: Path | None) -> Search:
        """Make the search; see `runner.search.combine`."""
        return CombineBest(spec, trials, baseline) if spec.combine_best else super().build(spec, trials, baseline, folder)

    def outlook(self, spec: SweepSpec) -> Sequence[str]:
        """Announce the last trial."""
        combined = ["a last trial with the best values together, if two or more keys improved the metric"] if spec.combine_best else []
        return [*combined, *super().outlook(spec)]

    def varied_together(self, spec: SweepSpec) -> Iterable[set[str]]:
        """Return each key alone."""
        return [{key} for key in spec.vary]


class GridDesign(_FixedDesign):
    """Every combination of the values, the last key changing fastest."""

    def points(self, spec: SweepSpec) -> Iterable[Mapping[str, Any]]:
        """Return the combinations."""
        factors = spec.factors()
        return (dict(zip(factors, values, strict=True)) for values in itertools.product(*(factor.values for factor in factors.values())))


class ZipDesign(_FixedDesign):
    """The first value of every key, then the second of every key, …"""

    def check(self, spec: SweepSpec) -> Iterable[Problem]:
        """Find keys with different numbers of values, and rows that are listed twice."""
        lengths = {key: len(factor.values) for key, factor in spec.factors().items()}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{key} {length}" for key, length in lengths.items())
            yield Problem(f"`design: zip` takes one value of each key at a time, so all need the same number: {shown}", key="vary")
        else:
            for row in repeated(list(self.points(spec))):
                yield Problem(f"{format_value(list(row.values()))} is listed twice", key="vary")

    def points(self, spec: SweepSpec) -> Iterable[Mapping[str, Any]]:
        """Return the rows."""
        factors = spec.factors()
        return (dict(zip(factors, values, strict=True)) for values in zip(*(factor.values for factor in factors.values()), strict=True))


class ListDesign(_FixedDesign):
    """The trials as listed."""

    keys: ClassVar[tuple[str, ...]] = ("trials", "racing")
    required: ClassVar[str] = "trials"

    def points(self, spec: SweepSpec) -> Iterable[Mapping[str, Any]]:
        """Return the listed trials."""
        return spec.trials

    def trials(self, spec: SweepSpec, baseline: Baseline) -> Sequence[Trial]:
        """Make the trials; none may equal another or the baseline."""
        trials = super().trials(spec, baseline)
        if len(trials) <= len(spec.trials):
            raise InputError(_same_as_another(spec, baseline))
        return trials

    def varied_together(self, spec: SweepSpec) -> Iterable[set[str]]:
        """Return the keys of each trial."""
        return [set(trial) for trial in spec.trials]


def _same_as_another(spec: SweepSpec, baseline: Baseline) -> list[Problem]:
    """Find the listed trials that equal another one, now that the baseline's values are known."""
    problems: list[Problem] = []
    seen = {value_key({})}
    for index, listed in enumerate(spec.trials):
        point = derive_overrides(spec, listed, baseline)
        if value_key(point) in seen:
            what = "equals an earlier trial" if point else "equals the baseline, which always runs as trial 0: leave it out"
            problems.append(Problem(what, key=f"trials.{index}"))
        seen.add(value_key(point))
    return problems
