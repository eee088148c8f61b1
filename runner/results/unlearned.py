"""Comparison with and without the runs that hardly learned: both are stated, and no run is left out on its own."""

from __future__ import annotations

from collections.abc import Iterator

from runner.results.collect import RunResult
from runner.results.comparison import ComparedTrial, Comparison
from runner.results.format import show_delta, show_interval, show_summary, show_verdict
from runner.results.notes import ReportNote, note


def describe_unlearned(found: Comparison, without: Comparison) -> Iterator[ReportNote]:
    """State the result of each trial, and each difference to the baseline, with and without the counted runs that hardly learned.

    Args:
        without: the same trials in the same order, those runs not counted.
    """
    changed = [unlearned(trial) for trial in found.trials]
    for trial, other, runs in zip(found.trials, without.trials, changed, strict=True):
        if runs:
            yield note(
                "unlearned-trial",
                trial=trial.name,
                runs={run.id: list(map(str, run.flat)) for run in runs},
                counted=len(trial.counted),
                metric=found.metric,
                with_them=_result(found, trial),
                without_them=_result(found, other),
            )
    for trial, other, runs in zip(found.trials[1:], without.trials[1:], changed[1:], strict=True):
        if runs or changed[0]:
            sides = {"with_them": _effect(found, trial), "without_them": _effect(found, other)}
            yield note("unlearned-effect", trial=trial.name, metric=found.metric, **sides)


def unlearned(trial: ComparedTrial) -> list[RunResult]:
    """List the counted runs of a trial that hardly learned."""
    return [run for run in trial.counted if run.flat]


def _result(found: Comparison, trial: ComparedTrial) -> str:
    summary = trial.metrics[found.metric]
    return f"{show_summary(summary)} (n = {summary.n})" if summary.n else "no runs"


def _effect(found: Comparison, trial: ComparedTrial) -> str:
    effect = trial.effects.get(found.metric)
    return f"{show_delta(effect)} {show_interval(effect)}".strip() + f" ({show_verdict(trial)})"
