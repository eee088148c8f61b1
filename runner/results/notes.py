"""What a reader has to know about the numbers of a comparison, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from runner.results.comparison import Comparison, TrialResult
from runner.results.interactions import interactions
from runner.results.params import evaluated_on
from runner.stats.power import MOST_SEEDS

_MOST_INTERACTIONS = 4


def notes(comparison: Comparison) -> Iterator[str]:
    """The most important ones first."""
    baseline, *others = comparison.trials
    if not baseline.counted:
        yield "the baseline has no finished run yet: there is nothing to compare with"
    yield from _noise(comparison)
    judged = [trial for trial in others if trial.verdict is not None]
    yield from _interval(comparison, judged)
    yield from _second_opinions(comparison, judged)
    yield from _interactions(comparison)
    yield from _without_verdict(comparison, others)
    if any(trial.effects[comparison.metric].low is None for trial in judged):
        yield "seeds that agree to the last digit show no noise to judge by"
    for trial in judged:
        if lost := [run for run in trial.runs if run.state == "failed"]:
            yield f"{name(trial)} is judged without {len(lost)} that failed: if they failed for what was changed, this is too kind to it"
    taken_over = sum(run.reason is not None for trial in comparison.trials for run in trial.counted)
    if taken_over:
        yield f"{taken_over} of the runs {'was' if taken_over == 1 else 'were'} taken over from other sweeps, which had done the same"
    if any(trial.best.n and trial.best.mean != trial.metrics[comparison.metric].mean for trial in comparison.trials):
        yield "numbers are of the last checkpoint; the best evaluation of a run is optimistic and only listed"


def name(trial: TrialResult) -> str:
    """What a trial is called in a sentence."""
    return f"{trial.number} {trial.label}" if trial.number >= 0 else trial.label


def _noise(comparison: Comparison) -> Iterator[str]:
    noise = comparison.noise
    if noise is None:
        return
    shown = [f"{difference:.3f} with {n}" for n, difference in noise.smallest.items()]
    whose = "seeds alone give" if noise.pooled else "seeds alone give the baseline"
    yield f"noise floor: {whose} ± {noise.spread:.3f}; the smallest difference told in 4 of 5 cases: {', '.join(shown)} seeds a trial"


def _interval(comparison: Comparison, judged: list[TrialResult]) -> Iterator[str]:
    if not judged:
        return
    text = "Δ is the difference to the baseline, in brackets its 95 % interval"
    if len(judged) > 1:
        text += f"; the {len(judged)} hold together (Dunnett), so that one verdict or more is wrong in at most 5 % of sweeps"
    yield text
    if comparison.looks:
        looks = ", ".join(map(str, comparison.looks))
        yield f"seeds were raced (looks at {looks}): intervals allow for all looks, and a trial is compared over the seeds it has"
    told = [trial for trial in judged if trial.verdict == "cannot tell" and trial.effects[comparison.metric].low is not None]
    if told:
        yield (
            "≈ seeds: so many a trial would tell in 4 of 5 cases, were difference and spread what they look like: an estimate"
            + (f"; over {MOST_SEEDS}: as good as none" if any(trial.seeds_to_tell is None for trial in told) else "")
        )


def _second_opinions(comparison: Comparison, judged: list[TrialResult]) -> Iterator[str]:
    alone = [trial for trial in judged if trial.verdict == "cannot tell" and trial.alone is not None and not trial.alone.is_open]
    if alone and not comparison.looks:
        yield (
            f"{', '.join(map(name, alone))}: would be told from the baseline were it the only trial; among {len(judged)} that is not "
            "enough, fresh seeds would decide"
        )
    tested = [trial for trial in judged if trial.permutation_p is not None]
    if tested:
        listed = ", ".join(f"{name(trial)} {trial.permutation_p:.3g}" for trial in tested)
        yield f"p of the permutation test, each trial by itself: {listed}"
    for trial in tested:
        if trial.verdict in ("better", "worse") and (trial.permutation_p or 0.0) > 0.05:
            yield f"{name(trial)}: the permutation test does not agree; look at the single values for one that stands apart"


def _interactions(comparison: Comparison) -> Iterator[str]:
    found = interactions(comparison)
    for one in found if len(found) <= _MOST_INTERACTIONS else ():
        beyond = one.beyond
        what = "cannot be told from that" if beyond.is_open else "more than that" if beyond.delta > 0 else "less than that"
        interval = "" if beyond.low is None else f" [{beyond.low:+.3f}, {beyond.high:+.3f}]"
        text = f"{one.together:+.3f} together, {one.alone:+.3f} if each did what it does alone; beyond: {beyond.delta:+.3f}{interval}"
        yield f"{name(one.trial)}: {text}: {what}".replace("-0.", "−0.")


def _without_verdict(comparison: Comparison, others: list[TrialResult]) -> Iterator[str]:
    baseline = comparison.baseline
    with_effect = [trial for trial in others if trial.effects]
    if any(min(len(trial.counted), len(baseline.counted)) < 2 for trial in with_effect):
        yield "no verdict where a trial or the baseline has fewer than two seeds: the noise is not known"
    if any(evaluated_on(trial.counted) != evaluated_on(baseline.counted) for trial in with_effect):
        yield "no verdict where a trial was evaluated on other data than the baseline: the difference may be the data's"
    on_images = [trial for trial in others if trial.images is not None]
    for trial in on_images:
        yield f"{name(trial)}: {trial.images.text(comparison.metric) if trial.images else ''}"
    if any(trial.images and trial.images.difference for trial in on_images):
        yield "that is about two checkpoints and these images alone; whether the change did it, or the seed, only more seeds tell"
