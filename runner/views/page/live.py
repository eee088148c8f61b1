"""Runs below some folders while they change: a thread watches them, another computes the report."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runner.core.errors import InputError, RunnerError
from runner.results.collect import RunResult, relate, with_memory
from runner.store.run_dir import PrimaryMetric, check_directories, no_runs
from runner.views.page.cache_file import cache_path
from runner.views.page.column_cache import ColumnCache
from runner.views.page.column_store import ColumnStore
from runner.views.page.data import Ids, OtherReports, PageRun, PageTrial, PageView, ReadReport, deciding, title_of
from runner.views.page.facts import FactsChange, RunFacts, with_configs
from runner.views.page.index import FactsIndex
from runner.views.page.memo import Memo
from runner.views.page.plan import PagePlan, read_plan
from runner.views.page.scan import RunSearch
from runner.views.renderers.base import Report

INTERVAL_S = 0.5
"""Time between two looks at the disk."""
RECORDS_S = 2.0
"""Time after which what was read of the records of many runs is shown."""
REPORT_INTERVAL_S = 2.0
"""Time, at least, between the beginnings of two computations of the report."""

_HEAD_START_S = 2e-4
"""Time per run that the first answers have before the first report is computed, which takes about four times as long."""


@dataclass(slots=True)
class _Related:
    """The runs with what only all of them together show, and what that was made from."""

    raw: dict[str, RunResult]
    plans: dict[Path, PagePlan]
    runs: dict[str, PageRun]
    trials: dict[str, PageTrial]
    metric: PrimaryMetric


class LiveData:
    """Runs below some folders, read again where they change. Safe to use from several threads; nothing is written below the folders.

    Args:
        roots: sweep or run directories, or folders of them.
        read_report: computes the report.
        is_private: see `PageData`.

    Raises:
        InputError: a folder that does not exist, or neither a run nor a sweep is there.
    """

    def __init__(self, roots: Sequence[Path], read_report: ReadReport, *, is_private: bool = False) -> None:
        check_directories(roots)
        self._roots = tuple(roots)
        self._read_report = read_report
        self.is_private = is_private
        self.columns, self.memo = ColumnStore(cache=ColumnCache()), Memo()
        self._facts = RunFacts(RunSearch(self._roots), FactsIndex(cache_path(self._roots)), self.columns.summary)
        self._facts.search.look()
        if not self._facts.search.runs and not self._facts.search.sweeps:
            raise no_runs(roots)
        self._ids = Ids()
        self._related: _Related | None = None
        self._view: PageView | None = None
        self._changed = threading.Condition()
        self._report_waits = False
        self._report_due, self._closed = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in (("page-watch", self._watch), ("page-report", self._report_loop))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders."""
        return self._roots

    @property
    def title(self) -> str:
        """Names of the folders."""
        return title_of(self._roots)

    @property
    def revision(self) -> int:
        """Counts up whenever something has changed on the disk; 0 before the runs were read for the first time."""
        view = self._view
        return view.revision if view is not None else 0

    @property
    def metric(self) -> PrimaryMetric:
        """The deciding metric and those beside it."""
        return self.now().metric

    def now(self) -> PageView:
        """Return what is known now. Waits until the runs were read for the first time."""
        with self._changed:
            self._changed.wait_for(lambda: self._view is not None or self._closed.is_set())
            if self._view is None:
                raise InputError("the page has been closed")
            return self._view

    def runs(self) -> Mapping[str, PageRun]:
        """Return the runs by id."""
        return self.now().runs()

    def trials(self) -> Mapping[str, PageTrial]:
        """Return the trials by id, the baseline first."""
        return self.now().trials()

    def report(self) -> Report | None:
        """Return the newest report; None while there is none."""
        return self.now().report()

    def other_report(self, metric: str | None, against: int | None) -> Report:
        """Return the report by another metric, or against another trial."""
        return self.now().other_report(metric, against)

    def problem(self) -> str:
        """Return why there is no report."""
        return self.now().problem()

    def close(self) -> None:
        """End the threads. Idempotent."""
        self._closed.set()
        self._report_due.set()
        with self._changed:
            self._changed.notify_all()
        self._threads[0].join()

    def _watch(self) -> None:
        while not self._closed.is_set():
            self._take(self._facts.look())
            self.columns.flush()
            if self._facts.is_whole:
                self._closed.wait(INTERVAL_S)
            else:
                self._take(self._facts.read_records(RECORDS_S))
        if self._facts.index is not None:
            self._facts.index.close()
        self.columns.close()

    def _take(self, change: FactsChange) -> None:
        """Show what has changed."""
        if change or self._related is None:
            related = self._related = self._relate(change)
            self._publish(metric=related.metric, by_id=related.runs, trials_by_id=related.trials)
        self._report_waits |= change.ended
        if self._report_waits and self._facts.is_whole:  # not before: both would take twice as long
            self._report_waits = False
            self._report_due.set()

    def _publish(self, **changes: object) -> None:
        """Replace the view by one with `changes` and the next revision."""
        with self._changed:
            before = self._view or PageView(
                self._roots, self.title, 0, PrimaryMetric(""), {}, {}, is_private=self.is_private, columns=self.columns, memo=self.memo
            )
            self._view = replace(before, revision=before.revision + 1, **changes)  # type: ignore[arg-type]
            self._changed.notify_all()

    def _relate(self, change: FactsChange) -> _Related:
        """Return ids and relations of all runs: quickly where only numbers of some runs have changed."""
        raw = {str(result.path): result for result in self._facts.results()}
        if self._related is not None and not change.gone and not change.sweeps:
            if (found := _with_numbers(self._related, raw, change.runs)) is not None:
                return found
        plans = {Path(path): read_plan(Path(path)) for path in sorted(self._facts.search.sweeps)}
        results = relate(self._facts.results())
        metric = deciding(plans, results)
        runs, trials = self._ids.assign(with_memory(results, metric.shown), plans)
        return _Related(raw, plans, runs, trials, metric)

    def _compute(
        self, paths: Sequence[Path], metric: str | None = None, *, against: int | None = None, runs: Sequence[RunResult] | None = None
    ) -> Report:
        """Compute a report on the runs as they were read last (see `ReadReport`)."""
        if runs is None:
            runs = with_configs([*self._related.raw.values()] if self._related is not None else [], paths)
        return self._read_report(paths, metric, against=against, runs=runs)

    def _report_loop(self) -> None:
        self._report_due.wait()
        self._closed.wait(len(self._facts.known) * _HEAD_START_S)
        while True:
            self._report_due.wait()
            if self._closed.is_set():
                return
            self._report_due.clear()
            began = time.monotonic()
            report, problem = None, ""
            try:
                report = self._compute(self._roots)
            except (RunnerError, OSError) as error:
                problem = str(error)
            except Exception as error:  # noqa: BLE001 - the page stays usable without its report
                problem = f"the report cannot be computed: {type(error).__name__}: {error}"
            self._publish(newest=report, why_none=problem, others=OtherReports(self._roots, self._compute))
            self._closed.wait(max(0.0, began + REPORT_INTERVAL_S - time.monotonic()))


def _with_numbers(before: _Related, raw: dict[str, RunResult], changed: Sequence[str]) -> _Related | None:
    """Return `before` with new numbers of some runs; None where their identities have changed too, or their problems."""
    ids = {str(run.result.path): run for run in before.runs.values()}
    runs = dict(before.runs)
    for path in changed:
        run, old, new = ids.get(path), before.raw.get(path), raw[path]
        if run is None or old is None or _identity(old) != _identity(new) or run.result.problem != old.problem:
            return None
        related = replace(new, label=run.result.label, copy_of=run.result.copy_of, unclear=run.result.unclear)
        runs[run.id] = replace(run, result=with_memory([related], before.metric.shown)[0])
    return replace(before, raw=raw, runs=runs)


def _identity(result: RunResult) -> tuple[object, ...]:
    return (
        result.id, result.sweep, result.trial, result.seed, result.overrides, result.label, list(result.trial_keys), result.metric,
        result.config, result.facts.get("config_file"),
    )  # fmt: skip
