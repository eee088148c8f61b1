"""The answer of a comparison: what is shown, how sure, at what cost, and the next command.

A verdict keeps its 5 % only if the number of seeds was fixed before any of them was looked at. So what is proposed to settle an open
question are fresh seeds in a directory of their own, judged alone; docs/statistics.md has the error rates of this and of what is not
proposed. Which of several better trials is best was not asked in advance: their differences are judged at a level that allows for
all pairs of trials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final, Literal

from runner.core.values import shell_path
from runner.results.comparison import ComparedTrial, Comparison
from runner.results.notes import ReportNote, note
from runner.results.params import evaluated_on
from runner.stats.effects import Effect, effects
from runner.stats.intervals import CONFIDENCE, Difference, summarize
from runner.stats.power import seeds_to_tell, smallest_difference
from runner.stats.sequential import look_confidence

FEWEST_SEEDS: Final = 3
"""Fewest seeds per trial that are proposed."""
MOST_PROPOSED: Final = 20
"""Most seeds per trial that are proposed."""
_EQUAL_COST: Final = 0.05

Purpose = Literal["settle", "try", "verdict", "less"]
"""Purpose of fresh seeds: to settle a question, probably ("settle") or not ("try"); a first verdict; to detect smaller differences."""


@dataclass(frozen=True, slots=True)
class SweepFacts:
    """Facts on a sweep beyond its finished runs.

    Args:
        folder: its directory.
        runs: runs known so far, planned ones included; left: those of them that have not ended.
        proceed: the command that continues it, or that shows how far it is where a driver is working on it.
        first_fresh: the smallest seed above all that it uses.
        fresh_folder: directory for a sweep of fresh seeds; `is_made`: there is one already.
        with_seeds: function from seeds, a number of runs, and the overrides of trials to the command that runs the baseline and these
            trials (None: all trials) with these seeds in `fresh_folder`. None: the command that made the sweep is not known, or its files
            are gone.
    """

    folder: str
    runs: int
    left: int
    proceed: str
    first_fresh: int
    fresh_folder: str
    is_made: bool
    with_seeds: Callable[[Sequence[int], int, Sequence[Mapping[str, Any]] | None], str] | None


def answer(comparison: Comparison, sweep: SweepFacts | None = None) -> Iterator[ReportNote]:
    """Answer what a comparison was made for, as notes that read as one paragraph, and commands (notes named ``command``).

    Args:
        sweep: the sweep whose runs are compared; None: runs of several sweeps, or of none.
    """
    yield from _AnswerWriter(comparison, sweep).notes()


class _AnswerWriter:
    """The answer while it is made: how trials are named in it, and which of them it is about."""

    def __init__(self, comparison: Comparison, sweep: SweepFacts | None) -> None:
        self._found = comparison
        self._sweep = sweep
        self._reference, *others = comparison.trials
        numbers = [trial.number for trial in comparison.trials if trial.number >= 0]
        self._several_sweeps = len(set(numbers)) < len(numbers)
        self._sign = 1 if comparison.goal == "maximize" else -1
        measured = [trial for trial in others if trial.effects.get(comparison.metric) is not None]
        self._measured = sorted(measured, key=lambda trial: -self._gain(trial))
        self._judged = [trial for trial in self._measured if trial.verdict is not None]

    def notes(self) -> Iterator[ReportNote]:
        """Yield the notes."""
        found, sweep = self._found, self._sweep
        if sweep is not None and sweep.left:
            yield note("answer-unfinished", ended=sweep.runs - sweep.left, runs=sweep.runs, best=self._best_so_far())
            yield note("command", command=sweep.proceed)
        elif not self._reference.metrics[found.metric].n:
            yield note("answer-no-baseline", reference=self._named(self._reference))
            if sweep is not None and any(run.state == "failed" for run in self._reference.runs):
                yield note("command", command=f"runner retry {shell_path(sweep.folder)} --failed")
        elif len(found.trials) == 1:
            yield from self._single()
        elif not self._judged:
            yield from self._unjudged()
        elif all(trial.effects[found.metric].low is None for trial in self._judged):
            yield note("answer-no-noise")
        elif better := [trial for trial in self._judged if trial.verdict == "better"]:
            yield from self._better(better)
        else:
            yield from self._none_better()

    # ------------------------------------------------------------------------------------------------ the cases
    def _single(self) -> Iterator[ReportNote]:
        summary = self._reference.metrics[self._found.metric]
        yield note("answer-single", metric=self._found.metric, mean=summary.mean, std=summary.std, seeds=summary.n)
        runs = self._reference.counted
        yield note("answer-another-seed")
        yield note("command", command=f"{train_command(runs[0].path)} -o seed={1 + max(run.seed for run in runs)}")

    def _unjudged(self) -> Iterator[ReportNote]:
        """Describe a comparison without verdicts."""
        if not self._measured:
            yield note("answer-nothing-measured")
        elif any(evaluated_on(trial.counted) != evaluated_on(self._reference.counted) for trial in self._measured):
            yield note("answer-other-data", reference=self._named(self._reference))
        else:
            best = self._measured[0]
            if self._gain(best) > 0:
                facts: dict[str, Any] = {"best": self._named(best), "delta": self._effect(best).delta}
            else:
                facts = {"best": self._named(self._reference), "delta": None}
            yield note("answer-one-seed", metric=self._found.metric, **facts)
            yield from self._fresh("verdict", FEWEST_SEEDS)

    def _none_better(self) -> Iterator[ReportNote]:
        found, best = self._found, self._judged[0]
        names = {"key": self._key(), "reference": self._named(self._reference), "metric": found.metric, "trials": len(self._judged)}
        nearest = {"best": self._named(best), **_interval(self._effect(best))}
        worse = [self._named(trial) for trial in self._judged if trial.verdict == "worse"]
        if len(worse) == len(self._judged):
            yield note("answer-all-worse", **names, **nearest)
            yield from self._config(self._reference)
            return
        if self._gain(best) > 0:
            yield note("answer-none-better", **names, **nearest, worse=worse)
            yield from self._detectable()
            yield from self._settle(best.seeds_to_tell)
        else:
            yield note("answer-baseline-best", **names, **nearest, worse=worse)
            yield from self._detectable()
            seeds = next((n for n in (10, MOST_PROPOSED) if n > len(best.counted)), None)
            if seeds is not None:
                yield from self._fresh("less", seeds)

    def _better(self, better: Sequence[ComparedTrial]) -> Iterator[ReportNote]:
        best, *rest = better
        names = {"key": self._key(), "reference": self._named(self._reference), "metric": self._found.metric}
        yield note("answer-better", **names, best=self._named(best), better=len(better), **_interval(self._effect(best)))
        yield from self._cost(best)
        if not rest:
            yield from self._config(best)
            return
        pairs = self._against(best, rest)
        # `rest` is sorted by its means, but a wide spread can leave a distant trial open
        told = [trial for trial, effect in zip(rest, pairs, strict=True) if not effect.alone.is_open]
        open_ = [(trial, effect) for trial, effect in zip(rest, pairs, strict=True) if effect.alone.is_open]
        named = {"best": self._named(best), "told": [*map(self._named, told)], "open": [self._named(trial) for trial, _ in open_]}
        yield note("answer-best-of-several", **named)
        if not open_:
            yield from self._config(best)
            return
        needed = [seeds_to_tell(effect) for _, effect in open_]
        seeds = None if None in needed else max(n for n in needed if n is not None)
        yield from self._settle(seeds, best)

    # ------------------------------------------------------------------------------------------------ their parts
    def _detectable(self) -> Iterator[ReportNote]:
        if (noise := self._found.noise) is not None and noise.n in noise.smallest:
            yield note("answer-detectable", seeds=noise.n, difference=noise.smallest[noise.n], metric=self._found.metric)

    def _cost(self, trial: ComparedTrial) -> Iterator[ReportNote]:
        """State what a trial takes, by the mean of its runs, in terms of the reference."""
        sides = {"time": (trial.time_s, self._reference.time_s), "memory": (trial.memory_gib, self._reference.memory_gib)}
        ratios = {what: one.mean / other.mean for what, (one, other) in sides.items() if one.n and other.n and other.mean > 0}
        notable = {what: ratio for what, ratio in ratios.items() if abs(ratio - 1) > _EQUAL_COST}
        if ratios:
            yield note("answer-cost", measured=list(ratios), ratios=notable, reference=self._named(self._reference))

    def _settle(self, needed: int | None, best: ComparedTrial | None = None) -> Iterator[ReportNote]:
        """Propose the fresh seeds that probably settle an open question.

        Args:
            needed: seeds per trial; None: too many.
            best: the trial that the others are to be compared with; None: the reference.
        """
        yield from self._fresh(*enough_seeds(needed), best)

    def _fresh(self, purpose: Purpose, seeds: int, best: ComparedTrial | None = None) -> Iterator[ReportNote]:
        """Propose fresh seeds, in a sentence and as commands. Trials of which no run has counted are left out: they would fail again."""
        every = sorted(self._found.trials, key=lambda trial: trial.number)
        known = every[0].number >= 0  # none was joined of several
        failed = [trial for trial in every if known and trial.number > 0 and not trial.counted]
        kept = [trial for trial in every if trial.counted and trial.number > 0]
        against = best if best is not None else self._reference if self._found.against is not None else None
        option = ""
        if against is not None and not self._is_baseline(against):
            option = f" --against {1 + kept.index(against) if failed else against.number}"
        times = [trial.time_s.mean for trial in every if trial.time_s.n]
        proposal = FreshSeeds(purpose, seeds, len(every) - len(failed), fmean(times) if times else None, self._detected(seeds))
        if failed and self._sweep is not None and not self._sweep.is_made:
            yield note("answer-left-out", trials=[self._named(trial) for trial in failed])
        yield from propose(proposal, self._sweep, [trial.counted[0].overrides for trial in kept] if failed else None, option)

    def _config(self, trial: ComparedTrial) -> Iterator[ReportNote]:
        """Name the config of a trial, and the command that trains it."""
        yield note("answer-train", trial=self._named(trial))
        yield note("command", command=train_command(trial.counted[0].path))

    def _against(self, best: ComparedTrial, others: Sequence[ComparedTrial]) -> list[Effect]:
        """Compute `best` against each of `others`, with intervals (`alone`) that allow for all pairs of the judged trials."""
        every = [self._reference, *self._judged]
        looks = self._found.looks
        error = 1 - (look_confidence(looks, len(every) - 1) if looks else CONFIDENCE)
        confidence = 1 - error / (len(every) * (len(every) - 1) / 2)
        metric = self._found.metric
        if looks:  # each pair over the seeds that both have
            found = []
            for other in others:
                sides = [{run.seed: run.metrics[metric] for run in trial.counted} for trial in (other, best)]
                common = sides[0].keys() & sides[1].keys()
                one, two = (summarize([value for seed, value in side.items() if seed in common]) for side in sides)
                found += effects(one, [two], confidence)
            return found
        rest = [trial for trial in every if trial is not best]
        computed = effects(best.metrics[metric], [trial.metrics[metric] for trial in rest], confidence, joint=False)
        return [next(effect for trial, effect in zip(rest, computed, strict=True) if trial is other) for other in others]

    def _detected(self, seeds: int) -> float | None:
        """Return the difference that fresh seeds detect; None where the noise is not known."""
        noise = self._found.noise
        return None if noise is None else smallest_difference(noise.spread, seeds, max(1, len(self._found.trials) - 1))

    def _best_so_far(self) -> str | None:
        if not self._measured:
            return None
        return self._named(self._measured[0] if self._gain(self._measured[0]) > 0 else self._reference)

    def _effect(self, trial: ComparedTrial) -> Difference:
        return trial.effects[self._found.metric]

    def _gain(self, trial: ComparedTrial) -> float:
        return self._sign * trial.effects[self._found.metric].delta

    def _key(self) -> str:
        """Return the short name of the only key that was varied; empty where there are several, or several sweeps."""
        found = self._found
        return found.short[found.parameters[0]] if found.varied == 1 and not self._several_sweeps else ""

    def _is_baseline(self, trial: ComparedTrial) -> bool:
        only = trial.number == 0 and sum(each.number == 0 for each in self._found.trials) == 1
        return only or (self._found.against is None and trial is self._reference)

    def _named(self, trial: ComparedTrial) -> str:
        """Name a trial in a sentence: ``lr 0.01``, ``the baseline (lr 0.02)``; where several keys were varied ``trial 1 (lr=0.01)``."""
        found = self._found
        base = self._is_baseline(trial)
        if key := self._key():
            value = found.shown(found.parameters[0], trial)
            return f"the baseline ({key} {value})" if base else f"{key} {value}"
        if base:
            return f"the baseline ({trial.sweep})" if trial.sweep else "the baseline"
        return f"trial {trial.number} ({trial.label})" if trial.number >= 0 else trial.label


@dataclass(frozen=True, slots=True)
class FreshSeeds:
    """Fresh seeds for an open question.

    Args:
        purpose: what they are for.
        seeds: how many per trial; trials: of how many, the baseline among them.
        run_s: seconds of a run; None: unknown.
        difference: what they detect; None: the noise is unknown.
    """

    purpose: Purpose
    seeds: int
    trials: int
    run_s: float | None
    difference: float | None


def propose(
    proposal: FreshSeeds, sweep: SweepFacts | None, trials: Sequence[Mapping[str, Any]] | None = None, option: str = ""
) -> Iterator[ReportNote]:
    """Propose fresh seeds in a sentence and as commands.

    Args:
        trials: the overrides of the only trials, besides the baseline, that are to get them; None: all trials.
        option: of the command that compares them.
    """
    seeds, runs = proposal.seeds, proposal.seeds * proposal.trials
    if sweep is None:
        yield note("answer-fresh-elsewhere", seeds=seeds)
        return
    compare = f"runner compare {shell_path(sweep.fresh_folder)}{option}"
    if sweep.is_made:
        yield note("answer-fresh-made", folder=sweep.fresh_folder)
        yield note("command", command=compare)
        return
    time_s = None if proposal.run_s is None else runs * proposal.run_s
    yield note("answer-fresh", purpose=proposal.purpose, seeds=seeds, runs=runs, time_s=time_s, difference=proposal.difference)
    if sweep.with_seeds is None:
        yield note("answer-command-unknown")
        return
    yield note("command", command=sweep.with_seeds(range(sweep.first_fresh, sweep.first_fresh + seeds), runs, trials))
    yield note("command", command=compare)


def enough_seeds(needed: int | None) -> tuple[Purpose, int]:
    """Return what a feasible number of seeds is for where `needed` would settle a question (None: too many), and that number."""
    if needed is None or needed > MOST_PROPOSED:
        return "try", MOST_PROPOSED
    return "settle", max(FEWEST_SEEDS, needed)


def train_command(run: object) -> str:
    """Return the command that trains by the config of a run, given its directory."""
    return f"runner train -c {shell_path(f'{run}/config.yml')}"


def _interval(effect: Difference) -> dict[str, float | None]:
    return {"delta": effect.delta, "low": effect.low, "high": effect.high}
