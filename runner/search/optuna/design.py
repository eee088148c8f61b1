"""The design `optuna` of a sweep file. Importing this does not import Optuna, which takes half a second."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from runner.core.errors import Problem
from runner.core.values import counted, format_value
from runner.search.base import Baseline, Design, Search, Trial
from runner.search.points import BASELINE_LABEL
from runner.search.spec import FEWEST_FOR_IMPORTANCES, SweepSpec

STUDY_DB: Final = "study.db"
_FINITE: Final = ("GridSampler", "BruteForceSampler")
"""Samplers that stop by themselves."""


class OptunaDesign(Design):
    """Design whose trials are proposed by a sampler of Optuna, starting from the baseline."""

    keys: ClassVar[tuple[str, ...]] = ("space", "sampler", "pruner", "constraints", "confirm_seeds")
    required: ClassVar[str] = "space"
    adaptive: ClassVar[bool] = True
    report: ClassVar[Literal["comparison", "search"]] = "search"
    packages: ClassVar[tuple[str, ...]] = ("optuna",)
    requirement: ClassVar[str] = ".[optuna]"
    database: ClassVar[str] = STUDY_DB

    def check(self, spec: SweepSpec) -> Iterable[Problem]:
        """Find a search without an end, and a pruner that would have no effect."""
        budget = spec.budget
        if (budget.runs, budget.hours, budget.gpu_hours) == (None, None, None) and spec.sampler.name not in _FINITE:
            text = f"no budget: {spec.sampler.name} never stops by itself; set budget.runs, hours or gpu_hours"
            yield Problem(text, key="budget")
        if len(spec.metrics) > 1 and spec.pruner is not None:
            yield Problem(
                "cannot be used with several metrics: Optuna does not prune in multi-objective optimisation, since a trial that is behind "
                "in one metric may be ahead in another; leave it out, or decide by one metric",
                key="pruner",
            )

    def trials(self, spec: SweepSpec, baseline: Baseline) -> Sequence[Trial]:
        """Return the baseline."""
        del spec, baseline
        return [Trial(0, {}, BASELINE_LABEL)]

    def build(self, spec: SweepSpec, trials: Sequence[Trial], baseline: Baseline, folder: Path | None) -> Search:
        """Make the search, which refuses a sampler or pruner that does not exist or cannot be used for this sweep."""
        from runner.search.optuna.search import OptunaSearch  # noqa: PLC0415 - Optuna takes half a second to import

        del trials
        return OptunaSearch(spec, baseline, folder)

    def outlook(self, spec: SweepSpec) -> Sequence[str]:
        """Describe the sampler and its space, and warn of a search that is too short for importances."""
        most = f", up to {counted(spec.budget.runs, 'run')} in all," if spec.budget.runs is not None else ""
        lines = [f"{spec.sampler.name} proposes the other trials{most} from:"]
        lines += [f"  {key}: {format_value(_plain(given))}" for key, given in spec.space.items()]
        trials = None if spec.budget.runs is None else spec.budget.runs // len(spec.seeds)
        if trials is not None and trials < FEWEST_FOR_IMPORTANCES:
            runs = FEWEST_FOR_IMPORTANCES * len(spec.seeds)
            short = f"{counted(trials, 'trial')} with the baseline, too few for importances of parameters"
            lines.append(f"budget.runs leaves {short}: they take {FEWEST_FOR_IMPORTANCES} trials, which are {runs} runs")
        return lines


def _plain(given: Any) -> Any:
    if isinstance(given, list | tuple):
        return list(given)
    return {name: value for name in given.__slots__ if (value := getattr(given, name)) not in (None, False)}
