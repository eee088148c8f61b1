"""Part `trials`: the table of trials and their runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.core.values import short_keys
from runner.stats.intervals import summarize
from runner.views.page.data import PageData, PageTrial
from runner.views.page.part import Answer, Query, json_answer


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in the table. `value`: of each metric, of the last checkpoint, or of the newest evaluation while it runs."""

    id: str
    name: str
    trial: str
    seed: int
    state: str
    reason: str
    problem: str
    step: int
    steps: int
    heartbeat: float
    time_s: float | None
    memory_gib: float | None
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Mean and standard deviation over the seeds that are done; `std` is None for one seed."""

    n: int
    mean: float | None
    std: float | None


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A trial in the table. `parameters`: value by dotted key, as far as its runs record them."""

    id: str
    number: int
    label: str
    baseline: bool
    parameters: Mapping[str, Any]
    runs: tuple[str, ...]
    states: Mapping[str, int]
    metrics: Mapping[str, Numbers]
    time_s: float | None


@dataclass(frozen=True, slots=True)
class Trials:
    """The table. `keys`: dotted keys that differ between trials, to their short names; `metrics`: tags, the deciding one first."""

    metric: str
    goal: str
    metrics: tuple[str, ...]
    keys: Mapping[str, str]
    trials: list[TrialRow]
    runs: list[RunRow]


class TrialsPart:
    """The part."""

    keys: frozenset[str] = frozenset()

    def answer(self, data: PageData, query: Query) -> Answer:
        """Answer the table (`Trials`)."""
        return json_answer(read_trials(data))

    def frozen(self, data: PageData) -> Iterable[Query]:
        """Yield the only query there is."""
        yield {}


def read_trials(data: PageData) -> Trials:
    """Make the table."""
    runs = data.runs()
    primary = next(iter(runs.values())).result.metric
    tags = dict.fromkeys([*primary.shown, *(tag for run in runs.values() for tag in run.result.metrics)])
    keys = dict.fromkeys(key for run in runs.values() for key in run.result.overrides)
    rows = []
    for run in runs.values():
        result = run.result
        latest = {tag: value for tag in tags if (value := result.latest(tag)) is not None}
        rows.append(
            RunRow(
                run.id, result.path.name, run.trial, result.seed, result.state, result.reason or "", result.problem,
                result.step, result.steps, result.heartbeat, result.time_s, result.memory_gib, latest,
            )
        )  # fmt: skip
    trials = [_trial(data, trial, tuple(tags)) for trial in data.trials().values()]
    return Trials(primary.name, primary.goal, tuple(tags), short_keys(list(keys)), trials, rows)


def _trial(data: PageData, trial: PageTrial, tags: tuple[str, ...]) -> TrialRow:
    results = [data.runs()[run].result for run in trial.runs]
    done = [result for result in results if result.state == "done" and not result.copy_of]
    metrics = {}
    for tag in tags:
        summary = summarize([result.metrics[tag] for result in done if tag in result.metrics])
        metrics[tag] = Numbers(summary.n, summary.mean if summary.n else None, summary.std)
    times = [result.time_s for result in done if result.time_s is not None]
    return TrialRow(
        trial.id, trial.number, trial.label, trial.is_baseline, dict(results[0].overrides), trial.runs, Counter(r.state for r in results),
        metrics, sum(times) / len(times) if times else None,
    )  # fmt: skip
