"""Rules for runs of several sweeps: which trial is the baseline, and the names that distinguish sweeps and trials."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from runner.results.collect import RunResult


class SweepPlace(NamedTuple):
    """A sweep: the folder that its runs are in, and the name that they recorded."""

    folder: Path
    name: str


class TrialName(NamedTuple):
    """A trial as it is named without the others.

    Args:
        sweep: None where it is of none, or joined from several.
        number: in its sweep; −1: none.
        label: for people.
        path: directory of its first run; None: it has none yet.
    """

    sweep: SweepPlace | None
    number: int
    label: str
    path: Path | None


def place_of(run: RunResult) -> SweepPlace | None:
    """Return the sweep of a run; None where it belongs to none."""
    return None if run.sweep is None else SweepPlace(run.path.parent, run.sweep)


def baseline_index(trials: Iterable[Sequence[RunResult]]) -> int | None:
    """Return the index of the baseline: of the first trial that is trial 0 of a sweep. None: there is none, so that the first stands in.

    Args:
        trials: runs of each, in the order of `runner.results.collect.collect`: directories as they were given, by name in each of them.
    """
    return next((index for index, runs in enumerate(trials) if any(run.sweep is not None and run.trial == 0 for run in runs)), None)


def sweep_names(sweeps: Iterable[SweepPlace]) -> dict[SweepPlace, str]:
    """Return a name for each sweep that no other has: the recorded one, or, where several share it, the shortest end of the path."""
    every = list(dict.fromkeys(sweeps))
    shared = Counter(sweep.name for sweep in every)
    directories = [sweep.folder.parent if sweep.folder.name == "runs" else sweep.folder for sweep in every]
    ends = _distinct_ends(directories) if len(shared) < len(every) else {}
    pairs = zip(every, directories, strict=True)
    return {sweep: ends[directory] if shared[sweep.name] > 1 else sweep.name for sweep, directory in pairs}


def distinct_labels(trials: Sequence[TrialName]) -> list[str]:
    """Return a label for each trial that no other of its number has.

    Where trials of several sweeps have the same number, the name of its sweep is before the label of each trial of one; where labels are
    the same still, the shortest end of the path of a run that tells the trials apart.
    """
    names = needed_names(trials)
    labels = [trial.label if trial.sweep not in names else f"{names[trial.sweep]} · {trial.label}" for trial in trials]
    same: dict[tuple[int, str], list[Path]] = {}
    for trial, label in zip(trials, labels, strict=True):
        if trial.path is not None:
            same.setdefault((trial.number, label), []).append(trial.path)
    ends = {path: end for paths in same.values() if len(paths) > 1 for path, end in _folder_ends(paths).items()}
    return [f"{ends[trial.path]} · {label}" if trial.path in ends else label for trial, label in zip(trials, labels, strict=True)]


def needed_names(trials: Collection[TrialName]) -> dict[SweepPlace, str]:
    """Return the names of the sweeps (see `sweep_names`) where trials of several have the same number; else none."""
    sweeps: dict[int, set[SweepPlace | None]] = {}
    for trial in trials:
        sweeps.setdefault(trial.number, set()).add(trial.sweep)
    shared = any(len(found) > 1 for number, found in sweeps.items() if number >= 0)
    return sweep_names(trial.sweep for trial in trials if trial.sweep is not None) if shared else {}


def _folder_ends(runs: Sequence[Path]) -> Mapping[Path, str]:
    """Return `_distinct_ends` of runs' directories, without their own names if these are the same."""
    if len({run.name for run in runs}) > 1:
        return _distinct_ends(runs)
    ends = _distinct_ends([run.parent for run in runs])
    return {run: ends[run.parent] for run in runs}


def _distinct_ends(paths: Sequence[Path]) -> Mapping[Path, str]:
    """Return the shortest end, of whole names, that each path shares with no other: ``old/lr`` and ``new/lr``."""
    parts = {path: Path(os.path.abspath(path)).parts for path in paths}
    found: dict[Path, str] = {}
    for length in range(1, 1 + max(map(len, parts.values()), default=0)):
        ends = {path: each[-length:] for path, each in parts.items()}
        counts = Counter(ends.values())
        found |= {path: str(Path(*end)) for path, end in ends.items() if path not in found and counts[end] == 1}
    return {path: found.get(path, str(path)) for path in paths}
