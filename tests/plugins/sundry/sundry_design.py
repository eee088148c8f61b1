"""A design that tries the first and the last value of each varied key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from runner.search.base import Baseline, Design, FixedSearch, Search, Trial
from runner.search.points import number_trials
from runner.search.spec import SweepSpec


class EndsDesign(Design):
    """Both ends of each key."""

    keys: ClassVar[tuple[str, ...]] = ("vary",)
    required: ClassVar[str] = "vary"
    adaptive: ClassVar[bool] = False
    report: ClassVar[Literal["comparison", "search"]] = "comparison"
    database: ClassVar[str] = ""

    def trials(self, spec: SweepSpec, baseline: Baseline) -> Sequence[Trial]:
        """Make the trials."""
        ends = [{key: value} for key, factor in spec.factors().items() for value in dict.fromkeys((factor.values[0], factor.values[-1]))]
        return number_trials(spec, ends, baseline)

    def build(self, spec: SweepSpec, trials: Sequence[Trial], baseline: Baseline, folder: Path | None) -> Search:
        """Hand them out in order."""
        return FixedSearch(trials)
