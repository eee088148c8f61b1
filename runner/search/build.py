"""From a sweep file to the search that its `design` names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runner.search.base import FixedDesign, Search, Trial
from runner.search.designs import BASELINE_LABEL, Baseline, CombineBest, design_trials
from runner.search.racing import Racing, significance_rule
from runner.search.spec import SweepSpec


def planned_trials(spec: SweepSpec, baseline: Baseline) -> list[Trial]:
    """The trials known in advance, the baseline first. Raises InputError for what is wrong in the design."""
    if spec.design == "optuna":
        return [Trial(0, {}, BASELINE_LABEL)]
    return design_trials(spec, baseline)


def check_search(spec: SweepSpec, baseline: Baseline) -> None:
    """Raises InputError for a sampler or pruner that does not exist, that cannot be used for this, or whose package is not installed."""
    if spec.design == "optuna":
        from runner.search.optuna.search import OptunaSearch  # noqa: PLC0415 - Optuna takes half a second to import

        OptunaSearch(spec, baseline, None)


def build_search(spec: SweepSpec, trials: Sequence[Trial], baseline: Baseline, folder: Path) -> Search:
    """The search over `trials` (see `planned_trials`), or the one that starts from them.

    Args:
        folder: the sweep's directory, for a search that keeps a database.

    Raises:
        InputError: a sampler or pruner that does not exist, or whose package is not installed.
    """
    if spec.design == "optuna":
        from runner.search.optuna.search import OptunaSearch  # noqa: PLC0415 - Optuna takes half a second to import

        return OptunaSearch(spec, baseline, folder)
    if spec.racing is not None:
        most = spec.racing.max_seeds
        return Racing(trials, spec.seeds, most, significance_rule(spec.metrics[0].name, len(spec.seeds), most), spec.budget.runs)
    if spec.combine_best:
        return CombineBest(spec, trials, baseline)
    return FixedDesign(trials)
