"""Tables for a terminal: a comparison, the runs that are planned. Nothing is conveyed by colour alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from runner.core.text import printable
from runner.core.values import counted, enough_digits, format_value, short_keys
from runner.results.comparison import (
    ComparedTrial,
    Comparison,
    by_factor,
    followers,
    parameter_text,
    uncounted_lines,
)
from runner.results.format import show_delta, show_duration, show_interval, show_memory, show_seeds, show_summary, show_verdict
from runner.stats.intervals import Summary
from runner.views.answer import Answer
from runner.views.columns import longest_line, table_width
from runner.views.terminal import plain

_VERDICT_STYLES = {
    "better": "bold green",
    "worse": "bold red",
    "cannot tell": "yellow",
    "baseline": "dim",
    "reference": "dim",
    "no verdict": "dim",
}
STATE_STYLES = {
    "done": "green",
    "running": "cyan",
    "failed": "bold red",
    "interrupted": "yellow",
    "pruned": "magenta",
    "pending": "dim",
}
_MOST_PARAMETER_COLUMNS = 6
_MOST_ITEMS = 12
_COMPACT_FORMS = ((2, ()), (2, ("time",)), (1, ("time",)), (2, ("time", "n")), (1, ("time", "n")), (0, ("time", "n")))
"""Numbers of metrics and columns left out, from the widest table of two lines per trial to the narrowest."""
_NAME_WIDTH = 24
"""Least width of a trial's name, where it has as many characters."""


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A run of a plan, as `render_plan` shows it.

    Args:
        name: of its directory.
        seed: its seed.
        changes: dotted key to value against the baseline; empty for the baseline's runs.
        state: ``done``, ``to run``, ``to continue`` or what the caller says.
    """

    name: str
    seed: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    state: str = "to run"


def render_comparison(comparison: Comparison) -> RenderableType:
    """Render a comparison as wide as the terminal: from 60 columns, where a trial takes two lines and has fewer columns."""
    return _ComparisonView(comparison)


def render_plan(rows: Sequence[PlannedRow], baseline: Mapping[str, Any]) -> RenderableType:
    """Render the runs that a sweep would start, each with the keys it changes; `baseline` has the baseline's values of these keys."""
    table = plain_table()
    table.add_column("run", overflow="fold")
    table.add_column("seed", justify="right")
    table.add_column("state", no_wrap=True)
    table.add_column("changes", overflow="fold")
    names = short_keys(key for row in rows for key in row.changes)
    digits = {key: enough_digits([baseline.get(key), *(row.changes[key] for row in rows if key in row.changes)]) for key in names}
    for row in rows:
        changes = [
            f"{names[key]} {_known(baseline, key, digits[key])} → {format_value(value, digits[key])}" for key, value in row.changes.items()
        ]
        what = plain(", ".join(changes)) if changes else plain("baseline", "dim")
        table.add_row(plain(row.name), str(row.seed), plain(row.state), what)
    waiting = sum(row.state != "done" for row in rows)
    runs = counted(len(rows), "run")
    lines = [f"{runs}, {len(rows) - waiting} of them done already" if waiting < len(rows) else runs]
    lines += [f"{name} is {key}" for key, name in names.items() if key != name]
    return _Stack([table, *(plain(line, "dim") for line in lines)])


class _Stack:
    """Renderables below one another."""

    def __init__(self, parts: Sequence[RenderableType]) -> None:
        self._parts = parts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._parts


