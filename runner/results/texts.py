"""English texts of the notes in reports, by id. Each takes the arguments of its note: names, numbers and lists, nothing formatted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from runner.core.values import counted
from runner.results.format import show_range, show_signed
from runner.stats.power import MOST_SEEDS

_MOST_NAMED: Final = 5


def _template(text: str) -> Callable[..., str]:
    return text.format


def _noise(spread: float, pooled: bool, detectable: Mapping[str, float]) -> str:
    whose = "all trials" if pooled else "the baseline"
    listed = ", ".join(f"{difference:.3f} with {n}" for n, difference in detectable.items())
    return (
        f"noise: changing only the seed moves the metric by ± {spread:.3f} (std of {whose}); "
        f"detectable with 80 % power: {listed} seeds per trial"
    )


def _interval(trials: int) -> str:
    text = "Δ: difference to the baseline, with its 95 % confidence interval"
    return (
        text if trials == 1 else f"{text}; the {trials} intervals are simultaneous (Dunnett): at most 5 % of sweeps contain a wrong verdict"
    )


def _raced(looks: Sequence[int]) -> str:
    return (
        f"seeds were raced (looks at {_join(looks)}): the intervals allow for all looks, and each trial is compared over the seeds it has"
    )


def _seeds_needed(unreachable: bool) -> str:
    text = "≈ seeds: seeds per trial needed for an 80 % chance of a clear verdict, if difference and noise are as seen so far"
    return f"{text}; > {MOST_SEEDS}: a difference this small cannot be shown in practice" if unreachable else text


def _significant_alone(trials: Sequence[str], comparisons: int) -> str:
    which = "it" if len(trials) == 1 else "them"
    return f"{_join(trials)}: significant on its own, not after correcting for {comparisons} comparisons; rerun {which} with new seeds"


def _permutation(p: Mapping[str, float]) -> str:
    return "permutation test, each trial on its own: " + ", ".join(f"{trial}: p = {value:.3g}" for trial, value in p.items())


def _interaction(trial: str, together: float, alone: float, beyond: float, low: float | None, high: float | None) -> str:
    open_ = low is None or high is None or low <= 0 <= high
    what = "not significant" if open_ else "more than the sum" if beyond > 0 else "less than the sum"
    interval = f" {found}" if (found := show_range(low, high)) else ""
    sums = f"{show_signed(together)} together, {show_signed(alone)} as the sum of the single changes"
    return f"{trial}: {sums}; interaction {show_signed(beyond)}{interval}: {what}"


def _images_differ(trial: str, metric: str, seed: int, images: int, draws: int, delta: float, low: float | None, high: float | None) -> str:
    open_ = low is None or high is None or low <= 0 <= high
    what = "do not differ significantly" if open_ else "differ significantly"
    interval = f"{metric} {show_signed(delta)}, 95 % of {draws:,} bootstrap samples within {show_range(low, high)}"
    return f"{trial}: the checkpoints of seed {seed} {what} on these {images} images ({interval})"


def _failed_runs(trial: str, runs: int) -> str:
    return f"{trial}: {counted(runs, 'failed run')} not counted; if the change caused the failure, this result is too optimistic"


def _reused(runs: int) -> str:
    return f"{counted(runs, 'run')} reused from other sweeps that had run the same configuration"


def _design_missing(design: str, installed: bool) -> str:
    why = "cannot be loaded (`runner doctor` gives the reason)" if installed else "is not installed here: install the package that has it"
    return (
        f"the design {design!r} {why}; so this is a plain comparison, and what the design may report instead is missing: the ranking of "
        "a search, the importances of its parameters, the audit of its pruning"
    )


def _uncounted_state(state: str, reason: str) -> str:
    return f"{state}: {reason}" if reason else state


def _uncounted_metric(metric: str, undefined: bool) -> str:
    return f"done, but {missing_metric(metric, undefined)}"


def missing_metric(metric: str, undefined: bool) -> str:
    """Say that a run that is done lacks a metric, or that it is not a finite number."""
    where = "records" if metric.startswith("resource/") else "evaluation"
    return f"{metric} {'is not a finite number' if undefined else 'is missing'} in its {where}"


def _runs(number: int) -> str:
    return counted(number, "run")


def _unlearned_trial(trial: str, runs: Mapping[str, Sequence[str]], counted: int, metric: str, with_them: str, without_them: str) -> str:
    listed = "; ".join(f"{run}: {', '.join(terms)}" for run, terms in runs.items())
    which = "it" if len(runs) == 1 else "them"
    return (
        f"{trial}: {len(runs)} of {_runs(counted)} hardly learned ({listed}). "
        f"{metric} with {which}: {with_them}; without {which}: {without_them}"
    )


def _unlearned_runs(runs: Mapping[str, Sequence[str]]) -> str:
    listed = ", ".join(f"{run} ({', '.join(terms)})" for run, terms in runs.items())
    return f"{counted(len(runs), 'run')} hardly learned, and {'is' if len(runs) == 1 else 'are'} counted: {listed}"


# ---------------------------------------------------------------------------------------------------------------- a search
def _search_states(trials: int, states: Mapping[str, int]) -> str:
    return f"{counted(trials, 'trial')}: " + ", ".join(f"{count} {state}" for state, count in states.items())


def _search_violated(trials: Mapping[str, str]) -> str:
    return f"not ranked, because a constraint is violated: {'; '.join(f'{number} ({rule})' for number, rule in trials.items())}"


def _winner_confirmed(trial: int, search: str, confirmed: str, seeds: int, ranked: int) -> str:
    return (
        f"winner, trial {trial}: {search} in the search, {confirmed} with {counted(seeds, 'new seed')}; "
        f"only the second is unbiased: the first was selected as the best of {ranked} trials"
    )


def _winner_gain(delta: float, low: float | None, high: float | None) -> str:
    text = f"with new seeds the winner differs from the baseline by {show_signed(delta)}"
    return f"{text} {interval} (95 %)" if (interval := show_range(low, high)) else f"{text}; too few seeds for an interval"


def _trials_differ_in_length(shortest: int, longest: int) -> str:
    return f"trials train for {shortest} to {longest} steps: the same step is not the same share of the training"


# ---------------------------------------------------------------------------------------------------------------- pruning
def _audit_states(pruned: int, trials: int, finished: int, share: float | None) -> str:
    saved = "the saving is unknown" if share is None else f"they took {100 * share:.0f} % of the steps of unpruned trials"
    return f"{pruned} of {counted(trials, 'trial')} pruned, {finished} finished; {saved}"


def _audit_could_have_won(trials: int, judged: int, winner: int, metric: str, value: float) -> str:
    who = f"the winner, trial {winner} with {metric} {value:.3f}"
    if not trials:
        return f"could have won: none of {counted(judged, 'pruned trial')}; no 95 % interval of a final value reaches beyond {who}"
    return f"could have won: {trials} of {counted(judged, 'pruned trial')}; the 95 % intervals of their final values reach beyond {who}"


def _audit_trial(trial: int, label: str, value: float, step: int, low: float, high: float, enough: int, rests_on: int) -> str:
    projected = f"projected final value {low:.3f} to {high:.3f}"
    gained = f"{enough} of {counted(rests_on, 'finished trial')} gained enough"
    return f"  trial {trial} ({label}): {value:.3f} at step {step}, {projected}; {gained}"


def _audit_rung(step: int, pruned: int, finished: int, pairs: int, disagreed: int, tau: float | None, winner_place: int | None) -> str:
    head = f"step {step} ({pruned} pruned): "
    if not pairs:
        return f"{head}{counted(finished, 'finished trial')}: no order to compare"
    correlation = "" if tau is None else f", Kendall's τ {tau:.2f}"
    place = "" if winner_place is None else f"; the winner ranked {winner_place} then"
    return (
        f"{head}of {counted(finished, 'finished trial')} {disagreed} of {counted(pairs, 'pair')} ({100 * disagreed / pairs:.0f} %) "
        f"were in another order than at the end{correlation}{place}"
    )


def _audit_few(finished: int) -> str:
    return f"only {counted(finished, 'trial')} finished: these figures are rough"


def _importances_few(what: str) -> Callable[..., str]:
    return lambda metric, trials, least: f"no importances for {metric}: {counted(trials, what)}, and at least {least} are needed"


def _audit_trials(text: str) -> Callable[..., str]:
    return lambda trials: text.format(f"trial{'' if len(trials) == 1 else 's'} {_join(trials)}")


def _join(items: Sequence[object]) -> str:
    return ", ".join(map(str, items))


TEXTS: Final[Mapping[str, Callable[..., str]]] = {
    "given": _template("{text}"),
    # a comparison
    "baseline-unfinished": _template("the baseline has no finished run: there is nothing to compare with"),
    "noise": _noise,
    "interval": _interval,
    "raced": _raced,
    "seeds-needed": _seeds_needed,
    "significant-alone": _significant_alone,
    "permutation": _permutation,
    "permutation-disagrees": _template("{trial}: the permutation test does not confirm the verdict; check its values for outliers"),
    "interaction": _interaction,
    "one-seed": _template("no verdict where a trial or the baseline has fewer than two seeds: the noise is unknown"),
    "other-data": _template(
        "no verdict where a trial was evaluated on other data than the baseline: the difference may come from the data"
    ),
    "images-differ": _images_differ,
    "images-unavailable": _template("{trial}: no bootstrap over images: {reason}"),
    "images-scope": _template(
        "this holds for these checkpoints and images only; more seeds show whether the change made the difference, or the seed"
    ),
    "no-noise": _template("no interval where all seeds gave the same value: there is no noise to judge by"),
    "failed-runs": _failed_runs,
    "reused": _reused,
    "design-missing": _design_missing,
    "last-checkpoint": _template("metrics are those of the last checkpoint; the best evaluation of a run is optimistic"),
    # runs that are not counted
    "uncounted-copy": _template("copy of {original}"),
    "uncounted-state": _uncounted_state,
    "uncounted-left-out": _template("left out"),
    "uncounted-metric": _uncounted_metric,
    "uncounted-repeat": _template("same trial and seed as {other}: a repeat, not a further seed"),
    # warnings
    "read-problem": _template("{path}: {problem}"),
    "unlearned-trial": _unlearned_trial,
    "unlearned-effect": _template("{trial}: Δ {metric} with them: {with_them}; without them: {without_them}"),
    "unlearned-runs": _unlearned_runs,
    # a search
    "search-states": _search_states,
    "search-violated": _search_violated,
    "search-unfinished": _template("no trial has finished yet"),
    "winner-unconfirmed": _template(
        "the winner's value is optimistic: it is the best of {ranked} trials; new seeds give an unbiased one (`confirm_seeds`)"
    ),
    "winner-is-baseline": _template("no trial is better than the baseline: there is no winner to confirm"),
    "winner-confirmed": _winner_confirmed,
    "winner-gain": _winner_gain,
    "trials-differ-in-length": _trials_differ_in_length,
    "importances-few": _importances_few("finished or pruned trial"),
    "importances-few-finished": _importances_few("finished trial"),
    "importances-equal": _template("no importances for {metric}: all finished trials have the same value"),
    "importances-unvaried": _template("no importances for {metric}: no parameter has two values"),
    "importances-share": _template(
        "share: how far the best {top} of {trials} trials differ in this parameter from all trials, by {method}; "
        "95 % interval from resampled trials"
    ),
    "importances-chance": _template("beyond chance: no, if random trials differ as much"),
    # pruning
    "audit-states": _audit_states,
    "audit-no-winner": _template("no trial finished: there is no winner to compare with"),
    "audit-could-have-won": _audit_could_have_won,
    "audit-trial": _audit_trial,
    "audit-more": _audit_trials("  and {}"),
    "audit-unknown": _audit_trials("cannot tell for {}: fewer than three finished trials to project from"),
    "audit-rung": _audit_rung,
    "audit-unjudged": _audit_trials("pruned before any evaluation, so nothing is known: {}"),
    "audit-few": _audit_few,
    "audit-bias": _template("finished trials are those the pruner kept, so the pruned ones might have gained more or less than they did"),
}
