"""Reader of run directories as plain results. It reads nothing else, and works at any moment of a run's life."""

from __future__ import annotations

import math
import os
import re
import statistics
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from runner.core.errors import Cause, InputError, nearest
from runner.core.values import format_value, keys_overlap, listed, short_keys
from runner.monitor.progress import run_status
from runner.results.run_configs import ConfigReader, ReadConfig, read_config
from runner.store import legacy
from runner.store.identities import identify
from runner.store.records import Record, decode_number, stream_all_records
from runner.store.run_dir import (
    FORMER_METRIC,
    IMPORTED,
    Goal,
    Identity,
    PrimaryMetric,
    RunDir,
    State,
    check_directories,
    find_runs,
    no_runs,
)
from runner.training.learning import HEAD_BYTES, FlatTerm, flat_terms, judge

DATA_SECTIONS: Final = {"train": "TrainDataset", "eval": "EvalDataset"}
MEMORY_TAGS: Final = tuple(legacy.RESOURCE_TAGS.values())
"""Tags of the main memory and the GPU memory that a run used, which a sweep file may name as its metric."""
_NAMING = ("seed", "dataset", *DATA_SECTIONS.values())
_MOST_NAMED = 12
MOST_VALUES = 1_000_000
MOST_PACES = 100_000
_RUN_NAME = re.compile(r"\d+-(?P<label>.+)-s\d+")


@dataclass(frozen=True, slots=True)
class RunResult:
    """State and results of one run.

    Args:
        path: its directory.
        id: its name there; `sweep`, `trial`, `seed`, `overrides`: see `runner.store.run_dir.Identity`.
        label: the trial for people: ``batch_size=8``. `collect` leaves out keys that cannot change a result.
        state, reason: its status and why it ended; `problem`: what could not be read, empty if everything could.
        metrics: tag to number of the last checkpoint, all finite; empty before the run is done.
        undefined: tags of metrics that are not finite there.
        evaluations: (step, tag → number) of every evaluation that counts, in order.
        step, steps: optimiser steps done, and in all (0: not known).
        early_stop: why its training ended before the planned length; empty if it did not.
        planned_steps: that length; `steps` if it did not.
        time_s: seconds spent on the steps that count, evaluations included, over all attempts.
        images_per_s: median over the records; None if there is none.
        memory_gib, gpu_memory_gib: the most that was recorded.
        attempts: how many there were.
        heartbeat: seconds since 1970 of its last sign of life; 0 if there was none.
        config: dotted key to scalar or list of the resolved config.
        facts, proposal, trial_keys, metric: see `Identity`; `trial_keys` is known of runs of older versions too.
        cause: see `runner.store.run_dir.Status.cause`.
        flat: loss terms that hardly moved (`runner.training.learning`); empty for a run that learned, or has not done half of its steps.
        copy_of: name of the directory of the sweep's run that it is a copy of, and does not count beside; empty if it counts.
        unclear: True for one of several copies of a run, of which none has the run's name: none of them counts.
        unidentified: True where run.json is damaged: nothing says of which trial the run is, and on which data it was trained.
    """

    path: Path
    id: str
    sweep: str | None
    trial: int
    seed: int
    overrides: Mapping[str, Any]
    label: str
    state: State
    reason: str | None
    problem: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    undefined: tuple[str, ...] = ()
    evaluations: Sequence[tuple[int, Mapping[str, float]]] = ()
    step: int = 0
    steps: int = 0
    early_stop: str = ""
    planned_steps: int = 0
    time_s: float | None = None
    images_per_s: float | None = None
    memory_gib: float | None = None
    gpu_memory_gib: float | None = None
    attempts: int = 0
    heartbeat: float = 0.0
    config: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    proposal: Mapping[str, Any] = field(default_factory=dict)
    trial_keys: Sequence[str] = ()
    metric: PrimaryMetric = FORMER_METRIC
    cause: Cause | None = None
    flat: tuple[FlatTerm, ...] = ()
    copy_of: str = ""
    unclear: bool = False
    unidentified: bool = False

    def __repr__(self) -> str:
        return f"RunResult({str(self.path)!r}, {self.state!r})"

    @property
    def imported(self) -> bool:
        """True for a run that was made of another program's logs: it has curves, and no config."""
        return is_imported(self.facts)

    def best(self, metric: str, goal: Goal) -> tuple[int, float] | None:
        """Return (step, value) of the best evaluation so far: optimistic, since the best of several is selected by the value it is
        judged by."""
        found = [(step, values[metric]) for step, values in self.evaluations if math.isfinite(values.get(metric, math.nan))]
        if not found:
            return None
        return (max if goal == "maximize" else min)(found, key=lambda item: item[1])

    def latest(self, metric: str) -> float | None:
        """Return the metric of the last checkpoint, or, before the run is done, of its newest evaluation; None if there is
        none."""
        if metric in self.metrics:
            return self.metrics[metric]
        return next((values[metric] for _, values in reversed(self.evaluations) if metric in values), None)

    def memory(self) -> dict[str, float]:
        """Return tag to number of `MEMORY_TAGS`, as far as they were recorded."""
        found = zip(MEMORY_TAGS, (self.memory_gib, self.gpu_memory_gib), strict=True)
        return {tag: value for tag, value in found if value is not None}


