"""Seed racing: further seeds only for trials without a clear verdict."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from runner.search.base import WAIT, IntermediateResult, Trial, TrialResult, Wait
from runner.stats.sequential import looks, undecided

Results = Mapping[int, Mapping[int, Mapping[str, float]]]
"""Trial number → seed → tag → number."""

Rule = Callable[[Results], Collection[int]]
"""From everything known after a look to the numbers of the trials that are still open."""


def significance_rule(metric: str, first: int, most: int) -> Rule:
    """Return the rule that keeps a trial open until its interval excludes zero.

    Args:
        metric: tag of the deciding metric.
        first, most: seeds per trial at the first and at the last look.
    """
    planned = looks(first, most)

    def open_trials(results: Results) -> set[int]:
        values = {number: {seed: tags[metric] for seed, tags in by_seed.items() if metric in tags} for number, by_seed in results.items()}
        return undecided(values, planned)

    return open_trials


class RacingSearch:
    """A search that runs all trials with the first look's seeds; then, look by look, the baseline and the open trials with the next seeds.

    A look waits for all of its runs. A trial of which a run failed for good gets no further seeds, and without the baseline nothing does.

    Args:
        trials: the baseline, number 0, first.
        seeds: of the first look; the further ones are the smallest numbers that are not among them.
        max_seeds: most seeds of a trial.
        rule: asked after each look but the last.
        most_runs: a look that would make more in all is not taken; None: no limit.

    Raises:
        ValueError: no baseline first, two trials with one number, or numbers of seeds that `looks` refuses.
    """

    def __init__(self, trials: Sequence[Trial], seeds: Sequence[int], max_seeds: int, rule: Rule, most_runs: int | None = None) -> None:
        if not trials or trials[0].number != 0 or len({trial.number for trial in trials}) != len(trials):
            raise ValueError("expected the baseline (number 0) as the first trial, and no number twice")
        self.is_fixed = self.wants_reports = False
        self._trials = tuple(replace(trial, seeds=tuple(seeds)) for trial in trials)
        self._looks = looks(len(seeds), max_seeds)
        self._seeds = (*seeds, *[number for number in range(max_seeds + len(seeds)) if number not in seeds])[:max_seeds]
        self._rule = rule
        self._most_runs = most_runs
        self._runs = len(trials) * len(seeds)
        self._look = 0
        self._waiting: deque[Trial] = deque(self._trials)
        self._running: set[tuple[int, int]] = set()
        self._results: dict[int, dict[int, Mapping[str, float]]] = {trial.number: {} for trial in trials}
        self._out: set[int] = set()

    def planned(self) -> Sequence[Trial]:
        """Return all trials, with the seeds of the first look."""
        return self._trials

    def ask(self) -> Trial | Wait | None:
        """Return the next trial of this look; `WAIT` until the look is complete."""
        if self._waiting:
            trial = self._waiting.popleft()
            self._running |= _pairs(trial)
            return trial
        return WAIT if self._running else None

    def tell(self, trial: Trial, result: TrialResult) -> None:
        """Take the result; after the last one of a look, the rule decides about the next."""
        mine = _pairs(trial) & (self._running | {pair for other in self._waiting for pair in _pairs(other)})
        if not mine:
            return
        self._remove_waiting(trial)
        self._running -= mine
        known = self._results[trial.number]
        known.update({seed: values for seed, values in result.values.items() if (trial.number, seed) in mine})
        if result.state != "done":
            self._out.add(trial.number)
        if not self._waiting and not self._running:
            self._next_look()

    def resume(self, trial: Trial) -> None:
        """Mark it as running: it is not handed out any more."""
        self._running |= _pairs(trial) & {pair for other in self._waiting for pair in _pairs(other)}
        self._remove_waiting(trial)

    def report(self, trial: Trial, report: IntermediateResult) -> str | None:
        """Prune nothing."""
        del trial, report
        return None

    def _remove_waiting(self, trial: Trial) -> None:
        """Remove it from the trials to hand out, seed by seed: an earlier driver may have known fewer of them."""
        left = []
        for other in self._waiting:
            taken = _pairs(trial) if other.number == trial.number else set()
            seeds = tuple(seed for seed in other.seeds or () if (other.number, seed) not in taken)
            if seeds:
                left.append(replace(other, seeds=seeds))
        self._waiting = deque(left)

    def _next_look(self) -> None:
        if self._look + 1 >= len(self._looks) or 0 in self._out:
            return
        judged = {number: values for number, values in self._results.items() if number not in self._out}
        still_open = set(self._rule(judged)) - {0} if len(judged) > 1 else set()
        still_open &= {trial.number for trial in self._trials if len(self._results[trial.number]) == self._looks[self._look]}
        if not still_open:
            return
        seeds = self._seeds[self._looks[self._look] : self._looks[self._look + 1]]
        wanted = {0} | still_open
        self._runs += len(wanted) * len(seeds)
        if self._most_runs is not None and self._runs > self._most_runs:
            return
        self._look += 1
        self._waiting = deque(replace(trial, seeds=seeds) for trial in self._trials if trial.number in wanted)


def _pairs(trial: Trial) -> set[tuple[int, int]]:
    return {(trial.number, seed) for seed in trial.seeds or ()}
