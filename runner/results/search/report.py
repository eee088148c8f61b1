"""The report on an adaptive search: its results and everything computed from them, as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar

from runner.results.answer import SweepFacts
from runner.results.collect import RunResult
from runner.results.comparison import summary_data
from runner.results.format import show_summary
from runner.results.notes import ReportNote, note
from runner.results.search.answer import answer_search, verdict
from runner.results.search.audit import Audit, audit_notes, audit_pruning
from runner.results.search.importance import Importances, importances
from runner.results.search.shapes import Parallel, ParetoFront, Slice, parallel, pareto_front, slices
from runner.results.search.trials import SearchResults
from runner.stats.intervals import Summary
from runner.store.records import encode_number

FORMAT = 2
"""Version of the form of `SearchReport.data`: it changes when a reader would have to."""


@dataclass(frozen=True, slots=True)
class SearchReport:
    """A search as data: what a table, a page or a notebook shows.

    Args:
        results: the trials and their ranking.
        runs: all runs, for a renderer that lists them.
        importances, parallel: one per metric; slices: one per metric and parameter.
        audit: None where nothing was pruned.
        answer: what is shown, how sure, and the next command (see `runner.results.search.answer`).
        notes: how to read the ranking; audit_notes: how to read the audit.
    """

    subject: ClassVar[str] = "search"
    views: ClassVar[tuple[str, ...]] = ("best", "importances", "pareto", "slice", "parallel")

    results: SearchResults
    runs: tuple[RunResult, ...]
    importances: tuple[Importances, ...]
    pareto: ParetoFront
    slices: tuple[Slice, ...]
    parallel: tuple[Parallel, ...]
    audit: Audit | None
    answer: tuple[ReportNote, ...]
    notes: tuple[ReportNote, ...]
    audit_notes: tuple[ReportNote, ...]

    @property
    def warnings(self) -> tuple[ReportNote, ...]:
        """Reasons for caution with the answers."""
        return self.results.warnings

    def data(self) -> dict[str, Any]:
        """Return the report as mappings, lists and scalars that JSON knows; numbers that are not finite are strings."""
        return {
            "format": FORMAT,
            **_plain(self.results),
            "verdict": verdict(self.results),
            "answer": [each.data() for each in self.answer],
            "notes": [each.data() for each in self.notes],
            "importances": _plain(self.importances),
            "pareto": _plain(self.pareto),
            "slices": _plain(self.slices),
            "parallel": _plain(self.parallel),
            "audit": None if self.audit is None else {**_plain(self.audit), "notes": [each.data() for each in self.audit_notes]},
        }


def search_report(results: SearchResults, runs: Sequence[RunResult] = (), sweep: SweepFacts | None = None) -> SearchReport:
    """Compute the report on a search; `runs` and `sweep` are what the commands of its answer are made from."""
    every = range(len(results.metrics))
    audit = audit_pruning(results)
    return SearchReport(
        results=results,
        runs=tuple(runs),
        importances=tuple(importances(results, metric) for metric in every),
        pareto=pareto_front(results),
        slices=tuple(found for metric in every for found in slices(results, metric)),
        parallel=tuple(parallel(results, metric) for metric in every),
        audit=audit,
        answer=tuple(answer_search(results, runs, sweep)),
        notes=tuple(_notes(results)),
        audit_notes=() if audit is None else tuple(audit_notes(audit)),
    )


def _notes(results: SearchResults) -> Iterator[ReportNote]:
    yield note("search-states", trials=len(results.trials), states=dict(results.states()))
    if violated := {str(trial.number): trial.violated[0] for trial in results.trials if trial.violated}:
        yield note("search-violated", trials=violated)
    yield from _winner_notes(results)


def _winner_notes(results: SearchResults) -> Iterator[ReportNote]:
    """Describe how far the winner's value can be trusted."""
    winner, metric = results.winner, results.metrics[0].name
    if winner is None:
        yield note("search-unfinished")
    elif len(results.ranked) < 2:
        return
    elif winner.is_baseline:
        yield note("winner-is-baseline")
    elif (fresh := winner.fresh.get(metric)) is None:
        if len(results.metrics) == 1:
            yield note("winner-unconfirmed", ranked=len(results.ranked))
    else:
        shown = {"search": show_summary(winner.values[metric]), "confirmed": show_summary(fresh)}
        yield note("winner-confirmed", trial=winner.number, **shown, seeds=fresh.n, ranked=len(results.ranked))


def _plain(value: Any) -> Any:
    if isinstance(value, ReportNote):
        return value.data()
    if isinstance(value, Summary):
        return summary_data(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return encode_number(value)
    return value if value is None or isinstance(value, str | int) else str(value)
