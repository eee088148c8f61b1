"""Renderer of CSV: one row per run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from runner.core.text import printable
from runner.core.values import ABSENT, is_numeric
from runner.results.collect import RunResult
from runner.results.comparison import Comparison
from runner.results.search.report import SearchReport
from runner.store.run_dir import Goal


class CsvRenderer:
    """CSV: one row per run, done or not, with its parameters, metrics (empty where it has none), time and memory."""

    subjects: ClassVar[tuple[str, ...]] = ("comparison", "search")

    def render(self, report: Comparison | SearchReport, views: Sequence[str] = ()) -> str:
        """Return the rows with a header."""
        del views
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        rows = _search_rows(report) if isinstance(report, SearchReport) else _comparison_rows(report)
        writer.writerows(map(csv_cell, row) for row in rows)
        return text.getvalue()


def _comparison_rows(comparison: Comparison) -> Iterator[list[Any]]:
    tags = list(dict.fromkeys([*comparison.metrics, *(tag for trial in comparison.trials for tag in trial.metrics)]))
    reasons = {run.path: why.text for run, why in comparison.uncounted}
    yield _header(comparison.parameters, tags, comparison.metric)
    for trial in comparison.trials:
        parameters = [_parameter(trial.parameters[key]) for key in comparison.parameters]
        number = trial.number if trial.number >= 0 else ""
        for run in trial.runs:
            counted = run in trial.counted
            facts = [run.id, number, trial.label, run.seed, run.state, counted, reasons.get(run.path, "")]
            yield [*facts, *_results(run, parameters, tags, comparison.metric, comparison.goal)]


def _search_rows(report: SearchReport) -> Iterator[list[Any]]:
    results, metric = report.results, report.results.metrics[0]
    tags = list(dict.fromkeys([each.name for each in results.metrics] + [tag for run in report.runs for tag in run.metrics]))
    keys = (*results.parameters, *results.derived)
    yield _header(keys, tags, metric.name)
    for run in report.runs:
        if run.trial < 0:
            continue
        trial = results.trial(run.trial)
        parameters = [_parameter({**trial.derived, **trial.parameters}.get(key, ABSENT)) for key in keys]
        counted = run.state == "done" and not run.copy_of and metric.name in run.metrics
        facts = [run.id, run.trial, trial.label, run.seed, run.state, counted, run.reason or ""]
        yield [*facts, *_results(run, parameters, tags, metric.name, metric.goal)]


def _header(parameters: Sequence[str], tags: Sequence[str], metric: str) -> list[str]:
    head = ["run", "trial", "label", "seed", "state", "counted", "why_not_counted", "hardly_learned", *parameters, *tags]
    return [*head, f"best {metric}", "time_s", "images_per_s", "memory_gib", "gpu_memory_gib", "path"]


def _results(run: RunResult, parameters: Sequence[Any], tags: Sequence[str], metric: str, goal: Goal) -> list[Any]:
    best = run.best(metric, goal)
    measured = (best[1] if best else None, run.time_s, run.images_per_s, run.memory_gib, run.gpu_memory_gib)
    flat = ", ".join(map(str, run.flat))
    return [flat, *parameters, *(run.metrics.get(tag) for tag in tags), *measured, str(run.path)]


def _parameter(value: Any) -> Any:
    """Return a scalar as it is, anything else as JSON; None where there is no such key."""
    if value is ABSENT:
        return None
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else json.dumps(value, ensure_ascii=False)


def csv_cell(value: Any) -> Any:
    """Return a cell in one line that a spreadsheet shows and does not calculate: a text that begins like a formula gets an apostrophe."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return "" if value is None else value
    text = printable(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) and not is_numeric(text) else text
