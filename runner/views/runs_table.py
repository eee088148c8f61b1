"""Table of `runner ls`: the runs that exist. Nothing is conveyed by colour alone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Final

from rich.console import Console, ConsoleOptions, OverflowMethod, RenderableType, RenderResult
from rich.text import Text

from runner.config.varied import varied, varied_text
from runner.core.text import printable
from runner.results.collect import RunResult
from runner.results.format import show_duration
from runner.training.learning import in_words
from runner.views.columns import columns_that_fit, longest_line, widened
from runner.views.table import STATE_STYLES, plain_table
from runner.views.terminal import plain

_DROPPED_FIRST: Final = ("last sign", "config", "time", "varied", "progress")
_FOLDED: Final[Mapping[str, int]] = {"run": 32, "varied": 24, "config": 20}
"""Columns whose cells may take several lines, and the width from which they do so in a narrow terminal."""
_MAY_BE_EMPTY: Final = ("config", "varied")
"""Columns that are left out where no run has a value."""
_FLUSH_RIGHT: Final = frozenset({"progress", "metric", "time", "last sign"})


def render_runs(runs: Sequence[RunResult], metric: str | None = None, *, now: float | None = None) -> RenderableType:
    """Render the table of `runner ls`: name, config, what was varied, state, progress, newest metric and last heartbeat of each run.

    Args:
        metric: tag to show; None: each run's primary metric.
        now: seconds since 1970; None: the present.
    """
    return _RunsView(runs, metric, time.time() if now is None else now)


class _RunsView:
    """The runs, in as many columns as fit."""

    def __init__(self, runs: Sequence[RunResult], metric: str | None, now: float) -> None:
        self._runs = runs
        self._several = len({_place(run) for run in runs}) > 1
        tags = dict.fromkeys(metric or run.metric.name for run in runs)
        self._heads = {"metric": next(iter(tags)) if len(tags) == 1 else "metric"}
        self._rows = [self._cells(run, metric, len(tags) > 1, now) for run in runs]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        names = [
            name
            for name in (self._rows[0] if self._rows else ())
            if name not in _MAY_BE_EMPTY or any(str(row[name]) != "–" for row in self._rows)
        ]
        longest = {name: longest_line([Text(self._heads.get(name, name)), *(row[name] for row in self._rows)]) for name in names}
        least = {name: min(width, _FOLDED.get(name, width)) for name, width in longest.items()}
        shown = columns_that_fit(least, _DROPPED_FIRST, options.max_width)
        widths = widened({name: least[name] for name in shown}, longest, options.max_width)
        table = plain_table()
        for name in shown:
            folds, right = name in _FOLDED, name in _FLUSH_RIGHT
            overflow: OverflowMethod = "fold" if folds else "ellipsis"
            head = plain(self._heads.get(name, name))
            table.add_column(head, justify="right" if right else "left", no_wrap=not folds, overflow=overflow, width=widths[name])
        for row in self._rows:
            table.add_row(*(row[name] for name in shown))
        yield table
        yield from self._reasons()

    def _cells(self, run: RunResult, metric: str | None, names_metric: bool, now: float) -> dict[str, Text]:
        """Return the cells of a run, by column."""
        tag = metric or run.metric.name
        value = run.latest(tag)
        shown = "–" if value is None else f"{value:.3f}{'' if run.state == 'done' else '*'}"
        return {
            "run": plain(self._name(run)),
            "config": plain("imported" if run.imported else PurePath(str(run.facts.get("config_file") or "–")).stem),
            "varied": plain(_varied(run)),
            "state": Text.assemble((printable(run.state), STATE_STYLES.get(run.state, "")), *([(" !", "yellow")] if run.flat else [])),
            "progress": plain(f"{run.step}/{run.steps} {100 * run.step // run.steps:3d} %" if run.steps else "–"),
            "metric": plain(f"{tag} {shown}" if names_metric else shown),
            "time": plain(show_duration(run.time_s)),
            "last sign": plain(f"{show_duration(now - run.heartbeat)} ago" if run.heartbeat else "–"),
        }

    def _name(self, run: RunResult) -> str:
        """Return a run's name, with that of its sweep or folder where there are several."""
        return f"{_place(run)}/{run.id}" if self._several and _place(run) else run.id

    def _reasons(self) -> Iterator[Text]:
        """List why runs ended, what could not be read of them, and what the star means."""
        for run in self._runs:
            for text in filter(None, (run.reason, run.early_stop, run.problem, f"! {in_words(run.flat)}" if run.flat else "")):
                yield plain(f"{self._name(run)}: {text}")
        if any(run.state != "done" and run.evaluations for run in self._runs):
            yield Text("* of the newest evaluation; the run is not done", style="dim")


def _place(run: RunResult) -> str:
    """Return the name of a run's sweep, or of the folder that a single run is in."""
    return run.sweep or run.path.parent.name


def _varied(run: RunResult) -> str:
    """Return what a run varies: its trial in a sweep, else what it was given."""
    if run.sweep is not None:
        return run.label
    return varied_text(varied(run.overrides, run.config, run.trial_keys)) or "–"