def with_memory(runs: Iterable[RunResult], tags: Collection[str]) -> list[RunResult]:
    """Return `runs`, those that are done with the memory they used among their metrics, where `tags` has its tag."""
    wanted = set(tags).intersection(MEMORY_TAGS)
    if not wanted:
        return list(runs)
    return [
        replace(run, metrics={**run.metrics, **{tag: value for tag, value in run.memory().items() if tag in wanted}})
        if run.state == "done"
        else run
        for run in runs
    ]


def check_metrics(runs: Iterable[RunResult], metrics: Iterable[str]) -> None:
    """Raise InputError where one of `metrics` is known of no run, although some have metrics."""
    every = list(runs)
    known = sorted({tag for run in every for tag in (*run.metrics, *run.undefined)})
    allowed = sorted({*known, *(tag for run in every if run.state == "done" for tag in run.memory())})
    for metric in metrics:
        if known and metric not in allowed:
            if metric in legacy.RESOURCE_TAGS:
                hint = f"it is now called {legacy.RESOURCE_TAGS[metric]!r}, in GiB (2**30 bytes)"
            else:
                hint = nearest(metric, allowed) or f"known: {listed(allowed, _MOST_NAMED)}"
            raise InputError(f"Unknown metric {metric!r}: no finished run has it; {hint}")


def is_imported(facts: Mapping[str, Any]) -> bool:
    """Return whether a run with these facts was made of another program's logs."""
    return isinstance(facts.get(IMPORTED), Mapping)


def own_runs(runs: Iterable[RunResult]) -> list[RunResult]:
    """Return the runs that can be compared: those that were not imported. Raises InputError: all were."""
    every = list(runs)
    own = [run for run in every if not run.imported]
    if every and not own:
        raise InputError("imported runs only: they have no config, so that nothing is compared; `runner dashboard` shows their curves")
    return own


def collect(paths: Iterable[Path]) -> list[RunResult]:
    """Return the runs at or below each of `paths`, in the order of their names.

    Raises:
        InputError: a path that does not exist, or no run below any of them.
    """
    given = list(paths)
    check_directories(given)
    configs = ConfigReader()
    results = relate([read_run(run_dir, config=configs.read) for run_dir in find_runs(given)])
    if not results:
        raise no_runs(given)
    return results


def relate(runs: Sequence[RunResult]) -> list[RunResult]:
    """Complete what `read_run` returned by what only all runs together show: which are copies, and which keys their labels do without."""
    return _without_neutral(_mark_copies(runs))


def _mark_copies(runs: Sequence[RunResult]) -> list[RunResult]:
    """Mark copies of a sweep's runs, and note where a directory has another name than its run."""
    folders = {run.path.parent for run in runs if run.sweep is not None}
    known = {folder: identify(folder, sorted(run.path.name for run in runs if run.path.parent == folder)) for folder in folders}
    result = []
    for run in runs:
        if (identities := known.get(run.path.parent)) is not None:
            original = identities.runs.get(identities.copies.get(run.path.name, ""), "")
            unclear = run.path.name in identities.unclear.get(run.id, ())
            remark = f"a copy of {original}: it does not count" if original else ""
            if not original and run.path.name != run.id:
                remark = "one of several copies: keep one" if unclear else f"is the run {run.id} under another name"
            if remark:
                run = replace(run, copy_of=original, unclear=unclear, problem="; ".join(filter(None, [run.problem, remark])))
        result.append(run)
    return result


@dataclass(frozen=True, slots=True)
class RecordsSummary:
    """Facts from a run's records; see `RunResult`. `problem`: of the records alone."""

    evaluations: Sequence[tuple[int, Mapping[str, float]]] = ()
    time_s: float | None = None
    images_per_s: float | None = None
    memory_gib: float | None = None
    gpu_memory_gib: float | None = None
    flat: tuple[FlatTerm, ...] = ()
    problem: str = ""

    def added_to(self, result: RunResult) -> RunResult:
        """Return a result that was read without records with what they say."""
        problem = "; ".join(filter(None, [result.problem, self.problem]))
        return replace(
            result, evaluations=self.evaluations, time_s=self.time_s, images_per_s=self.images_per_s, memory_gib=self.memory_gib,
            gpu_memory_gib=self.gpu_memory_gib, flat=self.flat, problem=problem,
        )  # fmt: skip


