"""The harm audit of a pruned search: did the rule that gave trials up judge them as the end would have?

Two questions, both from the evaluations that the runs have written. Of the trials that finished: how often did two of them stand in
another order at a pruning step than in the end? Of the trials that were given up: which could still have won, had they gained as much
from that step on as finished trials did?
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from runner.results.collect import Goal
from runner.results.search.trials import Curve, SearchResults, better
from runner.stats.intervals import CONFIDENCE, student_t_quantile, summarize

FEW_FINISHED = 10
"""Below so many finished trials the text says that they are few."""
_FEWEST_GAINS = 3
_MOST_NAMED = 5
_FEWEST_FOR_ORDER_STATISTICS = 39  # (39 + 1) · 2.5 % is the first whole rank


@dataclass(frozen=True, slots=True)
class Rung:
    """A step at which trials were given up.

    Args:
        step: the last evaluation that they had.
        pruned: how many were given up here.
        finished: finished trials that had an evaluation by then: what the other numbers rest on.
        pairs: pairs of these that differ both then and in the end; disagreed: of these, the pairs in another order.
        tau: Kendall's τ-b of the two orders; None where there is none.
        winner_place: the winner's place among `finished` then, 1 the best; None if it had no evaluation by then.
    """

    step: int
    pruned: int
    finished: int
    pairs: int
    disagreed: int
    tau: float | None
    winner_place: int | None


@dataclass(frozen=True, slots=True)
class PrunedTrial:
    """A trial that was given up.

    Args:
        number, label: as in the sweep.
        step: its last evaluation's; value: of the deciding metric there.
        low, high: 95 % prediction interval of its final value; None where fewer than 3 finished trials tell of gains.
        rests_on: how many finished trials it comes from; enough: how many of these gained as much as would have made it win.
        could_have_won: whether the better end beats the winner; None where there is no interval.
    """

    number: int
    label: str
    step: int
    value: float
    low: float | None
    high: float | None
    rests_on: int
    enough: int
    could_have_won: bool | None


@dataclass(frozen=True, slots=True)
class Audit:
    """What pruning may have cost.

    Args:
        metric, goal: what decided.
        trials: how many there are; finished, pruned: how many of these did.
        unjudged: numbers of pruned trials without any evaluation: nothing can be said of them.
        winner: number of the best finished trial; winner_value: its final value. None if none finished.
        rungs: by step.
        given_up: the pruned trials, those that could have won first, the likeliest of them on top.
        steps_done, steps_full: optimiser steps of all finished and pruned trials, and what they would be without pruning.
    """

    metric: str
    goal: Goal
    trials: int
    finished: int
    pruned: int
    unjudged: tuple[int, ...]
    winner: int | None
    winner_value: float | None
    rungs: tuple[Rung, ...]
    given_up: tuple[PrunedTrial, ...]
    steps_done: int
    steps_full: int

    @property
    def could_have_won(self) -> tuple[PrunedTrial, ...]:
        """The pruned trials whose projected range reaches beyond the winner."""
        return tuple(trial for trial in self.given_up if trial.could_have_won)


@dataclass(frozen=True, slots=True)
class _Finished:
    """A finished trial: how it stood on the way, and the metric of its last checkpoint."""

    number: int
    curve: Curve
    final: float

    def at(self, step: int) -> float | None:
        """Its newest value at `step`; None if there is none yet."""
        return next((value for when, value in reversed(self.curve) if when <= step), None)


def audit_pruning(results: SearchResults) -> Audit | None:
    """The audit for the first metric of the search; None where nothing was pruned."""
    given_up = [trial for trial in results.trials if trial.state == "pruned"]
    if not given_up:
        return None
    metric = results.metrics[0]
    finished = [
        _Finished(trial.number, trial.curve, value)
        for trial in results.trials
        if trial.curve and (value := trial.value(metric.name)) is not None
    ]
    winner = results.winner
    winner_value = winner.value(metric.name) if winner else None
    judged = [trial for trial in given_up if trial.curve]
    pruned = []
    for trial in judged:
        step, value = trial.curve[-1]
        gains = [run.final - then for run in finished if (then := run.at(step)) is not None]
        low, high = _projected(value, gains)
        ends = [value + gain for gain in gains]
        enough = sum(better(end, winner_value, metric.goal) for end in ends) if winner_value is not None else 0
        wins = None
        if low is not None and high is not None and winner_value is not None:
            wins = better(high if metric.goal == "maximize" else low, winner_value, metric.goal)
        pruned.append(PrunedTrial(trial.number, trial.label, step, value, low, high, len(gains), enough, wins))
    sign = -1 if metric.goal == "maximize" else 1
    pruned.sort(
        key=lambda item: (not item.could_have_won, -item.enough, sign * ((item.high if sign < 0 else item.low) or 0.0), item.number)
    )
    counted = [trial for trial in results.trials if trial.state in ("done", "pruned")]
    return Audit(
        metric=metric.name,
        goal=metric.goal,
        trials=len(results.trials),
        finished=sum(trial.state == "done" for trial in counted),
        pruned=len(given_up),
        unjudged=tuple(trial.number for trial in given_up if not trial.curve),
        winner=winner.number if winner else None,
        winner_value=winner_value,
        rungs=tuple(_rungs([trial.curve[-1][0] for trial in judged], finished, winner.number if winner else None, metric.goal)),
        given_up=tuple(pruned),
        steps_done=sum(trial.steps_done for trial in counted),
        steps_full=sum(trial.steps_full for trial in counted),
    )


def _projected(value: float, gains: Sequence[float]) -> tuple[float | None, float | None]:
    """95 % prediction interval of a final value: by order statistics of the gains where there are enough, else by Student's t (normal
    gains), which is wide for few."""
    n = len(gains)
    if n < _FEWEST_GAINS:
        return None, None
    if n >= _FEWEST_FOR_ORDER_STATISTICS:
        rank = math.floor((n + 1) * (1 - CONFIDENCE) / 2)
        ordered = sorted(gains)
        return value + ordered[rank - 1], value + ordered[n - rank]
    summary = summarize(gains)
    half = student_t_quantile(0.5 + CONFIDENCE / 2, n - 1) * (summary.std or 0.0) * math.sqrt(1 + 1 / n)
    return value + summary.mean - half, value + summary.mean + half


def _rungs(steps: Sequence[int], finished: Sequence[_Finished], winner: int | None, goal: Goal) -> list[Rung]:
    result = []
    for step in sorted(set(steps)):
        known = [(trial.number, then, trial.final) for trial in finished if (then := trial.at(step)) is not None]
        agreed, disagreed, tied_then, tied_end = 0, 0, 0, 0
        for (_, then, end), (_, other_then, other_end) in combinations(known, 2):
            product = (then - other_then) * (end - other_end)
            agreed, disagreed = agreed + (product > 0), disagreed + (product < 0)
            tied_then, tied_end = tied_then + (then == other_then), tied_end + (end == other_end)
        pairs = len(known) * (len(known) - 1) // 2
        scale = math.sqrt((pairs - tied_then) * (pairs - tied_end))
        place = next((1 + sum(better(o, then, goal) for _, o, _ in known) for number, then, _ in known if number == winner), None)
        result.append(
            Rung(
                step=step,
                pruned=sum(other == step for other in steps),
                finished=len(known),
                pairs=agreed + disagreed,
                disagreed=disagreed,
                tau=(agreed - disagreed) / scale if scale else None,
                winner_place=place,
            )
        )
    return result


def audit_text(audit: Audit) -> list[str]:
    """The audit in sentences, the most important first."""
    lines = [
        f"{audit.pruned} of {audit.trials} trials were given up, {audit.finished} finished; {_saved(audit)}",
        *_verdict(audit),
        *(_rung_text(rung) for rung in audit.rungs),
    ]
    if audit.unjudged:
        lines.append(f"given up before any evaluation, so nothing can be said: {_list(audit.unjudged)}")
    if audit.finished < FEW_FINISHED:
        lines.append(f"{audit.finished} finished {'trial is' if audit.finished == 1 else 'trials are'} few: these figures say little")
    lines.append("finished trials are those that the rule let live, so they may have gained otherwise than those given up would have")
    return lines


def _saved(audit: Audit) -> str:
    if not audit.steps_full:
        return "what that saved is not known"
    return f"they took {100 * audit.steps_done / audit.steps_full:.0f} % of the steps that all of them in full would have"


def _verdict(audit: Audit) -> list[str]:
    if audit.winner is None or audit.winner_value is None:
        return ["no trial finished: there is no winner to compare with"]
    unknown = [trial for trial in audit.given_up if trial.could_have_won is None]
    known = len(audit.given_up) - len(unknown)
    beyond = f"at the end reaches beyond the winner, trial {audit.winner} with {audit.metric} {audit.winner_value:.3f}"
    lines = []
    if audit.could_have_won:
        lines.append(f"could have won: {len(audit.could_have_won)} of {known}; their 95 % range {beyond}")
        for trial in audit.could_have_won[:_MOST_NAMED]:
            projected = f"would have ended between {trial.low:.3f} and {trial.high:.3f}"
            rests_on = f"{trial.enough} of {trial.rests_on} finished trials gained enough"
            lines.append(f"  trial {trial.number} ({trial.label}): {trial.value:.3f} at step {trial.step}, {projected}; {rests_on}")
        if len(audit.could_have_won) > _MOST_NAMED:
            lines.append(f"  and {_list([trial.number for trial in audit.could_have_won[_MOST_NAMED:]])}")
    elif known:
        lines.append(f"could have won: none of {known}; no 95 % range {beyond}")
    if unknown:
        lines.append(f"cannot tell for {_list([trial.number for trial in unknown])}: fewer than {_FEWEST_GAINS} finished trials show gains")
    return lines


def _rung_text(rung: Rung) -> str:
    head = f"step {rung.step} ({rung.pruned} given up): "
    if not rung.pairs:
        return f"{head}{rung.finished} finished trials: no order to compare"
    tau = "" if rung.tau is None else f", Kendall's τ {rung.tau:.2f}"
    place = "" if rung.winner_place is None else f"; the winner was number {rung.winner_place} then"
    return (
        f"{head}of {rung.finished} finished trials {rung.disagreed} of {rung.pairs} pairs ({100 * rung.disagreed / rung.pairs:.0f} %) "
        f"stood in another order than in the end{tau}{place}"
    )


def _list(numbers: Sequence[int]) -> str:
    return f"trial{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"
