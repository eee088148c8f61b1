"""English texts of the notes in reports, by id. Each takes the arguments of its note: names, numbers and lists, nothing formatted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from runner.core.sentences import SENTENCES
from runner.core.values import counted, listed
from runner.results.format import show_duration, show_range, show_signed
from runner.stats.power import MOST_SEEDS

_MOST_NAMED: Final = 5


def _template(text: str) -> Callable[..., str]:
    return text.format


def _noise(spread: float, pooled: bool, detectable: Mapping[str, float], reference: str) -> str:
    whose = "all trials" if pooled else reference
    listed = ", ".join(f"{difference:.3f} with {n}" for n, difference in detectable.items())
    return (
        f"noise: changing only the seed moves the metric by ± {spread:.3f} (std of {whose}); "
        f"detectable with 80 % power: {listed} seeds per trial"
    )


def _interval(trials: int, reference: str) -> str:
    text = f"Δ: difference to {reference}, with its 95 % confidence interval"
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


def _imported(runs: int, names: Sequence[str], more: int) -> str:
    which = f"{_join(names)}{f' and {more} more' if more else ''}"
    return f"{counted(runs, 'imported run')} left out ({which}): trained elsewhere and without a config, so that nothing says what differs"


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


def _stopped_early(trial: str, runs: int, counted: int, planned: int, shortest: int, longest: int) -> str:
    length = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
    return (
        f"{trial}: {runs} of {_runs(counted)} stopped early, after {length} of {planned} steps, and {'counts' if runs == 1 else 'count'} as"
        " whole: compared is the last checkpoint at the stop, not the best"
    )


def _unlearned_runs(runs: Mapping[str, Sequence[str]]) -> str:
    listed = ", ".join(f"{run} ({', '.join(terms)})" for run, terms in runs.items())
    return f"{counted(len(runs), 'run')} hardly learned, and {'is' if len(runs) == 1 else 'are'} counted: {listed}"


# ---------------------------------------------------------------------------------------------------------------- the answer
def _answer_unfinished(ended: int, runs: int, best: str | None) -> str:
    text = f"No answer yet: {ended} of {counted(runs, 'run')} {'has' if ended == 1 else 'have'} ended"
    return f"{text}." if best is None else f"{text}; so far the best guess is {best}."


def _answer_single(metric: str, mean: float, std: float | None, seeds: int) -> str:
    spread = "" if std is None else f" ± {std:.3f}"
    return f"There is one trial only, so nothing is compared: {metric} is {mean:.3f}{spread} ({counted(seeds, 'seed')})."


def _answer_one_seed(best: str, delta: float | None, metric: str) -> str:
    found = "" if delta is None else f" ({show_signed(delta)} {metric})"
    return (
        f"Nothing is shown with a single seed per trial; {best} is the best guess{found}, but another seed may order the trials otherwise."
    )


def _delta(delta: float, low: float | None, high: float | None) -> str:
    return f"{show_signed(delta)}, 95 % interval {interval}" if (interval := show_range(low, high)) else show_signed(delta)


def _others_worse(worse: Sequence[str]) -> str:
    return f" Worse: {listed(worse, _MOST_NAMED)}." if worse else ""


def _answer_none_better(key: str, reference: str, metric: str, best: str, trials: int, worse: Sequence[str], **interval: Any) -> str:
    if trials == 1:
        return f"{_capital(best)} is the best guess, but not shown to be better than {reference} in {metric} ({_delta(**interval)})."
    text = f"No {key or 'trial'} is shown to be better than {reference} in {metric}; {best} is the best guess ({_delta(**interval)})."
    return f"{text}{_others_worse(worse)}"


def _answer_baseline_best(key: str, reference: str, metric: str, best: str, trials: int, worse: Sequence[str], **interval: Any) -> str:
    if trials == 1:
        return f"{_capital(best)} is not shown to be better than {reference} in {metric} ({_delta(**interval)}), which is the best guess."
    which = f"No {key or 'trial'} is shown to be better than {reference} in {metric}, which is also the best guess"
    return f"{which}: the nearest is {best} ({_delta(**interval)}).{_others_worse(worse)}"


def _answer_all_worse(key: str, reference: str, metric: str, trials: int, best: str, **interval: Any) -> str:
    if trials == 1:
        return f"{_capital(best)} is worse than {reference} in {metric}: {_delta(**interval)}."
    return f"Every other {key or 'trial'} is worse than {reference} in {metric}; the nearest is {best} ({_delta(**interval)})."


def _answer_better(key: str, reference: str, metric: str, best: str, better: int, **interval: Any) -> str:
    del key
    which = "is" if better == 1 else f"is the best guess of the {better} that are"
    return f"{_capital(best)} {which} better than {reference} in {metric}: {_delta(**interval)}."


def _answer_best_of_several(best: str, told: Sequence[str], open: Sequence[str]) -> str:  # noqa: A002 - the note's argument
    if not open:
        return f"It is also better than {listed(told, _MOST_NAMED)}."
    also = f"; it is better than {listed(told, _MOST_NAMED)}" if told else ""
    return f"Whether {best} is better than {listed(open, _MOST_NAMED)} cannot be told{also}."


def _answer_cost(measured: Sequence[str], ratios: Mapping[str, float], reference: str) -> str:
    if not ratios:
        return f"Its cost in {' and '.join(measured)} is that of {reference}."
    return "It takes " + " and ".join(f"{ratio:.1f} times the {what}" for what, ratio in ratios.items()) + f" of {reference}."


def _answer_detectable(seeds: int, difference: float, metric: str) -> str:
    return f"With {counted(seeds, 'seed')} per trial only differences above {difference:.3f} {metric} are detectable."


def _answer_fresh(purpose: str, seeds: int, runs: int, time_s: float | None, difference: float | None) -> str:
    cost = counted(runs, "run") + ("" if time_s is None else f", about {show_duration(time_s)} one after the other")
    if purpose == "settle":
        return f"To settle it, if the difference is as large as it seems: {counted(seeds, 'new seed')}, judged alone ({cost})."
    if purpose == "verdict":
        return f"For a verdict: {counted(seeds, 'new seed')}, judged alone ({cost})."
    even = "Even " if purpose == "try" else ""
    only = "only " if purpose == "try" else ""
    detected = "are more than is practical" if difference is None else f"detect {only}differences above {difference:.3f}"
    return f"{even}{counted(seeds, 'new seed')}, judged alone, {detected} ({cost})."


def _answer_winner(trial: int, metric: str, verdict: str | None, seeds: int, **interval: Any) -> str:
    on_seeds = f"on {counted(seeds, 'new seed')}: {_delta(**interval)}"
    if verdict in ("better", "worse"):
        return f"The winner, trial {trial}, is {verdict} than the baseline in {metric} {on_seeds}."
    why = "" if verdict else "; there are too few seeds for a verdict"
    return f"The winner, trial {trial}, is the best guess, but not shown to be better than the baseline in {metric} {on_seeds}{why}."


def _answer_front(trials: int, trial: int, metric: str) -> str:
    front = f"the Pareto front has {counted(trials, 'trial')}"
    return f"With several metrics there is no single winner: {front}, and trial {trial} the best {metric}."


def _answer_unconfirmed(trial: int, metric: str, value: float, ranked: int) -> str:
    best = f"Trial {trial} is the best of {counted(ranked, 'trial')} in {metric} ({value:.3f})"
    return f"{best}, without a verdict: the numbers that selected it cannot judge it."


def _capital(text: str) -> str:
    """Begin a sentence; a key keeps its form."""
    return text[0].upper() + text[1:] if text.startswith(("the ", "trial ")) else text


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


def _other_data(consequence: str) -> Callable[..., str]:
    def text(section: str, runs: Mapping[str, int], first: Mapping[str, str]) -> str:
        groups = "; ".join(f"{count} on {data} ({first[data]}{', …' if count > 1 else ''})" for data, count in runs.items())
        return f"{section} is not the same for all runs, so {consequence}: {groups}"

    return text


def _trials_differ_in_length(shortest: int, longest: int) -> str:
    return f"trials train for {shortest} to {longest} steps: the same step is not the same share of the training"


# ---------------------------------------------------------------------------------------------------------------- pruning
def _audit(
    pruned: int,
    trials: int,
    finished: int,
    share: float | None,
    could_have_won: int,
    judged: int,
    winner: int | None,
    metric: str,
    value: float | None,
    pairs: int,
    disagreed: int,
) -> str:
    saved = "the saving is unknown" if share is None else f"they took {100 * share:.0f} % of the steps of unpruned trials"
    states = f"{pruned} of {counted(trials, 'trial')} pruned, {finished} finished; {saved}"
    if winner is None or value is None:
        return f"{states}; no trial finished, so there is no winner to compare with"
    if not judged:
        return f"{states}; whether pruning cost a better winner cannot be told"
    of_pruned = f"of {counted(judged, 'pruned trial')}"
    held = f"the order when they were pruned was that of the end in {pairs - disagreed} of {counted(pairs, 'pair')} of finished trials"
    who = f"trial {winner} ({metric} {value:.3f})"
    if could_have_won:
        order = "" if not pairs else f", {'although' if 10 * disagreed < pairs else 'and'} {held}"
        return f"{states}; pruning may have cost a better winner than {who}: {could_have_won} {of_pruned} could have reached it{order}"
    order = "" if not pairs else f", {'and' if 10 * disagreed < pairs else 'although'} {held}"
    return f"{states}; pruning has probably not cost a better winner than {who}: none {of_pruned} would have reached it{order}"


def _audit_trial(trial: int, label: str, value: float, step: int, low: float, high: float, enough: int, rests_on: int) -> str:
    projected = f"projected final value {low:.3f} to {high:.3f}"
    gained = f"{enough} of {counted(rests_on, 'finished trial')} gained enough"
    return f"  trial {trial} ({label}): {value:.3f} at step {step}, {projected}; {gained}"


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
    "baseline-unfinished": _template("{reference} has no finished run: there is nothing to compare with"),
    "noise": _noise,
    "interval": _interval,
    "raced": _raced,
    "seeds-needed": _seeds_needed,
    "significant-alone": _significant_alone,
    "permutation": _permutation,
    "permutation-disagrees": _template("{trial}: the permutation test does not confirm the verdict; check its values for outliers"),
    "interaction": _interaction,
    "one-seed": _template("no verdict where a trial or {reference} has fewer than two seeds: the noise is unknown"),
    "other-data": _template("no verdict where a trial was evaluated on other data than {reference}: the difference may come from the data"),
    "against": _template(
        "{reference} is the reference in the place of the baseline; if these results are why it was chosen, more than 5 % of verdicts may "
        "be wrong: new seeds, judged alone against it, keep the 5 %"
    ),
    "images-differ": _images_differ,
    "images-unavailable": _template("{trial}: no bootstrap over images: {reason}"),
    "images-scope": _template(
        "this holds for these checkpoints and images only; more seeds show whether the change made the difference, or the seed"
    ),
    "no-noise": _template("no interval where all seeds gave the same value: there is no noise to judge by"),
    "failed-runs": _failed_runs,
    "reused": _reused,
    "stopped-early": _stopped_early,
    "imported": _imported,
    "design-missing": _design_missing,
    "last-checkpoint": _template("metrics are those of the last checkpoint; the best evaluation of a run is optimistic"),
    # the answer
    "command": _template("{command}"),
    "answer-unfinished": _answer_unfinished,
    "answer-no-baseline": _template("No answer: {reference} has no finished run to compare with."),
    "answer-single": _answer_single,
    "answer-another-seed": _template(
        "To compare changes, list them in a sweep file (`runner sweep`). To see how much the seed alone changes the result:"
    ),
    "answer-nothing-measured": _template("No answer: no other trial has a finished run with the metric."),
    "answer-other-data": _template("Nothing is shown: the trials were evaluated on other data than {reference}."),
    "answer-one-seed": _answer_one_seed,
    "answer-no-noise": _template("Nothing is shown: all seeds of a trial gave the same value, so there is no noise to judge by."),
    "answer-none-better": _answer_none_better,
    "answer-baseline-best": _answer_baseline_best,
    "answer-all-worse": _answer_all_worse,
    "answer-better": _answer_better,
    "answer-best-of-several": _answer_best_of_several,
    "answer-cost": _answer_cost,
    "answer-detectable": _answer_detectable,
    "answer-fresh": _answer_fresh,
    "answer-fresh-elsewhere": _template(
        "For a verdict that keeps its 5 % error: {seeds} new seeds per trial, judged alone, as a sweep (`runner sweep`)."
    ),
    "answer-fresh-made": _template("A sweep with new seeds is in {folder}; judge it alone."),
    "answer-left-out": lambda trials: f"Left out, since none of its runs finished: {listed(trials, _MOST_NAMED)}.",
    "answer-command-unknown": _template(
        "There is no command for that: the sweep file or its config is missing, or the sweep's directory does not record its command; "
        "restore them, or run another sweep file with these seeds in a directory of its own (`runner sweep FILE --dir DIR`)."
    ),
    "answer-no-trial": _template("No answer: no trial has finished."),
    "answer-only-trial": _template("No answer: only trial {trial} has finished and keeps the constraints, so nothing is compared."),
    "answer-winner-is-baseline": _template(
        "No trial is better than the baseline in {metric}: of the {ranked} that are ranked it is the best ({value:.3f})."
    ),
    "answer-front": _answer_front,
    "answer-winner": _answer_winner,
    "answer-unconfirmed": _answer_unconfirmed,
    "answer-train": _template("To train {trial} again, by its config:"),
    # runs that are not counted
    "uncounted-copy": _template("copy of {original}"),
    "uncounted-state": _uncounted_state,
    "uncounted-unidentified": _template("its run.json is damaged, so that nothing says of which trial it is"),
    "uncounted-left-out": _template("left out"),
    "uncounted-metric": _uncounted_metric,
    "uncounted-repeat": _template("same trial and seed as {other}: a repeat, not a further seed"),
    # warnings
    **{id: _template(text) for id, text in SENTENCES.items()},
    "other-data-eval": _other_data("their metrics are not comparable"),
    "other-data-train": _other_data("differences may come from the data and not from the parameters"),
    "read-problem": lambda path, run, problem: f"{path}: {problem}",
    "read-problem-verify": _template("`runner verify {sweep}` says what of this can be repaired; with `--repair` it repairs that"),
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
    "audit": _audit,
    "audit-trial": _audit_trial,
    "audit-more": _audit_trials("  and {}"),
    "audit-unknown": _audit_trials("cannot tell for {}: fewer than three finished trials to project from"),
    "audit-unjudged": _audit_trials("pruned before any evaluation, so nothing is known: {}"),
    "audit-few": _audit_few,
    "audit-bias": _template("finished trials are those the pruner kept, so the pruned ones might have gained more or less than they did"),
}