ReadSummary = Callable[[Path, int | None], RecordsSummary]
"""Summarises a metrics.jsonl. It is called with the path and the optimiser steps of the whole training (None: it is over), and never raises
for what is in the file."""


@dataclass(slots=True)
class _Metrics:
    """Summary of a metrics.jsonl, gathered record by record: a file of any length takes little memory.

    Args:
        evaluations: the newest that count, with no more than `MOST_VALUES` numbers in all; problem: says so if there were more.
        paces: images per second of the records that count; of more than `MOST_PACES` every second, every fourth, …
        most: tag to its largest number.
        starts, ends: attempt to the time of its first record, and of its last one that counts.
    """

    evaluations: deque[tuple[int, Mapping[str, float]]] = field(default_factory=deque)
    problem: str = ""
    paces: list[float] = field(default_factory=list)
    most: dict[str, float] = field(default_factory=dict)
    starts: dict[int, float] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)
    _values: int = 0
    _every: int = 1
    _paces: int = 0

    def add(self, record: Record, counts: bool) -> None:
        """Take one record."""
        self.starts.setdefault(record.attempt, record.time)
        if not counts:
            return
        self.ends[record.attempt] = record.time
        for tag in MEMORY_TAGS:
            if math.isfinite(value := record.values.get(tag, math.nan)):
                self.most[tag] = max(self.most.get(tag, value), value)
        if math.isfinite(pace := record.values.get("train/images_per_s", math.nan)):
            self._add_pace(pace)
        if record.is_evaluation:
            self.evaluations.append((record.step, record.values))
            self._values += len(record.values)
            while self._values > MOST_VALUES:
                self._values -= len(self.evaluations.popleft()[1])
                self.problem = f"metrics.jsonl has more evaluations than are read; only the last {len(self.evaluations)} are shown"

    def _add_pace(self, pace: float) -> None:
        if self._paces % self._every == 0:
            self.paces.append(pace)
        self._paces += 1
        if len(self.paces) > MOST_PACES:
            del self.paces[1::2]
            self._every *= 2

    def time_spent_s(self) -> float | None:
        """Seconds from the start of each attempt (the mark it writes first) to its last record that counts, summed.

        What a killed attempt did after its last checkpoint was done again by the next, and counts once.
        """
        return math.fsum(max(0.0, end - self.starts[attempt]) for attempt, end in self.ends.items()) if self.ends else None


def read_summary(path: Path, steps: int | None) -> RecordsSummary:
    """Summarise a metrics.jsonl record by record, in little memory (see `ReadSummary`)."""
    seen = _Metrics()
    kept: list[Record] | None = None
    try:
        kept = [] if os.path.getsize(path) <= HEAD_BYTES else None
        for record, counts in stream_all_records(path):
            seen.add(record, counts)
            if counts and kept is not None:
                kept.append(record)
    except OSError:
        pass  # reported in `problem` by the run's other files
    else:
        seen.problem = seen.problem or ("" if seen.ends else no_record(os.path.getsize(path), steps))
    return RecordsSummary(
        list(seen.evaluations),
        seen.time_spent_s(),
        statistics.median(seen.paces) if seen.paces else None,
        seen.most.get(MEMORY_TAGS[0]),
        seen.most.get(MEMORY_TAGS[1]),
        flat_terms(path, steps) if kept is None else judge(kept, steps),
        seen.problem,
    )


def no_record(size: int, steps: int | None) -> str:
    """Describe the damage of a metrics.jsonl of `size` bytes that has no record; empty while the run is not over, or where it is empty."""
    return "metrics.jsonl is damaged: it has no record" if size and steps is None else ""


def no_summary(path: Path, steps: int | None) -> RecordsSummary:
    """Read nothing (see `ReadSummary`)."""
    return RecordsSummary()


