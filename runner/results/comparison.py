"""A comparison as data: trials with their numbers, differences to the baseline and verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from runner.core.values import ABSENT, LEAST_DIGITS, counted, format_value, same_value
from runner.results.collect import RunResult
from runner.results.images import ImageComparison
from runner.results.notes import ReportNote
from runner.results.params import CONTENT, SHOWN_DIGITS
from runner.stats.intervals import Difference, Summary
from runner.stats.power import Noise
from runner.store.records import encode_number
from runner.store.run_dir import Goal

if TYPE_CHECKING:
    import pandas

Verdict = Literal["better", "worse", "cannot tell"]
FORMAT = 2
"""Version of the form of `Comparison.data`: it changes when a reader would have to."""


@dataclass(frozen=True, slots=True)
class ComparedTrial:
    """A trial: its runs, their numbers and the verdict on them.

    Args:
        number: in its sweep; −1 where runs of several sweeps were joined or there is none.
        label: for people; the sweep's name is in it where several sweeps have a trial of the same number.
        sweep: that name; empty where the label does without it.
        is_baseline: the other trials are compared with this one, the baseline or another one that was asked for.
        parameters: value of each of `Comparison.parameters`; `ABSENT` where its config has no such key.
        runs: all of them, whatever their state.
        counted: those the numbers come from: done, one per seed.
        metrics: tag to summary over `counted`.
        effects: tag to difference to the baseline; empty for the baseline and where either side has no values. That of
            `Comparison.metric` has the interval the verdict is taken from: simultaneous, and wider where seeds were raced.
        verdict: on `Comparison.metric`; None without an interval (a single seed gets no verdict), and where the trial was
            evaluated on other data than the baseline.
        alone: the effect on the metric with the interval it would have were this the only trial; None without a verdict.
        seeds_to_tell: where the verdict is "cannot tell": seeds per trial that give an 80 % chance of a clear verdict, if difference and
            noise are as seen so far; None: more than `MOST_SEEDS`, or unknown.
        permutation_p: p of the permutation test, from 8 seeds on each side.
        images: bootstrap over images of this checkpoint and the baseline's.
        best: summary of each run's best evaluation of the metric: optimistic.
        time_s, images_per_s, memory_gib: summaries over `counted`.
    """

    number: int
    label: str
    is_baseline: bool
    parameters: Mapping[str, Any]
    runs: tuple[RunResult, ...]
    counted: tuple[RunResult, ...]
    metrics: Mapping[str, Summary]
    effects: Mapping[str, Difference]
    verdict: Verdict | None
    alone: Difference | None
    seeds_to_tell: int | None
    permutation_p: float | None
    images: ImageComparison | None
    best: Summary
    time_s: Summary
    images_per_s: Summary
    memory_gib: Summary
    sweep: str = ""

    def __repr__(self) -> str:
        return f"ComparedTrial({self.name!r}, {counted(len(self.runs), 'run')}, verdict={self.verdict!r})"

    @property
    def name(self) -> str:
        """Number and label, as in tables and sentences."""
        return f"{self.number} {self.label}" if self.number >= 0 else self.label

    def data(self) -> dict[str, Any]:
        """Return the trial as mappings, lists and scalars that JSON knows."""
        return {
            "number": self.number if self.number >= 0 else None,
            "label": self.label,
            "baseline": self.is_baseline,
            "parameters": {key: value for key, value in self.parameters.items() if value is not ABSENT},
            "seeds": [run.seed for run in self.counted],
            "runs": [str(run.path) for run in self.runs],
            "hardly_learned": [str(run.path) for run in self.counted if run.flat],
            "metrics": {tag: summary_data(summary) for tag, summary in self.metrics.items() if summary.n},
            "effects": {tag: asdict(effect) for tag, effect in self.effects.items()},
            "verdict": self.verdict,
            "alone": None if self.alone is None else asdict(self.alone),
            "seeds_to_tell": self.seeds_to_tell,
            "permutation_p": self.permutation_p,
            "images": None if self.images is None else asdict(self.images),
            "best_optimistic": summary_data(self.best),
            "time_s": summary_data(self.time_s),
            "images_per_s": summary_data(self.images_per_s),
            "memory_gib": summary_data(self.memory_gib),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of trials with a baseline (see `runner.results.compare.compare`).

    Args:
        metric, goal: what decides, and which way is better.
        metrics: tags to show, the deciding one first.
        parameters: dotted keys that differ between trials; those that were varied on purpose come first.
        varied: how many of these were (all, if no run has overrides); the others followed, or came with another config.
        short: dotted key to short name.
        trials: the baseline first.
        noise: how far the seed alone moves the metric, and what can be detected; None with fewer than two seeds of the baseline.
        looks: seeds per trial at each look where seeds were raced; empty where they were not.
        uncounted: (run, why) of every run the numbers do not contain.
        warnings: why the comparison may mean nothing.
        answer: what is shown, how sure, at what cost, and the next command (see `runner.results.answer`).
        notes: how to read it.
        against: number of the trial that was asked for as the reference in the place of the baseline; None: the baseline is.
        digits: dotted key to how many digits of its values are shown.
    """

    subject: ClassVar[str] = "comparison"
    views: ClassVar[tuple[str, ...]] = ()

    metric: str
    goal: Goal
    metrics: tuple[str, ...]
    parameters: tuple[str, ...]
    varied: int
    short: Mapping[str, str]
    trials: tuple[ComparedTrial, ...]
    noise: Noise | None = None
    looks: tuple[int, ...] = ()
    uncounted: tuple[tuple[RunResult, ReportNote], ...] = ()
    warnings: tuple[ReportNote, ...] = ()
    answer: tuple[ReportNote, ...] = ()
    notes: tuple[ReportNote, ...] = ()
    against: int | None = None
    digits: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        runs = sum(len(trial.runs) for trial in self.trials)
        return f"Comparison({self.metric!r}, {self.goal!r}, {counted(len(self.trials), 'trial')}, {counted(runs, 'run')})"

    def shown(self, key: str, trial: ComparedTrial) -> str:
        """Format a parameter's value in a trial, with as many digits as distinguish the trials."""
        return show_parameter(key, trial.parameters[key], self.digits.get(key, LEAST_DIGITS))

    @property
    def baseline(self) -> ComparedTrial:
        """The trial the others are compared with: the baseline, or another one that was asked for."""
        return self.trials[0]

    @property
    def reference(self) -> str:
        """Name of the trial that the others are compared with, in a sentence: ``the baseline``, or ``trial 2``."""
        return "the baseline" if self.against is None else f"trial {self.against}"

    def data(self) -> dict[str, Any]:
        """Return the comparison as mappings, lists and scalars that JSON knows."""
        return {
            "format": FORMAT,
            "metric": self.metric,
            "goal": self.goal,
            "parameters": list(self.parameters),
            "varied": list(self.parameters[: self.varied]),
            "trials": [trial.data() for trial in self.trials],
            "noise": None if self.noise is None else asdict(self.noise),
            "looks": list(self.looks),
            "uncounted": [{"run": str(run.path), "state": run.state, "reason": why.data()} for run, why in self.uncounted],
            "against": self.against,
            "warnings": [warning.data() for warning in self.warnings],
            "answer": [note.data() for note in self.answer],
            "notes": [note.data() for note in self.notes],
        }

    def to_pandas(self) -> pandas.DataFrame:
        """Return one row per trial (see `runner.results.frame`). Raises RunnerError where pandas is not installed."""
        from runner.results.frame import to_frame  # noqa: PLC0415 - which imports pandas

        return to_frame(self)


