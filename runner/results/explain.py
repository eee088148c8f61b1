"""Notes of a comparison: what a reader has to know about its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from runner.results.comparison import ComparedTrial, Comparison
from runner.results.interactions import interactions
from runner.results.notes import ReportNote, note
from runner.results.params import evaluated_on

_MOST_INTERACTIONS = 4


def explain(comparison: Comparison) -> Iterator[ReportNote]:
    """Find the notes of a comparison, the most important first."""
    baseline, *others = comparison.trials
    if not baseline.counted:
        yield note("baseline-unfinished", reference=comparison.reference)
    if comparison.against is not None:
        yield note("against", reference=comparison.reference)
    if (noise := comparison.noise) is not None:
        detectable = {str(n): difference for n, difference in noise.smallest.items()}
        yield note("noise", spread=noise.spread, pooled=noise.pooled, detectable=detectable, reference=comparison.reference)
    judged = [trial for trial in others if trial.verdict is not None]
    yield from _interval(comparison, judged)
    yield from _second_opinions(comparison, judged)
    yield from _interactions(comparison)
    yield from _without_verdict(comparison, others)
    if any(trial.effects[comparison.metric].low is None for trial in judged):
        yield note("no-noise")
    for trial in judged:
        if lost := [run for run in trial.runs if run.state == "failed"]:
            yield note("failed-runs", trial=trial.name, runs=len(lost))
    yield from _stopped_early(comparison)
    if reused := sum(run.reason is not None for trial in comparison.trials for run in trial.counted):
        yield note("reused", runs=reused)
    if any(trial.best.n and trial.best.mean != trial.metrics[comparison.metric].mean for trial in comparison.trials):
        yield note("last-checkpoint")


def _stopped_early(comparison: Comparison) -> Iterator[ReportNote]:
    for trial in comparison.trials:
        if stopped := [run for run in trial.counted if run.early_stop]:
            lengths = {"shortest": min(run.steps for run in stopped), "longest": max(run.steps for run in stopped)}
            planned = max(run.planned_steps for run in stopped)
            yield note("stopped-early", trial=trial.name, runs=len(stopped), counted=len(trial.counted), planned=planned, **lengths)


def _interval(comparison: Comparison, judged: list[ComparedTrial]) -> Iterator[ReportNote]:
    if not judged:
        return
    yield note("interval", trials=len(judged), reference=comparison.reference)
    if comparison.looks:
        yield note("raced", looks=list(comparison.looks))
    undecided = [trial for trial in judged if trial.verdict == "cannot tell" and trial.effects[comparison.metric].low is not None]
    if undecided:
        yield note("seeds-needed", unreachable=any(trial.seeds_to_tell is None for trial in undecided))


def _second_opinions(comparison: Comparison, judged: list[ComparedTrial]) -> Iterator[ReportNote]:
    alone = [trial for trial in judged if trial.verdict == "cannot tell" and trial.alone is not None and not trial.alone.is_open]
    if alone and not comparison.looks:
        yield note("significant-alone", trials=[trial.name for trial in alone], comparisons=len(judged))
    tested = {trial.name: trial.permutation_p for trial in judged if trial.permutation_p is not None}
    if tested:
        yield note("permutation", p=tested)
    for trial in judged:
        if trial.verdict in ("better", "worse") and (trial.permutation_p or 0.0) > 0.05:
            yield note("permutation-disagrees", trial=trial.name)


def _interactions(comparison: Comparison) -> Iterator[ReportNote]:
    found = interactions(comparison)
    for one in found if len(found) <= _MOST_INTERACTIONS else ():
        beyond = {"beyond": one.beyond.delta, "low": one.beyond.low, "high": one.beyond.high}
        yield note("interaction", trial=one.trial.name, together=one.together, alone=one.alone, **beyond)


def _without_verdict(comparison: Comparison, others: list[ComparedTrial]) -> Iterator[ReportNote]:
    baseline = comparison.baseline
    with_effect = [trial for trial in others if trial.effects]
    if any(min(len(trial.counted), len(baseline.counted)) < 2 for trial in with_effect):
        yield note("one-seed", reference=comparison.reference)
    data = evaluated_on(baseline.counted)
    if any(evaluated_on(trial.counted) != data for trial in with_effect):
        yield note("other-data", reference=comparison.reference)
    for trial in others:
        if (images := trial.images) is None:
            continue
        if images.difference is None:
            yield note("images-unavailable", trial=trial.name, reason=images.why_not)
        else:
            facts = {"seed": images.seed, "images": images.images, "draws": images.draws}
            yield note("images-differ", trial=trial.name, metric=comparison.metric, **facts, **asdict(images.difference))
    if any(trial.images is not None and trial.images.difference for trial in others):
        yield note("images-scope")