def read_run(run_dir: RunDir, *, config: ReadConfig | None = read_config, records: ReadSummary = read_summary) -> RunResult:
    """Read a run directory. Never raises because of its content: `RunResult.problem` says what could not be read.

    Args:
        config: reads config.yml; None: it is not read, and `with_config` completes the result.
        records: reads metrics.jsonl, which takes most of the rest. A run that is done has its final metrics with `no_summary` too, where it
            has an eval.json.
    """
    identity, status, results = run_dir.identity(), run_status(run_dir), run_dir.results()
    problems = [f"{file.name} is damaged" for file in ([] if identity else [run_dir.identity_file])]
    whole = [run_dir.identity_file, *([run_dir.evaluation] if results is not None else [])]
    whole += [run_dir.status_file] if status.heartbeat else []  # only status.json says that
    problems += [f"{file.name} is damaged" for file in run_dir.damaged(whole)]
    imported = identity is not None and is_imported(identity.facts)
    if status.state == "done" and not imported and results is None and not os.path.lexists(run_dir.evaluation):
        problems.append(f"{run_dir.evaluation.name} is missing")
    summary = records(run_dir.metrics, None if status.state == "done" else status.steps)
    metrics, undefined = _final_metrics(results, summary) if status.state == "done" else ({}, ())
    overrides = identity.overrides if identity else {}
    result = RunResult(
        path=run_dir.path,
        id=identity.id if identity else run_dir.name,
        sweep=identity.sweep if identity else None,
        trial=identity.trial if identity else -1,
        seed=identity.seed if identity else -1,
        overrides=overrides,
        label=_label(identity.id if identity else run_dir.name, identity, overrides),
        state=status.state,
        reason=status.reason,
        problem="; ".join(problems),
        metrics=metrics,
        undefined=undefined,
        step=status.step,
        steps=status.steps,
        early_stop=status.early_stop,
        planned_steps=status.planned_steps or status.steps,
        attempts=status.attempt,
        heartbeat=status.heartbeat,
        facts=identity.facts if identity else {},
        proposal=identity.proposal if identity else {},
        trial_keys=identity.trial_keys or () if identity else (),
        metric=identity.metric if identity else FORMER_METRIC,
        cause=status.cause,
        unidentified=identity is None,
    )
    result = summary.added_to(result)
    return result if config is None else with_config(result, config)


def with_config(result: RunResult, read: ReadConfig) -> RunResult:
    """Return a result that was read without its config with that. An imported run has none."""
    if result.imported:
        return result
    config, problem = read(RunDir(result.path).config)
    keys = result.trial_keys or legacy.trial_keys(config, recorded_content(result.facts))
    return replace(result, config=config, trial_keys=keys, problem="; ".join(filter(None, [result.problem, problem])))


def recorded_content(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return section of a config to the content hash of its data, where a run's facts have one (``data: {train: …, eval: …}``)."""
    data = facts.get("data")
    if not isinstance(data, Mapping):
        return {}
    return {section: str(data[which]) for which, section in DATA_SECTIONS.items() if data.get(which)}


def _final_metrics(results: Mapping[str, Any] | None, summary: RecordsSummary) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return (finite metrics of the last checkpoint, tags of those that are not finite): from eval.json, else from the last
    evaluation's record."""
    found = (results or {}).get("metrics")
    if not isinstance(found, Mapping):
        found = summary.evaluations[-1][1] if summary.evaluations else {}
    numbers = {str(tag): _number(value) for tag, value in found.items()}
    finite = {tag: value for tag, value in numbers.items() if math.isfinite(value)}
    return finite, tuple(tag for tag in numbers if tag not in finite)


def _number(value: Any) -> float:
    try:
        return decode_number(value)
    except (TypeError, ValueError):
        return math.nan


def _label(name: str, identity: Identity | None, overrides: Mapping[str, Any]) -> str:
    """Return the name of the trial: as it was recorded, as in its directory's name, else by what was overridden, else by the directory."""
    if identity is not None and is_imported(identity.facts):
        return identity.label or name
    if identity is not None and identity.sweep is not None:
        match = _RUN_NAME.fullmatch(name)
        if identity.label or match:
            return identity.label or str(match and match["label"])
    names = short_keys(overrides)
    return ", ".join(f"{names[key]}={format_value(value)}" for key, value in overrides.items() if key != "seed") or name


def _without_neutral(runs: Sequence[RunResult]) -> list[RunResult]:
    """Remove from the labels the keys that identify the trial of none of the runs; a run without any other is named after its config."""
    identifying = {key for keys in {tuple(run.trial_keys) for run in runs} for key in keys}
    known = {key: any(keys_overlap(key, other) for other in identifying) for key in {key for run in runs for key in run.overrides}}
    result = []
    for run in runs:
        if run.imported:
            result.append(run)
            continue
        # a translated or misspelt key is not in the config, and a data set identifies the trial by its content
        neutral = [key for key in run.overrides if not known[key] and key.partition(".")[0] not in _NAMING]
        neutral = [key for key in neutral if any(keys_overlap(key, other) for other in run.config)]
        config_name = Path(str(run.facts.get("config_file") or run.label)).stem if run.sweep is None else run.label
        label = _shortened(run.label, {key: run.overrides[key] for key in neutral}) or config_name
        result.append(run if label == run.label else replace(run, label=label))
    return result


def _shortened(label: str, neutral: Mapping[str, Any]) -> str:
    """Remove keys from a label, each written with any number of its last parts."""
    text = f", {label}, "
    for key, value in neutral.items():
        parts = key.split(".")
        for start in range(len(parts)):
            text = text.replace(f", {'.'.join(parts[start:])}={format_value(value)}, ", ", ")
    return text.strip(", ")