def parameter_text(comparison: Comparison, trial: ComparedTrial) -> str:
    """Describe how a trial was made to differ from the baseline: ``batch_size 8 → 16``; empty for the baseline."""
    parts = []
    for key in comparison.parameters[: comparison.varied]:
        one, other = comparison.baseline.parameters[key], trial.parameters[key]
        if not same_value(one, other):
            parts.append(f"{comparison.short[key]} {comparison.shown(key, comparison.baseline)} → {comparison.shown(key, trial)}")
    return ", ".join(parts)


def by_factor(comparison: Comparison) -> list[list[ComparedTrial]]:
    """Group the trials: the baseline, then a group for each key in which alone a trial differs, then those that differ in several keys."""
    keys = comparison.parameters[: comparison.varied]
    groups: dict[str, list[ComparedTrial]] = {"": [comparison.baseline], **{key: [] for key in keys}, "several": []}
    for trial in comparison.trials[1:]:
        differing = [key for key in keys if not same_value(trial.parameters[key], comparison.baseline.parameters[key])]
        groups[differing[0] if len(differing) == 1 else "several"].append(trial)
    return [group for group in groups.values() if group]


def followers(comparison: Comparison) -> list[str]:
    """List the keys that differ although they were not varied, each in a sentence with its values by trial."""
    result = []
    for key in comparison.parameters[comparison.varied :]:
        values = [comparison.shown(key, trial) for trial in comparison.trials]
        result.append(f"{key} differs too: {' / '.join(values)}")
    return result


def uncounted_lines(comparison: Comparison) -> list[tuple[str, str]]:
    """List (run, reason) of each run that is not counted; a copy, which has the name of another one, by its folder."""
    ids = Counter(run.id for trial in comparison.trials for run in trial.runs)
    return [(run.id if ids[run.id] <= 1 and run.path.name == run.id else str(run.path), why.text) for run, why in comparison.uncounted]


def show_parameter(key: str, value: Any, digits: int = LEAST_DIGITS) -> str:
    """Format a parameter's value for a table; a dash where the config has no such key. Of a content hash only the beginning."""
    if value is ABSENT:
        return "–"
    return str(value)[:SHOWN_DIGITS] if key.endswith(CONTENT) else format_value(value, digits)


def summary_data(summary: Summary) -> dict[str, Any]:
    """Return a summary as JSON has it; numbers that are not finite are strings there."""
    mean = encode_number(summary.mean) if summary.n else None
    return {"n": summary.n, "mean": mean, "std": summary.std, "values": [encode_number(value) for value in summary.values]}