class _ComparisonView:
    """A comparison in the widest form that fits."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        comparison = self._comparison
        for warning in comparison.warnings:
            yield plain(f"WARNING: {warning.text}", "bold red")
        table, shows_parameters = self._fitting(console, options)
        yield table
        yield Answer(comparison.answer)
        if not shows_parameters and (text := self._baseline_text()):
            yield _item(text)
        also = followers(comparison)
        yield from (_item(text) for text in also[:_MOST_ITEMS])
        yield from _more(also)
        yield from (_item(f"not counted: {run}: {why}") for run, why in uncounted_lines(comparison)[:_MOST_ITEMS])
        yield from _more(comparison.uncounted)
        yield from (_item(note.text, style="dim") for note in comparison.notes)

    def _fitting(self, console: Console, options: ConsoleOptions) -> tuple[Table, bool]:
        """Return (the table, whether it shows the parameters' values)."""
        for columns, table in self._wide_forms():
            if Measurement.get(console, options.update(width=10_000), table).maximum <= options.max_width:
                return table, "parameters" in columns
        return self._compact(options.max_width), False

    def _baseline_text(self) -> str:
        """List the reference's values: ``the baseline has batch_size 8, max_iters 300``; empty where nothing was varied."""
        comparison = self._comparison
        keys = comparison.parameters[: comparison.varied]
        values = [f"{comparison.short[key]} {comparison.shown(key, comparison.baseline)}" for key in keys]
        return f"{comparison.reference} has {', '.join(values)}" if values else ""

    def _wide_forms(self) -> Iterator[tuple[set[str], Table]]:
        """Make tables of one line per trial, with ever fewer columns."""
        optional = ["parameters", "metrics", "best", "speed", "memory"]
        if self._comparison.varied > _MOST_PARAMETER_COLUMNS:
            del optional[0]
        for count in range(len(optional), -1, -1):
            columns = set(optional[:count])
            yield columns, self._wide(columns)

    def _wide(self, columns: set[str]) -> Table:
        comparison = self._comparison
        keys = comparison.parameters[: comparison.varied] if "parameters" in columns else ()
        metrics = comparison.metrics if "metrics" in columns else comparison.metrics[:2]
        table = plain_table()
        table.add_column("trial", no_wrap=True)
        for key in keys:
            table.add_column(plain(comparison.short[key]), justify="right", no_wrap=True)
        table.add_column("n", justify="right")
        for metric in metrics:
            table.add_column(plain(metric), no_wrap=True)
        table.add_column(plain(f"Δ {comparison.metric} (95 %)"), no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        for name, wanted in (("images/s", "speed"), ("memory", "memory"), ("best", "best")):
            if wanted in columns:
                table.add_column(name, justify="right", no_wrap=True)
        groups = by_factor(comparison)
        for trial in itertools.chain.from_iterable(groups):
            effect = trial.effects.get(comparison.metric)
            row: list[RenderableType] = [
                plain(trial.name),
                *(plain(comparison.shown(key, trial)) for key in keys),
                str(len(trial.counted)),
            ]
            row += [show_summary(trial.metrics[metric]) for metric in metrics]
            row += [f"{show_delta(effect)} {show_interval(effect)}".strip(), self._verdict(trial, " "), _duration(trial.time_s)]
            row += [f"{trial.images_per_s.mean:.1f}" if trial.images_per_s.n else "–"] if "speed" in columns else []
            row += [show_memory(trial.memory_gib.mean) if trial.memory_gib.n else "–"] if "memory" in columns else []
            row += [show_summary(trial.best)] if "best" in columns else []
            table.add_row(*row, end_section=len(comparison.trials) > len(groups) and any(trial is group[-1] for group in groups[:-1]))
        return table

    def _compact(self, width: int) -> Table:
        """Make a table of two lines per trial: the second metric under the first, the interval under the difference.

        Where the trial's name would have less than `_NAME_WIDTH`, columns are left out (`_COMPACT_FORMS`).
        """
        for metrics, left_out in _COMPACT_FORMS:
            columns = {name: cells for name, cells in self._compact_columns(metrics).items() if name not in left_out}
            widths = {name: longest_line(cells) for name, cells in columns.items()}
            widths["trial"] = min(widths["trial"], _NAME_WIDTH)
            if table_width(widths.values()) <= width:
                break
        table = plain_table(lines=True)
        for name, (head, *_) in columns.items():
            folds = name == "trial"
            table.add_column(
                head,
                justify="right" if name in ("n", "time") else "left",
                no_wrap=not folds,
                overflow="fold" if folds else "ellipsis",
                ratio=1 if folds else None,
            )
        for row in zip(*(cells[1:] for cells in columns.values()), strict=True):
            table.add_row(*row)
        return table

    def _compact_columns(self, most_metrics: int) -> dict[str, list[Text]]:
        """Return name of a column to its cells, the head first."""
        comparison = self._comparison
        metrics = comparison.metrics[:most_metrics]
        columns = {"trial": [Text("trial")], "n": [Text("n")]}
        if metrics:
            columns["metrics"] = [Text("\n".join(map(printable, metrics)))]
        columns |= {
            "difference": [Text(f"Δ {printable(comparison.metric)}\n95 % interval")],
            "verdict": [Text("verdict")],
            "time": [Text("time")],
        }
        for trial in itertools.chain.from_iterable(by_factor(comparison)):
            effect = trial.effects.get(comparison.metric)
            cells = {
                "trial": self._what_changed(trial),
                "n": Text(str(len(trial.counted))),
                "metrics": Text("\n".join(show_summary(trial.metrics[metric]) for metric in metrics)),
                "difference": Text(f"{show_delta(effect)}\n{show_interval(effect)}".strip()),
                "verdict": self._verdict(trial, "\n"),
                "time": Text(_duration(trial.time_s)),
            }
            for name, column in columns.items():
                column.append(cells[name])
        return columns

    def _verdict(self, trial: ComparedTrial, between: str) -> Text:
        word, seeds = show_verdict(trial, self._comparison.against), show_seeds(trial)
        shown = Text(word, _VERDICT_STYLES[word])
        return Text.assemble(shown, between, (seeds, "dim")) if seeds else shown

    def _what_changed(self, trial: ComparedTrial) -> Text:
        """Return the trial's name; outside of a sweep, where that is a directory's, with what changed below."""
        changes = "" if trial.number >= 0 else parameter_text(self._comparison, trial)
        return Text(f"{printable(trial.name)}\n{printable(changes)}".strip())


def _item(text: str, style: str = "") -> Table:
    """Make an item of a list, with its further lines indented."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column()
    grid.add_column(overflow="fold")
    grid.add_row("-", plain(text, style))
    return grid


def _more(items: Sequence[object]) -> Iterator[Table]:
    if len(items) > _MOST_ITEMS:
        yield _item(f"… and {len(items) - _MOST_ITEMS} more; --format json lists all")


def plain_table(*, lines: bool = False) -> Table:
    """Make a table without columns and rows yet, with a line below the heads; with `lines`, an empty line between rows."""
    return Table(
        box=box.SIMPLE_HEAD,
        show_lines=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
        leading=int(lines),
    )


def _duration(summary: Summary) -> str:
    return show_duration(summary.mean if summary.n else None)


def _known(baseline: Mapping[str, Any], key: str, digits: int) -> str:
    return format_value(baseline[key], digits) if key in baseline else "–"
