"""Renderer of Markdown: the table for a README or an issue, its warnings, and how to read it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import ClassVar

from runner.core.text import printable
from runner.results.comparison import ComparedTrial, Comparison, followers, uncounted_lines
from runner.results.format import show_delta, show_duration, show_interval, show_seeds, show_summary, show_verdict
from runner.results.notes import ReportNote, paragraphs
from runner.results.search.importance import short_number
from runner.results.search.report import SearchReport


class MarkdownRenderer:
    """Markdown. Names and reasons are text in it: what looks like Markdown or HTML in them is escaped."""

    subjects: ClassVar[tuple[str, ...]] = ("comparison", "search")

    def render(self, report: Comparison | SearchReport, views: Sequence[str] = ()) -> str:
        """Return the table with its notes."""
        del views
        lines = [f"> **Warning:** {_escape(warning.text)}\n" for warning in report.warnings]
        lines += _search(report) if isinstance(report, SearchReport) else _comparison(report)
        return "\n".join(lines) + "\n"


def _comparison(comparison: Comparison) -> list[str]:
    parameters = [comparison.short[key] for key in comparison.parameters[: comparison.varied]]
    head = ["trial", *parameters, "n", *comparison.metrics, f"Δ {comparison.metric} (95 %)", "verdict", "time"]
    items = list(map(_escape, followers(comparison)))
    items += [f"not counted: `{_code(run)}`: {_escape(why)}" for run, why in uncounted_lines(comparison)]
    table = _table(head, [_row(comparison, trial) for trial in comparison.trials])
    return [*table, *_answer(comparison.answer), *_list(items, comparison.notes)]


def _row(comparison: Comparison, trial: ComparedTrial) -> list[str]:
    effect = trial.effects.get(comparison.metric)
    return [
        trial.name,
        *(comparison.shown(key, trial) for key in comparison.parameters[: comparison.varied]),
        str(len(trial.counted)),
        *(show_summary(trial.metrics[tag]) for tag in comparison.metrics),
        f"{show_delta(effect)} {show_interval(effect)}".strip(),
        f"{show_verdict(trial, comparison.against)} {show_seeds(trial)}".strip(),
        show_duration(trial.time_s.mean if trial.time_s.n else None),
    ]


def _search(report: SearchReport) -> list[str]:
    results, metric = report.results, report.results.metrics[0].name
    head = ["rank", "trial", *(each.name for each in results.metrics), "n", f"{metric}, new seeds", "n"]
    rows = []
    for rank, number in enumerate(results.ranked, start=1):
        trial = results.trial(number)
        fresh = trial.fresh.get(metric)
        confirmed = ["–", ""] if fresh is None else [show_summary(fresh), str(fresh.n)]
        values = [show_summary(trial.values[each.name]) for each in results.metrics]
        parameters = [short_number(trial.parameters[key]) if key in trial.parameters else "–" for key in results.parameters]
        name = "0 baseline" if trial.is_baseline else str(number)
        rows.append([str(rank), name, *values, str(trial.values[metric].n), *confirmed, *parameters])
    table = _table([*head, *(results.short[key] for key in results.parameters)], rows) if rows else []
    return [*table, *_answer(report.answer), *_list([], [*report.notes, *report.audit_notes])]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(map(_escape, row)) + " |" for row in (head, ["---"] * len(head), *rows)]


def _answer(notes: Sequence[ReportNote]) -> list[str]:
    """Return the answer as paragraphs, each of its commands as a block of code."""
    return [line for sentence, command in paragraphs(notes) for line in ("", f"    {_code(command)}" if command else _escape(sentence))]


def _list(items: Sequence[str], notes: Sequence[ReportNote]) -> list[str]:
    """Return a list of `items`, escaped already, and notes, after an empty line."""
    every = [*items, *(_escape(note.text.strip()) for note in notes)]
    return ["", *(f"- {item}" for item in every)] if every else []


def _escape(text: str) -> str:
    """Escape `text` for Markdown: it makes no cells, HTML, code, links or emphasis."""
    escaped = re.sub(r"[\\|`*]|(?<=\])\(", r"\\\g<0>", printable(text.replace("\n", " ")))
    return escaped.replace("&", "&amp;").replace("<", "&lt;")


def _code(text: str) -> str:
    """Return `text` as it may be put between backticks."""
    return printable(text).replace("`", "'")
