"""Run directories as the page's parts read them: each run and trial with an id that contains no path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.core.errors import InputError
from runner.results.collect import RunResult, collect
from runner.views.renderers.base import Report

ReadReport = Callable[[Sequence[Path]], Report]
"""Computes the report on the runs in some directories (`runner.sweep.session_results.read_report`)."""


@dataclass(frozen=True, slots=True)
class PageRun:
    """A run on the page.

    Args:
        id: ``r0``, ``r1``, …: in the order of the runs, and the same as long as the server lives.
        trial: id of its trial.
        result: state and numbers, as the comparison has them.
    """

    id: str
    trial: str
    result: RunResult


@dataclass(frozen=True, slots=True)
class PageTrial:
    """A trial on the page.

    Args:
        id: ``t0``, ``t1``, …
        number: in its sweep; −1 for runs that belong to no sweep.
        label: for people.
        is_baseline: the others are compared with it.
        runs: ids of its runs.
    """

    id: str
    number: int
    label: str
    is_baseline: bool
    runs: tuple[str, ...]


class PageData(Protocol):
    """Runs below some folders, with their report. Safe to use from several threads."""

    roots: tuple[Path, ...]
    title: str
    """Names of the folders."""

    @property
    def revision(self) -> int:
        """Counts up whenever something has changed on the disk."""

    def runs(self) -> Mapping[str, PageRun]:
        """Return the runs by id."""

    def trials(self) -> Mapping[str, PageTrial]:
        """Return the trials by id, the baseline first."""

    def report(self) -> Report | None:
        """Return the newest report; None while there is none: it is being computed, or `problem` says why it cannot be."""

    def problem(self) -> str:
        """Return why there is no report; empty if there is one, or will be."""


def trial_ids(results: Sequence[RunResult]) -> tuple[dict[str, PageRun], dict[str, PageTrial]]:
    """Give ids to runs, and to trials: runs of one sweep with one trial number, or runs by themselves that share a label."""
    groups: dict[tuple[str | None, int, str], list[RunResult]] = {}
    for result in results:
        groups.setdefault((result.sweep, result.trial, result.label), []).append(result)
    order = sorted(groups, key=lambda group: (group[1] != 0, group[0] or "", group[1], group[2]))
    runs: dict[str, PageRun] = {}
    trials: dict[str, PageTrial] = {}
    for number, group in enumerate(order):
        trial = f"t{number}"
        members = [PageRun(f"r{len(runs) + index}", trial, result) for index, result in enumerate(groups[group])]
        runs.update({member.id: member for member in members})
        trials[trial] = PageTrial(trial, group[1], group[2], number == 0, tuple(member.id for member in members))
    return runs, trials


class SnapshotData:
    """Data read once: for a frozen file, and for tests.

    Args:
        roots: sweep or run directories.
        read_report: computes the report.

    Raises:
        InputError: no runs there, or a folder that does not exist.
    """

    revision = 1

    def __init__(self, roots: Sequence[Path], read_report: ReadReport) -> None:
        self.roots = tuple(roots)
        self.title = ", ".join(path.resolve().name for path in roots)
        self._runs, self._trials = trial_ids(collect(roots))
        self._report: Report | None = None
        self._problem = ""
        try:
            self._report = read_report(roots)
        except InputError as error:
            self._problem = str(error)

    def runs(self) -> Mapping[str, PageRun]:
        """Return the runs by id."""
        return self._runs

    def trials(self) -> Mapping[str, PageTrial]:
        """Return the trials by id, the baseline first."""
        return self._trials

    def report(self) -> Report | None:
        """Return the report; None where there is none."""
        return self._report

    def problem(self) -> str:
        """Return why there is no report."""
        return self._problem
