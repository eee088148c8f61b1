"""The answer of a search: the verdict on its winner, the winner's config, and the next command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import fmean

from runner.results.answer import FEWEST_SEEDS, FreshSeeds, SweepFacts, enough_seeds, propose, train_command
from runner.results.collect import RunResult
from runner.results.comparison import Verdict
from runner.results.notes import ReportNote, note
from runner.results.search.shapes import pareto_front
from runner.results.search.trials import SearchResults, SearchTrial, better, confirmed_effect
from runner.stats.power import seeds_to_tell, smallest_difference


def verdict(results: SearchResults) -> Verdict | None:
    """Return the verdict on the winner by its new seeds; None without an interval: it is not confirmed, or by a single seed."""
    gain = results.gain
    if gain is None or gain.low is None:
        return None
    if gain.is_open:
        return "cannot tell"
    return "better" if better(gain.delta, 0, results.metrics[0].goal) else "worse"


def answer_search(results: SearchResults, runs: Sequence[RunResult] = (), sweep: SweepFacts | None = None) -> Iterator[ReportNote]:
    """Answer what a search was made for (see `runner.results.answer.answer`).

    Args:
        runs: all of its runs.
        sweep: its sweep, for the commands.
    """
    winner, metric = results.winner, results.metrics[0].name
    if sweep is not None and sweep.left:
        yield note(
            "answer-unfinished",
            ended=sweep.runs - sweep.left,
            runs=sweep.runs,
            best=f"trial {winner.number}" if winner is not None else None,
        )
        yield note("command", command=sweep.proceed)
        return
    if winner is None:
        yield note("answer-no-trial")
        return
    value = winner.values[metric].mean
    if len(results.metrics) > 1:
        yield note("answer-front", trials=len(pareto_front(results).front), trial=winner.number, metric=metric)
        yield from _config(winner, runs)
    elif len(results.ranked) < 2:
        yield note("answer-only-trial", trial=winner.number)
    elif winner.is_baseline:
        yield note("answer-winner-is-baseline", metric=metric, ranked=len(results.ranked), value=value)
        yield from _config(winner, runs)
    else:
        yield from _winner(results, winner, runs, sweep)


def _winner(results: SearchResults, winner: SearchTrial, runs: Sequence[RunResult], sweep: SweepFacts | None) -> Iterator[ReportNote]:
    """Judge a winner that is not the baseline."""
    metric, found = results.metrics[0].name, verdict(results)
    times = [run.time_s for run in runs if run.state == "done" and run.time_s is not None]
    run_s = fmean(times) if times else None
    effect = confirmed_effect(results.trials, results.ranked, metric)
    if effect is None:
        yield note("answer-unconfirmed", trial=winner.number, metric=metric, value=winner.values[metric].mean, ranked=len(results.ranked))
        proposal = FreshSeeds("verdict", FEWEST_SEEDS, 2, run_s, None)
    else:
        interval = asdict(effect.together)
        yield note("answer-winner", trial=winner.number, metric=metric, verdict=found, seeds=winner.fresh[metric].n, **interval)
        purpose, seeds = enough_seeds(seeds_to_tell(effect)) if found is not None else ("verdict", FEWEST_SEEDS)
        spread = max(effect.spreads)
        proposal = FreshSeeds(purpose, seeds, 2, run_s, smallest_difference(spread, seeds) if spread > 0 else None)
    yield from _config(winner, runs)
    if found not in ("better", "worse"):
        overrides = next((run.overrides for run in runs if run.trial == winner.number), {})
        yield from propose(proposal, sweep, [{key: value for key, value in overrides.items() if key != "seed"}])


def _config(trial: SearchTrial, runs: Sequence[RunResult]) -> Iterator[ReportNote]:
    """Name the config of a trial, and the command that trains it."""
    mine = [run for run in runs if run.trial == trial.number and run.state == "done"]
    if mine:
        yield note("answer-train", trial="the baseline" if trial.is_baseline else f"trial {trial.number}")
        yield note("command", command=train_command(mine[0].path))
