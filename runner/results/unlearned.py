"""Comparison with and without the runs that hardly learned: both are stated, and no run is left out on its own."""

from __future__ import annotations

from collections.abc import Iterator

from runner.results.collect import RunResult
from runner.results.comparison import Comparison, TrialResult
from runner.results.export import show_delta, show_interval, show_summary, show_verdict
from runner.results.notes import name


def describe_unlearned(found: Comparison, without: Comparison) -> Iterator[str]:
    """State the result of each trial, and each difference to the baseline, with and without the counted runs that hardly learned.

    Args:
        without: the same trials in the same order, those runs not counted.
    """
    changed = [unlearned(trial) for trial in found.trials]
    for trial, other, runs in zip(found.trials, without.trials, changed, strict=True):
        if runs:
            listed = "; ".join(f"{run.id}: {', '.join(map(str, run.flat))}" for run in runs)
            which = "it" if len(runs) == 1 else "them"
            yield (
                f"{name(trial)}: {len(runs)} of {len(trial.counted)} runs hardly learned ({listed}). "
                f"{found.metric} with {which} {_result(found, trial)}, without {which} {_result(found, other)}"
            )
    for trial, other, runs in zip(found.trials[1:], without.trials[1:], changed[1:], strict=True):
        if runs or changed[0]:
            yield f"{name(trial)}: Δ {found.metric} with them {_effect(found, trial)}, without them {_effect(found, other)}"


def unlearned(trial: TrialResult) -> list[RunResult]:
    """List the counted runs of a trial that hardly learned."""
    return [run for run in trial.counted if run.flat]


def _result(found: Comparison, trial: TrialResult) -> str:
    summary = trial.metrics[found.metric]
    return f"{show_summary(summary)} (n = {summary.n})" if summary.n else "no run is left"


def _effect(found: Comparison, trial: TrialResult) -> str:
    effect = trial.effects.get(found.metric)
    return f"{show_delta(effect)} {show_interval(effect)}".strip() + f" ({show_verdict(trial)})"
