"""The harm audit of a pruned search: errors of the pruner, judged by the final values.

Two questions, both answered from the evaluations of the runs. Of the trials that finished: how often were two of them in another order at
a pruning step than at the end? Of the pruned trials: which could still have won, had they gained as much from that step on as finished
trials did?
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from runner.results.notes import ReportNote, note
from runner.results.search.trials import Curve, SearchResults, better
from runner.stats.intervals import CONFIDENCE, student_t_quantile, summarize
from runner.store.run_dir import Goal

FEW_FINISHED = 10
"""Below this number of finished trials a note says that the figures are rough."""
_FEWEST_GAINS = 3
_MOST_NAMED = 5
_FEWEST_FOR_ORDER_STATISTICS = 39  # (39 + 1) · 2.5 % is the first whole rank


@dataclass(frozen=True, slots=True)
class Rung:
    """A step at which trials were pruned.

    Args:
        step: that of their last evaluation.
        pruned: how many were pruned here.
        finished: finished trials that had an evaluation by then; the other numbers are computed from them.
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
    """A pruned trial.

    Args:
        number, label: as in the sweep.
        step: its last evaluation's; value: of the deciding metric there.
        low, high: 95 % prediction interval of its final value; None where fewer than 3 finished trials show gains.
        rests_on: how many finished trials it comes from; enough: how many of these gained as much as would have made it win.
        could_have_won: whether the better end of the interval beats the winner; None where there is no interval.
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
    """Cost of pruning.

    Args:
        metric, goal: the deciding ones.
        trials: how many there are; finished, pruned: how many of these did.
        unjudged: numbers of pruned trials without any evaluation: nothing can be said of them.
        winner: number of the best finished trial; winner_value: its final value. None if none finished.
        rungs: by step.
        pruned_trials: the judged ones, those that could have won first, the likeliest of them on top.
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
    pruned_trials: tuple[PrunedTrial, ...]
    steps_done: int
    steps_full: int

    @property
    def could_have_won(self) -> tuple[PrunedTrial, ...]:
        """Pruned trials whose projected interval reaches beyond the winner."""
        return tuple(trial for trial in self.pruned_trials if trial.could_have_won)


@dataclass(frozen=True, slots=True)
class _Finished:
    """A finished trial: its learning curve, and the metric of its last checkpoint."""

    number: int
    curve: Curve
    final: float

    def at(self, step: int) -> float | None:
        """Return its newest value at `step`; None if there is none yet."""
        return next((value for when, value in reversed(self.curve) if when <= step), None)


def audit_pruning(results: SearchResults) -> Audit | None:
    """Audit the pruning for the first metric of the search; None where nothing was pruned."""
    all_pruned = [trial for trial in results.trials if trial.state == "pruned"]
    if not all_pruned:
        return None
    metric = results.metrics[0]
    finished = [
        _Finished(trial.number, trial.curve, value)
        for trial in results.trials
        if trial.curve and (value := trial.value(metric.name)) is not None
    ]
    winner = results.winner
    winner_value = winner.value(metric.name) if winner else None
    judged = [trial for trial in all_pruned if trial.curve]
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
        pruned=len(all_pruned),
        unjudged=tuple(trial.number for trial in all_pruned if not trial.curve),
        winner=winner.number if winner else None,
        winner_value=winner_value,
        rungs=tuple(_rungs([trial.curve[-1][0] for trial in judged], finished, winner.number if winner else None, metric.goal)),
        pruned_trials=tuple(pruned),
        steps_done=sum(trial.steps_done for trial in counted),
        steps_full=sum(trial.steps_full for trial in counted),
    )


def _projected(value: float, gains: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the 95 % prediction interval of a final value: by order statistics of enough gains, else by Student's t (normal
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


def audit_notes(audit: Audit) -> list[ReportNote]:
    """Describe the audit: one statement that answers both questions, then what it rests on."""
    notes = [_statement(audit), *_projections(audit)]
    if audit.unjudged:
        notes.append(note("audit-unjudged", trials=list(audit.unjudged)))
    if audit.finished < FEW_FINISHED:
        notes.append(note("audit-few", finished=audit.finished))
    return [*notes, note("audit-bias")]


def _statement(audit: Audit) -> ReportNote:
    return note(
        "audit",
        pruned=audit.pruned,
        trials=audit.trials,
        finished=audit.finished,
        share=audit.steps_done / audit.steps_full if audit.steps_full else None,
        could_have_won=len(audit.could_have_won),
        judged=sum(trial.could_have_won is not None for trial in audit.pruned_trials),
        winner=audit.winner,
        metric=audit.metric,
        value=audit.winner_value,
        pairs=sum(rung.pairs for rung in audit.rungs),
        disagreed=sum(rung.disagreed for rung in audit.rungs),
    )


def _projections(audit: Audit) -> list[ReportNote]:
    """Describe the trials that could have won, and those of which it cannot be told."""
    if audit.winner is None:
        return []
    unknown = [trial.number for trial in audit.pruned_trials if trial.could_have_won is None]
    found = audit.could_have_won
    notes = []
    for trial in found[:_MOST_NAMED]:
        projected = {"low": trial.low, "high": trial.high, "enough": trial.enough, "rests_on": trial.rests_on}
        notes.append(note("audit-trial", trial=trial.number, label=trial.label, value=trial.value, step=trial.step, **projected))
    if len(found) > _MOST_NAMED:
        notes.append(note("audit-more", trials=[trial.number for trial in found[_MOST_NAMED:]]))
    if unknown:
        notes.append(note("audit-unknown", trials=unknown))
    return notes
