"""Resuming a sweep: the search is given the results of earlier drivers, and unfinished runs are queued again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from runner.search.base import Trial, TrialResult
from runner.store.run_dir import RunDir
from runner.sweep.history import PastRun, PastTrial, merged
from runner.sweep.queue import TrialQueue
from runner.sweep.setup import DrivenSweep, Workload
from runner.sweep.trial_result import RunEnd


def resume(queue: TrialQueue, work: Workload, sweep: DrivenSweep, *, retry_failed: bool) -> None:
    """Give the search of `work` the results of a sweep's finished trials, and queue the remaining runs of the others.

    Args:
        retry_failed: a failed run is not finished.
    """
    search, history = work.search, sweep.history
    planned = {trial.number: trial for trial in search.planned()}
    queued: set[tuple[int, int]] = set()
    queue.stopped.update(history.stopped)
    for past in merged(history.trials) if search.is_fixed else history.trials:
        if search.is_fixed and past.trial.number not in planned:
            continue  # no longer part of the design
        trial = _trial_now(past, planned, is_fixed=search.is_fixed)
        if past.refused and past.trial.number not in planned:
            search.tell(trial, TrialResult("failed", reason=past.refused))
            continue
        seeds = tuple(work.seeds) if trial.seeds is None else trial.seeds
        started = {seed: run for seed, run in past.runs.items() if seed in seeds}  # later seeds were added to confirm it
        ended = {seed: run for seed, run in started.items() if run.finished and not (retry_failed and run.state == "failed")}
        if _is_finished(trial, seeds, ended, work.keys) or (past.pruned and len(ended) == len(started)):
            queue.tell_past(trial, _ends(sweep, ended), past.pruned)
            continue
        search.resume(trial)
        if left := tuple(seed for seed in seeds if (trial.number, seed) not in queued):  # seeds may have been added since then
            queued.update((trial.number, seed) for seed in left)
            queue.add_known(trial if len(left) == len(seeds) else replace(trial, seeds=left), past.pruned)


def _trial_now(past: PastTrial, planned: Mapping[int, Trial], *, is_fixed: bool) -> Trial:
    """Return a past trial as the current search defines it."""
    if is_fixed:
        return planned[past.trial.number]
    now = planned.get(past.trial.number)
    if past.trial.seeds is None and now is not None and now.seeds is not None:
        return replace(past.trial, seeds=now.seeds)  # an earlier driver's design did not name seeds
    return past.trial


def _is_finished(trial: Trial, seeds: Sequence[int], ended: Mapping[int, PastRun], keys: Mapping[tuple[int, int], str]) -> bool:
    return all(seed in ended and ended[seed].key == keys.get((trial.number, seed), ended[seed].key) for seed in seeds)


def _ends(sweep: DrivenSweep, ended: Mapping[int, PastRun]) -> dict[int, RunEnd]:
    folder = sweep.folder.runs
    return {seed: RunEnd(RunDir(folder / run.folder), run.state, run.cause, run.reason, run.values) for seed, run in ended.items()}
